"""asyncio over the board's `_asyncio`, `select` and `time`: the same script prints the same on the plain interpreter,
whose task queue is in C and whose time is real.
"""

import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.firmware.script_board import ScriptBoard


def test_the_same_program_prints_the_same_on_the_interpreters_own_asyncio(
    board: Callable[..., ScriptBoard], micropython: str, repository: Path
) -> None:
    script = repository / "tests/firmware/asyncio_script.py"
    plain = subprocess.run([micropython, str(script)], capture_output=True, text=True, timeout=150, check=False)
    assert plain.returncode == 0, plain.stderr
    running = board(script.read_text()).live(60)
    assert running.ended(), running.lines()
    assert running.lines()[:-1] == plain.stdout.splitlines()
    assert plain.stdout.splitlines()[-1] == "unseen failed"


TIMED = """
import asyncio, time
async def main():
    start = time.ticks_ms()
    for pause_ms in (1, 50, 0, 999, 86400000):
        await asyncio.sleep_ms(pause_ms)
        print(time.ticks_diff(time.ticks_ms(), start))
    try:
        await asyncio.wait_for_ms(asyncio.Event().wait(), 1234)
    except asyncio.TimeoutError:
        print(time.ticks_diff(time.ticks_ms(), start))
asyncio.run(main())
"""


def test_sleeps_last_exactly_as_long_as_they_say(board: Callable[..., ScriptBoard]) -> None:
    times = [1, 51, 51, 1050, 86401050, 86402284]
    running = board(TIMED).live(90_000)
    assert running.lines()[:6] == [str(time_ms) for time_ms in times]
    assert running.lockstep.tokens[0].wakes < 30  # and nobody is woken for nothing
