"""Runs a batch day by day on an engine: what was kept of a batch that was stopped is not matched again.

Nothing here knows where sightings, keys or kept days lie.
"""

import hashlib
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import fields
from typing import NamedTuple, Protocol

from bztoken import __version__
from bztoken.matching.day import day_text
from bztoken.matching.engines import Crew, Engine
from bztoken.matching.found import DayFound, from_bytes, merged, to_bytes
from bztoken.matching.key_columns import KeyColumns
from bztoken.matching.peers import Peers
from bztoken.matching.task import Context, Source, Task
from bztoken.matching.tolerance import Int64s

MAX_TASK_ROWS = 4_000_000  # more sightings of a day are shared out: what a task holds of each takes 48 bytes and some


class Done(NamedTuple):
    """A day that is matched. done: days so far, of `total`; kept: by a batch before this one; left_s: how long the rest
    may take, by the sightings that it has; None while nothing can be said.
    """

    day: str
    done: int
    total: int
    kept: bool
    left_s: float | None


Progress = Callable[[Done], None]


class Kept(Protocol):
    """Where days lie until a batch is whole. mark: of all that a day's matching rests on, 32 bytes."""

    def get(self, day: int, mark: bytes) -> bytes | None:
        """What was put there under this mark."""

    def put(self, day: int, mark: bytes, found: bytes) -> None:
        """In place of what was there of this day."""


class KeepsNothing:
    """For batches that are over in a moment."""

    def get(self, day: int, mark: bytes) -> bytes | None:
        """Never anything."""
        return None

    def put(self, day: int, mark: bytes, found: bytes) -> None:
        """Forgets it."""


class Opened(NamedTuple):
    """All that a batch reads from, on one state of things. rows: sightings of each day."""

    context: Context
    source: Source
    rows: dict[int, int]
    crew: Crew


@contextmanager
def opened(engine: Engine, context: Context) -> Iterator[Opened]:
    """Open the source here and where the engine works; to be entered while the source is `held()`."""
    with closing(context.open_source()) as source:
        rows = source.rows_by_day()
        context = context._replace(rows=sum(rows.values()))
        with engine.crew(context) as crew:
            yield Opened(context, source, rows, crew)


def match_days(to: Opened, kept: Kept, progress: Progress | None = None) -> dict[int, DayFound]:
    """Every day on which anything can be found, in order. Raises what source and engine raise; days that were matched
    until then are kept.
    """
    rows = to.rows
    days = to.context.peers.days(to.context.tolerance)
    plan = plan_digest(to.context)
    marks = {day: _mark(plan, to.source.mark(day)) for day in days if day in rows}
    told = _Told(days, rows, progress)
    found: dict[int, DayFound] = {}
    for day in days:
        before = _before(kept, day, marks[day]) if day in rows else None
        if before is not None:
            found[day] = before
            told.day(day, kept=True)
    tasks = [task for day in days if day not in found for task in _tasks(day, rows.get(day, 0))]
    for day, day_found in _by_day(to.crew, tasks):
        found[day] = day_found
        if day in marks:
            kept.put(day, marks[day], to_bytes(day_found))
        told.day(day, kept=False)
    return {day: found[day] for day in days}


def _before(kept: Kept, day: int, mark: bytes) -> DayFound | None:
    """What is kept of a day; None too for bytes that cannot be read: then it is matched again."""
    raw = kept.get(day, mark)
    if raw is None:
        return None
    try:
        return from_bytes(raw)
    except ValueError:
        return None


def _tasks(day: int, rows: int) -> list[Task]:
    shards = max(1, -(-rows // MAX_TASK_ROWS))
    return [Task(day, shard, shards) for shard in range(shards)]


def _by_day(crew: Crew, tasks: Sequence[Task]) -> Iterator[tuple[int, DayFound]]:
    """Each day when its last task has ended."""
    parts: dict[int, dict[int, DayFound]] = defaultdict(dict)
    for task, found in crew.run(tasks):
        parts[task.day][task.shard] = found
        if len(parts[task.day]) == task.shards:
            shards = parts.pop(task.day)
            yield task.day, merged([shards[shard] for shard in sorted(shards)])


class _Told:
    """Says how far a batch is. Sightings count, not days: markets make some days heavy."""

    def __init__(self, days: Sequence[int], rows: Mapping[int, int], progress: Progress | None) -> None:
        self._began, self._rows, self._progress = time.monotonic(), rows, progress
        self._total, self._done = len(days), 0
        self._left = sum(rows.get(day, 0) for day in days)
        self._matched = 0

    def day(self, day: int, kept: bool) -> None:
        rows = self._rows.get(day, 0)
        self._done, self._left = self._done + 1, self._left - rows
        self._matched += 0 if kept else rows
        if self._progress is not None:
            self._progress(Done(day_text(day), self._done, self._total, kept, self._left_s()))

    def _left_s(self) -> float | None:
        if self._matched == 0:
            return None if self._left else 0.0
        return (time.monotonic() - self._began) * self._left / self._matched


# -- what a day rests on -----------------------------------------------------------------------------------------------
def plan_digest(context: Context) -> bytes:
    """Of everything but the sightings that an answer depends on; whoever has it learns nothing of a key."""
    peers = context.peers
    # the preset by all its numbers: those that `bztoken calibrate` writes are of version 1, time after time
    told = [__version__, repr(context.preset), list(context.tolerance), *_about(peers)]
    digest = hashlib.sha256(json.dumps(told).encode())
    for column in (*_columns_of(peers.keys), peers.owner_of_key):
        digest.update(column.tobytes())
    for known in peers.known:
        digest.update(repr(known).encode())
    return digest.digest()


def _about(peers: Peers) -> list[object]:
    facts = [(case, sorted(one.log_ids), *one[1:]) for case, one in sorted(peers.facts.items())]
    hands = sorted((log_id, list(hands)) for log_id, hands in peers.bearers.hands.items())
    return [list(peers.owners), facts, hands, sorted(peers.bearers.site_logs)]


def _columns_of(keys: KeyColumns) -> list[Int64s]:
    return [getattr(keys, one.name) for one in fields(keys)]


def _mark(plan: bytes, of_source: str) -> bytes:
    return hashlib.sha256(plan + of_source.encode()).digest()
