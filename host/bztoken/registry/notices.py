"""Which tokens should show the exposure notice, and so ask their wearers to call: those of contacts nobody has reached.

Also a token that a contact got later: the light is for the person. Not one that was returned, for nobody wears it, nor
a site's, nor one that is not believed. What a token was told last is in its row; telling it is `tracing.notices`.
"""

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import exists, func, or_, select
from sqlalchemy.orm import Session

from bztoken.registry import tokens
from bztoken.registry.follow_ups import State
from bztoken.registry.models import FollowUp, Log, Token, TokenIssue


class _Held(NamedTuple):
    """Who had a token last, and whether it is back."""

    person_id: int | None
    is_back: bool


def wanted_tokens(session: Session) -> set[int]:
    """The tokens whose wearers are to be told something, by their rows."""
    open_logs = select(FollowUp.log_id).where(FollowUp.state == State.OPEN)
    logs = session.execute(select(Log.token_id, Log.person_id).where(Log.id.in_(open_logs))).all()
    near = {token_id for token_id, _ in logs if token_id is not None}
    held = _last_held(session, near)
    people = {person_id for _, person_id in logs} | {last.person_id for last in held.values()}
    theirs = select(TokenIssue.token_id).where(
        TokenIssue.person_id.in_(people - {None}), TokenIssue.returned_at_s.is_(None)
    )
    back = {token_id for token_id, last in held.items() if last.is_back}
    wanted = (near - back) | set(session.scalars(theirs))
    return {token.id for token in session.scalars(select(Token).where(Token.id.in_(wanted))) if _may_show(token)}


def is_wanted(session: Session, token: Token) -> bool:
    """This token is one of them; asked at every sync, so without a look at all others."""
    last = _last_held(session, [token.id]).get(token.id, _Held(None, False))
    if last.is_back or not _may_show(token):
        return False
    whose = [Log.token_id == token.id]
    if last.person_id is not None:
        theirs = select(TokenIssue.token_id).where(TokenIssue.person_id == last.person_id)
        whose += [Log.person_id == last.person_id, Log.token_id.in_(theirs)]
    is_open = FollowUp.state == State.OPEN
    return bool(session.scalar(select(exists().where(FollowUp.log_id == Log.id, is_open, or_(*whose)))))


def note_told(session: Session, token: Token) -> None:
    """Somebody told the token by hand, whatever: as long as the list wants what it wants now, it stays so."""
    token.notice_told = is_wanted(session, token)
    session.flush()


def _may_show(token: Token) -> bool:
    return token.role == tokens.ROLE_PERSON and tokens.is_trusted(token)


def _last_held(session: Session, token_ids: Collection[int]) -> dict[int, _Held]:
    """By token; those that nobody ever had are missing."""
    last = select(func.max(TokenIssue.id)).where(TokenIssue.token_id.in_(token_ids)).group_by(TokenIssue.token_id)
    columns = (TokenIssue.token_id, TokenIssue.person_id, TokenIssue.returned_at_s)
    rows = session.execute(select(*columns).where(TokenIssue.id.in_(last)))
    return {token_id: _Held(person_id, back_s is not None) for token_id, person_id, back_s in rows}
