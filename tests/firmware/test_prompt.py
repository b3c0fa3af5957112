"""A production build never ends at MicroPython's prompt, whatever comes over its cable; a development build does.

Where the virtual board raises a Ctrl-C differs from a chip (boards/virtual/notes.md), so what happens in the first
microseconds of boot.py and main.py is held by their order and by exceptions planted where a chip raises one.
"""

import ast
import binascii
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.flashed_board import PROMPTS, FlashedBoard, compiled, files_of, flashed

from bztoken.desk.board_files import Build

Files = dict[str, bytes]
# A developer's keys (interrupt, raw prompt, soft reset, paste), mpremote's greeting, raw paste with a program.
FLOODS = (
    b"\x03",
    b"\x04",
    b"\x03\x03\x02",
    b"\r\x03\r\x01\x04",
    b"\x05A\x01print(1)\r\x04",
    b"\x05import os\r\x04",
    bytes(range(1, 32)),
)
INTERRUPTED = b"raise KeyboardInterrupt"


@pytest.fixture(scope="module")
def production() -> Files:
    return files_of(Build.PRODUCTION)


@pytest.fixture(scope="module")
def development() -> Files:
    return files_of(Build.DEVELOPMENT)


@pytest.fixture(scope="module")
def worn(tmp_path_factory: pytest.TempPathFactory, production: Files) -> Iterator[FlashedBoard]:
    with flashed(tmp_path_factory.mktemp("worn"), production) as board:
        yield board


def assert_no_prompt(said: bytes) -> None:
    assert not [prompt for prompt in PROMPTS if prompt in said], said[-400:]


@pytest.mark.parametrize("flood", FLOODS)
def test_no_bytes_from_power_on_lead_a_production_build_to_a_prompt(worn: FlashedBoard, flood: bytes) -> None:
    for _ in range(3):
        worn.order("reset")
        assert_no_prompt(worn.talk(0.7, flood))
    found = worn.info()
    assert found is not None and "dv" not in found


def test_the_same_bytes_lead_a_development_build_to_its_prompt(tmp_path: Path, development: Files) -> None:
    with flashed(tmp_path, development) as board:
        told = board.info()
        assert told is not None and told["dv"] is True
        assert b">>> " in board.talk(5, b"\x03", until=b">>> ")
        assert board.info(patience_s=1) is None


def on_trial(files: Files, application: bytes) -> Files:
    """With an update that is to be tried, whose application is this."""
    state = bytes([1, 0, 1, 0, 0])
    return {
        **files,
        "slots": state + struct.pack("<I", binascii.crc32(state)),
        "slot_a/complete": b"",
        "slot_a/bzfw/__init__.mpy": files["bzfw/__init__.mpy"],
        "slot_a/bzfw/app.mpy": application,
    }


def failed_thrice(files: Files) -> Files:
    """The next boot is one in safe mode."""
    count = struct.pack("<IB", 3, 3)
    return {**files, "boot_count": count + struct.pack("<I", binascii.crc32(count))}


@pytest.mark.parametrize(
    "application",
    [
        "raise ValueError",
        "raise SystemExit",
        "raise KeyboardInterrupt",
        "def start(*parts):\n    raise MemoryError",
        "def start(*parts):\n    raise SystemExit",
        "def start(*parts):\n    pass",
        "import machine\nmachine.soft_reset()",
    ],
)
def test_an_application_that_ends_restarts_the_board_and_shows_no_prompt(
    tmp_path: Path, production: Files, application: str
) -> None:
    files = {**production, "bzfw/app.mpy": compiled(application, tmp_path)}
    with flashed(tmp_path / "board", files) as board:
        programs = set()
        for _ in range(4):
            assert_no_prompt(board.talk(0.5, b"\r\x03\x01"))
            programs.add(board.order("look")["pid"])
        assert len(programs) > 1


def test_a_loader_that_is_missing_restarts_the_board_and_shows_no_prompt(tmp_path: Path, production: Files) -> None:
    files = {path: content for path, content in production.items() if path != "loader.mpy"}
    with flashed(tmp_path, files) as board:
        first = board.order("look")["pid"]
        assert_no_prompt(board.talk(2, b"\x03"))
        assert board.order("look")["pid"] != first


def test_a_failed_update_and_safe_mode_show_no_prompt(tmp_path: Path, production: Files) -> None:
    broken = compiled("raise ValueError", tmp_path)
    with flashed(tmp_path / "board", failed_thrice(on_trial(production, broken))) as board:
        said = board.talk(2, b"\x03")
        assert b"ValueError" in said  # it was tried
        assert_no_prompt(said)
        found = board.info()
        assert found is not None and found["sm"] is True
        assert_no_prompt(board.talk(1, b"\r\x03\r\x01"))


@pytest.mark.parametrize("name", ["boot.py", "main.py"])
def test_a_ctrl_c_that_came_before_it_was_switched_off_is_forgotten(
    tmp_path: Path, production: Files, name: str
) -> None:
    planted = production[name].replace(b"pass\n", INTERRUPTED + b"\n", 1)
    assert planted != production[name]
    with flashed(tmp_path, {**production, name: planted}) as board:
        assert_no_prompt(board.talk(0.7))
        assert board.info() is not None


@pytest.mark.parametrize("name", ["boot.py", "main.py"])
def test_nothing_that_could_be_interrupted_comes_before_ctrl_c_is_switched_off(repository: Path, name: str) -> None:
    """The interpreter looks for a Ctrl-C at jumps (py/vm.c); a module that is built in and no file is found without."""
    text, imported, called, first_jump = ast.parse((repository / "firmware" / name).read_text()).body[:4]
    assert isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
    assert ast.unparse(imported) == "from micropython import kbd_intr"
    assert ast.unparse(called) == "kbd_intr(-1)"
    assert isinstance(first_jump, ast.Try)
    assert [ast.unparse(handler.type) for handler in first_jump.handlers if handler.type] == ["KeyboardInterrupt"]
    assert isinstance(first_jump.body[0], ast.For)


def ask_prompt(board: FlashedBoard, expression: str) -> bytes:
    """What the friendly prompt prints."""
    board.talk(0.2)
    board.send(expression.encode() + b"\r\n")
    return board.talk(3, until=b"\n>>> ")


def test_a_development_build_starts_no_watchdog_not_even_on_trial(tmp_path: Path, development: Files) -> None:
    """Nothing could stop it at the prompt."""
    files = on_trial(development, development["bzfw/app.mpy"])
    files.update({f"slot_a/{path}": text for path, text in development.items() if path.startswith("bz")})
    with flashed(tmp_path, files) as board:
        assert board.info() is not None
        assert b">>> " in board.talk(5, b"\x03", until=b">>> ")
        assert b"slot_a" in ask_prompt(board, "app.__file__")
        assert b"watchdog -1" in ask_prompt(
            board, "import sys; print('watchdog', sys.modules['vclock'].clock.watchdog_us)"
        )


def test_a_soft_reset_at_the_prompt_runs_the_firmware_again(tmp_path: Path, development: Files) -> None:
    with flashed(tmp_path, development) as board:
        for _ in range(3):
            assert board.info() is not None
            assert b">>> " in board.talk(5, b"\x03", until=b">>> ")
            board.talk(0.2)
            board.send(b"\x04")
            assert b"MPY: soft reboot\r\n" in board.talk(5, until=b"soft reboot\r\n")
        assert board.info() is not None


def test_ctrl_c_at_any_moment_leaves_a_development_build_that_starts_again(tmp_path: Path, development: Files) -> None:
    with flashed(tmp_path, development) as board:
        for moment in range(12):
            board.order("reset")
            board.talk(0.05 * moment)
            assert b">>> " in board.talk(5, b"\x03", until=b">>> ")
        board.order("reset")
        found = board.info()
        assert found is not None and found["sm"] is False


def test_only_ctrl_c_ends_a_program_at_the_prompt_that_never_waits(tmp_path: Path, development: Files) -> None:
    with flashed(tmp_path, development) as board:
        assert b">>> " in board.talk(5, b"\x03", until=b">>> ")
        board.talk(0.2)
        board.send(b"while True: pass\r\n\r\n")
        assert b">>> " not in board.talk(0.5).replace(b">>> while", b"")
        board.send(b"\x03")
        assert b"KeyboardInterrupt" in board.talk(5, until=b"\n>>> ")
