"""The executors of a Spark session at work on the tasks of one batch: one job a task.

Imports pyspark, so only `engines/spark.py` imports this, once it knows that pyspark is there.
"""

import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress

import pyarrow as pa
from pyspark import Broadcast, SparkContext
from pyspark.sql import SparkSession
from pyspark.sql.functions import lit

from bztoken.errors import EngineError
from bztoken.matching.day import day_text
from bztoken.matching.engines.spark_session import SPARK_ERRORS
from bztoken.matching.engines.spark_worker import (
    ANSWER_COLUMNS,
    OPENED_COLUMNS,
    answer,
    as_raised,
    found_in,
    opened,
    sent,
)
from bztoken.matching.found import DayFound
from bztoken.matching.task import Context, Task

_JOBS_A_CORE = 2  # so that a core has its next task when it has done one
_MOST_JOBS = 256  # threads of the driver, one a job
_LOST = "an executor or Spark itself was lost, probably for want of memory"


@contextmanager
def spark_crew(spark: SparkSession, context: Context) -> Iterator["SparkCrew"]:
    """Executors that have the keys and have opened the source. Raises EngineError, and what a source raises."""
    with ThreadPoolExecutor(_MOST_JOBS, "spark-job") as pool:
        with _no_answer("Spark could not send the keys to the executors"):
            crew = SparkCrew(spark, pool, _broadcast(spark.sparkContext, context))
            crew.open_sources()
        try:
            yield crew
        finally:
            crew.cancel()


class SparkCrew:
    """It runs one list of tasks at a time."""

    def __init__(self, spark: SparkSession, pool: ThreadPoolExecutor, shared: Broadcast[bytes]) -> None:
        self._spark, self._context, self._pool, self._shared = spark, spark.sparkContext, pool, shared
        self._running: dict[Future[DayFound], Task] = {}

    def open_sources(self) -> None:
        """One a core, as far as Spark spreads them. Raises what opening raises."""
        shared, cores = self._shared, self._context.defaultParallelism

        def open_one(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            return opened(shared.value, batches)

        for row in self._spark.range(0, cores, 1, cores).mapInArrow(open_one, OPENED_COLUMNS).collect():
            raise as_raised(row.error_class, row.error_text)

    def run(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, DayFound]]:
        """As they end. An error ends all others: there is no partial answer."""
        waiting = list(reversed(tasks))
        try:
            while waiting or self._running:
                most = self._most_jobs() if waiting else 0
                while waiting and len(self._running) < most:
                    task = waiting.pop()
                    self._running[self._pool.submit(self._find, task)] = task
                for done in wait(self._running, return_when=FIRST_COMPLETED).done:
                    yield self._running.pop(done), done.result()
        finally:
            self.cancel()

    def cancel(self) -> None:
        """Nobody wants any more what runs just now."""
        if not self._running:
            return
        for job in self._running:
            job.cancel()
        with suppress(*SPARK_ERRORS):  # with Spark its jobs are gone, too
            self._context.cancelAllJobs()
        wait(self._running)
        self._running.clear()

    def _most_jobs(self) -> int:
        """Asked anew each time: a cluster may give more executors as they come free."""
        with _no_answer("Spark could not go on"):
            return min(_MOST_JOBS, _JOBS_A_CORE * self._context.defaultParallelism)

    def _find(self, task: Task) -> DayFound:
        """One job of one Spark task."""
        shared = self._shared

        def work(table: pa.Table) -> pa.Table:
            return answer(shared.value, table)

        with _no_answer(f"Spark could not finish {day_text(task.day)}"):
            columns = [lit(value).cast("long").alias(name) for name, value in task._asdict().items()]
            one_row = self._spark.range(0, 1, 1, 1).select(*columns)  # of one partition, so grouping it moves nothing
            (row,) = one_row.groupBy("day", "shard").applyInArrow(work, ANSWER_COLUMNS).collect()
        return found_in(row.found, row.error_class, row.error_text)


@contextmanager
def _no_answer(what: str) -> Iterator[None]:
    """Spark's own errors quote traces of whatever it ran: none of that is told."""
    try:
        yield
    except SPARK_ERRORS:
        raise EngineError(f"{what}: {_LOST}") from None


def _broadcast(to: SparkContext, context: Context) -> Broadcast[bytes]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # pyspark leaves closing the socket to the garbage collector
        return to.broadcast(sent(context))
