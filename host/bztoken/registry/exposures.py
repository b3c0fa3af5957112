"""Reads what the matching found: exposures with the names that a person needs, every look at them recorded."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bztoken.registry import audit
from bztoken.registry.cases import by_known_name
from bztoken.registry.models import Case, Exposure, Log, Page, Person, Sighting, Site, Token, Visit
from bztoken.registry.whose import Whose
from bztoken.registry.whose_then import WhoseThen


class NamedExposure(NamedTuple):
    """An exposure with the case's name, who was near (a person, a place, a phone or a token: its name, else its label),
    and for a contact of a contact, whom they met.
    """

    case: str
    who: str
    exposure: Exposure
    whose: Whose
    via: Whose | None = None

    @property
    def degree(self) -> int:
        """1: the case itself was near; 2: a contact of it was."""
        return 1 if self.exposure.via_log_id == 0 else 2


def list_exposures(session: Session, case_name: str | None = None, degree: int | None = None) -> list[NamedExposure]:
    """In order of case, F1, F2, then the rest, longest first. Raises CaseError when no case has this name.

    For the program itself: who shows them to somebody takes `look_at_exposures`.
    """
    query = (
        select(Case.name, Exposure)
        .join(Case, Exposure.case_id == Case.id)
        .order_by(Case.id, Exposure.verdict, Exposure.close_minutes.desc(), Exposure.minutes.desc(), Exposure.id)
    )
    if case_name is not None:
        query = query.where(Exposure.case_id == by_known_name(session, case_name).id)
    if degree is not None:
        query = query.where(Exposure.via_log_id == 0 if degree == 1 else Exposure.via_log_id != 0)
    rows = [(name, exposure) for name, exposure in session.execute(query)]
    logs = {log_id for _, row in rows for log_id in (row.log_id, row.via_log_id)}
    then = WhoseThen(session, logs)
    return [_named(name, exposure, then) for name, exposure in rows]


def look_at_exposures(
    session: Session, now_s: int, case_name: str | None = None, degree: int | None = None
) -> list[NamedExposure]:
    """The same, and recorded that somebody looked: at each case and each person. Needs a write transaction."""
    found = list_exposures(session, case_name, degree)
    case_ids = {named.exposure.case_id for named in found}
    if case_name is not None:
        case_ids.add(by_known_name(session, case_name).id)
    for case_id in sorted(case_ids):
        audit.record(session, audit.Action.LOOK, audit.What.CASE, now_s, case_id, "exposures")
    record_persons(session, now_s, [who for named in found for who in (named.whose, named.via) if who], "exposures")
    return found


def record_persons(session: Session, now_s: int, shown: Sequence[Whose], detail: str) -> None:
    """Somebody looked at these persons: each once."""
    for person_id in sorted({who.person_id for who in shown if who.person_id is not None}):
        audit.record(session, audit.Action.LOOK, audit.What.PERSON, now_s, person_id, detail)


def _named(case: str, exposure: Exposure, then: WhoseThen) -> NamedExposure:
    who = then.of(exposure.log_id, exposure.first_s)
    via = then.of(exposure.via_log_id, exposure.first_s) if exposure.via_log_id else None
    return NamedExposure(case, who.name, exposure, who, via)


def count_everything(session: Session) -> dict[str, int]:
    """How many rows of each kind the registry holds."""
    tables = {
        "persons": Person.id,
        "sites": Site.id,
        "tokens": Token.id,
        "logs": Log.id,
        "pages": Page.id,
        "sightings": Sighting.id,
        "cases": Case.id,
        "exposures": Exposure.id,
        "visits": Visit.id,
    }
    return {name: session.scalar(select(func.count(column))) or 0 for name, column in tables.items()}
