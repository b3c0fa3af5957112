"""Entries of the audit, for somebody who asks who did what; the look is an entry itself."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from bztoken.errors import CaseError
from bztoken.registry import audit, cases, persons
from bztoken.registry.audit import Action, What
from bztoken.registry.models import AuditEntry

DEFAULT_LIMIT = 200
_MOST_DIGITS = 18  # more than the database has numbers for


@dataclass(frozen=True)
class Wanted:
    """Which entries: everything that is given must fit. person: a number or name; case: a name, or the row's number.

    from_s, to_s: unix s, the second excluded; limit: the latest so many.
    """

    person: str | None = None
    case: str | None = None
    by: str | None = None
    what: What | None = None
    action: Action | None = None
    from_s: int | None = None
    to_s: int | None = None
    limit: int = DEFAULT_LIMIT


def look(session: Session, wanted: Wanted, now_s: int) -> list[AuditEntry]:
    """The latest that fit, oldest first. Needs a write transaction. Raises PersonError or CaseError: nobody known."""
    parts: list[ColumnElement[bool]] = []
    if wanted.person is not None:
        parts.append(about_person(persons.by_reference(session, wanted.person).id))
    if wanted.case is not None:
        parts.append((AuditEntry.what == What.CASE) & (AuditEntry.number == _case_number(session, wanted.case)))
    if wanted.by is not None:
        parts.append(AuditEntry.by == wanted.by)
    if wanted.what is not None:
        parts.append(AuditEntry.what == wanted.what.value)
    if wanted.action is not None:
        parts.append(AuditEntry.action == wanted.action.value)
    if wanted.from_s is not None:
        parts.append(AuditEntry.at_s >= wanted.from_s)
    if wanted.to_s is not None:
        parts.append(AuditEntry.at_s < wanted.to_s)
    query = select(AuditEntry).where(*parts).order_by(AuditEntry.id.desc()).limit(wanted.limit)
    found = list(session.scalars(query))[::-1]
    audit.record(session, Action.LOOK, What.AUDIT, now_s, detail=f"{len(found)} entries")
    return found


def about_person(person_id: int) -> ColumnElement[bool]:
    """Entries about a person or what they agreed to."""
    return or_(AuditEntry.what == What.PERSON, AuditEntry.what == What.CONSENT) & (AuditEntry.number == person_id)


def _case_number(session: Session, text: str) -> int:
    case = cases.by_name(session, text)
    if case is not None:
        return case.id
    if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS:  # of one that was deleted for its age, too
        return int(text)
    raise CaseError("no case of this registry has this name: `bztoken case list` shows them all, or give its number")
