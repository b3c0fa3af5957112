"""What happened to a token and who did it, for as long as the token is known; rows are added, never changed.

A detail says what, in words of this program: never a name, an ID or why in words of a person.
"""

import getpass
import os

from sqlalchemy import select
from sqlalchemy.orm import Session

from bztoken.registry.models import Token, TokenEvent

PROVISIONED = "provisioned"
REISSUED = "reissued"  # handed out again, under another identity
SETTINGS = "settings"
UPDATED = "updated"
ALARM = "alarm"
REVOKED = "revoked"
RESTORED = "restored"
WIPE_BEGUN = "wipe begun"  # it was told to forget; whether it did shows when it answers again
WIPED = "wiped"

OPERATOR_VARIABLE = "BZTOKEN_OPERATOR"
MAX_BY_CHARACTERS = 80
MAX_DETAIL_CHARACTERS = 200


def record(
    session: Session, token: Token, event: str, now_s: int, detail: str | None = None, by: str | None = None
) -> None:
    """Add an event; `by` is who works at this computer unless told otherwise."""
    who = (by or operator()).encode(errors="replace").decode()[:MAX_BY_CHARACTERS]  # a variable may hold any bytes
    what = None if detail is None else detail[:MAX_DETAIL_CHARACTERS]
    session.add(TokenEvent(token_id=token.id, at_s=now_s, event=event, by=who, detail=what))
    session.flush()


def of_token(session: Session, token: Token) -> list[TokenEvent]:
    """Everything that happened to a token, in the order of recording."""
    return list(session.scalars(select(TokenEvent).where(TokenEvent.token_id == token.id).order_by(TokenEvent.id)))


def operator() -> str:
    """BZTOKEN_OPERATOR, else the user of the operating system."""
    chosen = os.environ.get(OPERATOR_VARIABLE, "").strip()
    if chosen:
        return chosen
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container may know no user of this number
        return "unknown"
