"""Finds people by what a health worker remembers: words of the name, commune, phone, year of birth, number, token.

With accents or without. Whoever shows what is found records the look (`person_desk`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, or_, select
from sqlalchemy.orm import Session

from bztoken.errors import PersonError
from bztoken.registry import persons, phone_numbers, tokens
from bztoken.registry.folding import folded, has_accents, like_part, with_accents
from bztoken.registry.models import Commune, Consent, Person, Token, TokenIssue

LEAST_CHARACTERS = 2


@dataclass(frozen=True)
class Listed:
    """A person as a list shows them. commune: its name; labels: of the tokens in their hands; has_consent: now."""

    person: Person
    commune: str | None
    labels: list[str]
    has_consent: bool


def search(session: Session, text: str) -> list[Listed]:
    """Whoever fits: each word is a part of the name, of the commune or of the phone number, or the year of birth; or
    all of it is a number, a part of a phone number, or the label of a token that they hold.

    Names with the very accents that were typed come first, then names with words that begin so. Raises PersonError for
    a text that is too short, or a number with a wrong digit.
    """
    if len(folded(text)) < LEAST_CHARACTERS:
        raise PersonError(f"a search needs {LEAST_CHARACTERS} letters or digits at least: type more of the name")
    if persons.looks_like_number(text):
        return _listed(session, _everybody().where(Person.id == persons.by_reference(session, text).id))
    fits = [_has_words(folded(text).split())]
    if phone_numbers.is_part_of_one(text):
        fits.append(_has_digits(text))
    token = tokens.by_label(session, text) or tokens.by_label(session, text.upper())
    if token is not None:
        held = select(TokenIssue.person_id).where(
            TokenIssue.token_id == token.id, TokenIssue.person_id.is_not(None), TokenIssue.returned_at_s.is_(None)
        )
        fits.append(Person.id.in_(held))
    found = _listed(session, _everybody().where(or_(*fits)))
    return sorted(found, key=lambda listed: _far_off(listed.person.name, text))


def everybody(session: Session, commune: Commune | None = None, state: str | None = None) -> list[Listed]:
    """All persons, or those of one commune or in one state, by name."""
    query = _everybody()
    if commune is not None:
        query = query.where(Person.commune_id == commune.id)
    if state is not None:
        query = query.where(Person.state == state)
    return _listed(session, query)


def _everybody() -> Select[Person, str]:
    query = select(Person, Commune.name).outerjoin(Commune, Person.commune_id == Commune.id)
    return query.order_by(Person.folded, Person.id)


def _has_words(words: Sequence[str]) -> ColumnElement[bool]:
    fits = select(Person.id).outerjoin(Commune, Person.commune_id == Commune.id)
    for word in words:
        part = like_part(word)
        either: list[ColumnElement[bool]] = [
            Person.folded.like(part, escape="\\"),
            Commune.folded.like(part, escape="\\"),
        ]
        if phone_numbers.is_part_of_one(word):
            either.append(_has_digits(word))
        if len(word) == 4 and word.isascii() and word.isdecimal():
            either.append(Person.birth_year == int(word))
        fits = fits.where(or_(*either))
    return Person.id.in_(fits)


def _has_digits(typed: str) -> ColumnElement[bool]:
    return Person.phone.like(like_part(phone_numbers.normal(typed)), escape="\\")


def _far_off(name: str, text: str) -> tuple[int, int]:
    """How much a name differs from what was typed: words without their accents, words that do not begin so."""
    typed = with_accents(text).split()
    spelled, plain = with_accents(name).split(), folded(name).split()
    wrong_accents = sum(has_accents(word) and not any(word in part for part in spelled) for word in typed)
    within = sum(not any(part.startswith(folded(word)) for part in plain) for word in typed)
    return wrong_accents, within


def _listed(session: Session, query: Select[Person, str]) -> list[Listed]:
    labels: dict[int, list[str]] = {}
    held = select(TokenIssue.person_id, Token.label).join(Token, TokenIssue.token_id == Token.id)
    held = held.where(TokenIssue.returned_at_s.is_(None), TokenIssue.person_id.is_not(None)).order_by(TokenIssue.id)
    for person_id, label in session.execute(held):
        labels.setdefault(person_id or 0, []).append(label)
    agreed = set(session.scalars(select(Consent.person_id).where(Consent.withdrawn_at_s.is_(None))))
    return [
        Listed(person, commune, labels.get(person.id, []), person.id in agreed)
        for person, commune in session.execute(query)
    ]
