"""What a person may ask of this registry: to stop (withdraw), and to be forgotten (erase). One transaction each.

Other people's logs may still hold IDs that this person's token had on the air: random bytes, once its keys are gone.
"""

import secrets
from collections import Counter
from dataclasses import dataclass

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from bztoken.errors import PersonError
from bztoken.people import certificates
from bztoken.people.certificates import Certificate
from bztoken.registry import (
    audit,
    batch_labels,
    cases,
    consents,
    follow_ups,
    numbers,
    person_rows,
    persons,
    purging,
    tokens,
)
from bztoken.registry.audit import Action, What
from bztoken.registry.database import Registry
from bztoken.registry.follow_ups import State, Step
from bztoken.registry.models import Case, FollowUp, Log, Person, Token, TokenIssue
from bztoken.registry.person_rows import About
from bztoken.registry.purging import Gone
from bztoken.tracing import case_record, follow_up
from bzwire.bluezone import DAY_S

WITHDRAWN_WHY = "consent withdrawn"


@dataclass(frozen=True)
class Plan:
    """What withdrawing or erasing would do, for somebody who has to say yes."""

    number: str
    state: str
    tokens: int
    phones: int
    cases: int


@dataclass(frozen=True)
class Erased:
    """rows: how many went, by table; certificate: what can be handed out about it."""

    rows: Gone
    certificate: Certificate


@dataclass(frozen=True)
class Withdrawn:
    """due_s: until when the person has to be erased."""

    rows: Gone
    certificate: Certificate
    due_s: int


def plan(session: Session, text: str) -> Plan:
    """For whoever is meant by a number or a whole name. Raises PersonError."""
    person = persons.by_reference(session, text)
    found = person_rows.about(session, person.id)
    number = persons.number_of(person.id)
    return Plan(number, person.state, len(found.token_ids), len(found.phone_logs), len(found.cases))


def look(session: Session, text: str, now_s: int) -> Plan:
    """`plan`, to be shown to somebody: the audit tells of it, whatever they answer then."""
    found = plan(session, text)
    person = persons.by_reference(session, text)
    audit.record(session, Action.LOOK, What.PERSON, now_s, person.id, "before withdrawing or erasing")
    return found


def withdraw(registry: Registry, text: str, now_s: int, limit_days: int) -> Withdrawn:
    """End a person's consent, and with it all that was heard by or released from their devices. Raises PersonError.

    The person stays until they are erased, within `limit_days`.
    """
    with registry.write() as session:
        person = persons.by_reference(session, text)
        if person.state == persons.STATE_WITHDRAWN:
            raise PersonError(
                f"{persons.number_of(person.id)} has withdrawn already: nothing was changed; `bztoken person erase` "
                "erases them"
            )
        rows = _withdraw_rows(session, person, now_s)
        made = certificates.issue(session, Action.WITHDRAW, person.id, rows, now_s)
    return Withdrawn(rows, made, now_s + limit_days * DAY_S)


def erase(registry: Registry, text: str, now_s: int) -> Erased:
    """Delete everything that names or describes a person. Raises PersonError. Call `compact` of the registry then."""
    with registry.write() as session:
        return erase_rows(session, persons.by_reference(session, text), now_s)


def erase_rows(session: Session, person: Person, now_s: int) -> Erased:
    """`erase` in the caller's transaction."""
    found = person_rows.about(session, person.id)
    if person.state == persons.STATE_WITHDRAWN:  # what was recorded of them since is no exception
        rows = _end_what_follows(session, found, now_s)
    else:
        rows = _withdraw_rows(session, person, now_s)
    rows += _forget_names(session, person, found, now_s)
    made = certificates.issue(session, Action.ERASE, person.id, rows, now_s)
    numbers.retire(session, Person, now_s)
    session.delete(person)
    session.flush()
    return Erased(rows, made)


def forget_what_came_since(session: Session) -> Gone:
    """Of persons who withdrew or were erased: what a sync that was running then still brought in."""
    return purging.heard_by(session, person_rows.withheld_logs(session))


def withdrawn_at_s(session: Session, person: Person) -> int:
    """When a person who is withdrawn did so."""
    return consents.withdrawn_at_s(session, person.id) or person.added_at_s


def due_for_erasure(session: Session, before_s: int) -> list[Person]:
    """Who withdrew until then and is still here."""
    withdrawn = session.scalars(select(Person).where(Person.state == persons.STATE_WITHDRAWN).order_by(Person.id))
    return [person for person in withdrawn if withdrawn_at_s(session, person) <= before_s]


def _withdraw_rows(session: Session, person: Person, now_s: int) -> Gone:
    consents.withdraw(session, person, now_s)
    return _end_what_follows(session, person_rows.about(session, person.id), now_s)


def _end_what_follows(session: Session, found: About, now_s: int) -> Gone:
    """Their cases, what their devices heard, and what there was to do about them."""
    rows = purging.heard_by(session, found.logs)  # before the cases: a history that goes with one would not be counted
    for case in found.cases:
        if case.state != cases.STATE_WITHDRAWN:
            case_record.withdraw(session, case, "no_consent", now_s)
    for item in person_rows.follow_ups_of(session, found):
        if item.state not in follow_ups.ENDED:
            item.state, item.ended_at_s = State.CLOSED.value, now_s
            follow_ups.note(session, item, Step.CLOSED, now_s, WITHDRAWN_WHY)
    follow_up.update(session, now_s)
    return rows


def _forget_names(session: Session, person: Person, found: About, now_s: int) -> Gone:
    """Everything but the person's own row. Tokens stay as things; so do cases, for the contacts that they have."""
    rows: Gone = Counter()
    from_logs = [item.id for item in person_rows.follow_ups_of(session, found)]
    rows += purging.delete_follow_ups(session, FollowUp.id.in_(from_logs), now_s)
    for case in found.cases:
        rows += _forget_case(session, case)
    session.execute(update(Case).where(Case.log_id.in_(found.phone_logs)).values(log_id=None, brought_log=None))
    session.execute(delete(Log).where(Log.id.in_(found.phone_logs)))
    rows["logs"] += len(found.phone_logs)
    for token in session.scalars(select(Token).where(Token.id.in_(found.token_ids))).all():
        if batch_labels.parts(token.label) is None:  # a printed number names nobody, another label may
            tokens.rename(session, token, _nameless(token.id))
    ours = TokenIssue.person_id == person.id
    rows["token_issues (without a person now)"] += len(list(session.scalars(select(TokenIssue.id).where(ours))))
    session.execute(update(TokenIssue).where(ours).values(person_id=None))
    given = consents.of_person(session, person.id)
    for consent in given:
        session.delete(consent)
    rows["consents"] += len(given)
    rows["persons"] += 1
    session.flush()
    return rows


def _forget_case(session: Session, case: Case) -> Gone:
    """What a withdrawn case says of the person goes; the row stays, because others are its contacts."""
    rows = purging.codes_of_case(session, case)
    case.name, case.person_id, case.token_id, case.key_digest = _nameless(case.id), None, None, None
    case.onset_day = case.test_day = case.report_type = case.first_day = case.last_day = None
    session.flush()
    rows["cases (without a person now)"] += 1
    return rows


def _nameless(number: int) -> str:
    """With a random end: a name that somebody gave may not stand in the way of erasing."""
    return f"erased {number} {secrets.token_hex(4)}"
