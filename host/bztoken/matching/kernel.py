"""The join of the IDs of keys and of sightings: columns in, every sighting out; knows neither files nor databases.

An ID of at most 16 bytes is two int64 columns. A filter over the smaller side thins out the other, then the few left
are joined exactly. Duplicates on both sides all come out. IDs come block by block and are not kept.
"""

from collections.abc import Iterable, Iterator, Sequence
from types import ModuleType
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from bztoken.matching.prefilter import CHOICE, filter_over, fresh_secret, keyed
from bztoken.matching.tolerance import Int64s, Tolerance

HALVES_BYTES = 16
_CANDIDATES = 1 << 18  # pairs of one ID compared at a time: bounds what an ID costs that somebody repeats


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
    """Each pair found: row of the sighting, index of the key, start of the slot; in order of all three."""

    row: Int64s
    key_index: Int64s
    slot_start_s: Int64s


class Candidates(NamedTuple):
    """For each sighting, the run of keys with its ID and near it in time: where it begins in `keys`, how many there."""

    keys: KeyIds
    first: Int64s
    length: Int64s


_Columns = TypeVar("_Columns", KeyIds, Sightings)


def halves(ids: Sequence[bytes]) -> tuple[Int64s, Int64s]:
    """The two columns of IDs, each padded with zero bytes to 16."""
    padded = b"".join([rotating_id.ljust(HALVES_BYTES, b"\0") for rotating_id in ids])
    both = np.frombuffer(padded, dtype=">i8").astype(np.int64).reshape(-1, 2)
    return np.ascontiguousarray(both[:, 0]), np.ascontiguousarray(both[:, 1])


def match(blocks: Iterable[KeyIds], ids: int, sightings: Sightings, tolerance: Tolerance, slot_s: int) -> Matches:
    """Every (sighting, key, slot) with the same ID, where the sighting overlaps the slot widened by their tolerance.

    The slot is [start, start + slot_s), the sighting [first, last]; the order of either side's rows is free. Both sides
    must be of one scheme: a short ID, padded, may have the bytes of a long one. blocks: IDs as they are derived, each
    let go before the next; ids: how many there will be in all, for the choice of the way only.

    Held are the sightings, a filter over the smaller side (2 bytes an entry, in numpy up to 32), the IDs that pass it
    (or all IDs, where they are fewer than the sightings), and what comes out.
    """
    if len(sightings.hi) == 0:
        return _no_matches()
    return match_with(CHOICE.loops_for(ids + len(sightings.hi)), blocks, ids, sightings, tolerance, slot_s)


def match_with(
    loops: ModuleType | None,
    blocks: Iterable[KeyIds],
    ids: int,
    sightings: Sightings,
    tolerance: Tolerance,
    slot_s: int,
) -> Matches:
    """As `match`, by these compiled loops, or by numpy alone: with the same answer."""
    if ids >= len(sightings.hi):
        heard = filter_over(sightings.hi, sightings.lo, loops)
        keys = _joined([_taken(block, heard.passing(block.hi, block.lo)) for block in blocks])
    else:
        keys = _joined(list(blocks))
    # to and fro until little is left but what matches: a search costs far more than a look into a filter
    row = _places_in(sightings, keys, loops)
    keys = _taken(keys, _places_in(keys, _taken(sightings, row), loops))
    return _exact(keys, _taken(sightings, row), row, tolerance, slot_s)


def candidates(keys: KeyIds, seen: Sightings, tolerance: Tolerance, slot_s: int) -> Candidates:
    """What is worth a comparison, without loops over what merely shares a half or a bucket: the IDs are looked up by a
    hash that nobody can foresee, so that sightings of a chosen ID cost no more than others. There must be keys.
    """
    secret = fresh_secret()
    codes, key_code = np.unique(keyed(keys.hi, keys.lo, secret), return_inverse=True)
    starts_s, key_start = np.unique(keys.slot_start_s, return_inverse=True)
    # a place is (rank of the hash, rank of the slot's start) as one number, so that one search narrows by both
    span = len(starts_s) + 1
    place = key_code * span + key_start
    order = np.argsort(place)
    place = place[order]
    seen_code = keyed(seen.hi, seen.lo, secret)
    code = np.minimum(np.searchsorted(codes, seen_code), len(codes) - 1)
    widest_s = _widest_s(seen.uncertainty_s, keys.uncertainty_s, tolerance)
    early = np.searchsorted(starts_s, seen.first_s - slot_s - widest_s, side="right")
    late = np.searchsorted(starts_s, seen.last_s + widest_s, side="right")
    first, end = (np.searchsorted(place, code * span + start) for start in (early, late))
    length = np.where(codes[code] == seen_code, np.maximum(end - first, 0), 0)
    return Candidates(_taken(keys, order), first, length)


def _widest_s(seen_s: Int64s, key_s: Int64s, tolerance: Tolerance) -> Int64s:
    """For each sighting, the most that it is granted with any key. An unknown clock is the least of the numbers; among
    the known ones a worse clock is granted more.
    """
    return np.maximum(*(tolerance.of_pairs(seen_s, np.array([edge_s])) for edge_s in (key_s.min(), key_s.max())))


def _exact(keys: KeyIds, seen: Sightings, row: Int64s, tolerance: Tolerance, slot_s: int) -> Matches:
    if len(keys.hi) == 0 or len(row) == 0:
        return _no_matches()
    keys, first, length = candidates(keys, seen, tolerance, slot_s)
    parts = []
    for at in _runs(length):
        # candidate c of sighting i is row first[i] + c of the keys, for c in 0..length[i]-1
        one = np.repeat(np.arange(at.start, at.stop), length[at])
        before = np.cumsum(length[at]) - length[at]
        other = np.repeat(first[at] - before, length[at]) + np.arange(len(one))
        good = _is_match(_taken(keys, other), _taken(seen, one), tolerance, slot_s)
        one, other = one[good], other[good]
        found = Matches(row[one], keys.key_index[other], keys.slot_start_s[other])
        order = np.lexsort(found[::-1])
        parts.append(Matches(*(column[order] for column in found)))
    return Matches(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _is_match(keys: KeyIds, seen: Sightings, tolerance: Tolerance, slot_s: int) -> npt.NDArray[np.bool_]:
    tolerance_s = tolerance.of_pairs(seen.uncertainty_s, keys.uncertainty_s)
    same_id: npt.NDArray[np.bool_] = (keys.hi == seen.hi) & (keys.lo == seen.lo)
    begins_in_time = seen.first_s < keys.slot_start_s + slot_s + tolerance_s
    same_id &= begins_in_time & (seen.last_s >= keys.slot_start_s - tolerance_s)
    return same_id


def _runs(length: Int64s) -> Iterator[slice]:
    """Cut sightings where `_CANDIDATES` are full; one with more stands alone."""
    ends, at = np.cumsum(length), 0
    while at < len(length):
        done = int(ends[at - 1]) if at else 0
        stop = max(at + 1, int(np.searchsorted(ends, done + _CANDIDATES, side="right")))
        yield slice(at, stop)
        at = stop


def _places_in(asked: KeyIds | Sightings, known: KeyIds | Sightings, loops: ModuleType | None) -> Int64s:
    return filter_over(known.hi, known.lo, loops).passing(asked.hi, asked.lo)


def _taken(columns: _Columns, rows: Int64s) -> _Columns:
    return type(columns)(*(column[rows] for column in columns))


def _joined(parts: list[KeyIds]) -> KeyIds:
    none = KeyIds(*(_empty() for _ in KeyIds._fields))
    return KeyIds(*(np.concatenate(columns) for columns in zip(none, *parts, strict=True)))


def _empty() -> Int64s:
    return np.empty(0, dtype=np.int64)


def _no_matches() -> Matches:
    return Matches(_empty(), _empty(), _empty())
