"""The IDs of all case keys, derived day by day as the matching walks through time, and forgotten behind it."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

import numpy as np

from bztoken.formats.case_list import CaseKey, KeyDay, expand_days
from bztoken.matching.kernel import KeyIds, halves
from bztoken.matching.tolerance import UNKNOWN, Int64s
from bzwire.bluezone import DAY_S, SLOT_S, day_of, slot_ids

LONGEST_SIGHTING_S = 65535  # a log record's last second is a uint16 after its window's start
_Derived = tuple[Int64s, Int64s, Int64s]


class KeyTable:
    """Slots of many keys; ask for slices in order of time, so that each day key is derived once."""

    def __init__(self, keys: Sequence[CaseKey]) -> None:
        self._uncertainty_s = [UNKNOWN if key.uncertainty_s is None else key.uncertainty_s for key in keys]
        days = [(day.start_s, index, day) for index, key in enumerate(keys) for day in expand_days(key)]
        self._days = sorted(days, key=lambda entry: entry[:2])
        self._starts_s = [entry[0] for entry in self._days]
        self._derived: dict[int, _Derived] = {}

    def days(self, tolerance_s: int) -> list[int]:
        """Numbers of the UTC days in which a sighting that matches can begin, in order; tolerance_s: the largest."""
        found: set[int] = set()
        for start_s, _, day in self._days:
            first = day_of(start_s - tolerance_s - LONGEST_SIGHTING_S)
            last = day_of(start_s + day.slots * SLOT_S + tolerance_s)
            found.update(range(first, last + 1))
        return sorted(found)

    def slice(self, first_s: int, last_s: int, tolerance_s: int) -> KeyIds:
        """IDs of every slot that a sighting within [first_s, last_s] can match, those across midnight included;
        tolerance_s: the largest.
        """
        earliest_s, latest_s = first_s - tolerance_s - SLOT_S + 1, last_s + tolerance_s
        # a day key is on the air for at most a day after its start
        low = bisect_left(self._starts_s, earliest_s - DAY_S)
        high = bisect_right(self._starts_s, latest_s)
        self._derived = {at: kept for at, kept in self._derived.items() if at >= low}
        parts = [self._part(at, earliest_s, latest_s) for at in range(low, high)]
        if not parts:
            return KeyIds(*(np.empty(0, dtype=np.int64) for _ in KeyIds._fields))
        return KeyIds(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))

    def _part(self, at: int, earliest_s: int, latest_s: int) -> KeyIds:
        _, key_index, day = self._days[at]
        if at not in self._derived:
            self._derived[at] = _derive(day)
        hi, lo, start_s = self._derived[at]
        wanted = (start_s >= earliest_s) & (start_s <= latest_s)
        count = int(np.count_nonzero(wanted))
        key, uncertainty_s = (
            np.full(count, value, dtype=np.int64) for value in (key_index, self._uncertainty_s[key_index])
        )
        return KeyIds(hi[wanted], lo[wanted], start_s[wanted], key, uncertainty_s)


def _derive(day: KeyDay) -> _Derived:
    hi, lo = halves(list(slot_ids(day.day_key, day.slots)))
    return hi, lo, day.start_s + SLOT_S * np.arange(day.slots, dtype=np.int64)
