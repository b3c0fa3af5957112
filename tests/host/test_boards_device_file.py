"""`/board.json` of a board: exactly what the real firmware reads, held against it in the real interpreter."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.firmware.script_board import ScriptBoard

from bztoken import boards
from bzvirtual import application
from bzvirtual.application import Application

# Gives every answer that the file gives, and remembers what was asked for.
RECORD = """
import json
from bzfw import hal_esp32

class Asked:
    def __init__(self, inside, at, asked):
        self.inside, self.at, self.asked = inside, at, asked
    def get(self, key, default=None):
        place = self.at + (key,)
        if place not in self.asked:
            self.asked.append(place)
        found = self.inside.get(key, default)
        return Asked(found, place, self.asked) if isinstance(found, dict) else found
    def __getitem__(self, key):
        return self.get(key)

asked = []
hal_esp32.Esp32Hal(Asked(json.load(open("/rom/board.json")), (), asked))
print("asked", json.dumps(asked))
"""
FULL: dict[str, Any] = {
    "name": "full",
    "radio": {"tx_power_dbm": 0},
    "light": {"red": 4, "green": 5, "blue": 6, "mono": 8, "active_low": False},
    "button": {"pin": 9, "active_low": True},
    "usb_sense": {"pin": 10, "active_low": False},
    "battery": {"adc_pin": 1, "divider": 2.0, "low_mv": 3600, "empty_mv": 3300},
    "buzzer": {"pin": 7, "passive": False},
    "rtc": {"chip": "pcf8563", "scl": 2, "sda": 3},
    "clock": {"drift_ppm": 50000},
    "power": {"profile": "windowed", "sleep": "light", "deepsleep_wake": "gpio", "cpu_hz": 80000000, "hold_pin": 11},
}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Application:
    return application.build(tmp_path_factory.mktemp("app"), FULL)


def run(folder: Path, app: Application, script: str, description: dict[str, Any]) -> list[str]:
    board = ScriptBoard(folder, app, script, description=description)
    try:
        return board.live(1).lines()
    finally:
        board.close()


def test_the_file_has_the_keys_that_the_firmware_reads(tmp_path: Path, app: Application) -> None:
    lines = run(tmp_path, app, RECORD, FULL)
    asked = next(json.loads(line[6:]) for line in lines if line.startswith("asked "))
    parts = {key: [place[1] for place in asked if place[0] == key and len(place) == 2] for key, *_ in asked}
    assert {key: sorted(inner) for key, inner in parts.items()} == {
        key: sorted(inner) for key, inner in boards.DEVICE_KEYS.items()
    }


@pytest.mark.parametrize("name", boards.names())
def test_the_firmware_builds_each_board_from_its_small_file(tmp_path: Path, app: Application, name: str) -> None:
    board = boards.load(name)
    small = json.loads(boards.device_file(board))
    assert len(boards.device_file(board)) < 512 and small == {
        key: small[key] for key in boards.DEVICE_KEYS if key in small
    }
    script = f"""
from bzfw import hal_esp32
whole = hal_esp32.Esp32Hal({board.description!r})
small = hal_esp32.Esp32Hal(hal_esp32.read_board_file("/rom/board.json"))
for name in ("board", "tx_power_dbm", "default_profile", "can_sleep", "_cpu_hz", "_deep_wake", "drift_bound_ppm",
             "battery_limits_mv", "_divider"):
    print(name, getattr(whole, name) == getattr(small, name))
print("button", (whole._button is None) == (small._button is None))
"""
    told = [line.split() for line in run(tmp_path, app, script, small)]
    assert [words for words in told if words[-1] == "False"] == [] and ["button", "True"] in told, told
