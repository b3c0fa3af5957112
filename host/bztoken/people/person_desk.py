"""What a desk does with people: registers them with their consent, puts facts right, looks at them.

Every look is recorded in the audit, in the transaction that reads; for the command line and the page alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy.orm import Session

from bztoken.registry import audit, communes, consents, issues, person_search, persons
from bztoken.registry.consents import Given
from bztoken.registry.issues import Held
from bztoken.registry.models import Commune, Consent, Person, Token
from bztoken.registry.person_search import Listed
from bztoken.registry.persons import Facts

# A list of more people is one entry of the audit, of fewer one for each: a chain of thousands would hide what matters.
MOST_ENTRIES = 20


@dataclass(frozen=True)
class Hand:
    """A token that a person has or had."""

    label: str = field(repr=False)
    held: Held


@dataclass(frozen=True)
class Card:
    """All that a desk sees of one person. commune: its name; tokens and consents: first to last."""

    person: Person
    number: str
    commune: str | None
    consents: list[Consent]
    tokens: list[Hand]


def register(
    session: Session,
    facts: Facts,
    commune: str,
    given: Given | None,
    now_s: int,
    *,
    is_new_commune: bool = False,
    is_another: bool = False,
) -> Person:
    """Record a person, with their consent where they gave one. commune: as it was typed.

    Raises PersonError or RegistryError, and then the caller's transaction must end.
    """
    where = _commune(session, commune, now_s, is_new_commune)
    person = persons.add(session, replace(facts, commune=where), now_s, is_another)
    if given is not None:
        consents.add(session, person, given, now_s)
    return person


def change(
    session: Session,
    person: Person,
    facts: Facts,
    commune: str | None,
    now_s: int,
    *,
    is_new_commune: bool = False,
    is_another: bool = False,
) -> list[str]:
    """Put facts right; answers which are others now. Raises as `register` does."""
    where = None if commune is None else _commune(session, commune, now_s, is_new_commune)
    return persons.change(session, person, replace(facts, commune=where), now_s, is_another)


def look(session: Session, text: str, now_s: int) -> Card:
    """Who is meant by a number or a whole name. Raises PersonError."""
    person = persons.by_reference(session, text)
    audit.record(session, audit.Action.LOOK, audit.What.PERSON, now_s, person.id)
    return card(session, person)


def search(session: Session, text: str, now_s: int) -> list[Listed]:
    """Whoever fits a text. Raises PersonError for a text that is too short."""
    found = person_search.search(session, text)
    note_looks(session, [listed.person.id for listed in found], now_s, "found by a search")
    return found


def everybody(
    session: Session, now_s: int, commune: str | None = None, state: str | None = None, without_consent: bool = False
) -> list[Listed]:
    """All persons, or some. Raises PersonError for a commune that nobody knows."""
    where = None if commune is None else communes.by_known_name(session, commune)
    found = person_search.everybody(session, where, state)
    if without_consent:
        found = [listed for listed in found if not listed.has_consent]
    note_looks(session, [listed.person.id for listed in found], now_s, "in a list")
    return found


def card(session: Session, person: Person) -> Card:
    """Of a person, without recording a look."""
    commune = None if person.commune_id is None else session.get_one(Commune, person.commune_id).name
    held = issues.with_names(session, issues.of_person(session, person.id))
    hands = [Hand(session.get_one(Token, one.row.token_id).label, one) for one in held]
    return Card(person, persons.number_of(person.id), commune, consents.of_person(session, person.id), hands)


def note_looks(session: Session, person_ids: Sequence[int], now_s: int, how: str) -> None:
    """Tell the audit that these people were shown."""
    if len(person_ids) > MOST_ENTRIES:
        audit.record(session, audit.Action.LOOK, audit.What.PERSON, now_s, detail=f"{len(person_ids)} people {how}")
        return
    for person_id in person_ids:
        audit.record(session, audit.Action.LOOK, audit.What.PERSON, now_s, person_id, how)


def _commune(session: Session, typed: str, now_s: int, is_new: bool) -> Commune:
    if not is_new:
        return communes.by_known_name(session, typed)
    return communes.by_name(session, typed) or communes.add(session, typed, now_s)
