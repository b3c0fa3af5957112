"""The join against SQL that says the same in its own words, over IDs that were all written down, run by DuckDB."""

from collections.abc import Iterator

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.host.joined_worlds import (
    DAY_START_S,
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
from bztoken.matching.kernel import KeyIds, Sightings, match_with
from bztoken.matching.schemes import BLUEZONE, GAEN, Scheme
from bztoken.matching.tolerance import UNKNOWN, Tolerance

SQL = """
WITH
granted AS (SELECT least($unknown_s, $most_s) AS blind_s, least(greatest($unknown_s, 4 * 3600), $most_s) AS cap_s),
sighting AS (SELECT row, hi, lo, first_s, last_s, nullif(uncertainty_s, -1) AS off_s FROM sightings),
slot AS (SELECT key_index, hi, lo, start_s, start_s + $slot_s AS end_s, nullif(uncertainty_s, -1) AS off_s FROM slots),
pair AS (
    SELECT row, key_index, start_s, end_s, first_s, last_s, least(cap_s, CASE
        WHEN sighting.off_s IS NULL AND slot.off_s IS NULL THEN blind_s
        WHEN sighting.off_s IS NULL OR slot.off_s IS NULL
            THEN greatest(blind_s, 60 + coalesce(sighting.off_s, slot.off_s))
        ELSE 60 + sighting.off_s + slot.off_s END) AS tolerance_s
    FROM sighting JOIN slot ON sighting.hi = slot.hi AND sighting.lo = slot.lo, granted
)
SELECT row, key_index, start_s FROM pair
WHERE NOT (last_s < start_s - tolerance_s OR first_s >= end_s + tolerance_s)
ORDER BY ALL
"""
NO_LIMIT_S = 1 << 40


@pytest.fixture(scope="module")
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


def by_sql(
    database: duckdb.DuckDBPyConnection, key_ids: KeyIds, seen: Sightings, unknown_s: int, scheme: Scheme
) -> dict[str, np.ndarray]:
    slots = {**key_ids._asdict(), "start_s": key_ids.slot_start_s}
    sightings = {"row": np.arange(len(seen.hi)), **seen._asdict()}
    database.register("slots", slots)
    database.register("sightings", sightings)
    most_s = 2 * 3600 if scheme is GAEN else NO_LIMIT_S
    asked = {"unknown_s": unknown_s, "slot_s": scheme.slot_s, "most_s": most_s}
    return database.execute(SQL, asked).fetchnumpy()


def sql_rows(
    database: duckdb.DuckDBPyConnection, slots: list[Slot], seen: list[Seen], unknown_s: int, scheme: Scheme
) -> Found:
    found = by_sql(database, *columns(slots, seen), unknown_s, scheme)
    return list(zip(*(column.tolist() for column in found.values()), strict=True))


@pytest.mark.parametrize("loops", [None, join_loops], ids=["numpy", "compiled"])
@settings(max_examples=60, deadline=None)
@given(
    slots=slot_lists,
    seen=seen_lists,
    unknown_s=unknowns_s,
    scheme=st.sampled_from([BLUEZONE, GAEN]),
    ids=st.sampled_from([0, 1 << 40]),
    cuts=st.lists(st.integers(0, 30), max_size=3),
)
def test_sql_and_the_loop_and_the_kernel_agree(
    database: duckdb.DuckDBPyConnection,
    loops: object,
    slots: list[Slot],
    seen: list[Seen],
    unknown_s: int,
    scheme: Scheme,
    ids: int,
    cuts: list[int],
) -> None:
    key_ids, sightings = columns(slots, seen)
    tolerance = scheme.tolerance(Tolerance(unknown_s))
    found = rows_of(match_with(loops, cut(key_ids, cuts), ids, sightings, tolerance, scheme.slot_s))
    assert found == oracle(slots, seen, unknown_s, scheme)
    assert found == sql_rows(database, slots, seen, unknown_s, scheme)


def province(rows: int, ids: int, seed: int) -> tuple[KeyIds, Sightings]:
    """A day on which some IDs are heard often, some keys are listed twice, some clocks are off, and the rest is of
    strangers. The halves of some IDs are those of others.
    """
    rng = np.random.default_rng(seed)
    hi, lo = (rng.integers(-(2**63), 2**63, ids) for _ in range(2))
    twice = rng.integers(0, ids, (2, ids // 100))
    hi[twice[0]], lo[twice[0]] = hi[twice[1]], lo[twice[1]]
    hi[rng.integers(0, ids, 300)] = hi[rng.integers(0, ids, 300)]
    start_s = DAY_START_S + rng.integers(-12, 156, ids) * 600
    keys = KeyIds(hi, lo, start_s, rng.integers(0, 2000, ids), rng.choice([UNKNOWN, 0, 30, 4000], ids))
    seen_hi, seen_lo = (rng.integers(-(2**63), 2**63, rows) for _ in range(2))
    first_s = DAY_START_S + np.sort(rng.integers(0, 86_400, rows))
    met = rng.permutation(rows)[: rows // 20]
    # a few IDs make up half of what is met: their owners sat in waiting rooms
    whom = np.where(rng.random(len(met)) < 0.5, rng.integers(0, 40, len(met)), rng.integers(0, ids, len(met)))
    seen_hi[met], seen_lo[met] = hi[whom], lo[whom]
    first_s[met] = start_s[whom] + rng.integers(-9000, 9000, len(met))
    last_s = first_s + rng.integers(0, 300, rows)
    return keys, Sightings(seen_hi, seen_lo, first_s, last_s, rng.choice([UNKNOWN, 0, 5, 600], rows))


@pytest.mark.parametrize(("rows", "ids"), [(200_000, 300_000), (300_000, 100_000)])
@pytest.mark.parametrize("loops", [None, join_loops], ids=["numpy", "compiled"])
def test_on_a_day_of_a_province_sql_finds_the_same(
    database: duckdb.DuckDBPyConnection, loops: object, rows: int, ids: int
) -> None:
    keys, seen = province(rows, ids, seed=rows)
    blocks = cut(keys, [ids // 3, ids // 3, ids // 2])
    found = match_with(loops, blocks, ids, seen, GAEN.tolerance(Tolerance(1800)), GAEN.slot_s)
    expected = by_sql(database, keys, seen, 1800, GAEN)
    assert len(found.row) > rows // 100
    assert len(np.unique(found.row)) < len(found.row)
    for column, values in zip(found, expected.values(), strict=True):
        assert np.array_equal(column, values)
