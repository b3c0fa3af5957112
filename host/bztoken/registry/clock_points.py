"""Readings of tokens' clocks: what a token's clock said at a known moment, and whether it was set then.

Readings may come twice and in any order. Whoever records one calls `page_times.correct` in the same transaction.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, select, tuple_, update
from sqlalchemy.orm import Session

from bztoken.registry.models import ClockPoint, Log, Page
from bzwire.page import CLOCK_UNSET

DEFAULT_DRIFT_BOUND_PPM = 50_000  # of tokens before 0.2, which do not tell it: an RC oscillator
_ROUND_TRIP_NS = 2_000_000  # half of it, in ms


@dataclass(frozen=True)
class ClockReading:
    """What a token said of its clock when a station asked.

    at_ms: true Unix ms in the middle of the question's round trip; uncertainty_ms: half of that, at least 1; clock_ms:
    None while the clock was not set; uptime_ms: then, since boot boot_id; next_sequence: the first page written after
    this moment, and for a setting the first one written by the clock as set (a setting writes the present window
    first); was_set: the clock was set to the true time then; drift_bound_ppm: of the board.
    """

    at_ms: int
    uncertainty_ms: int
    clock_ms: int | None
    boot_id: int
    uptime_ms: int
    next_sequence: int
    was_set: bool
    drift_bound_ppm: int = DEFAULT_DRIFT_BOUND_PPM


def reading(status: Mapping[str, Any], before_ns: int, after_ns: int, next_sequence: int | None = None) -> ClockReading:
    """The reading in an answer to STATUS, asked and answered at these times.

    next_sequence: when the clock was set right after it, the number that the token told then; else it was not set.
    """
    return ClockReading(
        at_ms=(before_ns + after_ns) // 2_000_000,
        uncertainty_ms=max(1, (after_ns - before_ns) // _ROUND_TRIP_NS),
        clock_ms=None if status["ck"] == CLOCK_UNSET else int(status["t"]),
        boot_id=int(status["bo"]),
        uptime_ms=int(status["up"]),
        next_sequence=int(status["n"]) if next_sequence is None else next_sequence,
        was_set=next_sequence is not None,
        drift_bound_ppm=int(status.get("db") or DEFAULT_DRIFT_BOUND_PPM),
    )


def record(session: Session, log: Log, reading: ClockReading) -> None:
    """Store a reading in the caller's transaction, unless it is there; pages beside it wait to be corrected anew."""
    known = select(ClockPoint.id).where(ClockPoint.log_id == log.id, ClockPoint.at_ms == reading.at_ms)
    if session.scalar(known) is not None:
        return
    session.add(
        ClockPoint(
            log_id=log.id,
            at_ms=reading.at_ms,
            uncertainty_ms=reading.uncertainty_ms,
            clock_ms=reading.clock_ms,
            boot_id=reading.boot_id,
            uptime_ms=reading.uptime_ms,
            next_sequence=reading.next_sequence,
            was_set=reading.was_set,
            drift_bound_ppm=reading.drift_bound_ppm,
        )
    )
    session.flush()
    _forget_beside(session, log, reading)


def of_log(session: Session, log: Log) -> list[ClockPoint]:
    """Every reading of a token in the token's own order, which holds also where a station's clock was wrong."""
    query = select(ClockPoint).where(ClockPoint.log_id == log.id)
    return sorted(
        session.scalars(query),
        key=lambda point: (point.boot_id, point.next_sequence, point.uptime_ms, point.at_ms),
    )


def pages_between(log: Log, first: ClockPoint | None, last: ClockPoint | None) -> ColumnElement[bool]:
    """The pages of a log that were written after one reading and before another.

    Boot and number are compared as a pair: so the index leads there, where two conditions would read the whole log.
    """
    parts, place = [Page.log_id == log.id], tuple_(Page.boot_id, Page.sequence)
    if first is not None:
        parts.append(place >= (first.boot_id, first.next_sequence))
    if last is not None:
        parts.append(place < (last.boot_id, last.next_sequence))
    return and_(*parts)


def _forget_beside(session: Session, log: Log, reading: ClockReading) -> None:
    """Pages from the reading before to the reading after are no longer what the readings say."""
    points = of_log(session, log)
    at = next(index for index, point in enumerate(points) if point.at_ms == reading.at_ms)
    first = points[at - 1] if at else None
    last = points[at + 1] if at + 1 < len(points) else None
    session.execute(
        update(Page).where(pages_between(log, first, last)).values(uncertainty_ms=None),
        execution_options={"synchronize_session": False},
    )
