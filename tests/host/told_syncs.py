"""Syncs as they lie in a registry, with what a token told in each."""

from typing import Any

from sqlalchemy.orm import Session

from bztoken.registry import logs, syncs
from bztoken.registry.models import Token

# What a healthy token says of itself; SPEC.md "Status".
STATUS: dict[str, Any] = {
    "bo": 4,
    "up": 90_000,
    "bv": 3900,
    "bs": 1,
    "lo": 2,
    "dp": -40,
    "ff": 512_000,
    "ft": 1_024_000,
}


def sync_row(
    session: Session,
    token_id: int,
    started_s: int,
    fields: dict[str, Any] | None = None,
    firmware: str = "0.3.0",
    clock_offset_ms: int | None = 0,
    damaged_sequence: int | None = None,
    done: bool = True,
) -> int:
    """Record a sync as a station does; the row's number. fields: None for one that was cut before the token told."""
    log = logs.log_of_token(session, session.get_one(Token, token_id))
    number = syncs.start(session, log, started_s, clock_offset_ms, 3, 1)
    if fields is not None:
        syncs.note_status(session, number, fields, firmware)
    syncs.finish(session, number, 1, 0, damaged_sequence, done)
    return number
