"""Deletes what is past its time, table by table, in the caller's transaction. How long that is, says `retention`.

What a sync needs to go on stays: where a log ended (`logs.safe_sequence`), a token's latest status, the latest reading
of its clock. Entries of the audit, tokens, and issues of tokens are never deleted here.
"""

from collections import Counter
from collections.abc import Collection
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, CursorResult, and_, case, delete, func, or_, select
from sqlalchemy.orm import Session

from bztoken.formats.key_digest import SAID_BYTES
from bztoken.registry import audit, cases, matched_days, numbers
from bztoken.registry.audit import Action, What
from bztoken.registry.logs import KIND_PHONE
from bztoken.registry.models import (
    Authorisation,
    Base,
    Case,
    CaseId,
    CaseKey,
    ClockPoint,
    Exposure,
    FollowUp,
    FollowUpEvent,
    Log,
    Page,
    PeerKey,
    Sighting,
    Sync,
    Token,
    Visit,
)
from bztoken.registry.peer_keys import PURPOSE_SITE
from bztoken.registry.syncs import STATE_RUNNING
from bztoken.registry.tokens import ROLE_SITE
from bzwire.bluezone import DAY_S
from bzwire.page import CLOCK_UNSET

Gone = Counter[str]  # how many rows of which table
_BEING_READ_S = 3600  # a sync that has not ended since was killed


class Floors(NamedTuple):
    """What was heard before is past its time (unix s): by people's devices, by those of places."""

    person_s: int
    site_s: int


def encounters(session: Session, floors: Floors, now_s: int) -> Gone:
    """What was heard, and what was found from it; phones of which nothing is left with nothing to do about them.

    Logs that are being read just now are left for the next time: their times may not be put right yet.
    """
    gone: Gone = Counter()
    matched_days.forget(session)
    at_sites = select(Log.id).join(Token, Log.token_id == Token.id).where(Token.role == ROLE_SITE)
    reading = select(Sync.log_id).where(Sync.state == STATE_RUNNING, Sync.started_s > now_s - _BEING_READ_S)

    def old(at_s: Any, log_id: Any) -> ColumnElement[bool]:  # columns
        past: ColumnElement[bool] = at_s < case((log_id.in_(at_sites), floors.site_s), else_=floors.person_s)
        return past

    pages = and_(old(_heard_s(), Page.log_id), Page.log_id.not_in(reading))
    gone["sightings"] += _delete(session, Sighting, Sighting.page_id.in_(select(Page.id).where(pages)))
    gone["pages"] += _delete(session, Page, pages)
    lines = (Sighting.page_id.is_(None), Sighting.first_s < max(floors), old(Sighting.first_s, Sighting.log_id))
    gone["sightings"] += _delete(session, Sighting, *lines)
    gone["exposures"] += _delete(session, Exposure, old(Exposure.last_s, Exposure.log_id))
    gone["visits"] += _delete(session, Visit, old(Visit.last_s, Visit.log_id))
    gone["logs"] += _delete(session, Log, Log.kind == KIND_PHONE, Log.imported_at_s < floors.person_s, *_unused())
    return gone


def keys_and_readings(session: Session, floors: Floors) -> Gone:
    """Released keys and IDs that no log reaches back to, readings of clocks, syncs.

    A draft keeps its IDs: its code was drawn for all of them.
    """
    gone: Gone = Counter()
    key_floor_s = case((PeerKey.purpose == PURPOSE_SITE, floors.site_s), else_=floors.person_s)
    gone["peer_keys"] += _delete(session, PeerKey, PeerKey.time_end_s < key_floor_s)
    drafts = select(Case.id).where(Case.state == cases.STATE_DRAFT)
    gone["case_ids"] += _delete(session, CaseId, CaseId.slot_start_s < floors.site_s, CaseId.case_id.not_in(drafts))
    old_points = ClockPoint.at_ms < floors.site_s * 1000
    latest = select(func.max(ClockPoint.id)).where(old_points).group_by(ClockPoint.log_id)
    gone["clock_points"] += _delete(session, ClockPoint, old_points, ClockPoint.id.not_in(latest))
    last = select(func.max(Sync.id)).group_by(Sync.log_id)
    last_told = select(func.max(Sync.id)).where(Sync.boot_id.is_not(None)).group_by(Sync.log_id)
    syncs = (Sync.started_s < floors.site_s, Sync.id.not_in(last), Sync.id.not_in(last_told))
    gone["syncs"] += _delete(session, Sync, *syncs)
    return gone


def old_cases(session: Session, before: date, now_s: int) -> Gone:
    """Cases whose window ended before that day, with everything that came from them; each is told to the audit."""
    gone: Gone = Counter()
    for row in session.scalars(select(Case).where(Case.state != cases.STATE_DRAFT)).all():
        if _last_day(session, row) < before:
            gone += delete_case(session, row, now_s)
            audit.record(session, Action.PURGE, What.CASE, now_s, row.id, "past its time")
    return gone


def drafts(session: Session, before_s: int, now_s: int) -> Gone:
    """Cases that nobody authorised in time."""
    if session.scalar(select(Case.id).where(Case.state == cases.STATE_DRAFT, Case.recorded_at_s < before_s)) is None:
        return Counter()
    numbers.retire(session, Case, now_s)
    dropped = cases.drop_drafts(session, before_s)
    audit.record(session, Action.PURGE, What.CASE, now_s, detail=f"{dropped} drafts that nobody authorised")
    return Counter(cases=dropped)


def codes(session: Session, before_s: int) -> Gone:
    """Codes that expired before, without having served for a case that is still here."""
    here = select(Case.id)
    unused = or_(Authorisation.case_id.is_(None), Authorisation.case_id.not_in(here))
    return Counter(authorisations=_delete(session, Authorisation, Authorisation.expires_at_s < before_s, unused))


def delete_case(session: Session, row: Case, now_s: int) -> Gone:
    """A case as if it had never been; nobody is told."""
    numbers.retire(session, Case, now_s)
    gone: Gone = Counter()
    matched_days.forget(session)
    gone["exposures"] += _delete(session, Exposure, Exposure.case_id == row.id)
    gone += delete_follow_ups(session, FollowUp.case_id == row.id, now_s)
    for table in (PeerKey, CaseId, CaseKey):
        gone[table.__tablename__] += _delete(session, table, table.case_id == row.id)
    gone["authorisations"] += _delete(session, Authorisation, _codes_of(row))
    session.delete(row)
    session.flush()
    gone["cases"] += 1
    return gone


def codes_of_case(session: Session, row: Case) -> Gone:
    """The codes that were drawn for its keys."""
    return Counter(authorisations=_delete(session, Authorisation, _codes_of(row)))


def delete_follow_ups(session: Session, which: ColumnElement[bool], now_s: int) -> Gone:
    """Contacts with the steps that were taken with them."""
    numbers.retire(session, FollowUp, now_s)
    chosen = select(FollowUp.id).where(which)
    steps = _delete(session, FollowUpEvent, FollowUpEvent.follow_up_id.in_(chosen))
    return Counter(follow_up_events=steps, follow_ups=_delete(session, FollowUp, which))


def heard_by(session: Session, log_ids: Collection[int]) -> Gone:
    """Everything that these devices heard or released, whatever its age, and what was found through them."""
    gone: Gone = Counter()
    matched_days.forget(session)
    for table in (Sighting, Page, PeerKey, Visit, ClockPoint, Sync):
        gone[table.__tablename__] += _delete(session, table, table.log_id.in_(log_ids))
    through = or_(Exposure.log_id.in_(log_ids), Exposure.via_log_id.in_(log_ids))
    gone["exposures"] += _delete(session, Exposure, through)
    gone["visits"] += _delete(session, Visit, Visit.site_log_id.in_(log_ids))
    return gone


def _heard_s() -> ColumnElement[int]:
    """When a page was heard: by the token's clock, put right as far as that is known, and not after it was received;
    of a clock that was never set, when it was received.
    """
    by_clock = Page.window_start_s - func.coalesce(Page.shift_ms, 0) // 1000
    return case(
        (Page.clock_state == CLOCK_UNSET, Page.received_at_s),
        (by_clock > Page.received_at_s, Page.received_at_s),
        else_=by_clock,
    )


def _unused() -> list[ColumnElement[bool]]:
    """Logs that no other row is about."""
    tables = (Sighting, Page, Exposure, Visit, FollowUp, PeerKey)
    of_cases = select(Case.log_id).where(Case.log_id.is_not(None))
    return [*(Log.id.not_in(select(table.log_id)) for table in tables), Log.id.not_in(of_cases)]


def _last_day(session: Session, row: Case) -> date:
    if row.last_day is not None:
        return date.fromisoformat(row.last_day)
    last_s = session.scalar(select(func.max(CaseKey.time_end_s)).where(CaseKey.case_id == row.id))
    ended_s = row.recorded_at_s if row.ended_at_s is None else row.ended_at_s
    return datetime.fromtimestamp(last_s or ended_s, UTC).date()


def _codes_of(row: Case) -> ColumnElement[bool]:
    if row.key_digest is None:
        return Authorisation.case_id == row.id
    unused = and_(Authorisation.case_id.is_(None), Authorisation.key_digest == row.key_digest[:SAID_BYTES])
    return or_(Authorisation.case_id == row.id, unused)


def _delete(session: Session, table: type[Base], *which: ColumnElement[bool]) -> int:
    done = session.execute(delete(table).where(*which), execution_options={"synchronize_session": False})
    assert isinstance(done, CursorResult)
    return done.rowcount


def floor_s(now_s: int, days: int) -> int:
    """The start of the UTC day that was so many days ago."""
    return (now_s - days * DAY_S) // DAY_S * DAY_S
