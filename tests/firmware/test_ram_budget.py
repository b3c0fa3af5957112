"""The budget table of firmware/README.md against what the firmware holds: a line that is not true any more fails.

Bytes on the 64-bit interpreter, what interpreter and stand-ins take not counted (tests/bench/token_rooms.py counts it).
"""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.firmware.bench import Bench
from tests.firmware.script_board import ScriptBoard
from tests.firmware.test_window_and_heap import play_crowd

from bzvirtual.process import FIRMWARE_HEAP_BYTES, NAMES_HEAP_BYTES
from bzwire import messages

# A table may be wrong by so much before it has to be written anew.
TOLERANCE_BYTES = 1536
# Interpreter and stand-ins, by `bench_token.py --only heap`, and the table that only the names of the stand-ins need.
BOARD_BYTES = 62_912 + NAMES_HEAP_BYTES
ROW = re.compile(r"^\| (?P<what>[^|]+) \| (?P<bytes>[\d,]+) \|$")
# Everything that a token of every kind loads, in the order in which the app does.
LOADED = """
import gc
gc.threshold(2048)
from bzfw import app, hal_esp32, radio
gc.collect()
print("held", gc.mem_alloc())
"""


@pytest.fixture(scope="module")
def budget(repository: Path) -> dict[str, int]:
    """what: bytes."""
    text = (repository / "firmware/README.md").read_text(encoding="utf-8")
    rows = [match for line in text.splitlines() if (match := ROW.match(line))]
    return {match["what"]: int(match["bytes"].replace(",", "")) for match in rows}


def assert_in_budget(budget: dict[str, int], what: str, held: int) -> None:
    assert abs(budget[what] - held) <= TOLERANCE_BYTES, f"{what}: {held:,} bytes, the table says {budget[what]:,}"


def held_after_an_hour(bench: Bench, settings: dict[str, int]) -> int:
    wearer = bench.hand_out("wearer")
    wearer.ask(messages.CMD_SETTINGS, settings)
    play_crowd(bench, 7)
    bench.live(3600)
    wearer.open_session()
    return min(wearer.status()["hp"] for _ in range(3)) - BOARD_BYTES


def test_the_allowance_is_what_the_virtual_board_gives(budget: dict[str, int]) -> None:
    assert budget["allowed (80 KiB on an ESP32)"] == FIRMWARE_HEAP_BYTES


def test_loaded_modules_take_what_the_budget_says(board: Callable[..., ScriptBoard], budget: dict[str, int]) -> None:
    line = next(line for line in board(LOADED).live(1).lines() if line.startswith("held"))
    assert_in_budget(budget, "modules: code, names, constants", int(line.split()[1]) - BOARD_BYTES)


@pytest.mark.parametrize(
    ("what", "settings"),
    [
        ("held after an hour, `continuous`", {"p": 0}),
        ("held after an hour, `windowed`", {"p": 1}),
        ("held after an hour, `windowed`, GAEN, hearing both schemes", {"p": 1, "s": 1, "h": 1}),
    ],
)
def test_a_token_holds_what_the_budget_says(
    bench: Bench, budget: dict[str, int], what: str, settings: dict[str, int]
) -> None:
    held = held_after_an_hour(bench, settings)
    assert_in_budget(budget, what, held)
    assert held < FIRMWARE_HEAP_BYTES
