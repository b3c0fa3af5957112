"""Unmodified mpremote at a virtual board with the development build: what a developer does with a real one."""

import asyncio
import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from littlefs import LittleFS
from littlefs.context import UserContext
from tests.flashed_board import FlashedBoard, files_of, flashed

from bztoken.desk.board_files import Build
from bztoken.desk.flash_image import READ_BYTES, SECTOR_BYTES
from bztoken.link.token_link import TokenLink

Mpremote = Callable[..., str]


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlashedBoard]:
    with flashed(tmp_path_factory.mktemp("development"), files_of(Build.DEVELOPMENT)) as made:
        yield made


@pytest.fixture
def mpremote(board: FlashedBoard) -> Mpremote:
    """`mpremote("exec", "print(1)")`: what it prints; it must succeed."""

    def run(*words: object) -> str:
        command = [sys.executable, "-m", "mpremote", "connect", board.port, *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder of a developer's."""
    folder = tmp_path / "tree"
    (folder / "inner").mkdir(parents=True)
    (folder / "module.py").write_text("answer = 42\n")
    (folder / "inner" / "all.bin").write_bytes(bytes(range(256)) * 40)
    return folder


def test_exec_and_run_interrupt_the_firmware(mpremote: Mpremote, tmp_path: Path) -> None:
    assert mpremote("exec", "print(6 * 7)") == "42\n"
    script = tmp_path / "script.py"
    script.write_text("import os, time\ntime.sleep(0.1)\nprint(sorted(os.listdir('/'))[:3])\n")
    assert mpremote("run", script) == "['board.json', 'boot.py', 'boot_count']\n"


def test_files_go_there_and_back(mpremote: Mpremote, tree: Path, tmp_path: Path) -> None:
    content = (tree / "inner" / "all.bin").read_bytes()
    mpremote("fs", "cp", "-r", tree, ":/")
    assert "module.py" in mpremote("fs", "ls", ":tree")
    assert mpremote("fs", "cat", ":/tree/module.py") == "answer = 42\n"
    assert hashlib.sha256(content).hexdigest() in mpremote("fs", "sha256sum", ":/tree/inner/all.bin")
    mpremote("fs", "cp", ":/tree/inner/all.bin", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == content
    assert "Up to date" in mpremote("fs", "cp", tree / "module.py", ":/tree/module.py")
    mpremote("fs", "rm", ":/tree/module.py")
    assert "module.py" not in mpremote("fs", "ls", ":/tree")
    mpremote("fs", "rm", "-r", ":/tree")
    assert "tree" not in mpremote("fs", "ls", ":/")


def test_a_folder_of_the_host_is_mounted(mpremote: Mpremote, tree: Path) -> None:
    assert mpremote("mount", tree, "exec", "import module; print(module.answer)").endswith("42\n")


def test_resume_keeps_what_runs_and_a_soft_reset_forgets_it(mpremote: Mpremote) -> None:
    mpremote("exec", "kept = 'here'")
    assert mpremote("resume", "exec", "print(kept)") == "here\n"
    mpremote("soft-reset")
    assert mpremote("resume", "exec", "print('kept' in globals())") == "False\n"


def test_the_firmware_can_be_looked_at_where_ctrl_c_stopped_it(board: FlashedBoard, mpremote: Mpremote) -> None:
    mpremote("reset")
    assert board.info() is not None
    assert mpremote("resume", "exec", "print(board.__name__)") == "bzfw.hal_esp32\n"


def test_a_reset_brings_the_token_back(board: FlashedBoard, mpremote: Mpremote) -> None:
    mpremote("exec", "print(1)")
    assert board.info(patience_s=1) is None
    mpremote("reset")
    found = board.info()
    assert found is not None and found["dv"] is True


def test_a_program_that_never_waits_is_interrupted(mpremote: Mpremote) -> None:
    mpremote("exec", "--no-follow", "while True: pass")
    assert mpremote("resume", "exec", "print('free')") == "free\n"


def test_an_error_of_the_program_is_told(board: FlashedBoard) -> None:
    command = [sys.executable, "-m", "mpremote", "connect", board.port, "exec", "1 / 0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
    assert done.returncode != 0
    assert "ZeroDivisionError" in done.stdout + done.stderr


def test_what_mpremote_wrote_is_in_the_flash(board: FlashedBoard, mpremote: Mpremote, tree: Path) -> None:
    mpremote("fs", "cp", tree / "inner" / "all.bin", ":/kept.bin")
    mpremote("reset")
    assert board.info() is not None
    raw = bytearray(board.flash.read_bytes())
    volume = LittleFS(
        context=UserContext(buffer=raw),
        block_size=SECTOR_BYTES,
        block_count=len(raw) // SECTOR_BYTES,
        read_size=READ_BYTES,
        prog_size=READ_BYTES,
    )
    with volume.open("/kept.bin", "rb") as file:
        assert file.read() == (tree / "inner" / "all.bin").read_bytes()


async def started(port: str) -> None:
    """A board that has only begun to start hears no Ctrl-C yet, and mpremote waits for good."""
    async with TokenLink(port) as link:
        await link.info()


def test_fleet_attach_gives_a_developer_such_a_board() -> None:
    command = [sys.executable, "-m", "bztoken", "fleet", "attach", "1", "--build", "development", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as fleet:
        assert fleet.stdout is not None
        told = ""
        while not told.rstrip().endswith("\n}"):
            told += fleet.stdout.readline()
        port = json.loads(told)["tokens"][0]["port"]
        try:
            asyncio.run(started(port))
            expression = "import os; print(os.stat('/development')[6])"
            asked = subprocess.run(
                [sys.executable, "-m", "mpremote", "connect", port, "exec", expression],
                capture_output=True,
                text=True,
                timeout=120,
                stdin=subprocess.DEVNULL,
            )
        finally:
            fleet.terminate()
    assert asked.stdout == "0\n"
    assert fleet.returncode == 0


def test_only_blank_tokens_are_flashed_with_a_build(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bztoken", "fleet", "attach", "--from", str(tmp_path), "--build", "production"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert "only blank tokens are flashed" in done.stderr
