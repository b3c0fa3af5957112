"""The join against a brute-force oracle, by both ways and from both sides: duplicates, tolerance edges, midnight."""

import tracemalloc
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.host.joined_worlds import (
    DAY_S,
    DAY_START_S,
    POOL,
    Found,
    Seen,
    columns,
    cut,
    oracle,
    rows_of,
    seen_lists,
    slot_lists,
    unknowns_s,
)
from tests.host.slow_matching import Slot

from bztoken.matching import join_loops
from bztoken.matching.kernel import KeyIds, Sightings, candidates, match, match_with
from bztoken.matching.schemes import BLUEZONE
from bztoken.matching.tolerance import UNKNOWN, Tolerance

WAYS = {"numpy": None, "compiled": join_loops}
FEWER, MORE = 0, 1 << 40  # how many IDs there will be, as told: which side the filter is over
by_both_ways = pytest.mark.parametrize("way", WAYS)
from_both_sides = pytest.mark.parametrize("ids", [FEWER, MORE], ids=["ids-held", "ids-streamed"])


def kernel(
    slots: Sequence[Slot],
    seen: Sequence[Seen],
    unknown_s: int,
    way: str = "numpy",
    ids: int = MORE,
    cuts: Sequence[int] = (),
) -> Found:
    key_ids, sightings = columns(slots, seen)
    return rows_of(match_with(WAYS[way], cut(key_ids, cuts), ids, sightings, Tolerance(unknown_s), BLUEZONE.slot_s))


@by_both_ways
@from_both_sides
@settings(max_examples=150, deadline=None)
@given(slots=slot_lists, seen=seen_lists, unknown_s=unknowns_s, cuts=st.lists(st.integers(0, 30), max_size=4))
def test_every_sighting_comes_out_in_order_and_no_other(
    way: str, ids: int, slots: list[Slot], seen: list[Seen], unknown_s: int, cuts: list[int]
) -> None:
    assert kernel(slots, seen, unknown_s, way, ids, cuts) == oracle(slots, seen, unknown_s)


@by_both_ways
@from_both_sides
@pytest.mark.parametrize("at_most", [1, 7])
def test_candidates_compared_a_few_at_a_time_are_all_compared(
    monkeypatch: pytest.MonkeyPatch, way: str, ids: int, at_most: int
) -> None:
    slots = [Slot(POOL[n % 5], DAY_START_S + n % 2 * 900, n) for n in range(10)]
    seen = [Seen(POOL[n % 7], DAY_START_S + n * 60, DAY_START_S + n * 60) for n in range(40)]
    monkeypatch.setattr("bztoken.matching.kernel._CANDIDATES", at_most)
    found = kernel(slots, seen, 0, way, ids)
    assert found == oracle(slots, seen, 0)
    assert len(found) > at_most


@by_both_ways
@from_both_sides
def test_the_same_id_in_many_logs_and_of_many_keys_comes_out_each_time(way: str, ids: int) -> None:
    slots = [Slot(POOL[0], DAY_START_S, n) for n in range(3)] + [Slot(POOL[0], DAY_START_S, 0)]
    seen = [Seen(POOL[0], DAY_START_S + n % 2, DAY_START_S + 60) for n in range(50)]
    assert kernel(slots, seen, 0, way, ids) == [(row, key, DAY_START_S) for row in range(50) for key in (0, 0, 1, 2)]


@by_both_ways
@from_both_sides
def test_a_slot_before_midnight_matches_a_sighting_after_it(way: str, ids: int) -> None:
    last = Slot(POOL[1], DAY_START_S + DAY_S - 900, 0)
    seen = [Seen(POOL[1], at_s, at_s) for at_s in (DAY_START_S + DAY_S + 59, DAY_START_S + DAY_S + 60)]
    assert kernel([last], seen, 60, way, ids) == [(0, 0, last.start_s)]


@by_both_ways
@from_both_sides
def test_of_a_key_released_mid_day_nothing_later_matches(way: str, ids: int) -> None:
    """IDs end with the key; those that its owner broadcast afterwards come from a key that nobody released."""
    slots = [Slot(POOL[n], DAY_START_S + n * 900, 0) for n in range(5)]
    seen = [Seen(POOL[n], DAY_START_S + n * 900 + 60, DAY_START_S + n * 900 + 120) for n in range(8)]
    assert [row for row, _, _ in kernel(slots, seen, 0, way, ids)] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("at_s", "matches"), [(-1801, False), (-1800, True), (0, True), (900 + 1799, True), (900 + 1800, False)]
)
def test_the_tolerance_ends_to_the_second(at_s: int, matches: bool) -> None:
    slot, seen = Slot(POOL[0], DAY_START_S, 0), Seen(POOL[0], DAY_START_S + at_s, DAY_START_S + at_s)
    assert bool(kernel([slot], [seen], 1800)) is matches


@pytest.mark.parametrize(
    ("seen_s", "key_s", "tolerance_s"),
    [
        (0, 0, 60),
        (5, 7, 72),
        (3000, 600, 3660),
        (UNKNOWN, 0, 1800),
        (0, UNKNOWN, 1800),
        (UNKNOWN, 3000, 3060),
        (9000, 9000, 14_400),
        (UNKNOWN, UNKNOWN, 1800),
    ],
)
def test_a_known_clock_narrows_and_a_bad_one_widens_up_to_four_hours(seen_s: int, key_s: int, tolerance_s: int) -> None:
    slot = Slot(POOL[0], DAY_START_S, 0, key_s)
    for late_s, matches in ((tolerance_s - 1, True), (tolerance_s, False)):
        at_s = DAY_START_S + 900 + late_s
        assert bool(kernel([slot], [Seen(POOL[0], at_s, at_s, seen_s)], 1800)) is matches


@by_both_ways
@from_both_sides
def test_ids_that_share_a_half_do_not_match(way: str, ids: int) -> None:
    same_head, same_tail = b"a" * 8 + b"b" * 4, b"c" * 8 + b"b" * 4
    seen = [Seen(b"a" * 8 + b"x" * 4, DAY_START_S, DAY_START_S), Seen(same_tail, DAY_START_S, DAY_START_S)]
    assert kernel([Slot(same_head, DAY_START_S, 0)], seen, 1800, way, ids) == []


@by_both_ways
@from_both_sides
def test_no_keys_and_no_records_give_nothing(way: str, ids: int) -> None:
    seen = [Seen(POOL[0], DAY_START_S, DAY_START_S)]
    assert kernel([], seen, 1800, way, ids) == kernel([], [], 0, way, ids) == []
    assert kernel([Slot(POOL[0], DAY_START_S, 0)], [], 1800, way, ids) == []


def test_without_records_no_id_is_derived() -> None:
    def blocks() -> Iterator[KeyIds]:
        raise AssertionError("asked for IDs")
        yield

    _, nothing = columns([], [])
    assert rows_of(match(blocks(), 1, nothing, Tolerance(), BLUEZONE.slot_s)) == []


# -- logs with chosen bytes --------------------------------------------------------------------------------------------
def test_rows_that_share_half_of_a_case_id_are_no_candidates() -> None:
    """Someone logs 20,000 IDs that begin like one of a case, and 20,000 that end like it."""
    case = b"c" * 8 + b"d" * 8
    near = [case[:8] + n.to_bytes(8, "big") for n in range(20_000)]
    near += [n.to_bytes(8, "big") + case[8:] for n in range(20_000)]
    key_ids, sightings = columns(
        [Slot(case, DAY_START_S, 0)], [Seen(one, DAY_START_S, DAY_START_S) for one in [*near, case]]
    )
    assert candidates(key_ids, sightings, Tolerance(), BLUEZONE.slot_s).length.sum() == 1
    assert [row for row, _, _ in rows_of(match([key_ids], 1, sightings, Tolerance(), BLUEZONE.slot_s))] == [40_000]


@from_both_sides
@settings(max_examples=60, deadline=None)
@given(slots=slot_lists, seen=seen_lists)
def test_ids_whose_hashes_are_all_the_same_are_told_apart(ids: int, slots: list[Slot], seen: list[Seen]) -> None:
    """The secret saves time; the answer does not rest on it."""
    with pytest.MonkeyPatch.context() as patch:
        for module in ("kernel", "prefilter"):
            patch.setattr(f"bztoken.matching.{module}.keyed", lambda hi, lo, secret: np.zeros(len(hi), dtype=np.uint64))
        assert kernel(slots, seen, 1800, ids=ids) == oracle(slots, seen, 1800)


def repeated(rows: int, first_s: int, uncertainty_s: int) -> Sightings:
    """One ID, all bytes zero, heard again and again."""
    zeros = np.zeros(rows, dtype=np.int64)
    at_s = np.full(rows, first_s, dtype=np.int64)
    return Sightings(zeros, zeros, at_s, at_s, np.full(rows, uncertainty_s, dtype=np.int64))


def of_keys(keys: int, start_s: int, uncertainty_s: int) -> KeyIds:
    """The same ID as if from so many keys."""
    zeros = np.zeros(keys, dtype=np.int64)
    fill = (np.full(keys, value, dtype=np.int64) for value in (start_s, uncertainty_s))
    start, known = fill
    return KeyIds(zeros, zeros, start, np.arange(keys, dtype=np.int64), known)


def test_an_id_replayed_a_million_times_out_of_time_makes_no_candidates() -> None:
    sightings = repeated(1_000_000, DAY_START_S + 6 * 3600, 0)
    keys = of_keys(1000, DAY_START_S, 30)  # known clocks: 90 s are granted, not the largest tolerance
    assert candidates(keys, sightings, Tolerance(), BLUEZONE.slot_s).length.sum() == 0
    near = sightings._replace(first_s=sightings.first_s - 6 * 3600, last_s=sightings.last_s - 6 * 3600)
    assert candidates(keys, near, Tolerance(), BLUEZONE.slot_s).length.sum() == 1_000_000_000


@by_both_ways
@from_both_sides
def test_many_candidates_that_come_to_nothing_stay_within_a_block_of_memory(way: str, ids: int) -> None:
    """9 million pairs of one ID that only the exact tolerance of each tells apart: one key's clock is unknown."""
    sightings = repeated(3000, DAY_START_S + 900 + 1000, 0)
    keys = of_keys(3000, DAY_START_S, 30)
    keys.uncertainty_s[0] = UNKNOWN
    assert candidates(keys, sightings, Tolerance(), BLUEZONE.slot_s).length.sum() == 9_000_000
    tracemalloc.start()
    try:
        found = match_with(WAYS[way], [keys], ids, sightings, Tolerance(), BLUEZONE.slot_s)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert rows_of(found) == [(row, 0, DAY_START_S) for row in range(3000)]
    assert peak_bytes < 64_000_000  # all pairs at once would be 16 columns of 72 MB


def test_ids_are_let_go_block_by_block() -> None:
    """Two million IDs of strangers, 40 bytes each, against a small log."""
    rng = np.random.default_rng(7)

    def strangers() -> Iterator[KeyIds]:
        for _ in range(32):
            hi, lo, key = rng.integers(-(2**63), 2**63, (3, 1 << 16))
            start = np.full(1 << 16, DAY_START_S, dtype=np.int64)
            yield KeyIds(hi, lo, start, key, start)

    _, sightings = columns([], [Seen(one, DAY_START_S, DAY_START_S) for one in POOL])
    tracemalloc.start()
    try:
        found = match_with(join_loops, strangers(), 1 << 21, sightings, Tolerance(), BLUEZONE.slot_s)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert rows_of(found) == []
    assert peak_bytes < 16_000_000  # all IDs would be 84 MB
