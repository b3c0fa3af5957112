"""Cases and contacts traced, of the whole registry: how many, how far, how many hours it took. No case by itself.

A contact is a person once a case, whatever devices they had; a device counts by itself while nobody knows whose it is.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from sqlalchemy import select
from sqlalchemy.orm import Session

from bztoken.registry import cases, whose
from bztoken.registry.follow_ups import State
from bztoken.registry.models import Case, FollowUp
from bztoken.report.rollout_scope import Scope

HOUR_S = 3600


@dataclass(frozen=True)
class Contacts:
    """Of one degree: found = reached + open + given_up. given_up: closed without having been reached; withdrawn: those
    who no longer follow, not among the found.
    """

    found: int
    reached: int
    open: int
    given_up: int
    withdrawn: int


@dataclass(frozen=True)
class Speed:
    """How many hours from recording a case to reaching the last of its contacts.

    all_reached, still_open, given_up, none: cases, by their contacts. median_hours: over those with all reached;
    longest_hours: None, too, while a case is still open, because it is not over yet.
    """

    all_reached: int
    still_open: int
    given_up: int
    none: int
    median_hours: float | None
    longest_hours: float | None


@dataclass(frozen=True)
class Tracing:
    """Of cases recorded in the period, as of the end of the report's day."""

    cases: int
    withdrawn: int
    drafts: int
    f1: Contacts
    f2: Contacts
    speed_f1: Speed
    speed: Speed


@dataclass
class _Contact:
    """A person, or a device of nobody known, near one case. reached_at_s: None until all that is open was told."""

    case_id: int
    degree: int
    is_open: bool
    reached_at_s: int | None
    is_withdrawn: bool


def tracing(session: Session, scope: Scope) -> Tracing:
    """Count them."""
    recorded = session.execute(
        select(Case.id, Case.state, Case.recorded_at_s, Case.ended_at_s)
        .where(Case.recorded_at_s >= scope.first_s, Case.recorded_at_s < min(scope.last_s, scope.end_s))
        .order_by(Case.id)
    )
    active: dict[int, int] = {}
    withdrawn = drafts = 0
    for case_id, state, recorded_at_s, ended_at_s in recorded:
        if state == cases.STATE_DRAFT:
            drafts += 1
        elif state == cases.STATE_WITHDRAWN and (ended_at_s is None or ended_at_s < scope.end_s):
            withdrawn += 1
        else:
            active[case_id] = recorded_at_s
    found = [contact for contact in _contacts(session, scope) if contact.case_id in active]
    first, second = (_count([one for one in found if one.degree == degree]) for degree in (1, 2))
    return Tracing(
        len(active),
        withdrawn,
        drafts,
        first,
        second,
        _speed(active, [contact for contact in found if contact.degree == 1]),
        _speed(active, found),
    )


def _contacts(session: Session, scope: Scope) -> list[_Contact]:
    holders = whose.by_log(session)
    groups: dict[tuple[int, str, int], list[FollowUp]] = defaultdict(list)
    for row in session.scalars(select(FollowUp).where(FollowUp.opened_at_s < scope.end_s).order_by(FollowUp.id)):
        holder = holders.get(row.log_id)
        person_id = None if holder is None else holder.person_id
        groups[row.case_id, "log" if person_id is None else "person", person_id or row.log_id].append(row)
    return [_together(rows, scope.end_s) for rows in groups.values()]


def _together(rows: Sequence[FollowUp], end_s: int) -> _Contact:
    """What the rows of one person and one case come to."""
    ended = {row.id: row.ended_at_s is not None and row.ended_at_s < end_s for row in rows}
    holding = [row for row in rows if not (row.state == State.WITHDRAWN and ended[row.id])]
    reached = [row.reached_at_s for row in holding if row.reached_at_s is not None and row.reached_at_s < end_s]
    waiting = [row for row in holding if row.reached_at_s is None or row.reached_at_s >= end_s]
    return _Contact(
        case_id=rows[0].case_id,
        degree=min(row.degree for row in holding or rows),
        is_open=any(not ended[row.id] for row in waiting),
        reached_at_s=max(reached) if reached else None,
        is_withdrawn=not holding,
    )


def _count(found: Sequence[_Contact]) -> Contacts:
    holding = [one for one in found if not one.is_withdrawn]
    still_open = sum(one.is_open for one in holding)
    reached = sum(not one.is_open and one.reached_at_s is not None for one in holding)
    given_up = len(holding) - still_open - reached
    return Contacts(len(holding), reached, still_open, given_up, len(found) - len(holding))


def _speed(active: dict[int, int], found: Sequence[_Contact]) -> Speed:
    """active: when each case was recorded (unix s)."""
    by_case: dict[int, list[_Contact]] = {case_id: [] for case_id in active}
    for contact in found:
        if not contact.is_withdrawn:
            by_case[contact.case_id].append(contact)
    hours: list[float] = []
    still_open = given_up = none = 0
    for case_id, contacts in by_case.items():
        times = [contact.reached_at_s for contact in contacts if contact.reached_at_s is not None]
        if not contacts:
            none += 1
        elif any(contact.is_open for contact in contacts):
            still_open += 1
        elif len(times) < len(contacts):
            given_up += 1
        else:
            hours.append(max(0, max(times) - active[case_id]) / HOUR_S)
    longest = max(hours) if hours and not still_open else None
    return Speed(len(hours), still_open, given_up, none, median(hours) if hours else None, longest)
