"""Ông Bình is ill. What the registry then says of the others, against what the world knows, over midnight UTC."""

import asyncio
import shutil
import time
from datetime import UTC, datetime

import pytest
from sqlalchemy import select
from tests.case_desk import active_case
from tests.integration.clinic import Clinic, attached

from bztoken.cli.fleet_score import Score, compare
from bztoken.home import Home
from bztoken.matching.batch import run_batch
from bztoken.registry import cases, tokens
from bztoken.registry.database import open_registry
from bztoken.registry.exposures import NamedExposure, list_exposures
from bztoken.registry.models import Log, Sighting
from bztoken.sync import sync
from bztoken.tracing.case_release import ReleasedKeys, last_days, release_keys
from bzvirtual.fleet import open_manifest
from bzwire import messages
from bzwire.bluezone import DAY_S, day_of, slot_id, slot_of
from bzwire.page import read_header

AN, BINH, CU, DUNG = "Bà An", "Ông Bình", "Bà Cư", "Ông Dũng"


def quiet(*_: object) -> None:
    """Nobody watches."""


class Diagnosed:
    """The clinic after all were synced, Ông Bình gave his keys, and the matching ran."""

    def __init__(self, clinic: Clinic) -> None:
        self.clinic = clinic
        self.released = self._live()
        with open_registry(clinic.home) as registry:
            with registry.write() as session:
                token = tokens.by_label(session, BINH)
                now_s = int(datetime.now(UTC).timestamp())
                active_case(session, "F0-1", cases.SOURCE_TOKEN, token, self.released.keys, now_s)
            run_batch(registry, lambda: now_s)
            with registry.read() as session:
                self.exposures: list[NamedExposure] = list_exposures(session, "F0-1")

    def _live(self) -> ReleasedKeys:
        with attached(self.clinic.fleet) as there:
            for port in there.ports.values():
                sync(self.clinic.home, port, quiet)
            return release_keys(
                self.clinic.home,
                there.ports[BINH],
                last_days(4, int(time.time())),
                lambda: there.order("press", BINH, hold_s=3.3),
            )

    def sightings(self, label: str) -> list[tuple[bytes, int]]:
        """(ID, when) of everything that a token heard."""
        query = select(Sighting.rotating_id, Sighting.first_s).join(Log).where(Log.label == label)
        with open_registry(self.clinic.home) as registry, registry.read() as session:
            return [(row[0], row[1]) for row in session.execute(query)]

    def ended_s(self) -> int:
        """When their virtual life ended; afterwards they lay on the clinic's desk, side by side."""
        return open_manifest(self.clinic.fleet).end_s

    def met(self, who: str) -> list[NamedExposure]:
        """Exposures of one in that life."""
        return [found for found in self.exposures if found.who == who and found.exposure.first_s < self.ended_s()]

    def days(self) -> tuple[int, int]:
        """The two UTC days of the fleet's life."""
        manifest = open_manifest(self.clinic.fleet)
        return day_of(manifest.start_s), day_of(manifest.end_s)


@pytest.fixture(scope="module")
def diagnosed(prepared: Clinic, tmp_path_factory: pytest.TempPathFactory) -> Diagnosed:
    folder = tmp_path_factory.mktemp("diagnosed")
    clinic = Clinic(Home(folder / "home"), folder / "fleet")
    shutil.copytree(prepared.home.path, clinic.home.path)
    shutil.copytree(prepared.fleet, clinic.fleet)
    return Diagnosed(clinic)


def test_who_sat_together_is_close_on_both_days(diagnosed: Diagnosed) -> None:
    close = [(found.who, found.exposure.day) for found in diagnosed.exposures if found.exposure.verdict == "F1"]
    days = [datetime.fromtimestamp(day * DAY_S, UTC).date().isoformat() for day in diagnosed.days()]
    assert sorted(close) == [(AN, days[0]), (AN, days[1])]


def test_who_looked_in_for_four_minutes_is_not_close(diagnosed: Diagnosed) -> None:
    of_dung = [found.exposure for found in diagnosed.met(DUNG)]
    assert [exposure.verdict for exposure in of_dung] == ["noted"]
    assert 0 < of_dung[0].minutes < 15


def test_who_lives_far_away_has_no_exposure_but_a_log(diagnosed: Diagnosed) -> None:
    assert diagnosed.met(CU) == []
    stored = diagnosed.clinic.stored(CU)
    assert len(stored) >= 264
    alone = [page for page in stored if read_header(page.raw).window_start_s < diagnosed.ended_s() - 300]
    assert len(alone) >= 263
    assert {page.sightings for page in alone} == {0}


def test_the_score_knows_of_no_mistake(diagnosed: Diagnosed) -> None:
    score: Score = compare(diagnosed.clinic.home, diagnosed.clinic.fleet, 15)
    assert {(pair.who, pair.day) for pair in score.found} == {(AN, day) for day in diagnosed.days()}
    assert score.missed == score.false == {}


def test_released_keys_are_those_that_others_heard(diagnosed: Diagnosed) -> None:
    """Every ID that Bà An heard, but for the few of the visitor, follows from the released keys, in its slot."""
    released = {key.time_start_s // DAY_S: key.key for key in diagnosed.released.keys}
    assert set(diagnosed.days()) <= set(released)
    start_s = open_manifest(diagnosed.clinic.fleet).start_s
    heard = [(found, at_s) for found, at_s in diagnosed.sightings(AN) if at_s < diagnosed.ended_s()]
    slots = {(at_s // DAY_S, slot_of(at_s)) for _, at_s in heard}
    from_keys = {slot_id(released[day], slot) for day, slot in slots}
    strangers = [(found, at_s) for found, at_s in heard if found not in from_keys]
    noon_s = (start_s // DAY_S) * DAY_S + 12 * 3600
    assert len(heard) > 250
    assert all(noon_s - 300 <= at_s <= noon_s + 900 for _, at_s in strangers)
    assert len({found for found, _ in heard} & from_keys) == len(slots)


def test_the_ids_before_and_after_midnight_are_both_matched(diagnosed: Diagnosed) -> None:
    before, after = diagnosed.days()
    released = {key.time_start_s // DAY_S: key.key for key in diagnosed.released.keys}
    last, first = slot_id(released[before], 95), slot_id(released[after], 0)
    midnight_s = after * DAY_S
    times = dict(diagnosed.sightings(AN))
    assert midnight_s - 900 <= times[last] < midnight_s
    assert midnight_s <= times[first] < midnight_s + 900
    spans = [(found.exposure.first_s, found.exposure.last_s) for found in diagnosed.exposures if found.who == AN]
    assert any(first_s < midnight_s and midnight_s - last_s < 330 for first_s, last_s in spans if last_s < midnight_s)
    assert any(0 <= first_s - midnight_s < 330 for first_s, _ in spans)


def test_the_token_forgets_the_question_with_the_cable(clinic: Clinic) -> None:
    """A question that nobody answered is gone when another program greets the token."""
    clinic.keep_only(BINH)
    with attached(clinic.fleet) as there:
        port = there.ports[BINH]
        assert asyncio.run(clinic.command(port, messages.CMD_ASK_RELEASE, f=0, t=1 << 20)) == {}
        there.order("press", BINH, hold_s=0.2)
        assert asyncio.run(clinic.command(port, messages.CMD_READ_RELEASE)) == {"st": messages.RELEASE_NONE}
