"""Puts the times of a token's pages and sightings right, by the readings of its clock on both sides of them.

How: `clock_line`. Pages keep the token's own times beside `shift_ms`; sightings hold true times as far as those are
known. Pages stored before the first reading of their log stay as they are: who set that clock when is not known.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from sqlalchemy import BigInteger, bindparam, select, update
from sqlalchemy.orm import Session

from bztoken.registry import clock_points
from bztoken.registry.clock_line import Anchor, Shift, Window, shifts
from bztoken.registry.models import ClockPoint, Log, Page, Sighting
from bzwire.page import CLOCK_RTC, STATE_WINDOWED

_WORTH_IT_MS = 500  # smaller changes, as more of a log arrives, are not written
_MAX_UNCERTAINTY_MS = 400 * 86_400 * 1000


class _Change(NamedTuple):
    """A page's new values; moved_s: what its sightings must be moved by."""

    page_id: int
    shift_ms: int
    uncertainty_ms: int
    moved_s: int


def correct(session: Session, log: Log) -> int:
    """Bring pages and sightings of a log in line with the readings of its clock; how many pages changed.

    Cheap when nothing is new: only stretches between two readings are looked at in which a page waits.
    """
    points = clock_points.of_log(session, log)
    if not points:
        return 0
    changes: list[_Change] = []
    for first, last in pairwise([None, *points, None]):
        if _has_waiting(session, log, points, first, last):
            changes += _changes(session, log, points, first, last)
    _write(session, changes)
    return len(changes)


def shift_s(shift_ms: int | None) -> int:
    """By how many whole seconds the sightings of a page were moved back."""
    return 0 if shift_ms is None else round(shift_ms / 1000)


def _has_waiting(
    session: Session, log: Log, points: Sequence[ClockPoint], first: ClockPoint | None, last: ClockPoint | None
) -> bool:
    waiting = select(Page.id).where(
        clock_points.pages_between(log, first, last),
        Page.uncertainty_ms.is_(None),
        Page.received_at_s >= _since_s(points),
    )
    return session.scalar(waiting.limit(1)) is not None


def _since_s(points: Iterable[ClockPoint]) -> int:
    """Pages that were stored earlier were read before anybody wrote down how the clock was set."""
    return min(point.at_ms for point in points) // 1000


def _changes(
    session: Session, log: Log, points: Sequence[ClockPoint], first: ClockPoint | None, last: ClockPoint | None
) -> list[_Change]:
    rows = session.execute(
        select(
            Page.id,
            Page.boot_id,
            Page.sequence,
            Page.window_start_s,
            Page.uptime_ms,
            Page.page_state,
            Page.clock_state,
            Page.shift_ms,
            Page.uncertainty_ms,
        )
        .where(clock_points.pages_between(log, first, last), Page.received_at_s >= _since_s(points))
        .order_by(Page.boot_id, Page.sequence)
    ).all()
    windows = [
        Window(
            boot_id=row.boot_id,
            sequence=row.sequence,
            start_s=row.window_start_s,
            uptime_ms=row.uptime_ms,
            asleep=row.page_state is not None and bool(row.page_state & STATE_WINDOWED),
            by_chip=row.clock_state == CLOCK_RTC,
        )
        for row in rows
    ]
    found = shifts(_anchor(first), windows, _anchor(last))
    compared = [
        _change(row.id, row.shift_ms, row.uncertainty_ms, shift) for row, shift in zip(rows, found, strict=True)
    ]
    return [change for change in compared if change is not None]


def _anchor(point: ClockPoint | None) -> Anchor | None:
    if point is None:
        return None
    return Anchor(
        at_ms=point.at_ms,
        uncertainty_ms=point.uncertainty_ms,
        clock_ms=point.clock_ms,
        boot_id=point.boot_id,
        uptime_ms=point.uptime_ms,
        was_set=point.was_set,
        drift_bound_ppm=point.drift_bound_ppm,
    )


def _change(page_id: int, shift_ms: int | None, uncertainty_ms: int | None, found: Shift | None) -> _Change | None:
    if found is None:
        return None
    new_ms, new_uncertainty_ms = found.shift_ms, min(found.uncertainty_ms, _MAX_UNCERTAINTY_MS)
    if (
        shift_ms is not None
        and uncertainty_ms is not None
        and abs(new_ms - shift_ms) < _WORTH_IT_MS
        and abs(new_uncertainty_ms - uncertainty_ms) < _WORTH_IT_MS
    ):
        return None
    return _Change(page_id, new_ms, new_uncertainty_ms, shift_s(shift_ms) - shift_s(new_ms))


def _write(session: Session, changes: Sequence[_Change]) -> None:
    if not changes:
        return
    connection = session.connection()
    connection.execute(
        update(Page)
        .where(Page.id == bindparam("page"))
        .values(shift_ms=bindparam("shift"), uncertainty_ms=bindparam("uncertainty")),
        [
            {"page": change.page_id, "shift": change.shift_ms, "uncertainty": change.uncertainty_ms}
            for change in changes
        ],
    )
    moved = bindparam("moved", type_=BigInteger)
    connection.execute(
        update(Sighting)
        .where(Sighting.page_id == bindparam("page"))
        .values(
            first_s=Sighting.first_s + moved,
            last_s=Sighting.last_s + moved,
            window_start_s=Sighting.window_start_s + moved,
            uncertainty_s=bindparam("uncertainty"),
        ),
        [
            {"page": change.page_id, "moved": change.moved_s, "uncertainty": -(-change.uncertainty_ms // 1000)}
            for change in changes
        ],
    )
    for row in [row for row in session if isinstance(row, Page | Sighting)]:
        session.expire(row)
