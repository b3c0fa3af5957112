"""What the program does in the matching benchmark: its join alone, and all of `bztoken match` up to the scores."""

import time
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from typing import NamedTuple

import numpy as np
from matching_competitors import Timed, World
from matching_data import Keys, keys_of
from matching_ids import Deriving
from matching_shapes import NOTHING, Answer, Shape, answer_of

from bztoken import scoring
from bztoken.formats.tracing_key import SCHEMES
from bztoken.lake.source import LakeFactory
from bztoken.matching import derivation, prefilter
from bztoken.matching.day import Seen
from bztoken.matching.engines import Engine
from bztoken.matching.found import DayFound
from bztoken.matching.kernel import Matches, Sightings, match
from bztoken.matching.key_columns import KEY_BYTES, KeyColumns
from bztoken.matching.key_table import Around
from bztoken.matching.peers import Kind, Owner, Peers
from bztoken.matching.run import MAX_TASK_ROWS, KeepsNothing, match_days, opened
from bztoken.matching.task import Context, Task
from bztoken.matching.tolerance import Int64s, Tolerance

_UNTOLD = 1 << 20
_WARM_KEYS = 500
_MANY = 1 << 40  # IDs: surely worth compiled loops


class Joined(NamedTuple):
    """A task's answer, the seconds that reading took, and all of them."""

    answer: Answer
    read_s: float
    seconds: float


def peers_of(shape: Shape, keys: Keys | None = None) -> Peers:
    """Every key of a day is another case's."""
    keys = keys or keys_of(shape)
    count = len(keys.start_s)

    def full(value: int) -> Int64s:
        return np.full(count, value, dtype=np.int64)

    padded = np.zeros((count, KEY_BYTES), dtype=np.uint8)
    padded[:, : keys.day_key.shape[1]] = keys.day_key
    columns = KeyColumns(
        scheme=full(SCHEMES.index(shape.scheme.name)),
        key=padded,
        time_start_s=keys.start_s,
        slots_per_day=keys.slots,
        time_end_s=keys.start_s + keys.slots * shape.scheme.slot_s - 1,
        uncertainty_s=keys.uncertainty_s,
        tx_power_dbm=full(_UNTOLD),
        report_type=full(_UNTOLD),
        days_since_onset=full(_UNTOLD),
    )
    owners = [Owner(Kind.CASE, number, 0) for number in range(1, shape.keys_per_day + 1)]
    return Peers(columns, owners, np.arange(count, dtype=np.int64) % shape.keys_per_day)


def local_join(world: World, workers: int, least_shards: int = 1) -> Timed:
    """Read, derive, join: every (record, key, slot), in so many processes that are ready when it begins, by the
    tasks of `bztoken match` or more of them.
    """
    began = time.perf_counter()
    with ProcessPoolExecutor(workers, get_context("spawn"), _open, (world, least_shards)) as pool:
        tasks = max(pool.map(_warm, range(workers)))
        started = time.perf_counter()
        joined = list(pool.map(_join, tasks, chunksize=-(-len(tasks) // workers)))  # neighbours, as the engine has it
        done = time.perf_counter()
    answer = sum((one.answer for one in joined), NOTHING)
    told = f"reading {sum(one.read_s for one in joined):.1f} s of {sum(one.seconds for one in joined):.1f} s"
    return Timed(answer, {"start": started - began, "join": done - started}, told)


_handed: list[tuple[World, int]] = []


def _open(world: World, least_shards: int) -> None:
    _handed.append((world, least_shards))


def _warm(_: int) -> list[Task]:
    """Load the compiled loops, as DuckDB and Polars are loaded before they begin; answers the tasks."""
    opened = _opened()
    shape, keys = opened.shape, keys_of(opened.shape)
    prefilter.CHOICE.loops_for(_MANY)
    derivation.expect(shape.scheme.name, _MANY)
    ids = Deriving(shape)(keys, np.arange(min(_WARM_KEYS, shape.keys)))
    seen = Sightings(ids.hi, ids.lo, ids.slot_start_s, ids.slot_start_s, ids.uncertainty_s)
    match([ids], len(ids.hi), seen, shape.tolerance, shape.scheme.slot_s)
    time.sleep(0.2)  # so that the other worker takes the other turn
    return [
        Task(day, shard, shards)
        for day, rows in sorted(opened.source.rows_by_day().items())
        for shards in [max(opened.least_shards, -(-rows // MAX_TASK_ROWS))]
        for shard in range(shards)
    ]


class _Opened:
    def __init__(self, world: World, least_shards: int) -> None:
        self.shape = world.shape
        self.peers = peers_of(world.shape)
        self.source = LakeFactory(world.lake)()
        self.least_shards = least_shards


@cache
def _opened() -> _Opened:
    return _Opened(*_handed[0])


def _join(task: Task) -> Joined:
    began = time.perf_counter()
    opened = _opened()
    part = opened.source.slice(task)
    seen = part.seen()
    read_s = time.perf_counter() - began
    found = matches(opened.shape, opened.peers, seen)
    rows, place = np.unique(found.row, return_inverse=True)
    log, first_s = part.take(rows).log_id[place], seen.first_s[found.row]
    answer = answer_of(log, first_s, found.key_index, found.slot_start_s)
    return Joined(answer, read_s, time.perf_counter() - began)


def matches(shape: Shape, peers: Peers, seen: Seen) -> Matches:
    """As `bztoken.matching.day` finds them, before anything is scored."""
    around = around_of(shape, peers, seen)
    return match(around.blocks, around.ids, Sightings(*seen[:5]), shape.tolerance, shape.scheme.slot_s)


def around_of(shape: Shape, peers: Peers, seen: Seen) -> Around:
    """The IDs that these sightings can match."""
    first_s, last_s = int(seen.first_s[0]), int(seen.last_s.max())
    return peers.tables[shape.scheme].around(first_s, last_s, shape.tolerance.largest_s)


def local_scored(world: World, workers: int) -> Timed:
    """The local engine, scores included."""
    from bztoken.matching.engines.local import LocalEngine

    return _scored(world, LocalEngine(workers))


def spark_scored(world: World, workers: int) -> Timed:
    """The same over Spark."""
    from bztoken.matching.engines.spark import SparkEngine

    return _scored(world, SparkEngine(f"local[{workers}]"))


def _scored(world: World, engine: Engine) -> Timed:
    context = Context(LakeFactory(world.lake), peers_of(world.shape), Tolerance(), scoring.load(scoring.DEFAULT))
    with opened(engine, context) as to:
        began = time.perf_counter()
        found = match_days(to, KeepsNothing())
        seconds = time.perf_counter() - began
    told = f"{sum(len(one.scores) for one in found.values()):,} pairs of a case and a device scored"
    return Timed(_scores_answer(found), {"start": engine.startup_s, "match": seconds}, told)


def _scores_answer(found: dict[int, DayFound]) -> Answer:
    """How many sightings were scored, and the scores as a number."""
    pairs = [
        (day, owner, log, score.minutes * 10_000 + score.close_minutes)
        for day, one in found.items()
        for (owner, log), score in one.scores.items()
    ]
    checksum = answer_of(*np.array(pairs, dtype=np.int64).reshape(-1, 4).T).checksum
    return Answer(sum(one.sightings for one in found.values()), checksum)
