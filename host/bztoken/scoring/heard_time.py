"""How long a case was heard: what one record stands for. The same for every preset.

A scan of a token stands for its scan period, at most 5 minutes in a window; what was heard between scans is unknown.
A line of a phone's history stands for 60 s; gaps of up to 330 s are bridged, since the phone scans 40 s in every 300 s;
each stretch counts to the line that begins it, so to the window and the day of that line. Replayed sightings stand for
no time.
"""

from collections.abc import Sequence
from itertools import zip_longest

from bztoken.matching.rules import Heard

WINDOW_S = 300
PHONE_LINE_S = 60
PHONE_GAP_S = 330


def believed(heard: Sequence[Heard]) -> list[Heard]:
    """In order of time: those that are not replayed, or all when all are."""
    fresh = [row for row in heard if not row.stale]
    return sorted(fresh or heard, key=lambda row: (row.window_start_s, row.first_s))


def seconds_of(rows: Sequence[Heard]) -> list[int]:
    """What each of these rows, in order of time, stands for."""
    if rows[0].stale:  # then all are
        return [0] * len(rows)
    lines = [at for at, row in enumerate(rows) if row.scan_period_s == 0]
    ends = dict(zip_longest(lines, lines[1:]))  # each line and the one that follows it, None for the last
    spent_s: dict[int, int] = {}
    found = []
    for at, row in enumerate(rows):
        if at in ends:
            following = ends[at]
            found.append(_line_s(row.first_s, None if following is None else rows[following].first_s))
            continue
        # two IDs of one person in a window (rotation) are two rows: add, but no window holds more than itself
        left_s = WINDOW_S - spent_s.get(row.window_start_s, 0)
        found.append(min(left_s, row.scans * row.scan_period_s))
        spent_s[row.window_start_s] = spent_s.get(row.window_start_s, 0) + found[-1]
    return found


def _line_s(line_at_s: int, next_at_s: int | None) -> int:
    if next_at_s is None or next_at_s - line_at_s > PHONE_LINE_S + PHONE_GAP_S:
        return PHONE_LINE_S
    return next_at_s - line_at_s


def whole_minutes(seconds: float) -> int:
    """Rounded half up; a billionth of a second of floating-point error does not decide."""
    return int((round(seconds, 6) + 30) // 60)
