"""`bztoken deploy`, the developer's loop, with real mpremote at a virtual board."""

import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.flashed_board import FlashedBoard, files_of, flashed
from tests.program import Program, program

from bztoken.desk import deploy as deploying
from bztoken.desk.board_files import Build
from bztoken.desk.deploy import Deployed
from bztoken.desk.manifests import FIRMWARE
from bztoken.errors import DeployError
from bzvirtual.application import compile_file

WRITE = """
import os
def write(path, text="", mode="w"):
    with open(path, mode) as file:
        file.write(text)
"""


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlashedBoard]:
    """A developer's board; tests leave it deployed."""
    with flashed(tmp_path_factory.mktemp("development"), files_of(Build.DEVELOPMENT)) as made:
        yield made


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Program:
    return program(monkeypatch, capfd)


def at_prompt(board: FlashedBoard, script: str) -> str:
    """What a script prints there; it may write(path, text)."""
    command = [sys.executable, "-m", "mpremote", "connect", board.port, "exec", WRITE + script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL, check=True)
    return done.stdout


def deploy(board: FlashedBoard, firmware: Path = FIRMWARE) -> Deployed:
    return deploying.deploy(board.port, compile_file, firmware=firmware)


def counts(done: Deployed) -> tuple[int, int]:
    return done.copied, done.removed


def test_a_board_that_has_everything_gets_nothing(board: FlashedBoard, cli: Program, tmp_path: Path) -> None:
    ran = cli(tmp_path, "deploy", "--port", board.port, "--json")
    assert ran.code == 0, ran.err
    told = ran.document()
    assert (told["board"], told["copied"], told["removed"]) == ("virtual", 0, 0)
    assert told["files"] == len(files_of(Build.DEVELOPMENT))
    found = board.info()
    assert found is not None and found["dv"] is True and found["fw"] == told["firmware"]


def test_one_changed_file_is_copied_and_runs(board: FlashedBoard, tmp_path: Path) -> None:
    shutil.copytree(FIRMWARE, tmp_path / "firmware")
    version = tmp_path / "firmware" / "bzfw" / "__init__.py"
    version.write_text(version.read_text().replace('VERSION = "', 'VERSION = "9.'))
    done = deploy(board, tmp_path / "firmware")
    assert counts(done) == (1, 0)
    assert done.firmware.startswith("9.")
    assert counts(deploy(board)) == (1, 0)


def test_what_the_firmware_has_no_more_is_removed(board: FlashedBoard, cli: Program, tmp_path: Path) -> None:
    at_prompt(board, "for path in ('/bzfw/gone.mpy', '/loader.py', '/main.mpy'): write(path)")
    ran = cli(tmp_path, "deploy", "--port", board.port)
    assert ran.code == 0, ran.err
    assert "Copied 0 of " in ran.out and ", removed 3 in " in ran.out
    assert at_prompt(board, "print('gone.mpy' in os.listdir('/bzfw'), 'loader.py' in os.listdir('/'))") == (
        "False False\n"
    )


def test_updates_that_would_hide_it_go_and_the_token_stays(board: FlashedBoard) -> None:
    at_prompt(board, "os.mkdir('/slot_b'); write('/slot_b/complete'); write('/slots')")
    at_prompt(board, "write('/identity', 'somebody'); write('/settings', 'a choice')")
    assert counts(deploy(board)) == (0, 0)
    left = at_prompt(board, "print(sorted(os.listdir('/')))")
    assert "slot" not in left and "deploy" not in left
    assert at_prompt(board, "print(open('/identity').read(), open('/settings').read())") == "somebody a choice\n"
    at_prompt(board, "os.remove('/identity'); os.remove('/settings')")


def test_a_board_without_an_application_is_helped(board: FlashedBoard) -> None:
    """As a power cut between the last renames leaves it: the prompt is there, and the same command finishes."""
    at_prompt(
        board,
        "for entry in os.listdir('/bzfw'): os.remove('/bzfw/' + entry)\n"
        "os.remove('/loader.mpy'); write('/boot.py', 'half', 'a')",
    )
    board.order("reset")
    assert board.info(patience_s=2) is None
    done = deploy(board)
    assert done.copied > 30
    assert counts(deploy(board)) == (0, 0)


def test_a_board_with_nothing_but_micropython_gets_everything(cli: Program, tmp_path: Path) -> None:
    with flashed(tmp_path / "board", {"boot.py": b"", "main.py": b""}) as stock:
        ran = cli(tmp_path, "deploy", "--port", stock.port, "--board", "virtual", "--json")
        assert ran.code == 0, ran.err
        told = ran.document()
        assert told["copied"] == told["files"] == len(files_of(Build.DEVELOPMENT))
        found = stock.info()
        assert found is not None and found["dv"] is True


def unplug_when_written(board: FlashedBoard, stop: threading.Event) -> None:
    """Pull the cable soon after the first byte was written to the flash."""
    before_ns = board.flash.stat().st_mtime_ns
    while board.flash.stat().st_mtime_ns == before_ns and not stop.is_set():
        time.sleep(0.002)
    time.sleep(0.02)
    board.order("unplug")


@pytest.mark.timeout(300)
def test_a_cable_pulled_while_copying_leaves_a_whole_application(board: FlashedBoard, tmp_path: Path) -> None:
    shutil.copytree(FIRMWARE, tmp_path / "firmware")
    for source in (tmp_path / "firmware" / "bzfw").glob("[c-d]*.py"):
        source.write_text(source.read_text() + "\n_CHANGED = True\n")
    board.order("reset")
    before, stop = board.info(), threading.Event()
    assert before is not None
    helper = threading.Thread(target=unplug_when_written, args=(board, stop))
    helper.start()
    try:
        with pytest.raises(DeployError, match="run the command again"):
            deploy(board, tmp_path / "firmware")
    finally:
        stop.set()
        helper.join()
    board.order("plug")
    assert "deploy.new" in at_prompt(board, "print(os.listdir('/'))")
    board.order("reset")
    assert board.info() == before
    assert deploy(board, tmp_path / "firmware").copied > 3
    assert "deploy.new" not in at_prompt(board, "print(os.listdir('/'))")
    assert deploy(board).copied > 3
    assert counts(deploy(board)) == (0, 0)


def interrupted_deploy(board: FlashedBoard) -> tuple[int, str]:
    """Ctrl-C when something was written to a board without our packages; exit code and stderr."""
    at_prompt(board, "for entry in os.listdir('/bzfw'): os.remove('/bzfw/' + entry)")
    board.order("reset")
    assert board.info(patience_s=2) is None  # nothing of ours runs, so nothing writes but what is copied
    before_ns = board.flash.stat().st_mtime_ns
    process = subprocess.Popen(
        [sys.executable, "-m", "bztoken", "deploy", "--port", board.port, "--board", "virtual"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while board.flash.stat().st_mtime_ns == before_ns and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    return process.returncode, said


@pytest.mark.timeout(300)
def test_ctrl_c_while_copying_says_how_the_board_is_left(board: FlashedBoard) -> None:
    code, said = interrupted_deploy(board)
    while code == 0:  # a busy computer let it finish before this program saw the first byte
        code, said = interrupted_deploy(board)
    assert code == 130, said
    assert said == (
        f"The board at {board.port} waits at its prompt: the same command finishes.\nbztoken: interrupted\n"
    )
    assert board.info(patience_s=2) is None
    assert deploy(board).copied > 3
    assert counts(deploy(board)) == (0, 0)


def test_a_production_build_is_refused_and_lives_on(tmp_path: Path, cli: Program) -> None:
    with flashed(tmp_path, files_of(Build.PRODUCTION)) as worn:
        assert worn.info() is not None
        pid = worn.order("look")["pid"]
        ran = cli(tmp_path, "deploy", "--port", worn.port)
        assert ran.code == 1
        assert ran.err == (
            f"bztoken: The token at {worn.port} runs a production build, which has no prompt: give it a development "
            "build with `bztoken flash --build development` first, and never a wearer's token.\n"
        )
        assert worn.info() is not None and worn.order("look")["pid"] == pid


def test_another_board_than_it_is_gets_nothing_and_runs_on(board: FlashedBoard, cli: Program, tmp_path: Path) -> None:
    ran = cli(tmp_path, "deploy", "--port", board.port, "--board", "xiao-esp32c3")
    assert ran.code == 1
    assert ran.err == (
        "bztoken: Board xiao-esp32c3 runs rv32imc code and this one x64: name the right board with --board.\n"
    )
    assert board.info() is not None


def test_a_board_that_does_not_know_itself_must_be_named(board: FlashedBoard, cli: Program, tmp_path: Path) -> None:
    at_prompt(board, "os.remove('/board.json')")
    ran = cli(tmp_path, "deploy", "--port", board.port)
    assert ran.code == 1
    assert ran.err == "bztoken: The board has no board file that would tell what it is: name it with --board.\n"
    ran = cli(tmp_path, "deploy", "--port", board.port, "--board", "virtual")
    assert ran.code == 0 and ran.out.startswith("Copied 1 of ")


def test_a_port_that_is_not_there_and_a_missing_mpremote_are_told(
    cli: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = cli(tmp_path, "deploy", "--port", str(tmp_path / "nothing"))
    assert ran.code == 1 and "There is no port" in ran.err
    monkeypatch.setitem(sys.modules, "mpremote", None)
    ran = cli(tmp_path, "deploy", "--port", "/dev/null")
    assert ran.code == 1
    assert ran.err == "bztoken: mpremote is missing: install bztoken with its extra, `pip install bztoken[desk]`.\n"


@pytest.mark.timeout(300)
def test_a_token_that_is_somebodys_stays_so_and_a_wiped_one_a_developers(
    board: FlashedBoard, cli: Program, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    assert cli(home, "registry", "init").code == 0
    given = cli(home, "provision", "--port", board.port, "--label", "desk", "--development")
    assert given.code == 0, given.err
    at_prompt(board, "os.remove('/bzfw/care.mpy')")
    assert counts(deploy(board)) == (1, 0)
    asked = cli(home, "status", "--port", board.port, "--json")
    assert asked.code == 0, asked.err
    assert asked.document()["label"] == "desk"
    wiped = cli(home, "token", "wipe", "--port", board.port, "--yes", "--force")
    assert wiped.code == 0, wiped.err
    found = board.info()
    assert found is not None and found["pr"] is False and found["dv"] is True
    assert counts(deploy(board)) == (0, 0)
