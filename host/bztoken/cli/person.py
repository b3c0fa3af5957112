"""`bztoken person`: who holds tokens and agreed to it: register, put right, find, show; every look is recorded."""

import time
from enum import StrEnum
from typing import Annotated

import typer

from bztoken.cli.output import answer, answer_json
from bztoken.cli.person_view import answer_card, answer_list, card_document, list_document
from bztoken.cli.registry import AsJson, changing_at_clinic
from bztoken.people import consent_texts, person_desk
from bztoken.registry import consents, persons
from bztoken.registry.consents import Given
from bztoken.registry.persons import Facts, number_of

app = typer.Typer(no_args_is_help=True, help="People who hold tokens: register, consent, find, show.")


class Language(StrEnum):
    """Of a text that is read to people."""

    VI = "vi"
    EN = "en"


class PhoneOf(StrEnum):
    """Whose phone it is."""

    PERSON = persons.PHONE_OF_PERSON
    CARER = persons.PHONE_OF_CARER


class State(StrEnum):
    """Whether a person agrees to be here."""

    ACTIVE = persons.STATE_ACTIVE
    WITHDRAWN = persons.STATE_WITHDRAWN


Who = Annotated[str, typer.Argument(metavar="NUMBER", help="Number (P-0012-7), or a name that only one person has.")]
BirthYear = Annotated[int | None, typer.Option("--birth-year", help="Year of birth, four digits.")]
Phone = Annotated[str | None, typer.Option("--phone", help="Phone number under which they are reached.")]
WhosePhone = Annotated[PhoneOf | None, typer.Option("--phone-of", help="Whose phone it is.")]
Carer = Annotated[str | None, typer.Option("--carer", help="Name of whoever cares for them.")]
Agency = Annotated[str | None, typer.Option("--agency", help="Unit through which they came.")]
NewCommune = Annotated[bool, typer.Option("--new-commune", help="Add the commune when it is not there yet.")]
Another = Annotated[bool, typer.Option("--another", help="It really is somebody else than the one of the same name.")]
ConsentVersion = Annotated[str | None, typer.Option("--consent", metavar="VERSION", help="Text that they agreed to.")]
ConsentDate = Annotated[str | None, typer.Option("--consent-date", help="Day on which they did, like 2026-11-24.")]
Witness = Annotated[str | None, typer.Option("--witness", help="Name of whoever was there when they agreed.")]
TextLanguage = Annotated[Language, typer.Option("--language", help="Language in which they heard the text.")]


@app.command()
def add(
    ctx: typer.Context,
    name: Annotated[str, typer.Option("--name", help="Full name.")],
    birth_year: Annotated[int, typer.Option("--birth-year", help="Year of birth, four digits.")],
    commune: Annotated[str, typer.Option("--commune", help="Commune where they live.")],
    phone: Phone = None,
    phone_of: WhosePhone = None,
    carer: Carer = None,
    agency: Agency = None,
    consent: ConsentVersion = None,
    consent_date: ConsentDate = None,
    witness: Witness = None,
    language: TextLanguage = Language.VI,
    new_commune: NewCommune = False,
    another: Another = False,
    as_json: AsJson = False,
) -> None:
    """Register a person.

    Without --consent they are registered, but get no token: silence is no consent.
    """
    given = _given(consent, consent_date, witness, language)
    facts = _facts(name, birth_year, phone, phone_of, carer, agency)
    with changing_at_clinic(ctx.obj) as session:
        person = person_desk.register(
            session, facts, commune, given, int(time.time()), is_new_commune=new_commune, is_another=another
        )
        number = number_of(person.id)
    if as_json:
        answer_json({"person": number, "consent": None if given is None else given.version})
    elif given is None:
        answer(f"Registered as {number}. There is no consent yet: `bztoken person consent {number}` records it.")
    else:
        answer(
            f"Registered as {number}, with consent. `bztoken token issue LABEL --person {number}` gives out a token."
        )


@app.command()
def change(
    ctx: typer.Context,
    who: Who,
    name: Annotated[str | None, typer.Option("--name", help="Full name.")] = None,
    birth_year: BirthYear = None,
    commune: Annotated[str | None, typer.Option("--commune", help="Commune where they live.")] = None,
    phone: Phone = None,
    phone_of: WhosePhone = None,
    carer: Carer = None,
    agency: Agency = None,
    new_commune: NewCommune = False,
    another: Another = False,
    as_json: AsJson = False,
) -> None:
    """Put right what is known of a person.

    What is not named stays as it is.
    """
    facts = _facts(name, birth_year, phone, phone_of, carer, agency)
    if facts == Facts() and commune is None:
        raise typer.BadParameter("say what is to be changed, for example --phone")
    with changing_at_clinic(ctx.obj) as session:
        person = persons.by_reference(session, who)
        changed = person_desk.change(
            session, person, facts, commune, int(time.time()), is_new_commune=new_commune, is_another=another
        )
        number = number_of(person.id)
    if as_json:
        answer_json({"person": number, "changed": changed})
    else:
        answer(f"{number}: changed {', '.join(changed)}." if changed else f"{number} was so already.")


@app.command()
def consent(
    ctx: typer.Context,
    who: Who,
    version: Annotated[str, typer.Option("--consent", metavar="VERSION", help="Text that they agreed to.")],
    consent_date: Annotated[str, typer.Option("--consent-date", help="Day on which they did, like 2026-11-24.")],
    witness: Annotated[str, typer.Option("--witness", help="Name of whoever was there when they agreed.")],
    language: TextLanguage = Language.VI,
    as_json: AsJson = False,
) -> None:
    """Record that a person agreed.

    For somebody registered without, or to a newer text.
    """
    given = Given(version, consent_date, witness, language.value)
    with changing_at_clinic(ctx.obj) as session:
        person = persons.by_reference(session, who)
        row = consents.add(session, person, given, int(time.time()))
        number = number_of(person.id)
    if as_json:
        answer_json({"person": number, "consent": row.text_version, "given_on": row.given_on})
    else:
        answer(f"{number} agreed to version {row.text_version} on {row.given_on}.")


@app.command()
def show(ctx: typer.Context, who: Who, as_json: AsJson = False) -> None:
    """Show a person: facts, consents, tokens."""
    with changing_at_clinic(ctx.obj) as session:
        card = person_desk.look(session, who, int(time.time()))
    if as_json:
        answer_json(card_document(card))
    else:
        answer_card(card)


@app.command()
def search(
    ctx: typer.Context,
    text: Annotated[
        str, typer.Argument(help="Words of the name, commune or year of birth; or a number, phone, token's label.")
    ],
    as_json: AsJson = False,
) -> None:
    """Find people, with accents or without.

    For example: nguyen van a.
    """
    with changing_at_clinic(ctx.obj) as session:
        found = person_desk.search(session, text, int(time.time()))
    if as_json:
        answer_json(list_document(found))
    else:
        answer_list(found, "Nobody fits: try one word of the name alone.")


@app.command("list")
def list_persons(
    ctx: typer.Context,
    commune: Annotated[str | None, typer.Option("--commune", help="Only people of this commune.")] = None,
    state: Annotated[State | None, typer.Option("--state", help="Only people in this state.")] = None,
    without_consent: Annotated[
        bool, typer.Option("--without-consent", help="Only people who agreed to nothing, or no longer do.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List people by name."""
    with changing_at_clinic(ctx.obj) as session:
        found = person_desk.everybody(
            session, int(time.time()), commune, None if state is None else state.value, without_consent
        )
    if as_json:
        answer_json(list_document(found))
    else:
        answer_list(found, "Nobody of these is registered.")


@app.command("consent-text")
def consent_text(
    version: Annotated[str | None, typer.Option("--version", help="Version; the newest unless told.")] = None,
    lang: Annotated[Language, typer.Option("--lang", help="Language.")] = Language.VI,
    as_json: AsJson = False,
) -> None:
    """Print the text that people agree to.

    To be read aloud or handed over. It needs no registry.
    """
    text = consent_texts.text_of(version, lang.value)
    if as_json:
        answer_json(
            {
                "version": text.version,
                "language": text.language,
                "valid_from": text.valid_from.isoformat(),
                "title": text.title,
                "paragraphs": list(text.paragraphs),
                "digest": text.digest.hex(),
            }
        )
        return
    answer("\n\n".join((f"{text.title} ({text.version})", *text.paragraphs)))


def _facts(
    name: str | None,
    birth_year: int | None,
    phone: str | None,
    phone_of: PhoneOf | None,
    carer: str | None,
    agency: str | None,
) -> Facts:
    whose = None if phone_of is None else phone_of.value
    return Facts(name=name, birth_year=birth_year, phone=phone, phone_of=whose, carer=carer, agency=agency)


def _given(version: str | None, day: str | None, witness: str | None, language: Language) -> Given | None:
    """Three options that belong together. Raises a usage error when only some are there."""
    if version is None and day is None and witness is None:
        return None
    if version is None or day is None or witness is None:
        raise typer.BadParameter(
            "a consent needs all three: --consent VERSION, --consent-date DAY and --witness NAME",
            param_hint="--consent",
        )
    return Given(version, day, witness, language.value)
