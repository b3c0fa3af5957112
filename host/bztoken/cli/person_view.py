"""People as the command line shows them: rows of a list, one person's card, JSON documents."""

from collections.abc import Sequence

from bztoken.calendar_days import day_of
from bztoken.cli.output import answer, answer_table
from bztoken.people.person_desk import Card
from bztoken.registry.models import Person
from bztoken.registry.person_search import Listed
from bztoken.registry.persons import PHONE_OF_CARER, STATE_WITHDRAWN, number_of

NOTHING = "-"
_HEADINGS = ("number", "name", "born", "commune", "phone", "token", "consent")


def list_document(found: Sequence[Listed]) -> dict[str, object]:
    """As JSON has it."""
    return {
        "persons": [
            {**_facts(one.person, one.commune), "tokens": one.labels, "has_consent": one.has_consent} for one in found
        ]
    }


def answer_list(found: Sequence[Listed], nothing: str) -> None:
    """As a table."""
    rows = [
        (
            number_of(one.person.id),
            one.person.name,
            one.person.birth_year or NOTHING,
            one.commune or NOTHING,
            phone(one.person),
            ", ".join(one.labels) or NOTHING,
            _consent(one),
        )
        for one in found
    ]
    answer_table(_HEADINGS, rows, nothing)


def card_document(card: Card) -> dict[str, object]:
    """As JSON has it."""
    return {
        **_facts(card.person, card.commune),
        "agency": card.person.agency,
        "added_at_s": card.person.added_at_s,
        "added_by": card.person.by,
        "consents": [
            {
                "purpose": one.purpose,
                "version": one.text_version,
                "language": one.language,
                "text_digest": one.text_digest.hex(),
                "given_on": one.given_on,
                "witness": one.witness,
                "recorded_at_s": one.recorded_at_s,
                "recorded_by": one.by,
                "withdrawn_at_s": one.withdrawn_at_s,
            }
            for one in card.consents
        ],
        "tokens": [
            {
                "label": hand.label,
                "issued_at_s": hand.held.row.issued_at_s,
                "returned_at_s": hand.held.row.returned_at_s,
            }
            for hand in card.tokens
        ],
    }


def answer_card(card: Card) -> None:
    """In words and tables."""
    person = card.person
    state = ", withdrawn" if person.state == STATE_WITHDRAWN else ""
    answer(f"{card.number}: {person.name}, born {person.birth_year or 'in a year not known'}{state}.")
    answer(f"Commune {card.commune or 'not known'}, phone {phone(person)}, through {person.agency or NOTHING}.")
    if person.carer is not None:
        answer(f"Cared for by {person.carer}.")
    given = [
        (
            one.text_version,
            one.language,
            one.given_on,
            one.witness,
            one.by,
            NOTHING if one.withdrawn_at_s is None else day_of(one.withdrawn_at_s),
        )
        for one in card.consents
    ]
    nothing = f"There is no consent: `bztoken person consent {card.number}` records it."
    answer_table(("agreed to", "in", "on", "witness", "recorded by", "withdrawn"), given, nothing)
    had = [
        (
            hand.label,
            day_of(hand.held.row.issued_at_s),
            NOTHING if hand.held.row.returned_at_s is None else day_of(hand.held.row.returned_at_s),
        )
        for hand in card.tokens
    ]
    answer_table(("token", "since", "until"), had, "They never had a token.")


def phone(person: Person) -> str:
    """With whose it is, where it is not the person's own."""
    if person.phone is None:
        return NOTHING
    return f"{person.phone} ({person.carer}, carer)" if person.phone_of == PHONE_OF_CARER else person.phone


def _consent(one: Listed) -> str:
    if one.person.state == STATE_WITHDRAWN:
        return "withdrawn"
    return "yes" if one.has_consent else "none yet"


def _facts(person: Person, commune: str | None) -> dict[str, object]:
    return {
        "person": number_of(person.id),
        "name": person.name,
        "birth_year": person.birth_year,
        "commune": commune,
        "phone": person.phone,
        "phone_of": person.phone_of,
        "carer": person.carer,
        "state": person.state,
    }
