"""The slots of many keys around a moment: slices across midnights, shifted clocks, keys of the other scheme."""

from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.host.joined_worlds import DAY_S, DAY_START_S, Seen, columns, oracle, uncertainties
from tests.host.slow_matching import Slot, slots_of

from bztoken.crypto import aes_ecb
from bztoken.formats.tracing_key import TracingKey
from bztoken.matching.derivation import ids_of_days
from bztoken.matching.kernel import KeyIds, halves, match
from bztoken.matching.key_columns import KeyColumns
from bztoken.matching.key_table import KeyTable, KnownId
from bztoken.matching.schemes import BLUEZONE, GAEN, Scheme, token_key
from bztoken.matching.tolerance import UNKNOWN, Tolerance
from bzwire import gaen


def tracing(scheme: Scheme, number: int, start_s: int, per_day: int, span_s: int, uncertainty_s: int) -> TracingKey:
    key = bytes([number]) * (32 if scheme is BLUEZONE else 16)
    known_s = None if uncertainty_s == UNKNOWN else uncertainty_s
    return TracingKey(scheme.name, key, start_s, per_day, start_s + span_s, uncertainty_s=known_s)


def ids_around(table: KeyTable, first_s: int, last_s: int, tolerance_s: int) -> KeyIds:
    """All blocks as one."""
    around = table.around(first_s, last_s, tolerance_s)
    blocks = list(around.blocks)
    assert sum(len(block.hi) for block in blocks) <= around.ids
    nothing = KeyIds(*(np.empty(0, dtype=np.int64) for _ in KeyIds._fields))
    return KeyIds(*(np.concatenate(parts) for parts in zip(nothing, *blocks, strict=True)))


def table_of(key: TracingKey, scheme: Scheme = BLUEZONE) -> KeyTable:
    return KeyTable(scheme, KeyColumns.of([key]))


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
    kept_ids=st.sampled_from([0, 250, 1 << 20]),
    block_ids=st.sampled_from([100, 1 << 20]),
    order=st.randoms(use_true_random=False),
)
def test_day_by_day_finds_what_all_at_once_finds(
    scheme: Scheme,
    starts: list[tuple[int, int, int]],
    picks: list[tuple[int, int, int, int]],
    key_uncertainties: list[int],
    unknown_s: int,
    known_at: list[int],
    kept_ids: int,
    block_ids: int,
    order: Random,
) -> None:
    """Random key spans and sightings around midnights: slicing by day neither loses nor doubles, in whatever order of
    days, with IDs kept from one to the next or not.
    """
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
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bztoken.matching.kept_ids.BLOCK_IDS", block_ids)
        table, found = KeyTable(scheme, KeyColumns.of([*keys, None]), known), []
    tolerance = scheme.tolerance(Tolerance(unknown_s))
    days = table.days(tolerance.largest_s)
    if order.random() < 0.5:
        order.shuffle(days)
    for day in days:
        rows = [row for row, one in enumerate(seen) if one.first_s // DAY_S == day]
        if rows:
            _, sliced = columns([], [seen[row] for row in rows])
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("bztoken.matching.kept_ids._KEPT_IDS", kept_ids)
                around = table.around(int(sliced.first_s.min()), int(sliced.last_s.max()), tolerance.largest_s)
                matches = match(around.blocks, around.ids, sliced, tolerance, scheme.slot_s)
            found += [
                (rows[row], key, start)
                for row, key, start in zip(*(column.tolist() for column in matches), strict=True)
            ]
    assert sorted(found) == oracle(slots, seen, unknown_s, scheme)


def test_a_sighting_that_runs_into_the_first_slot_of_a_key_is_looked_for_the_day_before() -> None:
    table = table_of(tracing(BLUEZONE, 7, DAY_START_S, 96, 0, UNKNOWN))
    assert DAY_START_S // DAY_S - 1 in table.days(tolerance_s=0)
    assert len(ids_around(table, DAY_START_S - 60, DAY_START_S, 0).hi) == 1
    assert len(ids_around(table, DAY_START_S - 60, DAY_START_S - 1, 0).hi) == 0


def test_only_the_slots_around_a_day_are_derived() -> None:
    table = table_of(tracing(BLUEZONE, 7, DAY_START_S, 96, 30 * DAY_S, UNKNOWN))
    for day in table.days(1800):
        found = ids_around(table, day * DAY_S, day * DAY_S + DAY_S - 1, 1800)
        assert len(found.hi) <= 96 + 2 * 2 + 1
        assert np.all(found.slot_start_s > day * DAY_S - 1800 - 900)
        assert np.all(found.slot_start_s <= day * DAY_S + DAY_S - 1 + 1800)


def test_blocks_of_many_keys_hold_every_slot_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bztoken.matching.kept_ids.BLOCK_IDS", 100)
    keys = [tracing(GAEN, n, DAY_START_S, 144, DAY_S - 1, UNKNOWN) for n in range(9)]
    around = KeyTable(GAEN, KeyColumns.of(keys)).around(DAY_START_S, DAY_START_S + DAY_S - 1, 0)
    blocks = list(around.blocks)
    assert len(blocks) == 9  # a key's slots stay together
    slots = {(key, at_s) for block in blocks for key, at_s in zip(block.key_index, block.slot_start_s, strict=True)}
    assert len(slots) == sum(len(block.hi) for block in blocks) == 9 * 144


@pytest.mark.parametrize("kept", [False, True])
def test_a_key_is_derived_once_while_there_is_room(monkeypatch: pytest.MonkeyPatch, kept: bool) -> None:
    """Day by day over three days, of which each wants the edges of its neighbours."""
    derived: list[int] = []

    def count(name: str, day_keys: Any, start_s: Any, slots: Any) -> Any:
        derived.append(len(day_keys))
        return ids_of_days(name, day_keys, start_s, slots)

    for module in ("kept_ids", "key_table"):
        monkeypatch.setattr(f"bztoken.matching.{module}.ids_of_days", count)
    if not kept:
        monkeypatch.setattr("bztoken.matching.kept_ids._KEPT_IDS", 0)
    table = KeyTable(
        GAEN, KeyColumns.of([tracing(GAEN, n, DAY_START_S + n * DAY_S, 144, DAY_S - 1, UNKNOWN) for n in range(3)])
    )
    for day in range(3):
        first_s = DAY_START_S + day * DAY_S
        assert len(ids_around(table, first_s, first_s + DAY_S - 1, 7200).hi) == 144 + 12 * (1 if day != 1 else 2)
    assert sum(derived) == (3 if kept else 7)


def test_a_table_passes_over_keys_of_the_other_scheme() -> None:
    keys = KeyColumns.of([tracing(scheme, 7, DAY_START_S, 96, DAY_S - 1, UNKNOWN) for scheme in (GAEN, BLUEZONE, GAEN)])
    for scheme, indices in ((BLUEZONE, {1}), (GAEN, {0, 2})):
        found = ids_around(KeyTable(scheme, keys), DAY_START_S, DAY_START_S + DAY_S - 1, 0)
        assert set(found.key_index.tolist()) == indices


def test_the_published_gaen_vector_is_derived() -> None:
    """Exposure Notification, published test vector (tests/vectors/gaen.json has all of it)."""
    key = TracingKey("gaen", bytes.fromhex("75c734c6dd1a782de7a965da5eb93125"), 2_642_976 * 600, 144, 2_643_119 * 600)
    found = ids_around(table_of(key, GAEN), key.time_start_s, key.time_end_s, 0)
    assert len(found.hi) == 144
    assert halves([bytes.fromhex("8be6cd371c5c891604bfbe49df845096")])[0][0] == found.hi[0]


@pytest.mark.parametrize("ahead_s", [0, 1, 600, -600, 3601, -7200, 5000])
def test_a_gaen_key_of_a_token_is_derived_from_its_own_midnight_wherever_its_clock_put_that(ahead_s: int) -> None:
    """registry/key_times moves the span to true time; the intervals stay those that the token counted."""
    key = tracing(GAEN, 7, DAY_START_S - ahead_s, 144, DAY_S - 1, 30)
    found = ids_around(table_of(token_key(key), GAEN), DAY_START_S - DAY_S, DAY_START_S + 2 * DAY_S, 7200)
    first = gaen.rpi(gaen.rpi_key(key.key), DAY_START_S // 600, aes_ecb)
    assert halves([first])[0][0] == found.hi[0]
    assert abs(int(found.slot_start_s[0]) - (DAY_START_S - ahead_s)) <= 1
