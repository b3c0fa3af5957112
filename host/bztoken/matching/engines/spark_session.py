"""Starts and ends Spark: a JVM of our own in a private folder, quiet, encrypted, and gone with the block that asked.

Imports pyspark, so only `engines/spark.py` imports this, once it knows that pyspark is there.
"""

import logging
import os
import re
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from py4j.protocol import Py4JError
from pyspark import SparkConf, SparkContext
from pyspark.errors import PySparkException
from pyspark.java_gateway import launch_gateway
from pyspark.sql import SparkSession

from bztoken import __version__
from bztoken.errors import EngineError
from bztoken.matching.engines.java import java_home
from bztoken.matching.engines.spark_master import is_here, makes_a_secret, runs_this_python

SPARK_ERRORS = (PySparkException, Py4JError, OSError, EOFError)
# The JVM only hands out tasks, so the compiler that optimises would make its start longer for nothing. And it tells
# nothing of itself in a folder that all users share.
_JVM_OPTIONS = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:-UsePerfData"
_BUSY = (
    "ask whether it has executors free, whether they can reach this computer, and whether it wants a secret "
    "(spark.authenticate)"
)
_NEXT_TROUBLE = re.compile(r"^\S+ \S+ ERROR ", re.MULTILINE)
_EXCEPTION = re.compile(r"^(?:Caused by: |Exception in thread \S+ )?[\w.$]+(?:Exception|Error): (.+)$", re.MULTILINE)
_REASON_CHARS = 200
_END_S = 20.0  # for the JVM to delete its folders


@contextmanager
def session(master: str, java: Path, limit_s: float) -> Iterator[SparkSession]:
    """Its executors have run a first job. Raises EngineError when that fails, or takes longer than limit_s."""
    if SparkContext._active_spark_context is not None:
        raise EngineError("this process has a Spark session already: end it first")
    with TemporaryDirectory(prefix="bztoken-spark-", ignore_cleanup_errors=True) as folder, ExitStack() as stack:
        stack.enter_context(_quiet_py4j())
        said = Path(folder, "jvm.txt")
        with _limit(limit_s) as limit:
            try:
                spark = _started(_conf(master, folder), java, said, limit, stack)
                _look_at_executors(spark, master)
            except (*SPARK_ERRORS, EngineError) as error:
                if limit.is_over:
                    raise EngineError(f"{master} did not run anything within {limit_s:g} s: {_BUSY}") from None
                if isinstance(error, EngineError):
                    raise
                raise EngineError(f"Spark does not start at {master}: {_reason(said)}") from None
        yield spark


def _started(conf: SparkConf, java: Path, said: Path, limit: "_Limit", stack: ExitStack) -> SparkSession:
    with _environment(conf.get("spark.master", ""), java):
        with said.open("wb") as log:
            gateway = launch_gateway(conf, {"stdout": log, "stderr": subprocess.STDOUT})  # type: ignore[no-untyped-call]
        stack.callback(_end, gateway.proc)
        limit.kills(gateway.proc)
        context = SparkContext(conf=conf, gateway=gateway)
    # else it writes a trace to the screen when the JVM dies
    context._accumulatorServer.handle_error = _nothing  # type: ignore[method-assign, assignment]
    spark = SparkSession(context)
    stack.callback(_stop, spark)
    return spark


def _nothing(*_: object) -> None:
    """Nobody counts anything by it."""


def _look_at_executors(spark: SparkSession, master: str) -> None:
    """The first job: starts a Python on every core. Raises EngineError where it is none of ours."""

    def look(_: object) -> Iterator[tuple[str, str]]:  # sent as code: nothing of ours may be imported there
        import importlib.util

        missing = [name for name in ("bztoken", "pyarrow", "pandas") if importlib.util.find_spec(name) is None]
        version = "" if "bztoken" in missing else importlib.import_module("bztoken").__version__
        yield ", ".join(missing), version

    cores = spark.sparkContext.defaultParallelism
    try:
        seen = spark.range(0, cores, 1, cores).rdd.mapPartitions(look).collect()
    except SPARK_ERRORS:
        raise EngineError(
            f"the executors of {master} cannot run {spark.sparkContext.pythonExec}: it must be Python "
            f"{sys.version_info.major}.{sys.version_info.minor} with 'bztoken[spark]'; PYSPARK_PYTHON says where it is"
        ) from None
    for missing, version in seen:
        if missing:
            raise EngineError(f"the Python of an executor has no {missing}: install 'bztoken[spark]' on every one")
        if version != __version__:
            raise EngineError(f"an executor has bztoken {version}, here is {__version__}: install the same everywhere")


def _conf(master: str, folder: str) -> SparkConf:
    settings = {
        "spark.master": master,
        "spark.app.name": "bztoken match",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.eventLog.enabled": "false",
        "spark.log.level": "ERROR",
        "spark.io.encryption.enabled": "true",  # broadcasts are written to disk, and ours holds the keys
        "spark.local.dir": folder,
        "spark.driver.extraJavaOptions": f'"-Djava.io.tmpdir={folder}" {_JVM_OPTIONS}',
        "spark.sql.catalogImplementation": "in-memory",
        "spark.sql.warehouse.dir": str(Path(folder, "warehouse")),
    }
    if makes_a_secret(master):
        settings |= {"spark.authenticate": "true", "spark.network.crypto.enabled": "true"}
    if is_here(master):
        settings |= {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
    return SparkConf().setAll(list(settings.items()))


@contextmanager
def _environment(master: str, java: Path) -> Iterator[None]:
    """What a JVM and its Pythons take from it; afterwards as before, with all else that Spark changes of a process."""
    before, path, on_interrupt = dict(os.environ), list(sys.path), signal.getsignal(signal.SIGINT)
    os.environ["JAVA_HOME"] = str(java_home(java))
    if runs_this_python(master) or "PYSPARK_PYTHON" not in os.environ:
        os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ.pop("SPARK_LOCAL_DIRS", None)  # it would be taken instead of our folder
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)
        sys.path[:] = path
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, on_interrupt)


class _Limit:
    """Ends a JVM for which somebody has waited too long; whoever waits for its answer then gets an error."""

    def __init__(self) -> None:
        self.is_over = False
        self._process: subprocess.Popen[bytes] | None = None

    def kills(self, process: "subprocess.Popen[bytes]") -> None:
        """This one."""
        self._process = process
        if self.is_over:
            process.kill()

    def end(self) -> None:
        """The time is over."""
        self.is_over = True
        if self._process is not None:
            self._process.kill()


@contextmanager
def _limit(limit_s: float) -> Iterator[_Limit]:
    limit = _Limit()
    timer = threading.Timer(limit_s, limit.end)
    timer.daemon = True
    timer.start()
    try:
        yield limit
    finally:
        timer.cancel()


def _reason(said: Path) -> str:
    """What the JVM told of the first thing that went wrong, down to its cause; no key has been sent by then."""
    first = _NEXT_TROUBLE.split(said.read_text(encoding="utf-8", errors="replace"))[:2]
    told = _EXCEPTION.findall("".join(first))
    return str(told[-1]).strip(" .")[:_REASON_CHARS] if told else "Java told no reason"


@contextmanager
def _quiet_py4j() -> Iterator[None]:
    """It writes a trace to the root of all loggers when a JVM is gone; whoever waits for an answer is told anyway."""

    def of_others(record: logging.LogRecord) -> bool:
        return "py4j" not in Path(record.pathname).parts

    root, nowhere = logging.getLogger(), logging.NullHandler()
    root.addFilter(of_others)
    root.addHandler(nowhere)  # without any, it would add one that writes to the screen
    try:
        yield
    finally:
        root.removeHandler(nowhere)
        root.removeFilter(of_others)


def _stop(spark: SparkSession) -> None:
    """In a thread of its own, which has its own line to the JVM: Ctrl-C may have cut an answer short on ours."""

    def stop() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # that the JVM has died is known
            with suppress(*SPARK_ERRORS):
                spark.stop()
            with suppress(*SPARK_ERRORS):
                spark.sparkContext.stop()  # what the first try did not come to where the JVM has died

    stopping = threading.Thread(target=stop, daemon=True)
    stopping.start()
    stopping.join(_END_S)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """It ends by itself when nobody is at the other end of its pipe, and takes its Pythons with it."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    SparkContext._gateway = SparkContext._jvm = None
