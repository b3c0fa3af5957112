"""Runs tasks on this computer: in this process, or in several that each have their own source.

Processes, not threads: reading rows and encrypting blocks hold the interpreter's lock. They are started anew (spawn),
so that no open database or lock is inherited, and end with their parent.
"""

import os
import signal
import time
import traceback
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import pairwise
from multiprocessing import connection, get_context, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pickle import PicklingError

from bztoken.errors import BztokenError, EngineError
from bztoken.matching.engines import Crew
from bztoken.matching.found import DayFound
from bztoken.matching.task import Context, Source, Task, get_ready, run_task

# Below so many sightings the others would not have started by the time that one has done it all.
_WORTH_ANOTHER_ROWS = 500_000
_DIED = (
    "a process of the matching ended in the middle of its work, probably for want of memory: nothing was kept of this "
    "day, run it again with fewer --workers"
)
_READY = None  # what a worker says when its source is open


class LocalEngine:
    """workers: None for one a core, or one in all where there is little to do."""

    def __init__(self, workers: int | None = None) -> None:
        self.startup_s = 0.0
        self._workers = workers

    @contextmanager
    def crew(self, context: Context) -> Iterator[Crew]:
        """Every source is open when it answers. Raises EngineError, and what a source raises."""
        began = time.monotonic()
        workers = self._workers or self._worth(context)
        if workers == 1:
            source = context.open_source()
            try:
                get_ready(context)
                self.startup_s = time.monotonic() - began
                yield _Alone(context, source)
            finally:
                source.close()
            return
        with _several(context, workers) as crew:
            self.startup_s = time.monotonic() - began
            yield crew

    def _worth(self, context: Context) -> int:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return max(1, min(cores, context.rows // _WORTH_ANOTHER_ROWS))


class _Alone:
    """This process."""

    def __init__(self, context: Context, source: Source) -> None:
        self._context, self._source = context, source

    def run(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, DayFound]]:
        for task in tasks:
            yield task, run_task(self._context, self._source, task)


class _Several:
    """Processes at the other ends of pipes; each is told of its next task when it has done one."""

    def __init__(self, pipes: Sequence[Connection]) -> None:
        self._pipes = pipes

    def run(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, DayFound]]:
        waiting = _runs(tasks, self._pipes)
        busy: dict[Connection, Task] = {}
        idle = list(self._pipes)
        while any(waiting.values()) or busy:
            while idle and any(waiting.values()):
                pipe = idle.pop()
                busy[pipe] = _next(waiting, pipe)
                _send(pipe, busy[pipe])
            ready = connection.wait(list(busy))
            for pipe in [pipe for pipe in busy if pipe in ready]:
                found = _received(pipe)
                assert isinstance(found, DayFound)
                idle.append(pipe)
                yield busy.pop(pipe), found


def _runs(tasks: Sequence[Task], pipes: Sequence[Connection]) -> dict[Connection, deque[Task]]:
    """Days that follow each other for each: what it derived for one serves for the next."""
    bounds = [len(tasks) * number // len(pipes) for number in range(len(pipes) + 1)]
    return {pipe: deque(tasks[first:end]) for pipe, (first, end) in zip(pipes, pairwise(bounds), strict=True)}


def _next(waiting: dict[Connection, deque[Task]], pipe: Connection) -> Task:
    """Its own, or the last one of whoever has most to do."""
    return waiting[pipe].popleft() if waiting[pipe] else max(waiting.values(), key=len).pop()


@contextmanager
def _several(context: Context, workers: int) -> Iterator[_Several]:
    spawn = get_context("spawn")
    pipes, processes = [], []
    try:
        for _ in range(workers):
            ours, theirs = spawn.Pipe()
            process = spawn.Process(target=_work, args=(theirs,), daemon=True)
            with _deaf():
                process.start()
            theirs.close()  # so that its end is seen here when it dies
            pipes.append(ours)
            processes.append(process)
        for pipe in pipes:  # not as an argument: `start` waits for ever for one that dies before it has read them all
            _send(pipe, context)
        for pipe in pipes:
            _received(pipe)
        yield _Several(pipes)
    finally:
        _end(pipes, processes)


@contextmanager
def _deaf() -> Iterator[None]:
    """Who is started meanwhile never hears Ctrl-C, not even before `_work` begins; whoever starts it hears it after."""
    if not hasattr(signal, "pthread_sigmask"):  # a system without Unix's signals
        yield
        return
    resource_tracker.ensure_running()  # which would open our ears again if it began only now
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end(pipes: Sequence[Connection], processes: Sequence[SpawnProcess]) -> None:
    """Whatever they do just now is not wanted any more."""
    for pipe in pipes:
        pipe.close()
    for process in processes:
        process.terminate()
    for process in processes:
        process.join()
        process.close()


def _send(pipe: Connection, what: Context | Task) -> None:
    """Raises EngineError when there is nobody any more: a broken pipe by itself would pass for a reader who left."""
    try:
        pipe.send(what)
    except OSError as error:
        raise EngineError(_DIED) from error


def _received(pipe: Connection) -> object:
    """Raises what was raised at the other end, and EngineError when there is nobody any more."""
    try:
        answer = pipe.recv()
    except (EOFError, OSError) as error:
        raise EngineError(_DIED) from error
    if isinstance(answer, BaseException):
        raise answer
    return answer


def _work(pipe: Connection) -> None:
    """The life of a process. Ctrl-C is its parent's to hear, who then ends it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):  # the parent is gone
        context: Context = pipe.recv()
        try:
            source = context.open_source()
            get_ready(context)
        except Exception as error:  # noqa: BLE001 - it is raised where somebody can tell it
            _tell(pipe, error)
            return
        pipe.send(_READY)
        while True:
            _tell(pipe, _answer(context, source, pipe.recv()))


def _tell(pipe: Connection, answer: DayFound | Exception) -> None:
    """Of a mistake, which is told in one sentence, it says where it was, for whoever looks for it."""
    if isinstance(answer, Exception) and not isinstance(answer, BztokenError):
        answer.add_note("".join(traceback.format_exception(answer)))
    try:
        pipe.send(answer)
    except (PicklingError, TypeError, AttributeError):  # not every error can go to another process
        pipe.send(EngineError(f"the matching ended with an unexpected {type(answer).__name__}: report it"))


def _answer(context: Context, source: Source, task: Task) -> DayFound | Exception:
    try:
        return run_task(context, source, task)
    except MemoryError:
        return EngineError(_DIED)
    except Exception as error:  # noqa: BLE001 - it is raised where somebody can tell it
        return error
