"""A sync that is cut anywhere, in either direction, loses no page and doubles none when it is run again."""

import asyncio
import shutil
from pathlib import Path

import pytest
from tests.integration.clinic import Clinic, assert_beginning, assert_whole, attached
from tests.integration.faults import cut_after
from tests.integration.line import Line, clean

from bztoken.errors import LinkError
from bztoken.home import Home
from bztoken.sync import sync

AN = "Bà An"
CUTS_EACH_WAY = 6


def quiet(_done: int, _total: int) -> None:
    """Nobody watches."""


@pytest.fixture(scope="module")
def bytes_of_a_sync(prepared: Clinic, tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """How much passes each way when nothing is cut."""
    folder = tmp_path_factory.mktemp("uncut")
    clinic = Clinic(Home(folder / "home"), folder / "fleet")
    shutil.copytree(prepared.home.path, clinic.home.path)
    shutil.copytree(prepared.fleet, clinic.fleet)
    clinic.keep_only(AN)
    in_flash = clinic.pages_in_flash(AN)
    with attached(clinic.fleet) as there, Line(there.ports[AN]) as line:
        result = sync(clinic.home, line.path, quiet)
    assert result.pages_new >= len(in_flash) and result.repeats == 0
    assert_whole(clinic.stored(AN), in_flash)
    return line.passed


@pytest.mark.parametrize("part", range(CUTS_EACH_WAY))
@pytest.mark.parametrize("direction", ["token", "host"])
def test_a_cut_sync_is_finished_by_the_next(
    clinic_of_an: Clinic, bytes_of_a_sync: dict[str, int], direction: str, part: int
) -> None:
    at = int(bytes_of_a_sync[direction] * (part + 0.5) / CUTS_EACH_WAY)
    fault = cut_after(at)
    clinic = clinic_of_an
    in_flash = clinic.pages_in_flash(AN)
    with attached(clinic.fleet) as there:
        port = there.ports[AN]
        to_token, to_host = (fault, clean) if direction == "token" else (clean, fault)
        with Line(port, to_token, to_host) as line, pytest.raises(LinkError, match="was pulled out"):
            sync(clinic.home, line.path, quiet)
        before = clinic.stored(AN)
        assert_beginning(before, in_flash)
        second = sync(clinic.home, port, quiet)
        stored = clinic.stored(AN)
        assert_whole(stored, in_flash)
        assert second.pages_new == len(stored) - len(before)
        assert asyncio.run(clinic.acknowledged(port)) == stored[-1].sequence
    assert clinic.last_sync_state() == "done"


def test_a_cut_sync_is_recorded_as_cut(clinic_of_an: Clinic, bytes_of_a_sync: dict[str, int]) -> None:
    fault = cut_after(bytes_of_a_sync["host"] // 2)
    with attached(clinic_of_an.fleet) as there, Line(there.ports[AN], to_host=fault) as line, pytest.raises(LinkError):
        sync(clinic_of_an.home, line.path, quiet)
    assert clinic_of_an.last_sync_state() == "cut"


def test_a_path_that_is_cut_is_gone(clinic_of_an: Clinic) -> None:
    """The test's own cable does what it says."""
    with attached(clinic_of_an.fleet) as there, Line(there.ports[AN], to_token=cut_after(10)) as line:
        with pytest.raises(LinkError):
            sync(clinic_of_an.home, line.path, quiet)
        assert not Path(line.path).exists()
        assert line.passed["token"] >= 10
