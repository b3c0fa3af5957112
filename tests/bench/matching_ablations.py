"""The program's own join with one of its ideas taken out, to see what that idea is worth. One process each."""

import time
from collections.abc import Iterator

import numpy as np
import pyarrow.parquet as pq
from matching_competitors import Timed, World
from matching_ours import around_of, peers_of
from matching_shapes import FIRST_DAY, NOTHING, Answer, Shape, answer_of

from bztoken.lake.source import LakeFactory
from bztoken.matching.day import Seen
from bztoken.matching.kernel import KeyIds, Matches, Sightings, match
from bztoken.matching.task import Task
from bztoken.matching.tolerance import Int64s
from bzwire.bluezone import DAY_S


def _days(world: World) -> Iterator[tuple[int, Seen, Int64s]]:
    """Day, what is seen on it, and the log of each."""
    source = LakeFactory(world.lake)()
    for day in sorted(source.rows_by_day()):
        part = source.slice(Task(day))
        seen = part.seen()
        yield day, seen, part.take(np.arange(len(seen.hi), dtype=np.int64)).log_id


def _answer(found: Matches, seen: Seen, log: Int64s) -> Answer:
    return answer_of(log[found.row], seen.first_s[found.row], found.key_index, found.slot_start_s)


def _matched(shape: Shape, blocks: Iterator[KeyIds], ids: int, seen: Seen) -> Matches:
    return match(blocks, ids, Sightings(*seen[:5]), shape.tolerance, shape.scheme.slot_s)


def by_day(world: World) -> Timed:
    """As it is: what the others are held against. Only deriving and joining is counted, not reading."""
    peers, answer, seconds = peers_of(world.shape), NOTHING, 0.0
    for _, seen, log in _days(world):
        began = time.perf_counter()
        around = around_of(world.shape, peers, seen)
        found = _matched(world.shape, around.blocks, around.ids, seen)
        seconds += time.perf_counter() - began
        answer += _answer(found, seen, log)
    return Timed(answer, {"join": seconds})


def all_days_at_once(world: World) -> Timed:
    """Without days: one filter over all records, all IDs held against it."""
    peers = peers_of(world.shape)
    days = [(seen, log) for _, seen, log in _days(world)]
    seen = Seen(*(np.concatenate(columns) for columns in zip(*(seen for seen, _ in days), strict=True)))
    log = np.concatenate([log for _, log in days])
    began = time.perf_counter()
    around = around_of(world.shape, peers, seen)
    found = _matched(world.shape, around.blocks, around.ids, seen)
    seconds = time.perf_counter() - began
    return Timed(_answer(found, seen, log), {"join": seconds})


def ids_from_files(world: World) -> Timed:
    """IDs derived and written beforehand, and read here: what that took comes on top."""
    answer, seconds = NOTHING, 0.0
    for day, seen, log in _days(world):
        began = time.perf_counter()
        blocks = list(_read_blocks(world, day, seen))
        found = _matched(world.shape, iter(blocks), sum(len(block.hi) for block in blocks), seen)
        seconds += time.perf_counter() - began
        answer += _answer(found, seen, log)
    return Timed(answer, {"join": seconds})


def _read_blocks(world: World, day: int, seen: Seen) -> Iterator[KeyIds]:
    reach_s = world.shape.tolerance.largest_s + world.shape.scheme.slot_s
    earliest_s, latest_s = int(seen.first_s[0]) - reach_s, int(seen.last_s.max()) + reach_s
    for near in range(max(FIRST_DAY, earliest_s // DAY_S), latest_s // DAY_S + 1):
        path = world.ids / f"{near}.parquet"
        if path.exists():
            file = pq.ParquetFile(path)
            for at in range(file.num_row_groups):
                table = file.read_row_group(at)
                block = KeyIds(*(table[name].to_numpy() for name in table.column_names))
                wanted = (block.slot_start_s >= earliest_s) & (block.slot_start_s <= latest_s)
                yield KeyIds(*(column[wanted] for column in block))
