"""IDs of many day keys at once. Whichever way was taken (`choosing`), the answer is the same, byte for byte.

An ID is two int64: its bytes, padded with zero bytes to 16, as two big-endian numbers.
"""

from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from bztoken.formats.tracing_key import SCHEME_BLUEZONE, SCHEME_GAEN
from bztoken.matching.derivation.choosing import Choice, Way
from bztoken.matching.tolerance import Int64s
from bzwire import bluezone, gaen
from bzwire.errors import OutOfRange

_Item = TypeVar("_Item", bound=np.generic)
_Bytes = npt.NDArray[np.uint8]
_INTERVALS = 1 << 32  # there are no more
_choice = Choice()


class DerivedIds(NamedTuple):
    """Halves of each ID, start of its slot, s, and which row its key was; key by key, in order of slots."""

    hi: Int64s
    lo: Int64s
    slot_start_s: Int64s
    key: Int64s


def ids_of_days(scheme_name: str, day_keys: _Bytes, start_s: Int64s, slots: Int64s) -> DerivedIds:
    """The IDs of the first `slots` (n) slots of day keys (n, 32), or of TEKs (n, 16), that begin at `start_s` (n).

    Raises OutOfRange for keys of another size, more slots than a day has, and intervals past 32 bits. Memory: 32 bytes
    an ID for the answer and less than 100 MB beside it, if about a million IDs are asked for at a time.
    """
    return ids_by(_choice.way(scheme_name, int(slots.sum())), scheme_name, day_keys, start_s, slots)


def ids_by(way: Way, scheme_name: str, day_keys: _Bytes, start_s: Int64s, slots: Int64s) -> DerivedIds:
    """The same by a way of the caller's choice: for tests and benchmarks."""
    limits = _LIMITS[scheme_name]
    _check(day_keys, slots, limits)
    # numba would compile once more for columns that are read-only or have gaps
    day_keys, start_s, slots = _plain(day_keys, np.uint8), _plain(start_s, np.int64), _plain(slots, np.int64)
    if scheme_name == SCHEME_BLUEZONE:
        hi, lo = way.bluezone_ids(day_keys, slots)
    else:
        hi, lo = way.gaen_ids(day_keys, _first_intervals(start_s, slots), slots)
    return DerivedIds(hi, lo, *way.lay_out(start_s, slots, limits.slot_s))


def lay_out(scheme_name: str, start_s: Int64s, slots: Int64s) -> tuple[Int64s, Int64s]:
    """The last two columns of `DerivedIds`, of keys of which the IDs are known: start of the slot, row of the key."""
    return _choice.way(scheme_name, 0).lay_out(
        _plain(start_s, np.int64), _plain(slots, np.int64), _LIMITS[scheme_name].slot_s
    )


def expect(scheme_name: str, ids: int) -> None:
    """So many will be asked for: what makes that faster is loaded now, if it pays."""
    _choice.way(scheme_name, ids)


def next_day_keys(day_keys: _Bytes) -> _Bytes:
    """The chain of phones: SHA-256 of each of the keys (n, 32). Raises OutOfRange for keys of another size."""
    _check(day_keys, np.zeros(len(day_keys), dtype=np.int64), _LIMITS[SCHEME_BLUEZONE])
    return _choice.way(SCHEME_BLUEZONE, len(day_keys)).next_day_keys(_plain(day_keys, np.uint8))


class _Limits(NamedTuple):
    """Of a scheme: what one key is, and for how long."""

    key_bytes: int
    slots: int
    slot_s: int


_LIMITS = {
    SCHEME_BLUEZONE: _Limits(bluezone.KEY_BYTES, bluezone.SLOTS_PER_DAY, bluezone.SLOT_S),
    SCHEME_GAEN: _Limits(gaen.KEY_BYTES, gaen.INTERVALS_PER_DAY, gaen.INTERVAL_S),
}


def _check(day_keys: _Bytes, slots: Int64s, limits: _Limits) -> None:
    if day_keys.dtype != np.uint8 or day_keys.ndim != 2 or day_keys.shape[1] != limits.key_bytes:
        raise OutOfRange(f"a key of this scheme has {limits.key_bytes} bytes")
    if np.any((slots < 0) | (slots > limits.slots)):
        raise OutOfRange(f"a day has 0 to {limits.slots} slots")


def _plain(column: npt.NDArray[_Item], item: type[_Item]) -> npt.NDArray[_Item]:
    """The same, copied where it is not already of these items without gaps, to be written to."""
    return np.require(column, item, ["C", "W"])


def _first_intervals(start_s: Int64s, slots: Int64s) -> Int64s:
    """Keys of exports begin with an interval. One that does not is of a token: there it began at midnight by a clock
    that `registry/key_times` has put right since, so the nearest midnight tells which interval that was.
    """
    midnight = (start_s + bluezone.DAY_S // 2) // bluezone.DAY_S * gaen.INTERVALS_PER_DAY
    first = np.where(start_s % gaen.INTERVAL_S == 0, start_s // gaen.INTERVAL_S, midnight)
    if np.any((first < 0) | (first + slots > _INTERVALS)):
        raise OutOfRange("a GAEN interval is a uint32")
    return first
