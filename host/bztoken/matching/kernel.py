"""The join of the IDs of keys and of sightings: columns in, every sighting out; knows neither files nor databases.

An ID of at most 16 bytes is two int64 columns, so one integer search finds its candidates and one comparison settles
them. Duplicates on both sides all come out. Memory is bounded by the slice handed in: one day.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bztoken.matching.tolerance import Int64s, Tolerance

HALVES_BYTES = 16
_BLOCK_ROWS = 1 << 18  # sightings joined at a time: bounds the candidates of an ID that somebody repeats


class KeyIds(NamedTuple):
    """IDs that devices had on the air: halves of the ID, start of its slot, whose key it came from, and how far the
    clock that broadcast it may have been off, s; UNKNOWN where nothing is known of it.
    """

    hi: Int64s
    lo: Int64s
    slot_start_s: Int64s
    key_index: Int64s
    uncertainty_s: Int64s


class Sightings(NamedTuple):
    """IDs that devices heard: halves of the ID, first and last second, and how far those may be off, or UNKNOWN."""

    hi: Int64s
    lo: Int64s
    first_s: Int64s
    last_s: Int64s
    uncertainty_s: Int64s


class Matches(NamedTuple):
    """Each pair found: row of the sighting, index of the key, start of the slot; in order of rows."""

    row: Int64s
    key_index: Int64s
    slot_start_s: Int64s


def halves(ids: Sequence[bytes]) -> tuple[Int64s, Int64s]:
    """The two columns of IDs, each padded with zero bytes to 16."""
    padded = b"".join([rotating_id.ljust(HALVES_BYTES, b"\0") for rotating_id in ids])
    both = np.frombuffer(padded, dtype=">i8").astype(np.int64).reshape(-1, 2)
    return np.ascontiguousarray(both[:, 0]), np.ascontiguousarray(both[:, 1])


def match(key_ids: KeyIds, sightings: Sightings, tolerance: Tolerance, slot_s: int) -> Matches:
    """Every (sighting, key, slot) with the same ID, where the sighting overlaps the slot widened by their tolerance.

    The slot is [start, start + slot_s), the sighting [first, last]; the order of either side's rows is free. Both sides
    must be of one scheme: a short ID, padded, may have the bytes of a long one.
    """
    if len(key_ids.hi) == 0 or len(sightings.hi) == 0:
        return Matches(_empty(), _empty(), _empty())
    order = np.argsort(key_ids.hi, kind="stable")
    keys = KeyIds(*(column[order] for column in key_ids))
    found = [
        _match_block(keys, Sightings(*(column[at : at + _BLOCK_ROWS] for column in sightings)), at, tolerance, slot_s)
        for at in range(0, len(sightings.hi), _BLOCK_ROWS)
    ]
    return Matches(*(np.concatenate(columns) for columns in zip(*found, strict=True)))


def _match_block(keys: KeyIds, seen: Sightings, offset: int, tolerance: Tolerance, slot_s: int) -> Matches:
    left = np.searchsorted(keys.hi, seen.hi, side="left")
    # most sightings are of nobody's key: one look settles those, and only the others are searched a second time
    hit = np.flatnonzero(keys.hi[np.minimum(left, len(keys.hi) - 1)] == seen.hi)
    left = left[hit]
    counts = np.searchsorted(keys.hi, seen.hi[hit], side="right") - left
    # candidate c of sighting i is key row left[i] + c, for c in 0..counts[i]-1
    row = np.repeat(hit, counts)
    within = np.arange(len(row), dtype=np.int64) - np.repeat(np.cumsum(counts) - counts, counts)
    at = np.repeat(left, counts) + within
    start_s = keys.slot_start_s[at]
    tolerance_s = tolerance.of_pairs(seen.uncertainty_s[row], keys.uncertainty_s[at])
    good = (
        (keys.lo[at] == seen.lo[row])
        & (seen.last_s[row] >= start_s - tolerance_s)
        & (seen.first_s[row] < start_s + slot_s + tolerance_s)
    )
    return Matches(row[good] + offset, keys.key_index[at[good]], start_s[good])


def _empty() -> Int64s:
    return np.empty(0, dtype=np.int64)
