"""Where tasks run: in this process and others beside it (`local`), or on a Spark cluster (`spark`).

An engine never looks into a task: the same tasks give the same answer everywhere.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from bztoken.matching.found import DayFound
from bztoken.matching.task import Context, Task


class Crew(Protocol):
    """Whoever works on the tasks of one batch; every source it needs is open."""

    def run(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, DayFound]]:
        """Each task with what it found, in whatever order they end. Raises what a task raises."""


class Engine(Protocol):
    """startup_s: how long the latest crew took until it could work, apart from the work."""

    startup_s: float

    def crew(self, context: Context) -> AbstractContextManager[Crew]:
        """Starts everything, and opens every source before it answers. Raises EngineError, and what a source raises."""
