"""Lines that are said while a progress bar is on the screen: whole, above it, and answers still on stdout alone."""

import os
import pty
import subprocess
import sys

import pytest

SAID = """
from rich.progress import TextColumn
from bztoken.cli import bars, output
with bars.on_stderr(TextColumn("{task.description}")) as shown:
    shown.add_task("counting"), shown.add_task("and more")
    shown.refresh()
    output.answer("/dev/ttyUSB0: [YB-0001-3] " + "x" * 100)
    output.say("Stick it on.")
    output.answer_json_line({"label": "YB"})
output.say("Over.")
"""
ERASED = "\x1b[2K"


def run_on_terminal(is_stdout_too: bool) -> tuple[str, str]:
    """What is in the pipe at stdout, and what the terminal got."""
    master, slave = pty.openpty()
    out = slave if is_stdout_too else subprocess.PIPE
    program = subprocess.Popen(
        [sys.executable, "-c", SAID], stdin=slave, stdout=out, stderr=slave, env={**os.environ, "TERM": "xterm"}
    )
    os.close(slave)
    shown = b""
    try:
        while data := os.read(master, 4096):
            shown += data
    except OSError:  # nobody holds the other end any more
        pass
    os.close(master)
    piped, _ = program.communicate(timeout=90)
    assert program.returncode == 0
    return (piped or b"").decode(), shown.decode()


@pytest.mark.parametrize("is_stdout_too", [True, False])
def test_a_line_is_written_where_the_bars_were_and_they_below_it(is_stdout_too: bool) -> None:
    lines = ["/dev/ttyUSB0: [YB-0001-3] " + "x" * 100, '{"label": "YB"}']
    piped, shown = run_on_terminal(is_stdout_too)
    for line in lines:
        assert (f"{ERASED}{line}\r\n" in shown) == is_stdout_too
    assert piped.splitlines() == ([] if is_stdout_too else lines)
    assert f"{ERASED}Stick it on.\r\n" in shown
    assert shown.endswith("Over.\r\n")


def test_without_a_terminal_there_are_lines_alone() -> None:
    ran = subprocess.run([sys.executable, "-c", SAID], capture_output=True, text=True, timeout=90, check=True)
    assert len(ran.stdout.splitlines()) == 2 and ran.stderr.splitlines() == ["Stick it on.", "Over."]
