"""The IDs of many keys of one scheme, derived day by day as the matching walks through time, forgotten behind it."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bztoken.formats.tracing_key import TracingKey
from bztoken.matching.kernel import KeyIds, halves
from bztoken.matching.schemes import Scheme
from bztoken.matching.tolerance import UNKNOWN, Int64s
from bzwire.bluezone import DAY_S, day_of

LONGEST_SIGHTING_S = 65535  # a log record's last second is a uint16 after its window's start
_Derived = tuple[Int64s, Int64s, Int64s]


class KnownId(NamedTuple):
    """An ID of which the key is not known, only when it was on the air; key_index: as if it came from that key."""

    rotating_id: bytes
    slot_start_s: int
    key_index: int


class KeyTable:
    """Slots of many keys; ask for slices in order of time, so that each day key is derived once."""

    def __init__(self, scheme: Scheme, keys: Sequence[TracingKey | None], known: Sequence[KnownId] = ()) -> None:
        """Keys of other schemes, and those that nobody knows, are passed over: an index is a place in `keys`. known:
        IDs of this scheme.
        """
        self._scheme = scheme
        self._uncertainty_s = [_uncertainty_s(key) for key in keys]
        mine = [(index, key) for index, key in enumerate(keys) if key is not None and key.scheme == scheme.name]
        days = [(day.start_s, index, day) for index, key in mine for day in scheme.spans(key)]
        self._days = sorted(days, key=lambda entry: entry[:2])
        self._starts_s = [entry[0] for entry in self._days]
        self._derived: dict[int, _Derived] = {}
        self._known = _known_columns(known)

    def days(self, tolerance_s: int) -> list[int]:
        """Numbers of the UTC days in which a sighting that matches can begin, in order; tolerance_s: the largest."""
        slot_s = self._scheme.slot_s
        spans = {(start_s, start_s + day.slots * slot_s) for start_s, _, day in self._days}
        spans.update((start_s, start_s + slot_s) for start_s in np.unique(self._known.slot_start_s).tolist())
        found: set[int] = set()
        for start_s, end_s in spans:
            found.update(range(day_of(start_s - tolerance_s - LONGEST_SIGHTING_S), day_of(end_s + tolerance_s) + 1))
        return sorted(found)

    def slice(self, first_s: int, last_s: int, tolerance_s: int) -> KeyIds:
        """IDs of every slot that a sighting within [first_s, last_s] can match, those across midnight included;
        tolerance_s: the largest.
        """
        earliest_s, latest_s = first_s - tolerance_s - self._scheme.slot_s + 1, last_s + tolerance_s
        # a day key is on the air for at most a day after its start
        low = bisect_left(self._starts_s, earliest_s - DAY_S)
        high = bisect_right(self._starts_s, latest_s)
        self._derived = {at: kept for at, kept in self._derived.items() if at >= low}
        parts = [self._part(at, earliest_s, latest_s) for at in range(low, high)]
        first, end = np.searchsorted(self._known.slot_start_s, (earliest_s, latest_s + 1))
        parts.append(KeyIds(*(column[first:end] for column in self._known)))
        return KeyIds(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))

    def _part(self, at: int, earliest_s: int, latest_s: int) -> KeyIds:
        start_s, key_index, day = self._days[at]
        if at not in self._derived:
            slots = start_s + self._scheme.slot_s * np.arange(day.slots, dtype=np.int64)
            self._derived[at] = (*self._scheme.ids(day), slots)
        hi, lo, slot_start_s = self._derived[at]
        wanted = (slot_start_s >= earliest_s) & (slot_start_s <= latest_s)
        count = int(np.count_nonzero(wanted))
        key, uncertainty_s = (
            np.full(count, value, dtype=np.int64) for value in (key_index, self._uncertainty_s[key_index])
        )
        return KeyIds(hi[wanted], lo[wanted], slot_start_s[wanted], key, uncertainty_s)


def _known_columns(known: Sequence[KnownId]) -> KeyIds:
    """In order of time; of the clock of a phone nothing is known."""
    in_order = sorted(known, key=lambda one: one.slot_start_s)
    hi, lo = halves([one.rotating_id for one in in_order])
    start_s = np.array([one.slot_start_s for one in in_order], dtype=np.int64)
    key_index = np.array([one.key_index for one in in_order], dtype=np.int64)
    return KeyIds(hi, lo, start_s, key_index, np.full(len(in_order), UNKNOWN, dtype=np.int64))


def _uncertainty_s(key: TracingKey | None) -> int:
    return UNKNOWN if key is None or key.uncertainty_s is None else key.uncertainty_s
