"""An attached fleet is found by the names of its ports, which come and go with the cable."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.integration.clinic import attached

from bztoken.link.ports import VARIABLE, candidates

Cli = Callable[..., Any]
# The clock of file systems moves in steps of some ms; nobody pulls a cable and puts it back faster.
FILE_CLOCK_S = 0.02


def test_a_fleet_is_found_by_name_while_its_cables_are_in(tmp_path: Path, cli: Cli, monkeypatch: Any) -> None:
    names = tmp_path / "blank" / "ports"
    monkeypatch.setenv(VARIABLE, f"{names}/*")
    with attached(tmp_path / "blank", blank=2) as there:
        found = candidates()
        assert [Path(port.path).name for port in found] == ["token-1", "token-2"]
        assert [str(Path(port.path).readlink()) for port in found] == list(there.ports.values())
        assert cli("info", "--port", names / "token-2").code == 0
        there.order("unplug", "blank-1")
        assert candidates() == found[1:]
        time.sleep(FILE_CLOCK_S)
        there.order("plug", "blank-1")
        again = candidates()
        assert [port.path for port in again] == [port.path for port in found]
        assert again[0].key != found[0].key and again[1] == found[1]
    assert not names.exists()
    assert candidates() == []
