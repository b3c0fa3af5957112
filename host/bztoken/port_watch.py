"""Looks again and again for ports at which a token may be, and works at each once a plugging, again while it fails.

What is done there, and whether it failed, is the caller's; nothing is opened here.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Generic, TypeVar

from bztoken.errors import LinkError
from bztoken.link.ports import FoundPort

LOOK_S = 1.0  # how often it is looked for what was plugged in
RETRY_LOOKS = 20  # so long after a failure a port that is still there is tried again

_Outcome = TypeVar("_Outcome")
# From a port and how it went there the time before (None: the first time) to how it went. Raises nothing.
Attempt = Callable[[FoundPort, _Outcome | None], Awaitable[_Outcome]]


def _nobody(_key: str) -> None:
    """Nobody wants to know."""


class PortWatch(Generic[_Outcome]):
    """One task a plugging. on_gone: told the key of a port that was pulled out, at once, be its task over or not."""

    def __init__(
        self,
        attempt: Attempt[_Outcome],
        is_failure: Callable[[_Outcome], bool],
        on_gone: Callable[[str], None] = _nobody,
    ) -> None:
        self._attempt = attempt
        self._is_failure = is_failure
        self._on_gone = on_gone
        self._there: frozenset[str] = frozenset()

    def is_there(self, port: FoundPort) -> bool:
        """As of the last look."""
        return port.key in self._there

    async def run(self, find: Callable[[], Sequence[FoundPort]]) -> None:
        """Work at what is plugged in until cancelled. Raises LinkError when nobody can look, and what a task raised."""
        running: dict[str, asyncio.Task[_Outcome]] = {}
        ports = await asyncio.to_thread(find)
        try:
            while True:
                self._follow({port.key: port for port in ports}, running)
                await asyncio.sleep(LOOK_S)
                with suppress(LinkError):  # a device that goes while it is looked at: look again in a second
                    ports = await asyncio.to_thread(find)
        finally:
            for task in running.values():
                task.cancel()
            await asyncio.gather(*running.values(), return_exceptions=True)

    def _follow(self, there: Mapping[str, FoundPort], running: dict[str, asyncio.Task[_Outcome]]) -> None:
        """Begin with what was plugged in, forget what was pulled out. Raises what a task raised."""
        self._there = frozenset(there)
        for key, task in list(running.items()):
            if task.done():
                task.result()
            if key not in there:
                self._on_gone(key)
                if task.done():
                    del running[key]
        for key, port in there.items():
            if key not in running:
                running[key] = asyncio.create_task(self._keep_at(port))

    async def _keep_at(self, port: FoundPort) -> _Outcome:
        """Until it went well, or there is nothing to do, or it is pulled out."""
        outcome = await self._attempt(port, None)
        while self._is_failure(outcome):
            for _ in range(RETRY_LOOKS):
                await asyncio.sleep(LOOK_S)
                if not self.is_there(port):
                    return outcome
            outcome = await self._attempt(port, outcome)
        return outcome
