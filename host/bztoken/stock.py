"""The stock of boards: what a desk has flashed, taken in from its record, and what became of each board.

A board is in stock while it is blank. A record may be taken in again after more lines were added to it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from bztoken.errors import FormatError
from bztoken.formats.flash_record import FlashRecord
from bztoken.registry import devices, events, losses, tokens
from bztoken.registry.models import Device, DeviceEvent, Token, TokenEvent
from bzwire.bluezone import DAY_S
from bzwire.messages import EARLIEST_UNIX_MS

MAX_BOARD_CHARACTERS = 80
DID_NOT_ANSWER = "did not answer"


class Whereabouts(StrEnum):
    """What a board is now."""

    BLANK = "blank"  # in stock, never a token of this registry
    WIPED = "wiped"  # in stock again
    UNFINISHED = "unfinished"
    TOKEN = "token"
    LOST = "lost"
    REVOKED = "revoked"  # for another reason, or it came back and still holds its identity


@dataclass
class TakenIn:
    """What a record brought: boards that were not known, boards that were flashed again, lines known from before.

    silent: boards (ends of their numbers) that were asked after they were last flashed, and did not answer.
    """

    new: int = 0
    again: int = 0
    known: int = 0
    silent: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class StockedBoard:
    """A board. token: what it is now, or was last, None when it was never one; flashed: when it last was, by record."""

    device: Device
    whereabouts: Whereabouts
    token: Token | None
    flashed: DeviceEvent | None


class Happened(NamedTuple):
    """One event of a board's life. label: of the token that it was then, None outside of any."""

    label: str | None
    event: DeviceEvent | TokenEvent


def take_in(session: Session, path: Path, records: Sequence[FlashRecord], now_s: int) -> TakenIn:
    """Add the boards of a record, or none of them. Raises FormatError for a line that cannot be true."""
    done = TakenIn()
    last: dict[int, tuple[Device, FlashRecord]] = {}  # in stock once, however often it was flashed before
    for record in records:
        _require_possible(path, record, now_s)
        known = devices.by_hardware(session, record.hardware_number)
        if known is not None and _is_flashed_at(session, known, record.at_s):
            done.known += 1
            continue
        device = known or devices.take(session, record.hardware_number, record.board, now_s)
        events.record_of_board(session, device, events.FLASHED, record.at_s, _detail(record), record.by)
        before = last.get(device.id)
        if before is None or before[1].at_s <= record.at_s:
            last[device.id] = device, record
        done.new += known is None
        done.again += known is not None
    for device, newest in last.values():
        device.board = newest.board
        events.record_of_board(session, device, events.SHIPPED, now_s)
        if newest.answered is False:
            done.silent.append(devices.short(device))
    return done


def _detail(record: FlashRecord) -> str:
    """What of a flashing is worth knowing later."""
    silent = f", {DID_NOT_ANSWER}" if record.answered is False else ""
    return f"firmware {record.firmware}, {record.build} build{silent}"


def boards(session: Session) -> list[StockedBoard]:
    """Every board, in the order in which they became known."""
    last, flashed = devices.last_identities(session), _last_flashed(session)
    return [
        StockedBoard(device, whereabouts(session, last.get(device.id)), last.get(device.id), flashed.get(device.id))
        for device in devices.all_devices(session)
    ]


def history(session: Session, device: Device) -> list[Happened]:
    """All that happened to a board and to the tokens that it was, oldest first."""
    found = [Happened(None, event) for event in events.of_board(session, device)]
    for token in devices.identities(session, device):
        found += [Happened(token.label, event) for event in events.of_token(session, token)]
    return sorted(found, key=lambda one: one.event.at_s)


def whereabouts(session: Session, token: Token | None) -> Whereabouts:
    """Of a board whose last identity is this one."""
    if token is None:
        return Whereabouts.BLANK
    if token.state == tokens.STATE_REVOKED:
        return Whereabouts.LOST if losses.is_lost(session, token) else Whereabouts.REVOKED
    by_state = {tokens.STATE_WIPED: Whereabouts.WIPED, tokens.STATE_PENDING: Whereabouts.UNFINISHED}
    return by_state.get(token.state, Whereabouts.TOKEN)


def _last_flashed(session: Session) -> dict[int, DeviceEvent]:
    query = select(DeviceEvent).where(DeviceEvent.event == events.FLASHED).order_by(DeviceEvent.at_s, DeviceEvent.id)
    return {event.device_id: event for event in session.scalars(query)}


def _is_flashed_at(session: Session, device: Device, at_s: int) -> bool:
    query = select(DeviceEvent.id).where(
        DeviceEvent.device_id == device.id, DeviceEvent.event == events.FLASHED, DeviceEvent.at_s == at_s
    )
    return session.scalar(query) is not None


def _require_possible(path: Path, record: FlashRecord, now_s: int) -> None:
    if not EARLIEST_UNIX_MS // 1000 <= record.at_s <= now_s + DAY_S:
        raise FormatError(
            path, None, "a board was flashed at a time that cannot be: nothing was stored, look at the desk's clock"
        )
    if not 0 < len(record.board) <= MAX_BOARD_CHARACTERS:
        raise FormatError(path, None, "a board has a name that cannot be: nothing was stored")
