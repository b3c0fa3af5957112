"""Boards, known by the chip's own number (6 bytes), whatever identity they hold now or held before.

The number is told by a token's firmware in a proven session, so it finds a copy that was made with ordinary tools; a
board whose program was changed can say what it likes. It is never sent by radio, and no error names more than its end.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bztoken.errors import RegistryError
from bztoken.registry import losses, tokens
from bztoken.registry.models import Device, Token

HARDWARE_BYTES = 6
SHORT_DIGITS = 4


class HasAPast(RegistryError):
    """A board that is being provisioned was another token, and nobody said yet what became of that."""


def note(session: Session, token: Token, hardware: bytes, now_s: int) -> bool:
    """A token has proven who it is and told its board's number: remember on which board this identity lives.

    False when that is another board than before: then the alarm is raised, and nothing may be read. hardware: 6 bytes,
    empty from firmware that does not tell. Raises HasAPast for a token that is being provisioned on a board whose last
    identity is still in use here, or lost.
    """
    if len(hardware) != HARDWARE_BYTES:
        return True
    device = take(session, hardware, token.board, now_s)
    if token.device_id is not None and token.device_id != device.id:
        tokens.raise_alarm(session, token, tokens.ALARM_CLONE, now_s)
        return False
    if token.state == tokens.STATE_PENDING:
        require_settled(session, hardware, but=token)
    token.device_id = device.id
    session.flush()
    return True


def told(status: Mapping[str, Any]) -> bytes:
    """The number in an answer to STATUS (firmware/SPEC.md "Status"); empty where the firmware does not tell."""
    hardware = status.get("hw", b"")
    return hardware if isinstance(hardware, bytes) and len(hardware) == HARDWARE_BYTES else b""


def is_news(session: Session, token: Token, hardware: bytes) -> bool:
    """Whether `note` would change anything."""
    if len(hardware) != HARDWARE_BYTES:
        return False
    device = by_hardware(session, hardware)
    return device is None or token.device_id != device.id


def take(session: Session, hardware: bytes, board: str, now_s: int) -> Device:
    """The row of a board, made if it is not known yet."""
    device = by_hardware(session, hardware)
    if device is None:
        device = Device(hardware=hardware, board=board, added_at_s=now_s)
        session.add(device)
        session.flush()
    return device


def by_hardware(session: Session, hardware: bytes) -> Device | None:
    """The board with this number."""
    return session.scalar(select(Device).where(Device.hardware == hardware))


def all_devices(session: Session) -> list[Device]:
    """Every board, in the order in which they became known."""
    return list(session.scalars(select(Device).order_by(Device.id)))


def by_digits(session: Session, digits: str) -> list[Device]:
    """The boards whose number ends in these hex digits (at least 4, with or without colons). Raises RegistryError."""
    wanted = digits.replace(":", "").lower()
    if not SHORT_DIGITS <= len(wanted) <= 2 * HARDWARE_BYTES or not set(wanted) <= set("0123456789abcdef"):
        raise RegistryError(f"a chip's number is told by its last {SHORT_DIGITS} to {2 * HARDWARE_BYTES} hex digits")
    found = [device for device in all_devices(session) if device.hardware.hex().endswith(wanted)]
    if not found:
        raise RegistryError("no board in stock has a number that ends so: `bztoken stock list` shows them all")
    return found


def short(device: Device) -> str:
    """The end of its number: enough to tell boards on a desk apart, too little to look for one elsewhere."""
    return device.hardware.hex()[-SHORT_DIGITS:]


def identities(session: Session, device: Device) -> list[Token]:
    """The tokens that this board was and is, oldest first."""
    return list(session.scalars(select(Token).where(Token.device_id == device.id).order_by(Token.id)))


def last_identities(session: Session) -> dict[int, Token]:
    """The last identity of each board that has or had one, by the board's row."""
    last = select(func.max(Token.id)).where(Token.device_id.is_not(None)).group_by(Token.device_id)
    found = session.scalars(select(Token).where(Token.id.in_(last)))
    return {token.device_id: token for token in found if token.device_id is not None}


def require_settled(session: Session, hardware: bytes, but: Token | None = None) -> None:
    """Raises HasAPast when another identity of this board, but for the one that it is given now, is in use or lost.

    An identity ends by being wiped, or by a person who says what became of it; a blank board alone ends none.
    """
    device = by_hardware(session, hardware)
    if device is None:
        return
    which = f"`bztoken stock show {short(device)}` tells which it was"
    for other in identities(session, device):
        if but is not None and other.id == but.id:
            continue
        loss = losses.loss_of(session, other)
        if loss is not None:
            raise HasAPast(
                f"this board was another token, reported {loss.detail} on {losses.day_of(loss)}, and was not wiped "
                f"here, so its program may have been changed: flash it anew ({which}), record its return with "
                "`bztoken token return LABEL`, then run the same command again"
            )
        if other.state == tokens.STATE_ACTIVE:
            raise HasAPast(
                f"this board was another token, which is still in use here and was not wiped: {which}; end that with "
                "`bztoken token revoke LABEL --reason broken`, then run the same command again"
            )
