"""The contact history that a case came from: it is the case's own phone, and goes with the case that brought it."""

from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import func, select
from tests.case_desk import TRACER, staff
from tests.host.contacts_of_cases import Village

from bztoken.formats.history import HistoryLine, write_history
from bztoken.home import Home
from bztoken.registry import cases, events
from bztoken.registry.database import Registry
from bztoken.registry.histories import add_history
from bztoken.registry.models import Case, Exposure, Log, Sighting
from bztoken.tracing import case_keys, case_record, follow_up
from bztoken.tracing.case_record import Report
from bztoken.tracing.infectious_window import Window
from bzwire.bluezone import DAY_S

START_S = 1_596_844_800  # 2020-08-08 00:00 UTC
NOW_S = START_S + 2 * DAY_S
LINES = 40
ONSETS = date(2020, 8, 8), date(2020, 8, 9)


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """Of a phone, over midnight."""
    lines = [HistoryLine(b"o" * 12, b"c" * 12, -60, (START_S + DAY_S - 600 + 60 * n) * 1000) for n in range(LINES)]
    write_history(tmp_path / "phone.tsv", lines)
    return tmp_path / "phone.tsv"


@pytest.fixture(autouse=True)
def people(registry: Registry, home: Home) -> None:
    staff(home)


def record(registry: Registry, history: Path, name: str = "F0-1", days: tuple[date, date] = ONSETS) -> int:
    """A draft by the IDs that the phone had on these days."""
    gathered = case_keys.of_history(history, Window(*days), NOW_S)
    with events.acting_as(TRACER):
        case_record.record(registry, Report(name, onset=days[0]), gathered, NOW_S, None, history)
    with registry.read() as session:
        return cases.by_known_name(session, name).id


def activate(registry: Registry, case_id: int) -> None:
    with registry.write() as session:
        cases.activate(session, session.get_one(Case, case_id))


def withdraw(registry: Registry, case_id: int) -> None:
    with events.acting_as(TRACER), registry.write() as session:
        case_record.withdraw(session, session.get_one(Case, case_id), "no_consent", NOW_S)


def left(registry: Registry) -> tuple[list[str], int]:
    """Labels of the logs, and how many sightings there are."""
    with registry.read() as session:
        return list(session.scalars(select(Log.label))), session.scalar(select(func.count(Sighting.id))) or 0


def test_a_history_that_was_here_under_another_label_is_still_the_cases_own(registry: Registry, history: Path) -> None:
    with registry.write() as session:
        log, _ = add_history(session, history, "Phone of Nam", NOW_S)
    case_id = record(registry, history)
    activate(registry, case_id)
    with registry.read() as session:
        assert cases.own_logs(session) == {case_id: {log.id}}


def test_somebodys_phone_with_the_name_of_a_case_is_not_the_cases(registry: Registry, history: Path) -> None:
    with registry.write() as session:
        other = Village(session, NOW_S).phone("F0-1")
    case_id = record(registry, history)
    activate(registry, case_id)
    with registry.read() as session:
        own = cases.own_logs(session)[case_id]
        assert len(own) == 1 and other.id not in own


def test_a_withdrawn_case_takes_the_history_along_that_it_brought(registry: Registry, history: Path) -> None:
    case_id = record(registry, history)
    assert left(registry) == (["F0-1"], LINES)
    withdraw(registry, case_id)
    assert left(registry) == ([], 0)


def test_a_dropped_draft_takes_the_history_along_that_it_brought(registry: Registry, history: Path) -> None:
    record(registry, history)
    with registry.write() as session:
        assert cases.drop_drafts(session, NOW_S + 1) == 1
    assert left(registry) == ([], 0)


def test_a_history_that_was_here_before_stays(registry: Registry, history: Path) -> None:
    with registry.write() as session:
        add_history(session, history, "Phone of Nam", NOW_S)
    withdraw(registry, record(registry, history))
    record(registry, history, "F0-2")
    with registry.write() as session:
        assert cases.drop_drafts(session, NOW_S + 1) == 1
    assert left(registry) == (["Phone of Nam"], LINES)


def test_a_history_of_two_cases_goes_with_the_last(registry: Registry, history: Path) -> None:
    first = record(registry, history, "F0-1", (ONSETS[0], ONSETS[0]))
    second = record(registry, history, "F0-2", (ONSETS[1], ONSETS[1]))
    withdraw(registry, first)
    assert left(registry) == (["F0-1"], LINES)
    withdraw(registry, second)
    assert left(registry) == ([], 0)


def test_a_phone_that_is_also_a_contact_keeps_its_row_and_nothing_it_heard(registry: Registry, history: Path) -> None:
    case_id = record(registry, history)
    with registry.write() as session:
        village = Village(session, NOW_S)
        village.near(village.case("F0-2"), session.scalars(select(Log)).one())
        follow_up.update(session, NOW_S)
    withdraw(registry, case_id)
    assert left(registry) == (["F0-1"], 0)
    with registry.read() as session:
        assert session.scalar(select(func.count(Exposure.id))) == 0
