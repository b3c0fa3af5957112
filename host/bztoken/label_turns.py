"""Which label goes on which token: those that are done show themselves one after another, until they are pulled out.

It has a cable to one token at a time and does not hold up anybody else's. A token without a light, or one that is
pulled out before its turn, is told by the pulling out itself.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple, Protocol

from bztoken.connection import connect
from bztoken.errors import BztokenError
from bztoken.home import Home
from bztoken.link.ports import FoundPort
from bztoken.port_watch import LOOK_S
from bztoken.registry.database import Registry
from bzwire import messages

SHOW_S = 30  # the light goes on showing for so long after it was asked to
AGAIN_AFTER_S = 20.0


class Onlooker(Protocol):
    """Who sticks the labels on. Called from the event loop: return at once."""

    def blinks(self, label: str | None) -> None:
        """The token that gets this label blinks; None: it was pulled out, and none blinks."""

    def has_no_light(self) -> None:
        """The first of the tokens that cannot blink waits for its label."""

    def pulled_out(self, label: str) -> None:
        """A token that did not blink was pulled out a moment ago, and gets this label."""


class _Waiting(NamedTuple):
    """It has its label and waits for the sticker."""

    port: FoundPort
    label: str
    has_light: bool


class LabelTurns:
    """is_there: whether a port is still plugged in."""

    def __init__(
        self, home: Home, registry: Registry, is_there: Callable[[FoundPort], bool], onlooker: Onlooker
    ) -> None:
        self._home = home
        self._registry = registry
        self._is_there = is_there
        self._onlooker = onlooker
        self._waiting: dict[str, _Waiting] = {}  # by the port's key
        self._wanted = asyncio.Event()
        self._over = asyncio.Event()
        self._over.set()
        self._is_showing = self._ended = self._knows_unlit = False

    def add(self, port: FoundPort, label: str, has_light: bool) -> None:
        """The token at this port has its label and waits for the sticker."""
        if self._ended:
            return
        self._waiting[port.key] = _Waiting(port, label, has_light)
        self._over.clear()
        self._wanted.set()
        if not has_light and not self._knows_unlit:
            self._knows_unlit = True
            self._onlooker.has_no_light()

    def gone(self, key: str) -> None:
        """What was at this port was pulled out."""
        waiting = self._waiting.pop(key, None)
        if waiting is not None:
            self._onlooker.pulled_out(waiting.label)
        self._look()

    async def until_over(self) -> None:
        """Nobody waits any more, or `end` was called."""
        await self._over.wait()

    def end(self) -> None:
        """Nobody looks at the lights any more."""
        self._ended = True
        self._waiting.clear()
        self._over.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._wanted.wait()
            while (shown := self._next()) is not None:
                self._is_showing = True
                await self._show(shown.port, shown.label)
                self._is_showing = False
            self._wanted.clear()
            self._look()

    def _next(self) -> _Waiting | None:
        """In the order of the labels, for so they lie on the sheet."""
        lit = [waiting for waiting in self._waiting.values() if waiting.has_light]
        if not lit:
            return None
        return self._waiting.pop(min(lit, key=lambda waiting: (len(waiting.label), waiting.label)).port.key)

    def _look(self) -> None:
        if not self._waiting and not self._is_showing:
            self._over.set()

    async def _show(self, port: FoundPort, label: str) -> None:
        self._onlooker.blinks(label)
        asked_s = None
        while self._is_there(port):
            if asked_s is None or time.monotonic() - asked_s > AGAIN_AFTER_S:
                with suppress(BztokenError):  # pulled out, or busy with another program: ask again in a while
                    await self._ask(port)
                asked_s = time.monotonic()
            await asyncio.sleep(LOOK_S / 4)
        self._onlooker.blinks(None)

    async def _ask(self, port: FoundPort) -> None:
        async with connect(self._home, self._registry, port.path, must_be_trusted=False) as known:
            await known.link.command(messages.CMD_LOCATE, s=SHOW_S)
