"""The benchmark of the matching, on tiny worlds: all ways to join find the same, so that their times can be compared.

Its modules lie beside each other, as scripts do; IDs are made by the wire formats, not by the derivation.
"""

import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bztoken.lake.source import LakeFactory
from bztoken.matching.task import Task

KEYS_PER_DAY, RECORDS, CLINICS, DAYS = 12, 24_000, 2, 3


@pytest.fixture(scope="module")
def bench(repository: Path) -> Iterator[None]:
    folder = str(repository / "tests" / "bench")
    sys.path.insert(0, folder)
    yield
    sys.path.remove(folder)


@pytest.fixture(scope="module", params=["province", "province-bluezone"])
def world(bench: None, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A lake and its IDs in files."""
    lake, competitors, ids, shapes = map(
        import_module, ("matching_lake", "matching_competitors", "matching_ids", "matching_shapes")
    )
    shape = replace(
        shapes.SHAPES[request.param],
        keys_per_day=KEYS_PER_DAY,
        met_per_day=KEYS_PER_DAY,
        records=RECORDS,
        clinics=CLINICS,
        days=DAYS,
    )
    folder = tmp_path_factory.mktemp(request.param)
    lake.write_lake(folder / "lake", shape, ids.Reference(shape))
    lake.write_ids(folder / "ids", shape, ids.Reference(shape))
    return competitors.World(shape, folder / "lake", folder / "ids")


def ours(world: Any) -> Any:
    """The program's join over the lake, day by day, its own derivation included."""
    mine, shapes = import_module("matching_ours"), import_module("matching_shapes")
    peers, source, answer = mine.peers_of(world.shape), LakeFactory(world.lake)(), shapes.NOTHING
    for day in source.rows_by_day():
        part = source.slice(Task(day))
        seen = part.seen()
        found = mine.matches(world.shape, peers, seen)
        rows, place = np.unique(found.row, return_inverse=True)
        log = part.take(rows).log_id[place]
        answer += shapes.answer_of(log, seen.first_s[found.row], found.key_index, found.slot_start_s)
    return answer


def test_every_way_to_join_finds_the_same(world: Any) -> None:
    competitors = import_module("matching_competitors")
    expected = ours(world)
    assert expected.count > 100
    assert competitors.duckdb_join(world).answer == expected
    assert competitors.polars_join(world).answer == expected
    assert competitors.python_dict(world).answer == expected


def test_ids_at_the_wrong_time_are_planted_too(world: Any) -> None:
    """Else a join without its time check would pass for a right one."""
    import duckdb

    everything = duckdb.execute(
        "SELECT count(*) FROM read_parquet($1, hive_partitioning=false) e "
        "JOIN read_parquet($2) k ON e.id_hi = k.id_hi AND e.id_lo = k.id_lo",
        [world.records, str(world.ids / "*.parquet")],
    ).fetchone()
    assert everything is not None
    assert everything[0] > ours(world).count + 5


def test_one_record_more_or_less_or_another_is_another_answer(bench: None) -> None:
    answer_of = import_module("matching_shapes").answer_of
    columns = np.arange(40, dtype=np.int64).reshape(4, 10)
    whole = answer_of(*columns)
    assert answer_of(*columns[:, ::-1]) == whole
    assert answer_of(*columns[:, 1:]).checksum != whole.checksum
    other = columns.copy()
    other[2, 3] += 1
    assert answer_of(*other).checksum != whole.checksum
    assert answer_of(*columns[:, :4]) + answer_of(*columns[:, 4:]) == whole


def test_the_first_keys_of_a_country_are_those_of_its_province(bench: None) -> None:
    data, shapes = import_module("matching_data"), import_module("matching_shapes")
    small = replace(shapes.PROVINCE, keys_per_day=3, days=2)
    large = replace(small, keys_per_day=7)
    few, many = data.keys_of(small), data.keys_of(large)
    for mine, its in zip(few, many, strict=True):
        assert np.array_equal(mine, np.concatenate([its[:3], its[7:10]]))
