"""In whose hands tokens are and were: rows that name a person or a site by number; no event, log or error names them.

What may be issued to whom is decided in `token_life`; here are the rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from bztoken.registry import audit, events, persons
from bztoken.registry.folding import folded, has_accents, with_accents
from bztoken.registry.models import Person, Site, Token, TokenIssue

PERSON = "person"
SITE = "site"


@dataclass(frozen=True)
class Holder:
    """Who gets a token: kind is PERSON or SITE, number the row of persons or sites."""

    kind: str
    number: int
    name: str = field(repr=False)

    @classmethod
    def of_person(cls, person: Person) -> "Holder":
        """A person of this registry."""
        return cls(PERSON, person.id, person.name)

    @classmethod
    def of_site(cls, site: Site) -> "Holder":
        """A place of this registry."""
        return cls(SITE, site.id, site.name)

    def has(self, row: TokenIssue) -> bool:
        """Whether this row tells of the same holder; one who was erased is the same as nobody."""
        return row.holder_kind == self.kind and self.number == (row.person_id if self.kind == PERSON else row.site_id)


@dataclass(frozen=True)
class Held:
    """A row and who it is about: name None for a person who was erased; number: as in P-0012-7, of a person."""

    row: TokenIssue
    name: str | None = field(repr=False)
    number: str | None


def add(session: Session, token: Token, holder: Holder, now_s: int) -> TokenIssue:
    """Put a token into somebody's hands."""
    row = TokenIssue(token_id=token.id, holder_kind=holder.kind, issued_at_s=now_s, issued_by=events.by_now())
    if holder.kind == PERSON:
        row.person_id = holder.number
    else:
        row.site_id = holder.number
    session.add(row)
    events.record(session, token, events.ISSUED, now_s, f"to a {holder.kind}")
    note(session, row, "issued", now_s)
    return row


def note(session: Session, row: TokenIssue, what: str, now_s: int) -> None:
    """Tell the audit what was done with the token that a person or a place has."""
    kind, number = (audit.What.PERSON, row.person_id) if row.holder_kind == PERSON else (audit.What.SITE, row.site_id)
    audit.record(session, audit.Action.CHANGE, kind, now_s, number, f"token {row.token_id} {what}")


def end(session: Session, row: TokenIssue, now_s: int) -> None:
    """The holder has it no longer; the event is the caller's."""
    row.returned_at_s, row.returned_by = now_s, events.by_now()
    note(session, row, "returned", now_s)


def end_by_wiping(session: Session, token: Token, now_s: int) -> None:
    """Whoever held it, it forgot them."""
    row = open_of(session, token)
    if row is not None:
        end(session, row, now_s)
        events.record(session, token, events.RETURNED, now_s, "to be wiped")


def of_token(session: Session, token: Token) -> list[TokenIssue]:
    """Its holders, first to last."""
    return list(session.scalars(select(TokenIssue).where(TokenIssue.token_id == token.id).order_by(TokenIssue.id)))


def of_person(session: Session, person_id: int) -> list[TokenIssue]:
    """What a person has and had, first to last."""
    query = select(TokenIssue).where(TokenIssue.person_id == person_id).order_by(TokenIssue.id)
    return list(session.scalars(query))


def open_of(session: Session, token: Token) -> TokenIssue | None:
    """Who holds it now."""
    query = select(TokenIssue).where(TokenIssue.token_id == token.id, TokenIssue.returned_at_s.is_(None))
    return session.scalar(query)


def last_by_token(session: Session) -> dict[int, TokenIssue]:
    """The last holder of each token that ever had one, by the token's row."""
    last = select(func.max(TokenIssue.id)).group_by(TokenIssue.token_id)
    return {row.token_id: row for row in session.scalars(select(TokenIssue).where(TokenIssue.id.in_(last)))}


def with_names(session: Session, rows: Sequence[TokenIssue]) -> list[Held]:
    """These rows with who they are about."""
    persons_by_id = _named(session, Person, {row.person_id for row in rows if row.person_id is not None})
    sites_by_id = _named(session, Site, {row.site_id for row in rows if row.site_id is not None})
    found = []
    for row in rows:
        if row.person_id is not None:
            found.append(Held(row, persons_by_id.get(row.person_id), persons.number_of(row.person_id)))
        else:
            found.append(Held(row, sites_by_id.get(row.site_id or 0), None))
    return found


def held_by(session: Session, text: str) -> dict[int, TokenIssue]:
    """What is in the hands of whoever is meant by a number or a whole name, by the tokens' rows; several people may be.

    Accents matter only where they were typed and somebody's name has just these.
    """
    query = select(TokenIssue, Person.name, Site.name).where(TokenIssue.returned_at_s.is_(None))
    query = query.outerjoin(Person, TokenIssue.person_id == Person.id).outerjoin(Site, TokenIssue.site_id == Site.id)
    if persons.looks_like_number(text):
        person = persons.by_reference(session, text)
        query = query.where(TokenIssue.person_id == person.id)
    else:
        query = query.where(or_(Person.folded == folded(text), Site.folded == folded(text)))
    found = [(row, person or site or "") for row, person, site in session.execute(query)]
    exact = [(row, name) for row, name in found if with_accents(name) == with_accents(text)]
    return {row.token_id: row for row, _ in (exact if exact and has_accents(text) else found)}


def _named(session: Session, table: type[Person] | type[Site], numbers: set[int]) -> dict[int, str]:
    if not numbers:
        return {}
    return {row.id: row.name for row in session.execute(select(table.id, table.name).where(table.id.in_(numbers)))}
