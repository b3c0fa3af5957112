"""How wrong a token's clock was in each window between two readings of it. Pure: knows no database; host/README.md
"Clock" gives the reasons. From reading over windows to reading each step takes `gone` ms, known to within a doubt:
    awake in a boot: the ticks, +- _TICKS_PPM; asleep, and from boot to boot: the clock, +- the board's drift bound;
    true time = reading before + gone + rest * A / (A + B),  rest: what `gone` lacks of the time between the readings,
    uncertainty = the readings' own + min(A, B) / 20 + min(A, B, 8 h of the bound) / 5,  A, B: doubts to either reading;
with a reading on one side only: true time = reading + gone, uncertainty = its own + A."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

WINDOW_MS = 300_000
_WRAP_MS = 1 << 32  # of the uptime in a page
_TICKS_PPM = 50  # crystals of these boards: 10 ppm when new, and as much again for temperature and for age
_CHIP_PPM = 100
_CHIP_LOOK_MS = 3600 * 1000  # a token follows its clock chip once an hour
# The firmware's own measure of a jump (SPEC.md "Clock"): more than this between two looks is no drift.
_LEAP_MS = 2000
_LEAP_PER_MILLE = 70
_SWING_MS = 8 * 3600 * 1000
_KEEPS_MEAN = 20
_SWINGS = 5
_ROUGH_MS = 2000  # a window's start is told in whole seconds, and turned a moment after them
_SETTING_MS = 2000  # a setting whose answer was lost is sent again with the time of the first
_PPM = 1_000_000


@dataclass(frozen=True)
class Anchor:
    """A moment of which the true time is known. clock_ms: what the clock said on this side of it, None: it was not set;
    uptime_ms: modulo 2^32 will do.
    """

    at_ms: int
    uncertainty_ms: int
    clock_ms: int | None
    boot_id: int
    uptime_ms: int
    was_set: bool
    drift_bound_ppm: int


@dataclass(frozen=True)
class Window:
    """A page's header. uptime_ms: at the window's end; asleep: the token slept in it; by_chip: its clock was the clock
    chip's, taken over at this boot.
    """

    boot_id: int
    sequence: int
    start_s: int
    uptime_ms: int
    asleep: bool
    by_chip: bool


class Shift(NamedTuple):
    """Clock minus true time at a window's start, and how far that may be off."""

    shift_ms: int
    uncertainty_ms: int


class _Node(NamedTuple):
    """One moment of the chain. rough_ms: how far its uptime may be off, where it was reckoned back by the clock."""

    boot_id: int
    clock_ms: int | None
    uptime_ms: int | None
    asleep: bool = False
    by_chip: bool = False
    rough_ms: int = 0


class _Reach(NamedTuple):
    """How a window lies to a reading: ms gone between, and the doubts about them, of crystals and of slow clocks."""

    gone_ms: int
    crystal_ms: int
    slow_ms: int

    @property
    def doubt_ms(self) -> int:
        """Both kinds."""
        return self.crystal_ms + self.slow_ms

    def further(self, step: "_Reach") -> "_Reach":
        """With one more step."""
        return _Reach(self.gone_ms + step.gone_ms, self.crystal_ms + step.crystal_ms, self.slow_ms + step.slow_ms)


def shifts(before: Anchor | None, windows: Sequence[Window], after: Anchor | None) -> list[Shift | None]:
    """For each window between two readings that follow each other; None where no reading reaches it.

    windows: in the token's order, and those between `before` and `after` only. The clock as `before` left it, and as
    `after` found it.
    """
    bound_ppm = max(anchor.drift_bound_ppm for anchor in (before, after) if anchor is not None)
    starts = _starts(windows, before, bound_ppm)
    nodes = list(starts)
    if after is not None:
        nodes.append(_Node(after.boot_id, after.clock_ms, after.uptime_ms))
    if before is not None:
        nodes.insert(0, _left(before))
    steps = [_step(earlier, later, bound_ppm) for earlier, later in pairwise(nodes)]
    from_before = _reaches(steps) if before is not None else [None] * len(windows)
    from_after = _reaches(steps[::-1])[::-1] if after is not None else [None] * len(windows)
    if before is not None and after is not None:
        # each list reaches the other reading too
        whole, from_before, from_after = from_before[-1], from_before[:-1], from_after[1:]
    else:
        whole = None
    return [
        _shift(window, start.rough_ms, _Sides(before, after, whole, bound_ppm), left, right)
        for window, start, left, right in zip(windows, starts, from_before, from_after, strict=True)
    ]


def _left(before: Anchor) -> _Node:
    return _Node(before.boot_id, before.at_ms if before.was_set else before.clock_ms, before.uptime_ms)


def _starts(windows: Sequence[Window], before: Anchor | None, bound_ppm: int) -> list[_Node]:
    """The start of each window. Its uptime is that at the end of the window before, or of the setting that began it; of
    the first one of a boot, or after a leap of the clock, it is reckoned back from the window's end.
    """
    found: list[_Node] = []
    for at, window in enumerate(windows):
        uptime_ms, rough_ms = None, 0
        if at and _follows(windows[at - 1], window) and not _leapt(windows, at, found[-1].uptime_ms):
            uptime_ms = windows[at - 1].uptime_ms
        elif not at and before is not None and _was_begun_at(before, window):
            uptime_ms = before.uptime_ms
        elif (long_ms := _length_ms(windows, at)) is not None:
            uptime_ms, rough_ms = _reckoned_back(windows, at, long_ms, bound_ppm)
        found.append(_Node(window.boot_id, window.start_s * 1000, uptime_ms, window.asleep, window.by_chip, rough_ms))
    return found


def _leapt(windows: Sequence[Window], at: int, began_ms: int | None) -> bool:
    """True when the window before this one, begun at that uptime, ended with a leap of the clock."""
    if began_ms is None:
        return False
    clock_ms = (windows[at].start_s - windows[at - 1].start_s) * 1000
    return _is_leap(clock_ms, _ticks_between(began_ms, windows[at - 1].uptime_ms))


def _is_leap(clock_ms: int, ticks_ms: int) -> bool:
    return abs(clock_ms - ticks_ms) > _LEAP_MS + abs(ticks_ms) * _LEAP_PER_MILLE // 1000


def _length_ms(windows: Sequence[Window], at: int) -> int | None:
    """Of a window by its own clock; None for one whose end the clock does not tell."""
    if at + 1 >= len(windows) or not _follows(windows[at], windows[at + 1]):
        return None
    long_ms = (windows[at + 1].start_s - windows[at].start_s) * 1000
    return long_ms if 0 < long_ms <= WINDOW_MS else None


def _reckoned_back(windows: Sequence[Window], at: int, long_ms: int, bound_ppm: int) -> tuple[int, int]:
    """(uptime at a window's start, how far that may be off): as fast as the clock ran in the next window, if told."""
    next_ms = _length_ms(windows, at + 1)
    if next_ms is not None:
        ticks_ms = _ticks_between(windows[at].uptime_ms, windows[at + 1].uptime_ms)
        if not _is_leap(next_ms, ticks_ms):
            return windows[at].uptime_ms - long_ms * ticks_ms // next_ms, _ROUGH_MS // 2
    return windows[at].uptime_ms - long_ms, _share(long_ms, bound_ppm)


def _ticks_between(earlier_ms: int, later_ms: int) -> int:
    return (later_ms - earlier_ms + _WRAP_MS // 2) % _WRAP_MS - _WRAP_MS // 2


def _was_begun_at(reading: Anchor, window: Window) -> bool:
    """True for the window that a setting begins, whether that was told by itself or by the reading right after it."""
    clock_ms = _left(reading).clock_ms
    return (
        clock_ms is not None
        and abs(window.start_s * 1000 - clock_ms) <= _ROUGH_MS
        and reading.boot_id == window.boot_id
    )


def _follows(earlier: Window, later: Window) -> bool:
    return earlier.boot_id == later.boot_id and earlier.sequence + 1 == later.sequence


def _step(earlier: _Node, later: _Node, bound_ppm: int) -> _Reach | None:
    """From one moment of the chain to the next; None where neither clock nor ticks lead over."""
    clock_ms = None
    if earlier.clock_ms is not None and later.clock_ms is not None:
        clock_ms = later.clock_ms - earlier.clock_ms
    if earlier.boot_id == later.boot_id and earlier.uptime_ms is not None and later.uptime_ms is not None:
        ticks_ms = _ticks_between(earlier.uptime_ms, later.uptime_ms)
        return _inside_boot(ticks_ms, clock_ms, earlier, later, bound_ppm)
    if clock_ms is None:
        return None
    crystal_ms, slow_ms = 0, _share(clock_ms, bound_ppm)
    if later.by_chip and earlier.boot_id != later.boot_id:
        crystal_ms, slow_ms = _share(clock_ms, _CHIP_PPM), _share(_CHIP_LOOK_MS, bound_ppm)
    if clock_ms < 0:  # time does not go back: the clock was wrong by so much before or after
        return _Reach(0, crystal_ms, slow_ms - clock_ms)
    return _Reach(clock_ms, crystal_ms, slow_ms)


def _inside_boot(ticks_ms: int, clock_ms: int | None, earlier: _Node, later: _Node, bound_ppm: int) -> _Reach:
    rough_ms = earlier.rough_ms + later.rough_ms
    sign = -1 if ticks_ms < 0 else 1  # a window in which the clock was read begins before the reading
    if not (earlier.asleep or later.asleep):
        return _Reach(ticks_ms, sign * _share(ticks_ms, _TICKS_PPM), sign * rough_ms)
    gone_ms = ticks_ms if clock_ms is None or _is_leap(clock_ms, ticks_ms) else clock_ms
    return _Reach(gone_ms, 0, sign * _share(gone_ms, bound_ppm))


def _share(ms: int, ppm: int) -> int:
    """How far so long a time may be off that was told by a clock of this bound."""
    return abs(ms) * ppm // (_PPM - ppm)


def _reaches(steps: Sequence[_Reach | None]) -> list[_Reach | None]:
    """Sums of the steps up to each moment; None from where the chain is broken."""
    found: list[_Reach | None] = []
    so_far: _Reach | None = _Reach(0, 0, 0)
    for step in steps:
        so_far = None if step is None or so_far is None else so_far.further(step)
        found.append(so_far)
    return found


class _Sides(NamedTuple):
    """The two readings around a window; whole: from one to the other, None where they are not joined."""

    before: Anchor | None
    after: Anchor | None
    whole: _Reach | None
    bound_ppm: int


def _shift(window: Window, rough_ms: int, sides: _Sides, left: _Reach | None, right: _Reach | None) -> Shift | None:
    before, after = sides.before, sides.after
    if before is not None and after is not None and left is not None and right is not None and sides.whole is not None:
        rest_ms = after.at_ms - before.at_ms - sides.whole.gone_ms
        share = left.doubt_ms / max(1, sides.whole.doubt_ms)
        true_ms = before.at_ms + left.gone_ms + round(rest_ms * share)
        blend_ms = round(_uncertainty_ms(before) * (1 - share) + after.uncertainty_ms * share)
        uncertainty_ms = blend_ms + _bend_ms(sides.whole, left, right, sides.bound_ppm) + _leap_ms(rest_ms, sides.whole)
    elif before is not None and left is not None:
        true_ms, uncertainty_ms = before.at_ms + left.gone_ms, _uncertainty_ms(before) + abs(left.doubt_ms)
    elif after is not None and right is not None:
        true_ms, uncertainty_ms = after.at_ms - right.gone_ms, after.uncertainty_ms + abs(right.doubt_ms)
    else:
        return None
    return Shift(window.start_s * 1000 - true_ms, uncertainty_ms + _ROUGH_MS + rough_ms)


def _uncertainty_ms(before: Anchor) -> int:
    return before.uncertainty_ms + (_SETTING_MS if before.was_set else 0)


def _bend_ms(whole: _Reach, left: _Reach, right: _Reach, bound_ppm: int) -> int:
    """How far the way between two readings may lie from the straight one. Where crystal and slow clock took turns, each
    kept its own rate, and the rest was shared out as if both had had the same.
    """
    least_ms = min(abs(left.doubt_ms), abs(right.doubt_ms))
    kinds_ms = abs(left.crystal_ms * right.slow_ms - left.slow_ms * right.crystal_ms) // max(1, whole.doubt_ms)
    return least_ms // _KEEPS_MEAN + min(least_ms, _share(_SWING_MS, bound_ppm)) // _SWINGS + 2 * kinds_ms


def _leap_ms(rest_ms: int, whole: _Reach) -> int:
    """More than any drift explains: a reading is wrong, or the clock leapt unseen. Nobody knows where."""
    return max(0, abs(rest_ms) - whole.doubt_ms - 2 * _ROUGH_MS)
