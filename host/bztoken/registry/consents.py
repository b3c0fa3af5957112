"""Who agreed to what: which words, on which day, before which witness. Silence is none: without a row nobody did.

Rows are kept when a consent ends, with when and by whom; only erasing the person deletes them.
"""

from dataclasses import dataclass, field
from datetime import date

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bztoken.calendar_days import day_of, day_typed
from bztoken.errors import PersonError
from bztoken.people.consent_texts import PURPOSE_TRACING, ConsentText, text_of
from bztoken.registry import audit, events, labels, persons
from bztoken.registry.folding import folded
from bztoken.registry.models import AuditEntry, Consent, Person


@dataclass(frozen=True)
class Given:
    """What somebody says of a consent. given_on: as in 2026-11-24; language: of the text that was read."""

    version: str
    given_on: str
    witness: str = field(repr=False)
    language: str = "vi"


def add(session: Session, person: Person, given: Given, now_s: int) -> Consent:
    """Record that a person agreed; who had withdrawn is active again.

    Raises PersonError: no such text, a day that cannot be, no witness, agreed to this version already.
    """
    text = text_of(given.version, given.language)
    day = _possible_day(given.given_on, text, now_s)
    witness = labels.required(given.witness, "a consent needs a witness: nothing was changed; give their name")
    if folded(witness) == person.folded:
        raise PersonError("nobody is the witness of their own consent: nothing was changed; name somebody else")
    before = open_of(session, person.id, text.purpose)
    if before is not None and before.text_version == text.version:
        raise PersonError(
            f"{persons.number_of(person.id)} has agreed to this version already, on {before.given_on}: nothing was "
            "changed"
        )
    _require_after_withdrawal(session, person, day)
    consent = Consent(
        person_id=person.id,
        purpose=text.purpose,
        text_version=text.version,
        language=text.language,
        text_digest=text.digest,
        given_on=day.isoformat(),
        witness=witness,
        recorded_at_s=now_s,
        by=events.by_now(),
    )
    person.state = persons.STATE_ACTIVE
    session.add(consent)
    session.flush()
    audit.record(session, audit.Action.ADD, audit.What.CONSENT, now_s, person.id, f"to version {text.version}")
    return consent


def withdraw(session: Session, person: Person, now_s: int) -> int:
    """End whatever a person agreed to; answers how many consents that were. What follows from it is the caller's."""
    ended = [consent for consent in of_person(session, person.id) if consent.withdrawn_at_s is None]
    for consent in ended:
        consent.withdrawn_at_s, consent.withdrawn_by = now_s, events.by_now()
    person.state = persons.STATE_WITHDRAWN
    session.flush()
    audit.record(session, audit.Action.WITHDRAW, audit.What.CONSENT, now_s, person.id)
    return len(ended)


def open_of(session: Session, person_id: int, purpose: str = PURPOSE_TRACING) -> Consent | None:
    """What a person agrees to now: the last text that they agreed to and did not withdraw."""
    query = select(Consent).where(
        Consent.person_id == person_id, Consent.purpose == purpose, Consent.withdrawn_at_s.is_(None)
    )
    return session.scalars(query.order_by(Consent.id.desc()).limit(1)).first()


def of_person(session: Session, person_id: int) -> list[Consent]:
    """Everything that a person agreed to, in the order of recording."""
    return list(session.scalars(select(Consent).where(Consent.person_id == person_id).order_by(Consent.id)))


def withdrawn_at_s(session: Session, person_id: int) -> int | None:
    """When a person withdrew last, whatever they agreed to since; None for who never did."""
    return _last_withdrawals(session, person_id).get(person_id)


def withdrew_since(session: Session, person_id: int, at_s: int) -> bool:
    """Whether a person withdrew then or later. The audit, which is long, is read only where it may know more: of who
    withdrew before they ever agreed.
    """
    columns = func.max(Consent.withdrawn_at_s), func.min(Consent.recorded_at_s)
    ended_s, first_s = session.execute(select(*columns).where(Consent.person_id == person_id)).one()
    if ended_s is None and (first_s is None or at_s < first_s):
        ended_s = withdrawn_at_s(session, person_id)
    return ended_s is not None and at_s <= ended_s


def last_withdrawals(session: Session) -> dict[int, int]:
    """The same (unix s) of everybody who ever withdrew, by the person's row."""
    return _last_withdrawals(session, None)


def require_not_withdrawn(session: Session, person: Person) -> None:
    """Raises PersonError for who withdrew: of them nothing new is taken in."""
    if person.state == persons.STATE_WITHDRAWN:
        number = persons.number_of(person.id)
        raise PersonError(
            f"{number} has withdrawn their consent: nothing was changed; if they agree again, record it with "
            f"`bztoken person consent {number}`"
        )


def require_open(session: Session, person: Person) -> None:
    """Raises PersonError for a person who gets no token, and whose phone is not taken in: they withdrew, or never
    agreed.
    """
    require_not_withdrawn(session, person)
    number = persons.number_of(person.id)
    if open_of(session, person.id) is None:
        raise PersonError(
            f"{number} has not agreed to a text yet, and silence is no consent: nothing was changed; read them "
            f"`bztoken person consent-text`, and if they agree record it with `bztoken person consent {number}`"
        )


def _possible_day(typed: str, text: ConsentText, now_s: int) -> date:
    day, today = day_typed(typed), day_of(now_s)
    if day is None:
        raise PersonError("the day of a consent is written like 2026-11-24: nothing was changed, type it anew")
    if day > today:
        raise PersonError(f"a consent cannot be given after today ({today}): nothing was changed, look at its day")
    if day < text.valid_from:
        raise PersonError(
            f"this text was not read to anybody before {text.valid_from}: nothing was changed, look at the day"
        )
    return day


def _require_after_withdrawal(session: Session, person: Person, day: date) -> None:
    """A paper from before the withdrawal is no new consent."""
    ended_s = withdrawn_at_s(session, person.id)
    if ended_s is not None and day < day_of(ended_s):
        raise PersonError(
            f"{persons.number_of(person.id)} withdrew on {day_of(ended_s)}, after this day: nothing was changed; "
            "only a consent given since then counts"
        )


def _last_withdrawals(session: Session, person_id: int | None) -> dict[int, int]:
    """As the consents say; of who never gave one, as the audit does."""
    noted = select(AuditEntry.number, func.max(AuditEntry.at_s)).group_by(AuditEntry.number)
    noted = noted.where(AuditEntry.what == audit.What.CONSENT, AuditEntry.action == audit.Action.WITHDRAW)
    ended = select(Consent.person_id, func.max(Consent.withdrawn_at_s)).group_by(Consent.person_id)
    ended = ended.where(Consent.withdrawn_at_s.is_not(None))
    if person_id is not None:
        noted, ended = noted.where(AuditEntry.number == person_id), ended.where(Consent.person_id == person_id)
    return {number: at_s for query in (noted, ended) for number, at_s in session.execute(query)}
