"""Runs tasks on Spark: a master by its URL, or `local[N]` on this computer.

Encounters neither pass through the JVM nor are shuffled: a task is one row (day, shard, shards) that `applyInArrow`
takes to a Python of an executor, which opens the source itself; so the lake's folder must lie at the same path on every
executor. The keys are broadcast once, and written to disk only encrypted. One job a task: each comes back when it ends,
and its only row needs no shuffle. Nothing here may put a key into a setting, the name of a job or an error.
"""

import importlib.util
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bztoken.errors import EngineError
from bztoken.matching.engines import Crew
from bztoken.matching.engines.java import find_java
from bztoken.matching.engines.spark_master import check_master
from bztoken.matching.task import Context

START_LIMIT_S = 300.0  # a busy cluster takes its time to give executors


class SparkEngine:
    """master: what Spark takes for one. start_limit_s: how long it may take until an executor has run something."""

    def __init__(self, master: str = "local[*]", start_limit_s: float = START_LIMIT_S) -> None:
        self.startup_s = 0.0
        self._master, self._start_limit_s = master, start_limit_s

    @contextmanager
    def crew(self, context: Context) -> Iterator[Crew]:
        """Spark has started, and executors have opened the source. Raises EngineError, and what a source raises."""
        _check_packages()
        check_master(self._master)
        from bztoken.matching.engines.spark_crew import spark_crew
        from bztoken.matching.engines.spark_session import session

        began = time.monotonic()
        with session(self._master, find_java(), self._start_limit_s) as spark, spark_crew(spark, context) as crew:
            self.startup_s = time.monotonic() - began
            yield crew


def _check_packages() -> None:
    missing = [name for name in ("pyspark", "pandas", "pyarrow") if importlib.util.find_spec(name) is None]
    if missing:
        raise EngineError(f"the Spark engine needs {' and '.join(missing)}: pip install 'bztoken[spark]'")
