"""One task of a batch, a UTC day or a part of its logs, and what it needs. Where it runs is the engines' business.

Everything here can be pickled: it goes to other processes, or to a cluster.
"""

from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

from bztoken.matching import derivation, prefilter
from bztoken.matching.day import DaySlice, score_day
from bztoken.matching.found import DayFound
from bztoken.matching.peers import Peers
from bztoken.matching.rules import Preset
from bztoken.matching.tolerance import Tolerance


class Task(NamedTuple):
    """Sightings that begin on a UTC day (its number since 1970), of the logs with log % shards == shard: so that all
    that one device heard of one owner is in one task.
    """

    day: int
    shard: int = 0
    shards: int = 1


class Source(Protocol):
    """Sightings, opened where a task runs. What it answers does not change while it is open."""

    def rows_by_day(self) -> dict[int, int]:
        """How many sightings begin on each UTC day; days without any may be missing."""

    def mark(self, day: int) -> str:
        """A text that is another one when the sightings of this day are."""

    def slice(self, task: Task) -> DaySlice:
        """The sightings of a task. Raises what the source raises when they cannot all be read; never a part of them."""

    def close(self) -> None:
        """Give back what is open."""


class SourceFactory(Protocol):
    """Opens a source; goes to where the tasks run."""

    def __call__(self) -> Source:
        """A source of one's own."""

    def held(self) -> AbstractContextManager[None]:
        """While it lasts nothing that is opened changes, so that all sources opened meanwhile answer the same."""


class Context(NamedTuple):
    """What is the same for all tasks of a batch; rows: how many sightings it will look at, about."""

    open_source: SourceFactory
    peers: Peers
    tolerance: Tolerance
    preset: Preset
    rows: int = 0


def get_ready(context: Context) -> None:
    """Load compiled loops where the batch is large enough for them, so that no task goes without or waits for them."""
    ids = {scheme.name: table.ids for scheme, table in context.peers.tables.items()}
    for name, count in ids.items():
        derivation.expect(name, count)
    prefilter.CHOICE.loops_for(context.rows + sum(ids.values()))


def run_task(context: Context, source: Source, task: Task) -> DayFound:
    """What a task finds; `source`: one that `context.open_source` opened."""
    return score_day(context.peers, source.slice(task), context.tolerance, context.preset)
