"""Puts the day keys of a token where they were on the air in true time, as far as its own clock is known.

A key's slots follow the token's clock: one that ran wrong by hours had them on the air hours off. One shift a day; what
the clock gained or lost within that day goes into the uncertainty.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple, TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from bztoken.formats.case_list import CaseKey
from bztoken.formats.tracing_key import SCHEME_GAEN, TracingKey
from bztoken.registry import clock_points
from bztoken.registry.logs import log_of_token
from bztoken.registry.models import ClockPoint, Page, Token
from bzwire.bluezone import DAY_S

_FAR_S = DAY_S  # what was known of the clock this long before or after a key says nothing of it
_PPM = 1_000_000
_Key = TypeVar("_Key", CaseKey, TracingKey)


class _Known(NamedTuple):
    """What is known of the clock when it said clock_s: by how much it was ahead, s, and to within which."""

    clock_s: int
    ahead_s: float
    uncertainty_s: float


def placed(session: Session, token: Token, keys: Sequence[_Key]) -> list[_Key]:
    """The keys, each with its span by true time and the uncertainty of that; as they are where nothing is known."""
    log = log_of_token(session, token)
    points = clock_points.of_log(session, log)
    if not points:
        return list(keys)
    bound_ppm = max(point.drift_bound_ppm for point in points)
    readings = [known for point in points for known in _of_point(point)]
    since_s = token.provisioned_at_s
    return [_placed(key, since_s, _of_pages(session, log.id, key) + readings, bound_ppm) for key in keys]


def _of_point(point: ClockPoint) -> list[_Known]:
    at_s, uncertainty_s = point.at_ms / 1000, point.uncertainty_ms / 1000
    found: list[_Known] = []
    clock_ms = point.clock_ms
    if clock_ms is not None:
        found.append(_Known(clock_ms // 1000, clock_ms / 1000 - at_s, uncertainty_s))
    if point.was_set:
        found.append(_Known(int(at_s), 0, uncertainty_s + 2))  # a setting that was lost is sent again as it was
    return found


def _of_pages(session: Session, log_id: int, key: CaseKey | TracingKey) -> list[_Known]:
    rows = session.execute(
        select(Page.window_start_s, Page.shift_ms, Page.uncertainty_ms).where(
            Page.log_id == log_id,
            Page.window_start_s >= key.time_start_s - _FAR_S,
            Page.window_start_s <= key.time_end_s + _FAR_S,
        )
    )
    return [
        _Known(start_s, shift_ms / 1000, uncertainty_ms / 1000)
        for start_s, shift_ms, uncertainty_ms in rows
        if shift_ms is not None and uncertainty_ms is not None
    ]


def _placed(key: _Key, since_s: int, known: Sequence[_Known], bound_ppm: int) -> _Key:
    """since_s: before this second the token broadcast nothing."""
    inside = [one for one in known if key.time_start_s <= one.clock_s <= key.time_end_s]
    spans = [(one.ahead_s - one.uncertainty_s, one.ahead_s + one.uncertainty_s) for one in inside]
    for edge_s in (min(max(key.time_start_s, since_s), key.time_end_s), key.time_end_s):
        nearest = min(known, key=lambda one: abs(one.clock_s - edge_s), default=None)  # noqa: B023 - used at once
        if nearest is None or abs(nearest.clock_s - edge_s) > _FAR_S:
            return key
        off_s = nearest.uncertainty_s + abs(nearest.clock_s - edge_s) * bound_ppm / _PPM
        spans.append((nearest.ahead_s - off_s, nearest.ahead_s + off_s))
    low_s, high_s = min(low for low, _ in spans), max(high for _, high in spans)
    ahead_s, uncertainty_s = round((low_s + high_s) / 2), int((high_s - low_s) / 2) + 1
    if isinstance(key, TracingKey) and key.scheme == SCHEME_GAEN:
        # Its IDs follow from the interval that the token believed in: that stays, and may be off by the whole.
        return replace(key, uncertainty_s=uncertainty_s + abs(ahead_s))
    start_s = key.time_start_s - ahead_s
    day_end_s = start_s + key.time_end_s - key.time_start_s
    if key.time_end_s - key.time_start_s < DAY_S - 1:  # the day of the release: on the air until then, in true time
        day_end_s = min(start_s + DAY_S - 1, key.time_end_s + uncertainty_s)
    return replace(key, time_start_s=start_s, time_end_s=day_end_s, uncertainty_s=uncertainty_s)
