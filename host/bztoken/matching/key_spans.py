"""Key days of one scheme in order of time: which key is on the air from when, for how many slots. Chains are walked
here, all of them together, a day at a time.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bztoken.formats.tracing_key import SCHEMES
from bztoken.matching.derivation import next_day_keys
from bztoken.matching.key_columns import KEY_SIZES, KeyColumns
from bztoken.matching.schemes import Scheme
from bztoken.matching.tolerance import Int64s


class Spans(NamedTuple):
    """One row a key and day, in order of start, then of key: the day's key, its first slot's start, how many slots."""

    day_key: npt.NDArray[np.uint8]
    start_s: Int64s
    slots: Int64s
    key_index: Int64s

    def rows(self, which: Int64s | slice) -> "Spans":
        """Some of them."""
        return Spans(self.day_key[which], self.start_s[which], self.slots[which], self.key_index[which])


def spans_of(scheme: Scheme, keys: KeyColumns) -> Spans:
    """Of the keys of this scheme; an index is a row of `keys`.

    Bluezone's key is hashed after `slots_per_day` slots, wherever in the day that is; the last slot is the one that
    begins at or before time_end_s. A TEK is never hashed; slots_per_day is its rolling period.
    """
    key_index = np.flatnonzero(keys.scheme == SCHEMES.index(scheme.name)).astype(np.int64)
    day_key = keys.key[key_index, : KEY_SIZES[scheme.name]]
    start_s = keys.time_start_s[key_index]
    parts = [Spans(day_key[:0], start_s[:0], start_s[:0], key_index[:0])]
    while len(key_index):
        left = (keys.time_end_s[key_index] - start_s) // scheme.slot_s + 1
        on_air = left > 0
        day_key, start_s, key_index, left = day_key[on_air], start_s[on_air], key_index[on_air], left[on_air]
        per_day = keys.slots_per_day[key_index]
        parts.append(Spans(day_key, start_s, np.minimum(per_day, left), key_index))
        goes_on = (left > per_day) if scheme.chained else np.zeros(len(left), dtype=np.bool_)
        start_s, key_index = (start_s + per_day * scheme.slot_s)[goes_on], key_index[goes_on]
        day_key = next_day_keys(np.ascontiguousarray(day_key[goes_on])) if len(key_index) else day_key[:0]
    spans = Spans(
        np.concatenate([part.day_key for part in parts]),
        np.concatenate([part.start_s for part in parts]),
        np.concatenate([part.slots for part in parts]),
        np.concatenate([part.key_index for part in parts]),
    )
    return spans.rows(np.lexsort((spans.key_index, spans.start_s)))
