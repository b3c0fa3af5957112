"""The firmware takes every board's description as it ships: none falls back on the board without pins."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.firmware.script_board import ScriptBoard

BOARDS = sorted(path.parent.name for path in (Path(__file__).resolve().parents[2] / "boards").glob("*/board.json"))
BUILD = """
from bzfw import hal_esp32
hal = hal_esp32.Esp32Hal(hal_esp32.read_board_file("/rom/board.json"))
hal.show((1, 1, 1))
hal.buzz(True)
hal.buzz(False)
print("built", hal.board, hal.battery_limits_mv, hal.button_is_down(), hal.clock_chip_unix_ms())
"""


@pytest.mark.parametrize("name", BOARDS)
def test_the_firmware_builds_the_board(board: Callable[..., ScriptBoard], repository: Path, name: str) -> None:
    description = json.loads((repository / "boards" / name / "board.json").read_text())
    lines = board(BUILD, description=description).live(1).lines()
    assert any(line.startswith(f"built {name} ") for line in lines), lines
