"""Who was at a place: asked for a place and a span, and answered only for a case that was there on that day.

Without a case nobody is shown who went where. Every look is recorded.
"""

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from bztoken.errors import CaseError
from bztoken.registry import audit, cases, sites
from bztoken.registry.exposures import record_persons
from bztoken.registry.folding import folded
from bztoken.registry.models import Case, Exposure, Log, Visit
from bztoken.registry.whose import Kind, Whose
from bztoken.registry.whose_then import WhoseThen

LONGEST_SPAN_S = 86400  # our choice: one question is about one day
DIRECT = 0  # of via_log_id


class Question(NamedTuple):
    """Who was at a place in [from_s, to_s), for a case that was there in [day_from_s, day_to_s): the whole local days
    of that span.
    """

    site: str
    case: str
    from_s: int
    to_s: int
    day_from_s: int
    day_to_s: int


class Presence(NamedTuple):
    """A span in which the case was at the place, first and last second."""

    first_s: int
    last_s: int


class NamedVisit(NamedTuple):
    """A visit, who it was, and whether the case was there in that time too."""

    whose: Whose
    visit: Visit
    overlaps: bool


class Answer(NamedTuple):
    """When the case was there, and who was there in the span that was asked for, in order of time."""

    case: Case
    presences: list[Presence]
    visits: list[NamedVisit]


class _Place(NamedTuple):
    """site_id None: a place that only its token's own record names, by name or label."""

    site_id: int | None
    name: str

    def is_of(self, who: Whose) -> bool:
        """Whether this log's device hung there."""
        if self.site_id is not None:
            return who.site_id == self.site_id
        return who.kind is Kind.SITE and folded(self.name) in (folded(who.name), folded(who.label))


def look_at_visits(session: Session, question: Question, now_s: int) -> Answer:
    """Needs a write transaction, since the look is recorded. Raises CaseError: no such case, or not there that day;
    PersonError: no such place.
    """
    case = cases.by_known_name(session, question.case)
    if case.state != cases.STATE_ACTIVE:
        raise CaseError(f"this case is {case.state}, so nothing was shown: name one that is active")
    then = WhoseThen(session, list(session.scalars(select(Log.id))))
    place = _place(session, question.site, then)
    visits = _visits_at(session, question, place, then)
    own = cases.own_logs(session).get(case.id, frozenset())
    of_case = [row for row, who in visits if _is_case(row.log_id, who, case, own)]
    presences = [Presence(row.first_s, row.last_s) for row in of_case] or _heard_there(
        session, question, case, place, then
    )
    if not presences:
        raise CaseError(
            "as far as is known this case was not at this place on that day, so nothing was shown: who was where is "
            "told for a case that was there; sync the place's token, run `bztoken match`, or ask about another day"
        )
    others = [(row, who) for row, who in visits if not _is_case(row.log_id, who, case, own)]
    found = [NamedVisit(who, row, _overlaps(row, presences)) for row, who in others if _is_asked_for(row, question)]
    audit.record(session, audit.Action.LOOK, audit.What.CASE, now_s, case.id, "visits to a place")
    audit.record(session, audit.Action.LOOK, audit.What.VISIT, now_s, place.site_id, f"{len(found)} visits")
    record_persons(session, now_s, [named.whose for named in found], "visits to a place")
    return Answer(case, presences, found)


def _place(session: Session, name: str, then: WhoseThen) -> _Place:
    """Raises PersonError for a name of neither a place nor a token at one."""
    alone = _Place(None, name)
    if any(alone.is_of(who) and who.site_id is None for who in then.now().values()):
        return alone
    return _Place(sites.by_reference(session, name).id, name)


def _visits_at(session: Session, question: Question, place: _Place, then: WhoseThen) -> list[tuple[Visit, Whose]]:
    """Of that place, on the days of the question."""
    query = select(Visit).where(Visit.last_s >= question.day_from_s, Visit.first_s < question.day_to_s)
    rows = session.scalars(query.order_by(Visit.first_s, Visit.last_s, Visit.id))
    return [
        (row, then.of(row.log_id, row.first_s)) for row in rows if place.is_of(then.of(row.site_log_id, row.first_s))
    ]


def _heard_there(session: Session, question: Question, case: Case, place: _Place, then: WhoseThen) -> list[Presence]:
    """What the place's token heard of the case: the first and the last time of each UTC day."""
    query = select(Exposure).where(
        Exposure.case_id == case.id,
        Exposure.via_log_id == DIRECT,
        Exposure.last_s >= question.day_from_s,
        Exposure.first_s < question.day_to_s,
    )
    rows = session.scalars(query.order_by(Exposure.first_s))
    return [Presence(row.first_s, row.last_s) for row in rows if place.is_of(then.of(row.log_id, row.first_s))]


def _is_case(log_id: int, who: Whose, case: Case, own: Collection[int]) -> bool:
    return log_id in own or (who.person_id is not None and who.person_id == case.person_id)


def _overlaps(row: Visit, presences: Collection[Presence]) -> bool:
    return any(row.first_s <= there.last_s and row.last_s >= there.first_s for there in presences)


def _is_asked_for(row: Visit, question: Question) -> bool:
    return row.last_s >= question.from_s and row.first_s < question.to_s
