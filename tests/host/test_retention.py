"""What is past its time goes, what is not stays, and a wrong clock deletes nothing."""

from collections.abc import Callable

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from tests.host.rights_village import DAY_S, FIRST_KEY, ID, NOW_S, Clinic, counts

from bztoken.errors import RegistryError
from bztoken.people import retention
from bztoken.registry import audit_check, gaps, logs, pages, tokens
from bztoken.registry.database import Registry
from bztoken.registry.models import AuditEntry, Authorisation, Case, CaseId, CaseKey, Log, Page, Setting, Token

PERSON_DAYS, SITE_DAYS = 14, 21


def fill(registry: Registry, make_page: Callable[..., bytes]) -> None:
    """Pages of 25 to 1 days ago of a person and of a place; phones with lines of 20 and of 2 days ago."""
    with registry.write() as session:
        clinic = Clinic(session, make_page)
        _, token = clinic.person()
        place = session.get_one(Token, clinic.village.token("Chợ", role=tokens.ROLE_SITE).token_id)
        for sequence, days_ago in enumerate((25, 20, 15, 13, 1), 1):
            clinic.page(token, sequence, days_ago)
            clinic.page(place, sequence, days_ago)
        phone, old = clinic.village.phone("máy A"), clinic.village.phone("máy B")
        old.imported_at_s = NOW_S - 20 * DAY_S
        clinic.line(phone, 20)
        clinic.line(phone, 2)
        clinic.line(old, 20)


def sequences(session: Session, label: str) -> list[int]:
    query = select(Page.sequence).join(Log).where(Log.label == label).order_by(Page.sequence)
    return list(session.scalars(query))


def test_encounters_go_after_14_days_and_those_of_places_after_21(
    registry: Registry, make_page: Callable[..., bytes]
) -> None:
    fill(registry, make_page)
    done = retention.purge(registry, NOW_S)
    with registry.read() as session:
        assert sequences(session, "YB-0001-3") == [4, 5]
        assert sequences(session, "Chợ") == [2, 3, 4, 5]
        assert [log.label for log in logs.phone_logs(session)] == ["máy A"]
    assert done.rows == {"logs": 1, "pages": 4, "sightings": 6}
    assert retention.purge(registry, NOW_S).rows == {}


def test_a_day_goes_as_a_whole(registry: Registry, make_page: Callable[..., bytes]) -> None:
    """NOW_S is at 03:00 UTC: 14 days before, the whole day is still there, and the day before that is gone."""
    with registry.write() as session:
        clinic = Clinic(session, make_page)
        _, token = clinic.person()
        clinic.page(token, 1, 14 + 3 / 24 + 0.01)
        clinic.page(token, 2, 14 + 2.9 / 24)
    retention.purge(registry, NOW_S)
    with registry.read() as session:
        assert sequences(session, "YB-0001-3") == [2]


def test_a_log_that_is_empty_still_knows_where_to_read_on(registry: Registry, make_page: Callable[..., bytes]) -> None:
    with registry.write() as session:
        clinic = Clinic(session, make_page)
        _, token = clinic.person()
        for sequence in (1, 2, 3):
            clinic.page(token, sequence, 20 - sequence)
    retention.purge(registry, NOW_S)
    with registry.read() as session:
        log = logs.log_of_token(session, session.scalars(select(Token)).one())
        assert sequences(session, "YB-0001-3") == []
        assert pages.next_sequence(session, log) == 4
        # The token still has page 2 and 3 by its own clock: they are no gap, and are not read again.
        assert gaps.read_on_from(session, log, 2, 4, None) == 4


def test_pages_whose_clock_was_never_set_go_by_when_they_came(
    registry: Registry, make_page: Callable[..., bytes]
) -> None:
    with registry.write() as session:
        clinic = Clinic(session, make_page)
        _, token = clinic.person()
        log = logs.log_of_token(session, token)
        raw = make_page(FIRST_KEY, [], sequence=1, window_start_s=1_000_000)
        pages.import_page(session, log, raw, FIRST_KEY, NOW_S - DAY_S)
        session.scalars(select(Page)).one().clock_state = 0
    retention.purge(registry, NOW_S)
    with registry.read() as session:
        assert sequences(session, "YB-0001-3") == [1]
    retention.purge(registry, NOW_S + 15 * DAY_S)
    with registry.read() as session:
        assert sequences(session, "YB-0001-3") == []


def add_case(session: Session, name: str, state: str, last_day: str | None, recorded_s: int) -> Case:
    case = Case(name=name, source="token", recorded_at_s=recorded_s, state=state, last_day=last_day)
    session.add(case)
    session.flush()
    session.add(CaseId(case_id=case.id, rotating_id=ID, slot_start_s=NOW_S - 30 * DAY_S))
    session.add(
        CaseKey(
            case_id=case.id, scheme="bluezone", day_key=b"k" * 32, time_start_s=NOW_S - 40 * DAY_S, slots_per_day=96,
            time_end_s=NOW_S - 39 * DAY_S,
        )
    )  # fmt: skip
    session.flush()
    return case


def test_cases_go_30_days_after_their_window_and_drafts_after_a_week(
    registry: Registry, make_page: Callable[..., bytes]
) -> None:
    with registry.write() as session:
        village = Clinic(session, make_page).village
        add_case(session, "over", "active", "2026-10-24", NOW_S - 40 * DAY_S)
        add_case(session, "not yet", "active", "2026-10-25", NOW_S - 40 * DAY_S)
        add_case(session, "without a window", "active", None, NOW_S - 2 * DAY_S)
        add_case(session, "old draft", "draft", "2026-11-30", NOW_S - 8 * DAY_S)
        add_case(session, "new draft", "draft", "2026-11-30", NOW_S - 6 * DAY_S)
        village.near(session.scalars(select(Case)).first(), village.phone("máy"))  # type: ignore[arg-type]
        Clinic(session, make_page).follow()
    retention.purge(registry, NOW_S)
    with registry.read() as session:
        assert list(session.scalars(select(Case.name).order_by(Case.id))) == ["not yet", "new draft"]
        # Keys of a case stay with it; the IDs of one that is no draft reach back to no log.
        assert len(list(session.scalars(select(CaseKey)))) == 2
        assert len(list(session.scalars(select(CaseId)))) == 1
        assert not {"follow_ups", "follow_up_events", "exposures"} & set(counts(session))
        purged = session.scalars(
            select(AuditEntry.number).where(AuditEntry.action == "purge", AuditEntry.what == "case")
        )
        assert list(purged) == [1, 3, None]


def test_the_number_of_a_case_is_never_given_twice(registry: Registry, make_page: Callable[..., bytes]) -> None:
    from tests.case_desk import active_case

    with registry.write() as session:
        add_case(session, "over", "active", "2026-10-01", NOW_S - 60 * DAY_S)
    retention.purge(registry, NOW_S)
    from bztoken.formats.case_list import CaseKey as Key

    with registry.write() as session:
        keys = [Key(b"k" * 32, NOW_S // DAY_S * DAY_S, 96, NOW_S // DAY_S * DAY_S + DAY_S)]
        assert active_case(session, "new", "case list", None, keys, NOW_S).id == 2


def test_codes_that_nobody_used_go_a_week_after_they_expired(registry: Registry) -> None:
    with registry.write() as session:
        for expired_days in (6, 8):
            session.add(
                Authorisation(
                    key_digest=b"d" * 15, salt=b"s" * 16, code_hash=b"h" * 32, drawn_by="BS", drawn_at_s=0,
                    expires_at_s=NOW_S - expired_days * DAY_S,
                )
            )  # fmt: skip
    assert retention.purge(registry, NOW_S).rows == {"authorisations": 1}


def test_it_is_due_once_a_day(registry: Registry, make_page: Callable[..., bytes]) -> None:
    fill(registry, make_page)
    first = retention.purge_when_due(registry, NOW_S)
    assert first is not None and first.is_something
    assert retention.purge_when_due(registry, NOW_S + 3600) is None
    again = retention.purge_when_due(registry, NOW_S + DAY_S)
    assert again is not None and not again.is_something


@pytest.mark.parametrize("how", [retention.purge, retention.purge_when_due])
def test_a_clock_that_is_wrong_by_months_deletes_nothing(
    registry: Registry, make_page: Callable[..., bytes], how: Callable[[Registry, int], object]
) -> None:
    fill(registry, make_page)
    retention.purge(registry, NOW_S)
    with registry.read() as session:
        before = counts(session)
    with pytest.raises(RegistryError, match=r"nothing was deleted.*purge --yes"):
        how(registry, NOW_S + 61 * DAY_S)
    with registry.read() as session:
        assert counts(session) == before
    retention.purge(registry, NOW_S + 61 * DAY_S, insist=True)
    with registry.read() as session:
        assert "pages" not in counts(session)
    # Back in the right year it goes on, and the next one is due.
    assert retention.purge_when_due(registry, NOW_S + DAY_S) is not None


def test_a_purge_is_told_to_the_audit_only_when_something_went(
    registry: Registry, home: object, make_page: Callable[..., bytes]
) -> None:
    fill(registry, make_page)
    for _ in range(3):
        retention.purge(registry, NOW_S)
    with registry.read() as session:
        entries = list(session.scalars(select(AuditEntry).where(AuditEntry.action == "purge")))
        assert [entry.detail for entry in entries] == ["1 logs, 4 pages, 6 sightings"]
        assert session.get(Setting, retention.LAST_PURGE) is not None
        assert audit_check.verify(home, session).faults == []  # type: ignore[arg-type]
