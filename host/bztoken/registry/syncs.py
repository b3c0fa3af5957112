"""One row a cable connection: when, how far the clock was off, what came over."""

import time
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bztoken.registry.models import Log, Page, Sync

STATE_RUNNING = "running"
STATE_DONE = "done"
STATE_CUT = "cut"

MAX_FIRMWARE_CHARACTERS = 20

# Columns of a sync and the fields of STATUS that they keep (firmware/SPEC.md "Status").
STATUS_FIELDS = {
    "boot_id": "bo",
    "uptime_ms": "up",
    "battery_mv": "bv",
    "battery_state": "bs",
    "flash_bytes": "ft",
    "flash_free_bytes": "ff",
    "lost_results": "lo",
    "drift_ppm": "dp",
}


def start(
    session: Session, log: Log, now_s: int, clock_offset_ms: int | None, round_trip_ms: int, next_sequence: int
) -> int:
    """Record that a sync began; the row's number. A row that stays `running` was killed."""
    row = Sync(
        log_id=log.id,
        started_s=now_s,
        ended_s=None,
        clock_offset_ms=clock_offset_ms,
        round_trip_ms=round_trip_ms,
        next_sequence=next_sequence,
        pages_new=0,
        pages_known=0,
        damaged_sequence=None,
        state=STATE_RUNNING,
    )
    session.add(row)
    session.flush()
    return row.id


def note_status(session: Session, sync_id: int, fields: dict[str, Any], firmware: str) -> None:
    """Keep with a sync how the token was then, from its answer to STATUS; None for what its firmware does not tell."""
    row = session.get_one(Sync, sync_id)
    row.firmware = firmware[:MAX_FIRMWARE_CHARACTERS]
    for column, field in STATUS_FIELDS.items():
        told = fields.get(field)
        setattr(row, column, None if told is None else int(told))
    session.flush()


def of_log(session: Session, log: Log, limit: int) -> list[Sync]:
    """The latest of a log, newest first; a courier's come in days later, so not by their number."""
    newest_first = (Sync.started_s.desc(), Sync.id.desc())
    return list(session.scalars(select(Sync).where(Sync.log_id == log.id).order_by(*newest_first).limit(limit)))


def note_progress(session: Session, sync_id: int, pages_new: int, pages_known: int) -> None:
    """What came over so far, in the transaction that stores it."""
    row = session.get_one(Sync, sync_id)
    row.pages_new, row.pages_known = pages_new, pages_known


def last_boot(session: Session, log: Log) -> int:
    """The highest boot number that the token of this log has told or written; 0 when none is known."""
    told = session.scalar(select(func.max(Sync.boot_id)).where(Sync.log_id == log.id))
    written = session.scalar(select(func.max(Page.boot_id)).where(Page.log_id == log.id))
    return max(told or 0, written or 0)


def lowest_damaged(session: Session, log: Log, first_sequence: int) -> int | None:
    """The first page from `first_sequence` on that an earlier sync found damaged on the token."""
    query = select(func.min(Sync.damaged_sequence)).where(
        Sync.log_id == log.id, Sync.damaged_sequence >= first_sequence
    )
    return session.scalar(query)


def finish(
    session: Session, sync_id: int, pages_new: int, pages_known: int, damaged_sequence: int | None, done: bool
) -> None:
    """Record how it ended; damaged_sequence: the lowest page that never arrived whole."""
    row = session.get_one(Sync, sync_id)
    row.ended_s = int(time.time())
    row.pages_new = pages_new
    row.pages_known = pages_known
    row.damaged_sequence = damaged_sequence
    row.state = STATE_DONE if done else STATE_CUT
