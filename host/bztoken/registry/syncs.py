"""One row a cable connection: when, how far the clock was off, what came over."""

import time

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bztoken.registry.models import Log, Sync

STATE_RUNNING = "running"
STATE_DONE = "done"
STATE_CUT = "cut"


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
