"""Rows of persons, and how somebody is found: by number (P-0012-7), or by name, with accents or without.

Nothing here is recorded in the audit but additions and changes: who shows a person to somebody records the look
(`person_desk`). No error tells a name; where several persons fit, it tells their numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from bztoken.calendar_days import day_of
from bztoken.errors import PersonError
from bztoken.registry import audit, batch_labels, events, labels, numbers, phone_numbers
from bztoken.registry.folding import folded, has_accents, with_accents
from bztoken.registry.models import Commune, Person

NUMBER_PREFIX = batch_labels.PERSON_PREFIX
STATE_ACTIVE = "active"
STATE_WITHDRAWN = "withdrawn"  # they no longer agree
PHONE_OF_PERSON = "person"
PHONE_OF_CARER = "carer"
PHONE_OF = (PHONE_OF_PERSON, PHONE_OF_CARER)
EARLIEST_BIRTH_YEAR = 1900
MOST_NUMBERS_TOLD = 10


@dataclass(frozen=True)
class Facts:
    """What is known of a person, or what a change says; None: not known, or to be left as it is."""

    name: str | None = None
    birth_year: int | None = None
    commune: Commune | None = None
    phone: str | None = None
    phone_of: str | None = None
    carer: str | None = None
    agency: str | None = None

    def __repr__(self) -> str:
        """Which facts are there, never what they say."""
        return f"Facts({', '.join(one.name for one in fields(self) if getattr(self, one.name) is not None)})"


def number_of(person_id: int) -> str:
    """What a person is called on paper and by phone: the row's number with a check digit."""
    return batch_labels.label_of(NUMBER_PREFIX, person_id)


def add(session: Session, facts: Facts, now_s: int, is_another: bool = False) -> Person:
    """Record a person. is_another: somebody else than whoever has the same name, year and commune.

    Raises PersonError, or RegistryError for a text that cannot be stored.
    """
    name = labels.required(facts.name or "", "a person needs a name: nothing was changed")
    if facts.birth_year is None or facts.commune is None:
        raise PersonError("a person needs a year of birth and a commune: nothing was changed")
    person = Person(name=name, folded=folded(name), state=STATE_ACTIVE, added_at_s=now_s, by=events.by_now())
    _set(person, facts, now_s)
    if not is_another:
        _require_unknown(session, person)
    person.id = numbers.fresh(session, Person)
    session.add(person)
    session.flush()
    audit.record(session, audit.Action.ADD, audit.What.PERSON, now_s, person.id)
    return person


def change(session: Session, person: Person, facts: Facts, now_s: int, is_another: bool = False) -> list[str]:
    """Put right what is known of a person; answers which facts are others now. Raises as `add` does."""
    before = {name: getattr(person, name) for name in _COLUMNS}
    with session.no_autoflush:
        if facts.name is not None:
            person.name = labels.required(facts.name, "a person needs a name: nothing was changed")
            person.folded = folded(person.name)
        _set(person, facts, now_s)
        changed = [name for name in _COLUMNS if getattr(person, name) != before[name]]
        if not is_another and {"name", "birth_year", "commune_id"} & set(changed):
            _require_unknown(session, person)
    if changed:
        session.flush()
        detail = ", ".join(_COLUMNS[name] for name in changed)
        audit.record(session, audit.Action.CHANGE, audit.What.PERSON, now_s, person.id, detail)
    return [_COLUMNS[name] for name in changed]


def by_number(session: Session, number: str) -> Person | None:
    """The person with this number, as it is printed or in small letters; None: no person, or no such number."""
    parts = batch_labels.parts(number.strip().upper())
    if parts is None or parts[0] != NUMBER_PREFIX or batch_labels.has_wrong_digit(number.upper()):
        return None
    return session.get(Person, int(parts[1].partition("-")[0]))


def by_reference(session: Session, text: str) -> Person:
    """Who is meant by a number, or by a whole name that only one person has.

    Raises PersonError: nobody, several (their numbers are told), or a number with a wrong digit.
    """
    if looks_like_number(text):
        person = by_number(session, text)
        if person is None:
            raise PersonError(_why_no_such_number(text))
        return person
    found = by_name(session, text)
    if not found:
        raise PersonError(
            "no person of this registry has this name: nothing was changed; `bztoken person search` finds people by a "
            "part of their name, `bztoken person add` registers somebody"
        )
    if len(found) > 1:
        raise PersonError(
            f"{len(found)} persons have this name ({numbers_of(found)}): nothing was changed; "
            "`bztoken person search` shows them, give the number of the right one"
        )
    return found[0]


def by_name(session: Session, name: str) -> list[Person]:
    """Everybody with this whole name; where accents were typed and somebody's name has just these, only those."""
    query = select(Person).where(Person.folded == folded(name)).order_by(Person.id)
    found = list(session.scalars(query)) if folded(name) else []
    exact = [person for person in found if with_accents(person.name) == with_accents(name)]
    return exact if exact and has_accents(name) else found


def numbers_of(persons: Sequence[Person]) -> str:
    """Their numbers, as a sentence tells them."""
    told = [number_of(person.id) for person in persons[:MOST_NUMBERS_TOLD]]
    return ", ".join(told) + (", .." if len(persons) > len(told) else "")


def looks_like_number(text: str) -> bool:
    """Whether somebody meant a number, right or wrong: names hold no digits."""
    return text.strip().upper().startswith(NUMBER_PREFIX) and any(letter.isdecimal() for letter in text)


def same_as(session: Session, name: str, birth_year: int | None, commune_id: int | None) -> list[Person]:
    """Who may be this very person: the same name without accents, and a year and a commune that do not differ; of
    somebody taken over from an older registry they are not known, and then differ from none.
    """
    query = select(Person).where(Person.folded == folded(name)).order_by(Person.id)
    if birth_year is not None:
        query = query.where(or_(Person.birth_year == birth_year, Person.birth_year.is_(None)))
    if commune_id is not None:
        query = query.where(or_(Person.commune_id == commune_id, Person.commune_id.is_(None)))
    return list(session.scalars(query))


_COLUMNS = {  # of a row: as they are called
    "name": "name",
    "birth_year": "year of birth",
    "commune_id": "commune",
    "phone": "phone",
    "phone_of": "whose phone",
    "carer": "carer",
    "agency": "agency",
}


def _set(person: Person, facts: Facts, now_s: int) -> None:
    """Everything but the name."""
    if facts.birth_year is not None:
        person.birth_year = _possible_year(facts.birth_year, now_s)
    if facts.commune is not None:
        person.commune_id = facts.commune.id
    if facts.phone is not None:
        person.phone = phone_numbers.required(facts.phone)
        person.phone_of = person.phone_of or PHONE_OF_PERSON
    if facts.carer is not None:
        person.carer = labels.required(facts.carer, "a carer needs a name: nothing was changed")
    if facts.agency is not None:
        person.agency = labels.required(facts.agency, "an agency needs a name: nothing was changed")
    if facts.phone_of is not None:
        person.phone_of = facts.phone_of
    _require_whose_phone(person)


def _require_whose_phone(person: Person) -> None:
    if person.phone_of is not None and person.phone is None:
        raise PersonError("whose phone it is can be told only of a phone: nothing was changed; give --phone, too")
    if person.phone_of == PHONE_OF_CARER and person.carer is None:
        raise PersonError("a carer's phone needs the carer's name: nothing was changed; give --carer, too")
    if person.carer is not None and folded(person.carer) == person.folded:
        raise PersonError("nobody is their own carer: nothing was changed; leave --carer out")


def _possible_year(year: int, now_s: int) -> int:
    this_year = day_of(now_s).year
    if not EARLIEST_BIRTH_YEAR <= year <= this_year:
        raise PersonError(
            f"a year of birth lies between {EARLIEST_BIRTH_YEAR} and {this_year}: nothing was changed, type it anew"
        )
    return year


def _require_unknown(session: Session, person: Person) -> None:
    found = [
        other for other in same_as(session, person.name, person.birth_year, person.commune_id) if other.id != person.id
    ]
    if found:
        raise PersonError(
            f"a person of this name, year of birth and commune is here already ({numbers_of(found)}), or may be, where "
            "one of these is not known: nothing was changed; look with `bztoken person show`, and give --another if "
            "it really is somebody else"
        )


def _why_no_such_number(text: str) -> str:
    number = text.strip().upper()
    if batch_labels.has_wrong_digit(number):
        return (
            "no person has this number, and its last digit, which checks the others, does not fit: nothing was "
            "changed; a digit is wrong, look at the number again"
        )
    if batch_labels.parts(number) is None:
        return (
            f"this is no whole number of a person: nothing was changed; it looks like {number_of(12)}, with the last "
            "digit, which checks the others"
        )
    return "no person of this registry has this number: nothing was changed; `bztoken person list` shows them all"
