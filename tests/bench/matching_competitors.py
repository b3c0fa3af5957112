"""Other ways to join records with IDs that were derived and written before: DuckDB, Polars, a Python dict, Spark's SQL.

Each reads the lake's Parquet and the IDs', keeps the time check with the pair's tolerance, and answers every (record,
key, slot). Two threads each. Nothing here is used by the program.
"""

import os
import time
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matching_shapes import FIRST_DAY, NOTHING, Answer, Shape, answer_of

from bztoken.matching.tolerance import Tolerance
from bzwire.bluezone import DAY_S

THREADS = 2


class World(NamedTuple):
    """A shape, and where its records and IDs lie."""

    shape: Shape
    lake: Path
    ids: Path

    @property
    def records(self) -> list[str]:
        """Its files of records."""
        return sorted(str(path) for path in self.lake.glob("encounters/*/*.parquet"))


class Timed(NamedTuple):
    """What an engine answered, and the seconds of its stages in order; "start" is told apart from the work."""

    answer: Answer
    stages: dict[str, float]
    told: str = ""


def overlap_sql(shape: Shape) -> str:
    """The time check as SQL: the sighting (e) overlaps the slot (k) widened by the pair's tolerance."""
    tolerance_s = tolerance_sql(shape.tolerance)
    slot_s = shape.scheme.slot_s
    return f"e.last_s >= k.slot_start_s - {tolerance_s} AND e.first_s < k.slot_start_s + {slot_s} + {tolerance_s}"


def tolerance_sql(tolerance: Tolerance) -> str:
    """`Tolerance.of_pairs` in other words."""
    seen, key = "e.uncertainty_s", "k.key_uncertainty_s"
    together = f"{tolerance.base_s} + greatest({seen}, 0) + greatest({key}, 0)"
    wanted = (
        f"CASE WHEN {seen} >= 0 AND {key} >= 0 THEN {together} "
        f"WHEN {seen} < 0 AND {key} < 0 THEN {tolerance.unknown_s} "
        f"ELSE greatest({together}, {tolerance.unknown_s}) END"
    )
    return f"least({wanted}, {tolerance.largest_s})"


def duckdb_join(world: World, on: str = "e.id_hi = k.id_hi AND e.id_lo = k.id_lo") -> Timed:
    """One SQL statement over both sets of files."""
    began = time.perf_counter()
    import duckdb

    scratch = str(world.ids.parent / "duckdb-scratch")
    connection = duckdb.connect(config={"threads": THREADS, "temp_directory": scratch})
    started = time.perf_counter()
    found = connection.execute(
        "SELECT e.log, e.first_s, k.key, k.slot_start_s FROM read_parquet($1, hive_partitioning=false) e "
        f"JOIN read_parquet($2) k ON {on} WHERE e.gaen = $3 AND {overlap_sql(world.shape)}",
        [world.records, str(world.ids / "*.parquet"), int(world.shape.scheme.name == "gaen")],
    ).fetchnumpy()
    joined = time.perf_counter()
    answer = answer_of(found["log"], found["first_s"], found["key"], found["slot_start_s"])
    return Timed(answer, {"start": started - began, "join": joined - started}, f"DuckDB {duckdb.__version__}")


def polars_join(world: World) -> Timed:
    """Lazy frames, collected by its streaming engine."""
    os.environ["POLARS_MAX_THREADS"] = str(THREADS)
    began = time.perf_counter()
    import polars as pl

    started = time.perf_counter()
    tolerance = world.shape.tolerance
    seen, key = pl.col("uncertainty_s").cast(pl.Int64), pl.col("key_uncertainty_s")
    together = tolerance.base_s + pl.max_horizontal(seen, 0) + pl.max_horizontal(key, 0)
    wanted = (
        pl.when((seen >= 0) & (key >= 0))
        .then(together)
        .when((seen < 0) & (key < 0))
        .then(tolerance.unknown_s)
        .otherwise(pl.max_horizontal(together, tolerance.unknown_s))
    )
    tolerance_s = pl.min_horizontal(wanted, tolerance.largest_s)
    start_s = pl.col("slot_start_s")
    in_time = (pl.col("last_s") >= start_s - tolerance_s) & (
        pl.col("first_s") < start_s + world.shape.scheme.slot_s + tolerance_s
    )
    wanted_columns = ["id_hi", "id_lo", "first_s", "last_s", "log", "uncertainty_s"]
    records = pl.scan_parquet(world.records, hive_partitioning=False)
    records = records.filter(pl.col("gaen") == int(world.shape.scheme.name == "gaen")).select(wanted_columns)
    ids = pl.scan_parquet(str(world.ids / "*.parquet"))
    joined = records.join(ids, on=["id_hi", "id_lo"]).filter(in_time).select("log", "first_s", "key", "slot_start_s")
    found = joined.collect(engine="streaming")
    done = time.perf_counter()
    answer = answer_of(*(found[name].to_numpy() for name in ("log", "first_s", "key", "slot_start_s")))
    return Timed(answer, {"start": started - began, "join": done - started}, f"Polars {pl.__version__}")


def python_dict(world: World) -> Timed:
    """Day by day a dict of the smaller side, asked for each row of the other; plain Python, one thread."""
    began = time.perf_counter()
    import pyarrow.parquet as pq

    started = time.perf_counter()
    answer = NOTHING
    for folder in sorted(world.lake.glob("encounters/day=*")):
        records = [pq.read_table(path, columns=_RECORD).to_pydict() for path in sorted(folder.glob("*.parquet"))]
        seen = {name: [value for part in records for value in part[name]] for name in _RECORD}
        day = FIRST_DAY + sorted(world.lake.glob("encounters/day=*")).index(folder)
        answer += _dict_day(world, seen, _ids_of_day(world, day))
    return Timed(answer, {"start": started - began, "join": time.perf_counter() - started}, "")


_RECORD = ["id_hi", "id_lo", "first_s", "last_s", "log", "uncertainty_s"]
_ID = ["id_hi", "id_lo", "slot_start_s", "key", "key_uncertainty_s"]


def _ids_of_day(world: World, day: int) -> dict[str, list[int]]:
    """Of the slots that a sighting of this day can match: those of its neighbours only near midnight."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    reach_s = world.shape.tolerance.largest_s + world.shape.scheme.slot_s
    parts = []
    for near in (day - 1, day, day + 1):
        path = world.ids / f"{near}.parquet"
        if path.exists():
            table = pq.read_table(path, columns=_ID)
            start_s = table["slot_start_s"]
            # a sighting lasts for some minutes into the next day
            wanted = pc.and_(
                pc.greater_equal(start_s, day * DAY_S - reach_s),
                pc.less_equal(start_s, (day + 1) * DAY_S + reach_s),
            )
            parts.append(table.filter(wanted).to_pydict())
    return {name: [value for part in parts for value in part[name]] for name in _ID}


def _dict_day(world: World, seen: dict[str, list[int]], ids: dict[str, list[int]]) -> Answer:
    smaller, larger = (seen, ids) if len(seen["log"]) < len(ids["key"]) else (ids, seen)
    places: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
    for at, rotating_id in enumerate(zip(smaller["id_hi"], smaller["id_lo"], strict=True)):
        places[rotating_id].append(at)
    pairs = [
        (here, at)
        for at, rotating_id in enumerate(zip(larger["id_hi"], larger["id_lo"], strict=True))
        for here in places.get(rotating_id, ())
    ]
    if larger is seen:
        pairs = [(at, here) for here, at in pairs]
    found = [
        (seen["log"][row], seen["first_s"][row], ids["key"][at], ids["slot_start_s"][at])
        for row, at in pairs
        if _in_time(world.shape, seen, row, ids, at)
    ]
    return answer_of(*np.array(found, dtype=np.int64).reshape(-1, 4).T)


def _in_time(shape: Shape, seen: dict[str, list[int]], row: int, ids: dict[str, list[int]], at: int) -> bool:
    tolerance, mine_s, keys_s = shape.tolerance, seen["uncertainty_s"][row], ids["key_uncertainty_s"][at]
    together = tolerance.base_s + max(mine_s, 0) + max(keys_s, 0)
    if mine_s < 0 or keys_s < 0:
        together = tolerance.unknown_s if mine_s < 0 and keys_s < 0 else max(together, tolerance.unknown_s)
    tolerance_s = min(together, tolerance.largest_s)
    start_s = ids["slot_start_s"][at]
    return (
        seen["last_s"][row] >= start_s - tolerance_s
        and seen["first_s"][row] < start_s + shape.scheme.slot_s + tolerance_s
    )
