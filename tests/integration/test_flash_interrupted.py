"""A board whose power or program goes while it is written: told as half written, and the same command mends it."""

import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.integration.bare import BOARDS, BareBoards, bare_boards
from tests.synthetic_image import write

from bztoken.desk.flash import WAITING
from bztoken.formats import flash_record

pytestmark = pytest.mark.timeout(240)
LONG_BYTES = 800_000  # so that there is a middle
PERCENT = re.compile(r"(\d+)\.\d% ")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return write(tmp_path / "image.bin", application_bytes=LONG_BYTES)


def flashing(boards: BareBoards, image: Path) -> "subprocess.Popen[str]":
    """The console script in a process of its own, which tells on stderr what esptool says."""
    return subprocess.Popen(
        [sys.executable, "-m", "bztoken", "flash", "--board", "bench", "--port", boards.port, "--image", str(image)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "BZTOKEN_BOARDS": str(BOARDS), "BZTOKEN_DEBUG": "1"},
    )


def wait_for_the_middle(process: "subprocess.Popen[str]") -> None:
    """Returns when a third of the interpreter is written."""
    assert process.stderr is not None
    for line in process.stderr:
        percent = PERCENT.search(line)
        if percent is not None and int(percent.group(1)) >= 33:
            return
    raise AssertionError("it was never written so far")


def test_a_power_cut_in_the_middle_is_mended_by_the_same_command(image: Path, tmp_path: Path) -> None:
    with bare_boards(tmp_path / "boards") as boards:
        first = flashing(boards, image)
        wait_for_the_middle(first)
        os.kill(boards.look()["loader_pid"], signal.SIGKILL)
        _, said = first.communicate()
        assert first.returncode == 1
        assert "it is half written and does not start; plug it in and run the same command again" in said
        assert "loader_pid" in boards.look()  # nothing of it runs

        second = flashing(boards, image)
        out, said = second.communicate()
        assert second.returncode == 0, said
        assert "It answers, and is blank" in out


def test_ctrl_c_in_the_middle_says_that_the_board_is_half_written(image: Path, tmp_path: Path) -> None:
    with bare_boards(tmp_path / "boards") as boards:
        process = flashing(boards, image)
        wait_for_the_middle(process)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
    assert process.returncode == 130
    assert "half written" in said
    assert said.rstrip().endswith("bztoken: interrupted")


def test_ctrl_c_before_anything_is_written_lets_the_board_out_of_its_boot_loader(image: Path, tmp_path: Path) -> None:
    """A token with a battery would stay there, and not be a token any more, until somebody resets it."""
    with bare_boards(tmp_path / "boards") as boards:
        process = flashing(boards, image)
        assert process.stderr is not None
        assert any("Connected to ESP32-C3" in line for line in process.stderr)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
        assert set(boards.chip_flash()) == {0xFF}
    assert process.returncode == 130
    assert "Hard resetting" in said and "half written" not in said
    assert "Nothing was written" in said


def test_ctrl_c_before_the_first_answer_keeps_the_board_on_record(image: Path, tmp_path: Path) -> None:
    stock = tmp_path / "stock.jsonl"
    screen, terminal = pty.openpty()
    with bare_boards(tmp_path / "boards") as boards:
        where = ["--board", "bench", "--port", boards.port, "--image", str(image), "--record", str(stock)]
        process = subprocess.Popen(
            [sys.executable, "-m", "bztoken", "flash", *where],
            stdout=subprocess.PIPE,
            stderr=terminal,
            text=True,
            env={**os.environ, "BZTOKEN_BOARDS": str(BOARDS), "TERM": "xterm", "COLUMNS": "200"},
        )
        os.close(terminal)
        said = read_until(screen, WAITING)
        process.send_signal(signal.SIGINT)
        said += read_until(screen, "bztoken: interrupted")
        out, _ = process.communicate()
        os.close(screen)
    assert process.returncode == 130
    assert out.startswith(f"Flashed {boards.port} as bench")
    assert f"The board at {boards.port} is flashed and verified" in said and "half written" not in said
    assert [record.answered for record in flash_record.read(stock)] == [None]


def read_until(screen: int, word: str) -> str:
    """What a terminal shows until there is a word in it."""
    said = ""
    while word not in said:
        said += os.read(screen, 4096).decode("utf-8", "replace")
    return said


def test_a_cable_that_is_pulled_out_ends_it(image: Path, tmp_path: Path) -> None:
    with bare_boards(tmp_path / "boards") as boards:
        process = flashing(boards, image)
        wait_for_the_middle(process)
    _, said = process.communicate()  # the port is gone
    assert process.returncode == 1
    assert "half written" in said
