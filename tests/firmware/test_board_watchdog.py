"""The virtual board's watchdog: it bites when it was not fed, whatever the program does meanwhile."""

from collections.abc import Callable

import pytest
from tests.firmware.script_board import ScriptBoard

Board = Callable[..., ScriptBoard]

START = """
import asyncio, machine, time
print(machine.reset_cause(), time.time())
if machine.reset_cause() == machine.WDT_RESET:
    time.sleep(86400)
wdt = machine.WDT(timeout=8000)
"""


def printed(running: ScriptBoard) -> list[str]:
    return [line for line in running.lines() if line != "end of script"]


@pytest.mark.parametrize(
    "hangs",
    [
        "time.sleep(60)",
        "asyncio.run(asyncio.wait_for_ms(asyncio.Event().wait(), 60000))",
        "asyncio.run(asyncio.Event().wait())",
        "machine.lightsleep(60000)",
        "for _ in range(100): time.sleep_ms(100)",
        "import sys, select; poll = select.poll(); poll.register(sys.stdin.buffer, 1); poll.poll()",
    ],
)
def test_a_program_that_does_not_feed_it_is_reset(board: Board, hangs: str) -> None:
    assert printed(board(START + hangs).live(60)) == ["1 0", "3 8"]


def test_a_fed_watchdog_does_not_bite(board: Board) -> None:
    script = """
for _ in range(100):
    time.sleep(7)
    wdt.feed()
    machine.lightsleep(7000)
    wdt.feed()
print("alive")
"""
    assert printed(board(START + script).live(1401))[:2] == ["1 0", "alive"]


def test_a_second_watchdog_is_the_same_one_and_cannot_be_too_quick(board: Board) -> None:
    script = """
try:
    machine.WDT(timeout=999)
except ValueError:
    print("at least a second")
try:
    machine.WDT(1)
except ValueError:
    print("only one")
machine.WDT(0, 20000)
time.sleep(15)
print(time.time())
"""
    assert printed(board(START + script).live(17)) == ["1 0", "at least a second", "only one", "15"]


def test_deep_sleep_ends_the_watchdog(board: Board) -> None:
    script = """
import machine, time
print(machine.reset_cause(), time.time())
if machine.reset_cause() == machine.PWRON_RESET:
    machine.WDT(timeout=2000)
    machine.deepsleep(60000)
"""
    assert printed(board(script).live(100)) == ["1 0", "4 60"]


def test_events_do_not_feed_it(board: Board) -> None:
    running = board(START + "machine.Pin(9, machine.Pin.IN)\ntime.sleep(60)")
    for second in range(12):
        running.live(1).lockstep.press_button(running.token, 9, second % 2)
    assert printed(running) == ["1 0", "3 8"]
