"""The work list: whom to call, in the order of urgency, a person once whatever number of cases they were near.

Contacts about whom nobody knows who they are stand in it too, with what is missing. Callers record
that somebody looked.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bztoken.registry import events, follow_ups, whose
from bztoken.registry.follow_ups import HUMAN_STEPS, State, Step
from bztoken.registry.models import Case, Exposure, FollowUp, FollowUpEvent, Person
from bztoken.registry.whose import Kind, Whose
from bztoken.tracing.follow_up_steps import awaits_all_clear, is_to_do

NOT_ISSUED = "the token is issued to nobody: ask at the clinic who wears it"
UNKNOWN_PHONE = "no person is on record for this phone: ask who uploaded its history"
NO_NUMBER = "no phone number is on record: visit them, or ask in the commune"


class LastDay(NamedTuple):
    """The last day of contact, in the zone that was asked for, or in UTC."""

    day: date
    zone: tzinfo

    def ago(self, now_s: int) -> int:
        """Whole days from that day to now."""
        return (datetime.fromtimestamp(now_s, self.zone).date() - self.day).days


class Near(NamedTuple):
    """What the exposures say of a contact: close minutes over the days that count, and when the last one ended."""

    close_minutes: int = 0
    last_s: int | None = None


@dataclass(frozen=True)
class Item:
    """A contact of one case. near: says nothing once the exposures are deleted for their age."""

    row: FollowUp
    case: str
    near: Near
    steps: Sequence[FollowUpEvent]

    @property
    def close_minutes(self) -> int:
        """Over the days that count."""
        return self.near.close_minutes

    def last_day(self, zone: tzinfo) -> LastDay | None:
        """In this zone; in UTC where the hour has been deleted for its age."""
        if self.near.last_s is not None:
            return LastDay(datetime.fromtimestamp(self.near.last_s, zone).date(), zone)
        return None if self.row.last_day is None else LastDay(date.fromisoformat(self.row.last_day), UTC)

    @property
    def is_to_do(self) -> bool:
        """Somebody still has to do something."""
        return is_to_do(self.row, self.steps)

    @property
    def next(self) -> str:
        """What to do, in a few words; empty when nothing is."""
        if not self.is_to_do:
            return ""
        if self.no_longer_holds:
            return "tell them that it no longer holds"
        return _NEXT[State(self.row.state)]

    @property
    def no_longer_holds(self) -> bool:
        """They were told, it is not so any more, and somebody should tell them that."""
        return awaits_all_clear(self.row, self.steps) or self.is_doubtful

    @property
    def is_doubtful(self) -> bool:
        """They were told, and it no longer follows from what was heard."""
        remarks = [event.step for event in self.steps if event.step in (Step.NO_LONGER_FOLLOWS, Step.FOLLOWS_AGAIN)]
        return bool(remarks) and remarks[-1] == Step.NO_LONGER_FOLLOWS and self.row.state not in follow_ups.ENDED

    @property
    def urgency(self) -> tuple[bool, bool, int, int, int]:
        """Smaller is more urgent: to do, to be told at all, F1, most close minutes, oldest."""
        is_told = self.row.state != State.OPEN
        return not self.is_to_do, is_told, self.row.degree, -self.close_minutes, self.row.id


_NEXT = {
    State.OPEN: "call",
    State.REACHED: "advise",
    State.ADVISED: "test, or close",
    State.TESTED: "close",
}


@dataclass(frozen=True)
class Contact:
    """One person, or a device of which nobody knows whose it is.

    items: at least one; first what still holds and has to be done, most urgent first, then what no longer holds.
    """

    whose: Whose
    person: Person | None
    items: list[Item]

    @property
    def first(self) -> Item:
        """The most urgent one: its number stands for the person."""
        return self.items[0]

    def last_day(self, zone: tzinfo) -> LastDay | None:
        """The last day of contact with any case, of what is still to do if anything is."""
        counting = [item for item in self.items if item.is_to_do] or self.items
        days = [item.last_day(zone) for item in counting]
        return max((one for one in days if one is not None), key=lambda one: one.day, default=None)

    @property
    def last_step(self) -> FollowUpEvent | None:
        """What somebody did last."""
        taken = [event for item in self.items for event in item.steps if event.step in HUMAN_STEPS]
        return max(taken, key=lambda event: event.id, default=None)

    @property
    def missing(self) -> str | None:
        """What keeps them from being called."""
        if self.person is None:
            return UNKNOWN_PHONE if self.whose.kind == Kind.PHONE else NOT_ISSUED
        return None if self.person.phone else NO_NUMBER


class Chosen(NamedTuple):
    """Which contacts to list. state: None for those about whom there is something to do; mine: by the last step."""

    state: State | None = None
    case_id: int | None = None
    mine: bool = False
    everything: bool = False


def contacts(session: Session, chosen: Chosen) -> list[Contact]:
    """Those who fit, most urgent first, each with all their rows."""
    found = _grouped(session, follow_ups.everything(session))
    return sorted((one for one in found if _fits(one, chosen)), key=lambda one: one.first.urgency)


def contact_of(session: Session, number: int) -> Contact:
    """The person whom the contact of this number is about. Raises FollowUpError when there is none."""
    row = follow_ups.by_number(session, number)
    found = _grouped(session, follow_ups.everything(session))
    return next(one for one in found if any(item.row.id == row.id for item in one.items))


def _fits(contact: Contact, chosen: Chosen) -> bool:
    items = [item for item in contact.items if chosen.case_id in (None, item.row.case_id)]
    if not chosen.everything:
        items = [item for item in items if (item.row.state == chosen.state if chosen.state else item.is_to_do)]
    last = contact.last_step
    return bool(items) and (not chosen.mine or (last is not None and last.by == events.by_now()))


def _grouped(session: Session, rows: Sequence[FollowUp]) -> list[Contact]:
    holders = whose.by_log(session)
    groups: dict[tuple[str, int], list[Item]] = defaultdict(list)
    for item in _items(session, rows):
        person_id = holders[item.row.log_id].person_id
        groups["log" if person_id is None else "person", person_id or item.row.log_id].append(item)
    people = _people(session, (number for kind, number in groups if kind == "person"))
    found = []
    for (kind, number), items in groups.items():
        items.sort(key=lambda item: (not item.is_to_do, item.no_longer_holds, item.urgency))
        found.append(Contact(holders[items[0].row.log_id], people.get(number) if kind == "person" else None, items))
    return found


def _items(session: Session, rows: Sequence[FollowUp]) -> list[Item]:
    steps = follow_ups.steps_of(session, rows)
    near = _near(session)
    names = {case.id: case.name for case in session.scalars(select(Case))}
    return [
        Item(row, names[row.case_id], near.get((row.case_id, row.log_id, row.degree), Near()), steps[row.id])
        for row in rows
    ]


def _near(session: Session) -> dict[tuple[int, int, int], Near]:
    """By case, log and degree."""
    sums = func.sum(Exposure.close_minutes), func.max(Exposure.last_s)
    query = (
        select(Exposure.case_id, Exposure.log_id, Exposure.verdict, *sums)
        .where(Exposure.verdict.in_(follow_ups.DEGREES))
        .group_by(Exposure.case_id, Exposure.log_id, Exposure.verdict)
    )
    return {
        (case_id, log_id, follow_ups.DEGREES[verdict]): Near(int(total), last_s)
        for case_id, log_id, verdict, total, last_s in session.execute(query)
    }


def _people(session: Session, numbers: Iterable[int]) -> dict[int, Person]:
    query = select(Person).where(Person.id.in_(list(numbers)))
    return {person.id: person for person in session.scalars(query)}
