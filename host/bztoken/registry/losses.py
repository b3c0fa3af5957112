"""Tokens that are lost, by what was recorded of them: revoked as lost or stolen, and not back since.

A revoked one that is plugged in all the same is noted, once an hour at most: somebody should ask who brought it.
"""

from datetime import UTC, datetime

from sqlalchemy.orm import Session

from bztoken.registry import events, tokens
from bztoken.registry.models import Token, TokenEvent

REASON_LOST = "lost"
REASONS = (REASON_LOST, "stolen")  # of a revocation: nobody knows where the token is
NOTED_EVERY_S = 3600

_DECIDES = (events.REVOKED, events.RETURNED)


def is_lost(session: Session, token: Token) -> bool:
    """False once it was returned, or its revocation taken back."""
    return loss_of(session, token) is not None


def loss_of(session: Session, token: Token) -> TokenEvent | None:
    """When and by whom it was reported lost; None for a token that is not lost."""
    if token.state != tokens.STATE_REVOKED:
        return None
    last = events.latest(session, token, _DECIDES)
    return last if last is not None and last.event == events.REVOKED and last.detail in REASONS else None


def came_back(session: Session, token: Token) -> bool:
    """A revoked token that was returned: it stays revoked, but nobody looks for it any more."""
    if token.state != tokens.STATE_REVOKED:
        return False
    last = events.latest(session, token, _DECIDES)
    return last is not None and last.event == events.RETURNED


def seen_since(session: Session, token: Token) -> TokenEvent | None:
    """When a revoked token was last plugged in since it was revoked; None: it was not, or it came back since."""
    if token.state != tokens.STATE_REVOKED:
        return None
    last = events.latest(session, token, (*_DECIDES, events.SEEN_REVOKED))
    return last if last is not None and last.event == events.SEEN_REVOKED else None


def note_seen(session: Session, token: Token, now_s: int, detail: str | None = None) -> None:
    """A token was plugged in, or told of by a courier: worth an event when it is revoked and not back, and none was
    added within the last hour.
    """
    if token.state != tokens.STATE_REVOKED or came_back(session, token):
        return
    last = seen_since(session, token)
    if last is None or now_s - last.at_s >= NOTED_EVERY_S:
        events.record(session, token, events.SEEN_REVOKED, now_s, detail)


def day_of(event: TokenEvent) -> str:
    """The day of an event, as a sentence tells it."""
    return f"{datetime.fromtimestamp(event.at_s, UTC).date().isoformat()} (UTC)"
