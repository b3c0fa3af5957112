"""The IDs of many keys of one scheme around a moment, derived when they are asked for, forgotten when they are used."""

from collections.abc import Iterator, Sequence
from itertools import chain, pairwise, starmap
from typing import NamedTuple

import numpy as np

from bztoken.matching.derivation import ids_of_days, lay_out
from bztoken.matching.kept_ids import KeptIds, cuts
from bztoken.matching.kernel import KeyIds, halves
from bztoken.matching.key_columns import KeyColumns
from bztoken.matching.key_spans import Spans, spans_of
from bztoken.matching.schemes import Scheme
from bztoken.matching.tolerance import UNKNOWN, Int64s
from bzwire.bluezone import DAY_S

LONGEST_SIGHTING_S = 65535  # a log record's last second is a uint16 after its window's start


class KnownId(NamedTuple):
    """An ID of which the key is not known, only when it was on the air; key_index: as if it came from that key."""

    rotating_id: bytes
    slot_start_s: int
    key_index: int


class Around(NamedTuple):
    """IDs of slots around a moment: how many at most, and themselves, block by block, derived as they are asked for."""

    ids: int
    blocks: Iterator[KeyIds]


class KeyTable:
    """Slots of many keys; an index is a row of `keys`."""

    def __init__(self, scheme: Scheme, keys: KeyColumns, known: Sequence[KnownId] = ()) -> None:
        """Keys of other schemes are passed over. known: IDs of this scheme."""
        self._scheme = scheme
        self._uncertainty_s = keys.uncertainty_s
        self._spans = spans_of(scheme, keys)
        self._kept = KeptIds(scheme, self._spans)
        self._known = _known_columns(known)

    @property
    def ids(self) -> int:
        """How many IDs the keys have."""
        return int(self._spans.slots.sum()) + len(self._known.hi)

    def days(self, tolerance_s: int) -> list[int]:
        """Numbers of the UTC days in which a sighting that matches can begin, in order; tolerance_s: the largest."""
        slot_s, known_s = self._scheme.slot_s, self._known.slot_start_s
        start_s = np.concatenate((self._spans.start_s, known_s))
        end_s = np.concatenate((self._spans.start_s + self._spans.slots * slot_s, known_s + slot_s))
        first = np.floor_divide(start_s - tolerance_s - LONGEST_SIGHTING_S, DAY_S)
        last = np.floor_divide(end_s + tolerance_s, DAY_S)
        found: set[int] = set()
        for code in np.unique(first << 32 | last).tolist():
            found.update(range(code >> 32, (code & 0xFFFF_FFFF) + 1))
        return sorted(found)

    def around(self, first_s: int, last_s: int, tolerance_s: int) -> Around:
        """Every slot that a sighting within [first_s, last_s] can match, those across midnight included; tolerance_s:
        the largest.
        """
        earliest_s, latest_s = first_s - tolerance_s - self._scheme.slot_s + 1, last_s + tolerance_s
        # a day key is on the air for at most a day after its start
        low, high = (int(at) for at in np.searchsorted(self._spans.start_s, (earliest_s - DAY_S, latest_s + 1)))
        spans = _cut(self._scheme, self._spans.rows(slice(low, high)), earliest_s, latest_s)
        first, end = np.searchsorted(self._known.slot_start_s, (earliest_s, latest_s + 1))
        known = KeyIds(*(column[first:end] for column in self._known))
        blocks = self._derived(spans, earliest_s, latest_s)
        if self._kept.fit(low, high):
            blocks = starmap(self._key_ids, self._kept.around(low, high, earliest_s, latest_s))
        return Around(int(spans.slots.sum()) + len(known.hi), chain(blocks, [known] if len(known.hi) else []))

    def _derived(self, spans: Spans, earliest_s: int, latest_s: int) -> Iterator[KeyIds]:
        """Block by block, for this once."""
        for first, end in pairwise(cuts(spans.slots).tolist()):
            block = spans.rows(slice(first, end))
            derived = ids_of_days(self._scheme.name, block.day_key, block.start_s, block.slots)
            ids = self._key_ids(block, derived.hi, derived.lo)
            wanted = (ids.slot_start_s >= earliest_s) & (ids.slot_start_s <= latest_s)
            yield ids if wanted.all() else KeyIds(*(column[wanted] for column in ids))

    def _key_ids(self, spans: Spans, hi: Int64s, lo: Int64s) -> KeyIds:
        """IDs with all that is told of them."""
        slot_start_s, row = lay_out(self._scheme.name, spans.start_s, spans.slots)
        key_index = spans.key_index[row]
        return KeyIds(hi, lo, slot_start_s, key_index, self._uncertainty_s[key_index])


def _cut(scheme: Scheme, spans: Spans, earliest_s: int, latest_s: int) -> Spans:
    """Without slots that nobody wants, so far as they need not be derived on the way to others.

    Later ones never are; earlier ones of a TEK are not, if it began with an interval (`derivation` says why).
    """
    start_s, slot_s = spans.start_s, scheme.slot_s
    slots = np.minimum(spans.slots, np.maximum(0, (latest_s - start_s) // slot_s + 1))
    if not scheme.chained:
        early = np.clip(-((start_s - earliest_s) // slot_s), 0, slots)
        early[start_s % slot_s != 0] = 0
        start_s, slots = start_s + early * slot_s, slots - early
    else:
        slots[start_s + (slots - 1) * slot_s < earliest_s] = 0
    some = slots > 0
    return Spans(spans.day_key[some], start_s[some], slots[some], spans.key_index[some])


def _known_columns(known: Sequence[KnownId]) -> KeyIds:
    """In order of time; of the clock of a phone nothing is known."""
    in_order = sorted(known, key=lambda one: one.slot_start_s)
    hi, lo = halves([one.rotating_id for one in in_order])
    start_s = np.array([one.slot_start_s for one in in_order], dtype=np.int64)
    key_index = np.array([one.key_index for one in in_order], dtype=np.int64)
    return KeyIds(hi, lo, start_s, key_index, np.full(len(in_order), UNKNOWN, dtype=np.int64))
