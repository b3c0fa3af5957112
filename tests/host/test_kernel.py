"""The join against a brute-force oracle: duplicates, tolerance edges, midnight, empty sides."""

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.host.slow_matching import Slot, pair_tolerance_s, slots_of

from bztoken.crypto import aes_ecb
from bztoken.formats.tracing_key import TracingKey
from bztoken.matching.kernel import KeyIds, Sightings, halves, match
from bztoken.matching.key_table import KeyTable, KnownId
from bztoken.matching.schemes import BLUEZONE, GAEN, Scheme, token_key
from bztoken.matching.tolerance import UNKNOWN, Tolerance
from bzwire import gaen

DAY_S = 86400
DAY_START_S = 18_482 * DAY_S
POOL = [bytes([first]) * 8 + bytes([last]) * 4 for first in (0, 1, 0x80, 0xFF) for last in (0, 7, 0xFF)]


class Seen(NamedTuple):
    rotating_id: bytes
    first_s: int
    last_s: int
    uncertainty_s: int = UNKNOWN


def columns(slots: list[Slot], seen: list[Seen]) -> tuple[KeyIds, Sightings]:
    def ints(values: list[int]) -> np.ndarray:
        return np.array(values, dtype=np.int64)

    key_ids = KeyIds(
        *halves([slot.rotating_id for slot in slots]),
        ints([slot.start_s for slot in slots]),
        ints([slot.key_index for slot in slots]),
        ints([slot.uncertainty_s for slot in slots]),
    )
    sightings = Sightings(
        *halves([one.rotating_id for one in seen]),
        ints([one.first_s for one in seen]),
        ints([one.last_s for one in seen]),
        ints([one.uncertainty_s for one in seen]),
    )
    return key_ids, sightings


def kernel(slots: list[Slot], seen: list[Seen], unknown_s: int) -> list[tuple[int, int, int]]:
    found = match(*columns(slots, seen), Tolerance(unknown_s), BLUEZONE.slot_s)
    return sorted(zip(found.row.tolist(), found.key_index.tolist(), found.slot_start_s.tolist(), strict=True))


def oracle(
    slots: list[Slot], seen: list[Seen], unknown_s: int, scheme: Scheme = BLUEZONE
) -> list[tuple[int, int, int]]:
    """Every second of the sighting against every second of the widened slot, as ranges."""
    found = []
    for row, one in enumerate(seen):
        for slot in slots:
            tolerance_s = pair_tolerance_s(one.uncertainty_s, slot.uncertainty_s, unknown_s, is_gaen=scheme is GAEN)
            near = range(slot.start_s - tolerance_s, slot.start_s + scheme.slot_s + tolerance_s)
            overlaps = one.first_s <= near[-1] and one.last_s >= near[0]
            if one.rotating_id == slot.rotating_id and overlaps:
                found.append((row, slot.key_index, slot.start_s))
    return sorted(found)


uncertainties = st.one_of(st.just(UNKNOWN), st.sampled_from([0, 1, 60, 1740, 1741]), st.integers(0, 30_000))
slot_lists = st.lists(
    st.builds(
        Slot,
        st.sampled_from(POOL),
        st.integers(0, 12).map(lambda n: DAY_START_S + n * 900),
        st.integers(0, 3),
        uncertainties,
    ),
    max_size=30,
)
seen_lists = st.lists(
    st.tuples(st.sampled_from(POOL), st.integers(-20_000, 32_000), st.integers(0, 300), uncertainties).map(
        lambda drawn: Seen(drawn[0], DAY_START_S + drawn[1], DAY_START_S + drawn[1] + drawn[2], drawn[3])
    ),
    max_size=30,
)


@settings(max_examples=300)
@given(slots=slot_lists, seen=seen_lists, unknown_s=st.sampled_from([0, 1, 899, 1800, 7200, 20_000]))
def test_every_sighting_comes_out_and_no_other(slots: list[Slot], seen: list[Seen], unknown_s: int) -> None:
    assert kernel(slots, seen, unknown_s) == oracle(slots, seen, unknown_s)


def test_blocks_of_sightings_lose_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    slots = [Slot(POOL[n % 5], DAY_START_S, n) for n in range(10)]
    seen = [Seen(POOL[n % 7], DAY_START_S + n, DAY_START_S + n) for n in range(40)]
    monkeypatch.setattr("bztoken.matching.kernel._BLOCK_ROWS", 3)
    assert kernel(slots, seen, 0) == oracle(slots, seen, 0)
    found = match(*columns(slots, seen), Tolerance(0), BLUEZONE.slot_s)
    assert np.all(np.diff(found.row) >= 0)


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


def test_ids_that_share_a_half_do_not_match() -> None:
    same_head, same_tail = b"a" * 8 + b"b" * 4, b"c" * 8 + b"b" * 4
    seen = [Seen(b"a" * 8 + b"x" * 4, DAY_START_S, DAY_START_S), Seen(same_tail, DAY_START_S, DAY_START_S)]
    assert kernel([Slot(same_head, DAY_START_S, 0)], seen, 1800) == []


def test_no_keys_and_no_records_give_nothing() -> None:
    seen = [Seen(POOL[0], DAY_START_S, DAY_START_S)]
    assert kernel([], seen, 1800) == kernel([Slot(POOL[0], DAY_START_S, 0)], [], 1800) == kernel([], [], 0) == []


def tracing(scheme: Scheme, number: int, start_s: int, per_day: int, span_s: int, uncertainty_s: int) -> TracingKey:
    key = bytes([number]) * (32 if scheme is BLUEZONE else 16)
    known_s = None if uncertainty_s == UNKNOWN else uncertainty_s
    return TracingKey(scheme.name, key, start_s, per_day, start_s + span_s, uncertainty_s=known_s)


@settings(max_examples=80, deadline=None)
@given(
    scheme=st.sampled_from([BLUEZONE, GAEN]),
    starts=st.lists(
        st.tuples(st.integers(-30, 60), st.sampled_from([96, 96, 5]), st.integers(0, 3 * DAY_S)), max_size=4
    ),
    picks=st.lists(
        st.tuples(st.integers(0, 400), st.integers(-16_000, 16_000), st.integers(0, 400), uncertainties), max_size=30
    ),
    key_uncertainties=st.lists(uncertainties, min_size=4, max_size=4),
    unknown_s=st.sampled_from([0, 1800, 20_000]),
    known_at=st.lists(st.integers(-100, 100), max_size=4),
)
def test_day_by_day_finds_what_all_at_once_finds(
    scheme: Scheme,
    starts: list[tuple[int, int, int]],
    picks: list[tuple[int, int, int, int]],
    key_uncertainties: list[int],
    unknown_s: int,
    known_at: list[int],
) -> None:
    """Random key spans and sightings around midnights: slicing by day neither loses nor doubles."""
    keys: list[TracingKey | None] = [
        tracing(scheme, n, DAY_START_S + at * scheme.slot_s, per_day, span_s, key_uncertainties[n])
        for n, (at, per_day, span_s) in enumerate(starts)
    ]
    known = [KnownId(bytes([200 + n]) * 12, DAY_START_S + at * 900, len(keys)) for n, at in enumerate(known_at)]
    slots = [slot for index, key in enumerate(keys) if key is not None for slot in slots_of(index, key)]
    slots += [Slot(one.rotating_id, one.slot_start_s, one.key_index) for one in known]
    seen = []
    for pick, shift_s, long_s, uncertainty_s in picks:
        if slots:
            slot = slots[pick % len(slots)]
            first_s = slot.start_s + shift_s
            seen.append(Seen(slot.rotating_id, first_s, first_s + long_s, uncertainty_s))
    table, found = KeyTable(scheme, [*keys, None], known), []
    tolerance = scheme.tolerance(Tolerance(unknown_s))
    for day in table.days(tolerance.largest_s):
        rows = [row for row, one in enumerate(seen) if one.first_s // DAY_S == day]
        if rows:
            _, sliced = columns([], [seen[row] for row in rows])
            key_ids = table.slice(int(sliced.first_s.min()), int(sliced.last_s.max()), tolerance.largest_s)
            matches = match(key_ids, sliced, tolerance, scheme.slot_s)
            found += [
                (rows[row], key, start)
                for row, key, start in zip(*(column.tolist() for column in matches), strict=True)
            ]
    assert sorted(found) == oracle(slots, seen, unknown_s, scheme)


def table_of(key: TracingKey, scheme: Scheme = BLUEZONE) -> KeyTable:
    return KeyTable(scheme, [key])


def test_a_sighting_that_runs_into_the_first_slot_of_a_key_is_looked_for_the_day_before() -> None:
    table = table_of(tracing(BLUEZONE, 7, DAY_START_S, 96, 0, UNKNOWN))
    assert DAY_START_S // DAY_S - 1 in table.days(tolerance_s=0)
    assert len(table.slice(DAY_START_S - 60, DAY_START_S, 0).hi) == 1
    assert len(table.slice(DAY_START_S - 60, DAY_START_S - 1, 0).hi) == 0


def test_day_keys_are_forgotten_once_time_has_passed_them() -> None:
    table = table_of(tracing(BLUEZONE, 7, DAY_START_S, 96, 30 * DAY_S, UNKNOWN))
    for day in table.days(1800):
        table.slice(day * DAY_S, day * DAY_S + DAY_S - 1, 1800)
        assert len(table._derived) <= 4


def test_a_table_passes_over_keys_of_the_other_scheme() -> None:
    keys = [tracing(scheme, 7, DAY_START_S, 96, DAY_S - 1, UNKNOWN) for scheme in (GAEN, BLUEZONE, GAEN)]
    for scheme, indices in ((BLUEZONE, {1}), (GAEN, {0, 2})):
        found = KeyTable(scheme, keys).slice(DAY_START_S, DAY_START_S + DAY_S - 1, 0)
        assert set(found.key_index.tolist()) == indices


def test_the_published_gaen_vector_is_derived() -> None:
    """Exposure Notification, published test vector (tests/vectors/gaen.json has all of it)."""
    key = TracingKey("gaen", bytes.fromhex("75c734c6dd1a782de7a965da5eb93125"), 2_642_976 * 600, 144, 2_643_119 * 600)
    found = table_of(key, GAEN).slice(key.time_start_s, key.time_end_s, 0)
    assert len(found.hi) == 144
    assert halves([bytes.fromhex("8be6cd371c5c891604bfbe49df845096")])[0][0] == found.hi[0]


@pytest.mark.parametrize("ahead_s", [0, 1, 600, -600, 3601, -7200, 5000])
def test_a_gaen_key_of_a_token_is_derived_from_its_own_midnight_wherever_its_clock_put_that(ahead_s: int) -> None:
    """registry/key_times moves the span to true time; the intervals stay those that the token counted."""
    key = tracing(GAEN, 7, DAY_START_S - ahead_s, 144, DAY_S - 1, 30)
    found = table_of(token_key(key), GAEN).slice(DAY_START_S - DAY_S, DAY_START_S + 2 * DAY_S, 7200)
    first = gaen.rpi(gaen.rpi_key(key.key), DAY_START_S // 600, aes_ecb)
    assert halves([first])[0][0] == found.hi[0]
    assert abs(int(found.slot_start_s[0]) - (DAY_START_S - ahead_s)) <= 1
