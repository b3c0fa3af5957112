"""What happened to a token, or to a board, and who did it, for as long as it is known; rows are added, never changed.

A detail says what, in words of this program: never a name, an ID or why in words of a person.
"""

import getpass
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from bztoken.registry.models import Device, DeviceEvent, Token, TokenEvent

PROVISIONED = "provisioned"
REISSUED = "reissued"  # provisioned again, under another identity
SETTINGS = "settings"
UPDATED = "updated"
ALARM = "alarm"
REVOKED = "revoked"
RESTORED = "restored"
WIPE_BEGUN = "wipe begun"  # it was told to forget; whether it did shows when it answers again
WIPED = "wiped"
ISSUED = "issued"  # put into somebody's hands
RETURNED = "returned"  # it came back
FOUND = "found"  # it had been lost, and its holder has it again
SEEN_REVOKED = "seen though revoked"  # somebody plugged it in

# Of a board, whatever identity it holds.
FLASHED = "flashed"
SHIPPED = "shipped"  # taken into the stock of this registry

OPERATOR_VARIABLE = "BZTOKEN_OPERATOR"
MAX_BY_CHARACTERS = 80
MAX_DETAIL_CHARACTERS = 200
_acting: ContextVar[str | None] = ContextVar("acting", default=None)


def record(
    session: Session, token: Token, event: str, now_s: int, detail: str | None = None, by: str | None = None
) -> None:
    """Add an event of a token; `by` is who works at this computer unless told otherwise."""
    session.add(TokenEvent(token_id=token.id, at_s=now_s, event=event, by=_who(by), detail=_what(detail)))
    session.flush()


def record_of_board(
    session: Session, device: Device, event: str, now_s: int, detail: str | None = None, by: str | None = None
) -> None:
    """Add an event of a board; `by` as above."""
    session.add(DeviceEvent(device_id=device.id, at_s=now_s, event=event, by=_who(by), detail=_what(detail)))
    session.flush()


def by_now() -> str:
    """Who works at this computer, as it is stored."""
    return _who(None)


def _who(by: str | None) -> str:
    return (by or operator()).encode(errors="replace").decode()[:MAX_BY_CHARACTERS]  # a variable may hold any bytes


def _what(detail: str | None) -> str | None:
    return None if detail is None else detail[:MAX_DETAIL_CHARACTERS]


def of_token(session: Session, token: Token) -> list[TokenEvent]:
    """Everything that happened to a token, in the order of recording."""
    return list(session.scalars(select(TokenEvent).where(TokenEvent.token_id == token.id).order_by(TokenEvent.id)))


def of_board(session: Session, device: Device) -> list[DeviceEvent]:
    """Everything that happened to a board outside of its identities, in the order of recording."""
    query = select(DeviceEvent).where(DeviceEvent.device_id == device.id).order_by(DeviceEvent.id)
    return list(session.scalars(query))


def latest(session: Session, token: Token, kinds: Collection[str]) -> TokenEvent | None:
    """The last event of one of these kinds."""
    query = select(TokenEvent).where(TokenEvent.token_id == token.id, TokenEvent.event.in_(kinds))
    return session.scalars(query.order_by(TokenEvent.id.desc()).limit(1)).first()


@contextmanager
def acting_as(name: str) -> Iterator[None]:
    """Somebody else than who sits here does what follows, after a password proved it (`operators.prove`)."""
    before = _acting.set(name)
    try:
        yield
    finally:
        _acting.reset(before)


def operator() -> str:
    """Who acts, if a password proved it; else BZTOKEN_OPERATOR, else the user of the operating system."""
    acting = _acting.get()
    if acting is not None:
        return acting
    chosen = os.environ.get(OPERATOR_VARIABLE, "").strip()
    if chosen:
        return chosen
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container may know no user of this number
        return "unknown"
