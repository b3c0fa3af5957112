"""IDs of whole keys, kept from one day's task to the next. A task needs the keys of three days, two of them for little
more than midnight, and taking a key costs AES more than the 144 blocks after it: so each is derived once.
"""

from collections.abc import Iterator

import numpy as np

from bztoken.matching.derivation import ids_of_days
from bztoken.matching.key_spans import Spans
from bztoken.matching.schemes import Scheme
from bztoken.matching.tolerance import Int64s

BLOCK_IDS = 1 << 20  # IDs derived at a time: bounds the memory
_KEPT_IDS = 1 << 23  # 128 MiB: of more keys only what a task needs is derived, for each task anew


class KeptIds:
    """Blocks of spans that follow each other; asked for in order of time, as the tasks of one process mostly are."""

    def __init__(self, scheme: Scheme, spans: Spans) -> None:
        self._scheme, self._spans = scheme, spans
        self._cuts = cuts(spans.slots)
        self._kept: dict[int, tuple[Int64s, Int64s]] = {}

    def fit(self, low: int, high: int) -> bool:
        """Whether the spans [low, high) are few enough."""
        blocks = self._blocks(low, high)
        return int(self._spans.slots[self._cuts[blocks.start] : self._cuts[blocks.stop]].sum()) <= _KEPT_IDS

    def around(self, low: int, high: int, earliest_s: int, latest_s: int) -> Iterator[tuple[Spans, Int64s, Int64s]]:
        """Of the blocks with the spans [low, high) those slots that begin within [earliest, latest]: the spans with
        nothing else in them, and the halves of the IDs.
        """
        blocks = self._blocks(low, high)
        self._kept = {number: ids for number, ids in self._kept.items() if number >= blocks.start}
        for number in blocks:
            spans = self._spans.rows(slice(self._cuts[number], self._cuts[number + 1]))
            if number not in self._kept:
                derived = ids_of_days(self._scheme.name, spans.day_key, spans.start_s, spans.slots)
                self._kept[number] = derived.hi, derived.lo
            yield self._only(spans, *self._kept[number], earliest_s, latest_s)

    def _blocks(self, low: int, high: int) -> range:
        if low >= high:
            return range(0)
        first, last = np.searchsorted(self._cuts, (low, high - 1), side="right") - 1
        return range(int(first), int(last) + 1)

    def _only(
        self, spans: Spans, hi: Int64s, lo: Int64s, earliest_s: int, latest_s: int
    ) -> tuple[Spans, Int64s, Int64s]:
        slot_s = self._scheme.slot_s
        early = np.clip(-((spans.start_s - earliest_s) // slot_s), 0, spans.slots)
        count = np.maximum(0, np.minimum(spans.slots, (latest_s - spans.start_s) // slot_s + 1) - early)
        if np.array_equal(count, spans.slots):
            return spans, hi, lo
        first = np.cumsum(spans.slots) - spans.slots + early
        place = np.repeat(first - (np.cumsum(count) - count), count) + np.arange(int(count.sum()), dtype=np.int64)
        return spans._replace(start_s=spans.start_s + early * slot_s, slots=count), hi[place], lo[place]


def cuts(slots: Int64s) -> Int64s:
    """Where blocks begin, and where the last one ends: each of at most BLOCK_IDS, or of one span."""
    until, found = np.cumsum(slots), [0]
    while found[-1] < len(slots):
        before = int(until[found[-1] - 1]) if found[-1] else 0
        found.append(max(found[-1] + 1, int(np.searchsorted(until, before + BLOCK_IDS, side="right"))))
    return np.array(found, dtype=np.int64)
