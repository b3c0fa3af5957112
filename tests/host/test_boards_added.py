"""Adding a board touches no code: a copied folder under a new name is listed, checked, computed with and looked for."""

from pathlib import Path
from typing import Any

import pytest
from serial.tools.list_ports_common import ListPortInfo
from tests.host.boards_elsewhere import change_at, put
from tests.program import Program, program

from bztoken import boards
from bztoken.link.ports import look

NAME = "village-tag"
NUMBERS = (0x1209, 0x0001)


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Program:
    def change(description: dict[str, Any]) -> None:
        change_at("usb.0", {"vid": "0x1209", "pid": "0x0001", "what": "its own USB", "source": "its maker"})(
            description
        )
        change_at("light", {"mono": 6, "active_low": True})(description)
        change_at("sources.light", "its maker")(description)

    (tmp_path / "boards").mkdir()
    put(tmp_path / "boards", "xiao-esp32c3", NAME, change)
    monkeypatch.setenv(boards.VARIABLE, str(tmp_path / "boards"))
    return program(monkeypatch, capfd)


def test_it_is_listed_shown_and_checked(cli: Program, tmp_path: Path) -> None:
    assert [board["board"] for board in cli(tmp_path, "boards", "list", "--json").document()] == [NAME]
    assert "light: mono 6, active_low yes\n    its maker\n" in cli(tmp_path, "boards", "show", NAME).out
    assert cli(tmp_path, "boards", "check").out == f"Nothing is wrong with {NAME}.\n"
    assert b'"light":{"mono":6,"active_low":true}' in boards.device_file(boards.load(NAME))


def test_its_battery_life_is_computed(cli: Program, tmp_path: Path) -> None:
    ran = cli(tmp_path, "power", "--board", NAME, "--profile", "windowed", "--hours", 0.5, "--json")
    assert ran.code == 0 and ran.document()["as_run"]["days"] > 0, ran.err


def test_its_ports_are_tried(cli: Program) -> None:
    port = ListPortInfo("/dev/ttyACM0")
    port.vid, port.pid = NUMBERS
    assert [found.path for found in look(listed=[port]).tried] == ["/dev/ttyACM0"]
