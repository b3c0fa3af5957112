"""An event loop whose time is that of the simulated world: nothing is waited for, every run takes the same turns.

What the program hands to a thread runs on this one, so many turns of the loop later: the disk is as slow as a test
wants, and reading goes on meanwhile as it does beside a real thread.
"""

import asyncio
import selectors
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

_LEAST_S = 0.0001  # more than the world's clock resolves, or time would stand still
_PROBE_S = 0.25  # longest step of a wait: the world may answer in the middle of it


class Standstill(Exception):
    """The program waits for something that can never happen."""


class _Selector(selectors.DefaultSelector):
    """Asks the loop what passes for waiting."""

    idle: Callable[[float | None], None]

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if not ready:
            self.idle(timeout)
        return ready


class InstantLoop(asyncio.SelectorEventLoop):
    """now_s, live: the world's clock, and how to let it live on. slow: turns of the loop that the disk takes a job."""

    def __init__(self, now_s: Callable[[], float], live: Callable[[float], None], slow: int = 0) -> None:
        selector = _Selector()
        selector.idle = self._idle
        self._now_s = now_s
        self._began_s = now_s()  # times must be small: the loop counts in nanoseconds, a float of Unix time cannot
        self._live = live
        self._slow = slow
        self._jobs: deque[tuple[asyncio.Future[Any], Callable[[], Any]]] = deque()
        self._turns = 0
        super().__init__(selector)

    def time(self) -> float:
        """Seconds of the world since the program began."""
        return self._now_s() - self._began_s

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        """Queue a job for the disk."""
        done = self.create_future()
        if not self._jobs:
            self._turns = self._slow
        self._jobs.append((done, lambda: func(*args)))
        return done

    def _idle(self, timeout_s: float | None) -> None:
        if self._jobs:
            self._turns -= 1
            if self._turns < 0 or timeout_s is None or timeout_s > 0:
                self._run_job()
        elif timeout_s is None:
            raise Standstill("the program waits for nothing")
        elif timeout_s > 0:
            self._live(min(max(timeout_s, _LEAST_S), _PROBE_S))

    def _run_job(self) -> None:
        done, job = self._jobs.popleft()
        self._turns = self._slow
        if done.cancelled():
            return
        try:
            result = job()
        except BaseException as failure:  # noqa: BLE001 - told to the coroutine that waits for it
            done.set_exception(failure)
        else:
            done.set_result(result)


def run(loop: InstantLoop, main: Coroutine[Any, Any, Any]) -> Any:
    """Run to the end, as asyncio.run does."""
    loop.set_exception_handler(lambda _loop, _context: None)  # of tasks that a killed program left behind
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(main)
