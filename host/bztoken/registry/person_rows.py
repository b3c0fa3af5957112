"""Which rows are about a person, and what of a person who withdrew or was erased must not be taken in any more."""

from typing import NamedTuple

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from bztoken.errors import NotTrusted
from bztoken.registry import consents, issues
from bztoken.registry.logs import KIND_PHONE
from bztoken.registry.models import Case, FollowUp, Log, Person, Token, TokenIssue
from bztoken.registry.persons import STATE_WITHDRAWN

_REFUSED = (
    "Whoever had this token has withdrawn their consent, or was erased: nothing was read; run `bztoken token reissue`, "
    "which wipes it, before anybody gets it, they themselves too."
)


class About(NamedTuple):
    """Numbers of the rows that are about one person. token_logs: of tokens whose last holder they are."""

    token_ids: list[int]
    token_logs: list[int]
    phone_logs: list[int]
    cases: list[Case]

    @property
    def logs(self) -> list[int]:
        """All that their devices heard."""
        return self.token_logs + self.phone_logs


def about(session: Session, person_id: int) -> About:
    """A token is wiped between two people, so that a log is one person's alone."""
    last = issues.last_by_token(session)
    token_ids = [token_id for token_id, row in sorted(last.items()) if row.person_id == person_id]
    token_logs = list(session.scalars(select(Log.id).where(Log.token_id.in_(token_ids)).order_by(Log.id)))
    phones = select(Log.id).where(Log.kind == KIND_PHONE, Log.person_id == person_id).order_by(Log.id)
    cases = select(Case).where(or_(Case.person_id == person_id, Case.token_id.in_(token_ids))).order_by(Case.id)
    return About(token_ids, token_logs, list(session.scalars(phones)), list(session.scalars(cases)))


def follow_ups_of(session: Session, found: About) -> list[FollowUp]:
    """What there was to do about this person as a contact."""
    return list(session.scalars(select(FollowUp).where(FollowUp.log_id.in_(found.logs)).order_by(FollowUp.id)))


def is_withheld(session: Session, token: Token) -> bool:
    """Whether the last holder of a token withdrew, or was erased, so that nothing of it may be taken in; whatever they
    agreed to since, not before it was wiped: what it heard until then was withdrawn.
    """
    query = select(TokenIssue).where(TokenIssue.token_id == token.id).order_by(TokenIssue.id.desc()).limit(1)
    row = session.scalars(query).first()
    if row is None or row.holder_kind != issues.PERSON:
        return False
    person = None if row.person_id is None else session.get(Person, row.person_id)
    if person is None or person.state == STATE_WITHDRAWN:
        return True
    return consents.withdrew_since(session, person.id, row.issued_at_s)


def require_consent(session: Session, token: Token) -> None:
    """Raises NotTrusted for a token that `is_withheld`. It needs no event: nobody did anything wrong."""
    if is_withheld(session, token):
        raise NotTrusted(_REFUSED)


def withheld_logs(session: Session) -> list[int]:
    """Logs of everybody who withdrew or was erased; what is in them came in between."""
    gone = select(Person.id).where(Person.state == STATE_WITHDRAWN)
    found = list(session.scalars(select(Log.id).where(Log.kind == KIND_PHONE, Log.person_id.in_(gone))))
    withdrawn, ended_s = set(session.scalars(gone)), consents.last_withdrawals(session)
    for token_id, row in issues.last_by_token(session).items():
        if row.holder_kind != issues.PERSON:
            continue
        number = row.person_id
        if number is None or number in withdrawn or (number in ended_s and row.issued_at_s <= ended_s[number]):
            found += session.scalars(select(Log.id).where(Log.token_id == token_id))
    return found
