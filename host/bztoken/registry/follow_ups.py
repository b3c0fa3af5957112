"""Rows of the follow-up: one for each contact of each case, and the steps that were taken with it.

What may follow what is decided in `follow_up`; here are the rows.
"""

from collections.abc import Collection, Iterable
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bztoken.errors import FollowUpError
from bztoken.registry import events, numbers, whose
from bztoken.registry.models import Case, Exposure, FollowUp, FollowUpEvent

Pair = tuple[int, int]  # case, log

DEGREES = {"F1": 1, "F2": 2}  # by the verdict of an exposure
STATE_ACTIVE_CASE = "active"


class State(StrEnum):
    """How far one contact is; OPEN: nobody has spoken with them yet."""

    OPEN = "open"
    REACHED = "reached"
    ADVISED = "advised"
    TESTED = "tested"
    CLOSED = "closed"
    WITHDRAWN = "withdrawn"  # it no longer follows, from the case or from what was heard


ENDED = frozenset({State.CLOSED, State.WITHDRAWN})


class Step(StrEnum):
    """What happened to a contact's row. Those after REOPENED are the program's own."""

    CALLED = "called"  # tried, and not reached
    REACHED = "reached"
    ADVISED = "advised"
    TESTED = "tested"
    CLOSED = "closed"
    REOPENED = "reopened"
    TEXT = "text"  # a notice text was made for them
    OPENED = "opened"
    RAISED = "raised"  # from F2 to F1
    LOWERED = "lowered"  # from F1 to F2, before anybody was told
    WITHDRAWN = "withdrawn"
    NO_LONGER_FOLLOWS = "no longer follows"  # but somebody was told already
    FOLLOWS_AGAIN = "follows again"


HUMAN_STEPS = frozenset({Step.CALLED, Step.REACHED, Step.ADVISED, Step.TESTED, Step.CLOSED, Step.REOPENED})


class Following(NamedTuple):
    """What the exposures say of a contact: the degree, and the last UTC day with it."""

    degree: int
    last_day: str


def following(session: Session) -> dict[Pair, Following]:
    """The contacts of active cases that follow from the exposures of the latest batch; nobody is a contact of their own
    case, by whatever other device they had.
    """
    holders = whose.by_log(session)
    rows = session.execute(
        select(Exposure.case_id, Case.person_id, Exposure.log_id, Exposure.verdict, func.max(Exposure.day))
        .join(Case, Case.id == Exposure.case_id)
        .where(Case.state == STATE_ACTIVE_CASE, Exposure.verdict.in_(DEGREES))
        .group_by(Exposure.case_id, Case.person_id, Exposure.log_id, Exposure.verdict)
        .order_by(Exposure.verdict)
    )
    found: dict[Pair, Following] = {}
    for case_id, ill_id, log_id, verdict, last_day in rows:
        if ill_id is None or holders[log_id].person_id != ill_id:
            found.setdefault((case_id, log_id), Following(DEGREES[verdict], last_day))  # F1 comes before F2
    return found


def add(session: Session, pair: Pair, what: Following, now_s: int) -> FollowUp:
    """A contact nobody has spoken with yet."""
    case_id, log_id = pair
    item = FollowUp(
        id=numbers.fresh(session, FollowUp),
        case_id=case_id,
        log_id=log_id,
        degree=what.degree,
        state=State.OPEN.value,
        opened_at_s=now_s,
        last_day=what.last_day,
    )
    session.add(item)
    session.flush()
    note(session, item, Step.OPENED, now_s, f"F{what.degree}")
    return item


def note(session: Session, item: FollowUp, step: Step, now_s: int, detail: str | None = None) -> None:
    """Add a step, taken by whoever works here; detail: words of this program."""
    by = events.by_now()
    session.add(FollowUpEvent(follow_up_id=item.id, at_s=now_s, step=step.value, by=by, detail=detail))
    session.flush()


def by_number(session: Session, number: int) -> FollowUp:
    """Raises FollowUpError when there is none of this number."""
    item = session.get(FollowUp, number)
    if item is None:
        raise FollowUpError(
            "no contact has this number: nothing was changed; `bztoken follow-up list --state all` shows them"
        )
    return item


def of_case(session: Session, case_id: int) -> list[FollowUp]:
    """The contacts of a case, oldest first."""
    return list(session.scalars(select(FollowUp).where(FollowUp.case_id == case_id).order_by(FollowUp.id)))


def of_logs(session: Session, log_ids: Collection[int]) -> list[FollowUp]:
    """What there is to do about the holders of these logs, oldest first."""
    return list(session.scalars(select(FollowUp).where(FollowUp.log_id.in_(log_ids)).order_by(FollowUp.id)))


def everything(session: Session) -> list[FollowUp]:
    """Every contact of every case, oldest first."""
    return list(session.scalars(select(FollowUp).order_by(FollowUp.id)))


def steps_of(session: Session, items: Iterable[FollowUp]) -> dict[int, list[FollowUpEvent]]:
    """The steps taken with each of these contacts, by number, in the order of taking."""
    found: dict[int, list[FollowUpEvent]] = {item.id: [] for item in items}
    query = select(FollowUpEvent).where(FollowUpEvent.follow_up_id.in_(found)).order_by(FollowUpEvent.id)
    for event in session.scalars(query):
        found[event.follow_up_id].append(event)
    return found
