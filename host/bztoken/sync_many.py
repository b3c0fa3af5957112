"""Syncs every token that is plugged in, side by side: one that fails, or is pulled out, does not stop the others.

All of them share one registry, into which one at a time writes; nobody waits for that but the token whose pages they
are. Two ports with one identity are a clone: neither is read on.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from bztoken.connection import KnownToken
from bztoken.errors import BztokenError, LinkError, NotTrusted
from bztoken.home import Home
from bztoken.link.ports import FoundPort
from bztoken.link.refusals import NotAToken
from bztoken.registry import tokens
from bztoken.registry.database import Registry
from bztoken.registry.models import Token
from bztoken.sync import SyncResult, sync_port

LOOK_S = 1.0  # how often `watch` looks for what was plugged in
RETRY_LOOKS = 20  # so long after a failure a port that is still there is tried again


class State(StrEnum):
    """How it went with one port."""

    SYNCED = "synced"
    FAILED = "failed"
    LEFT_ALONE = "no token"


@dataclass(frozen=True)
class Outcome:
    """One port. label: empty while it is not known whose token it is; problem: a sentence unless it was synced."""

    port: str
    state: State
    label: str = ""
    result: SyncResult | None = None
    problem: str = ""


class Audience(Protocol):
    """Who is told how it goes. Called from the event loop: return at once."""

    def known(self, port: str, label: str) -> None:
        """The token at this port has proven who it is."""

    def progress(self, port: str, done: int, total: int) -> None:
        """So many of its new pages have come over."""

    def over(self, outcome: Outcome, is_news: bool) -> None:
        """Nothing more is done at this port for now. is_news: False when trying again ended as the time before."""


class ManySyncs:
    """Syncs ports of one registry. It remembers whose token is at which port for as long as that is plugged in."""

    def __init__(self, home: Home, registry: Registry, audience: Audience) -> None:
        self._home = home
        self._registry = registry
        self._audience = audience
        self._storing = asyncio.Lock()
        self._here: dict[str, int] = {}  # token at a port, by the port's key
        self._cloned: set[int] = set()
        self._there: set[str] = set()  # what was plugged in at the last look

    async def sync_all(self, ports: Sequence[FoundPort]) -> list[Outcome]:
        """All at once; the outcomes in the order of the ports."""
        return list(await asyncio.gather(*(self._sync(port) for port in ports)))

    async def watch(self, find: Callable[[], Sequence[FoundPort]]) -> None:
        """Sync what is plugged in, once a plugging, and again only what failed, until cancelled.

        Raises LinkError when nobody can look.
        """
        running: dict[str, asyncio.Task[Outcome]] = {}
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

    def _follow(self, there: Mapping[str, FoundPort], running: dict[str, asyncio.Task[Outcome]]) -> None:
        """Begin with what was plugged in, forget what was pulled out. Raises what telling the audience raised."""
        self._there = set(there)
        for key, task in list(running.items()):
            if task.done():
                task.result()
            if key not in there:
                self._here.pop(key, None)  # at once: it may be back under another key, while its end is still stored
                if task.done():
                    del running[key]
        for key, port in there.items():
            if key not in running:
                running[key] = asyncio.create_task(self._keep_at(port))

    async def _sync(self, port: FoundPort, before: Outcome | None = None) -> Outcome:
        outcome = await self._outcome(port)
        self._audience.over(outcome, is_news=outcome != before)
        return outcome

    async def _keep_at(self, port: FoundPort) -> Outcome:
        """Until it is synced, turns out to be no token, or is pulled out."""
        outcome = await self._sync(port)
        while outcome.state == State.FAILED:
            for _ in range(RETRY_LOOKS):
                await asyncio.sleep(LOOK_S)
                if port.key not in self._there:
                    return outcome
            outcome = await self._sync(port, outcome)
        return outcome

    async def _outcome(self, port: FoundPort) -> Outcome:
        label = ""

        def on_known(known: KnownToken) -> None:
            nonlocal label
            label = known.label
            self._claim(port.key, known.token_id)
            self._audience.known(port.path, label)

        def progress(done: int, total: int) -> None:
            if self._here.get(port.key) in self._cloned:
                raise NotTrusted(_CLONE)
            self._audience.progress(port.path, done, total)

        try:
            result = await sync_port(self._home, self._registry, port.path, progress, on_known, self._storing)
        except NotAToken as error:
            return Outcome(port.path, State.LEFT_ALONE, problem=str(error))
        except BztokenError as error:
            return Outcome(port.path, State.FAILED, label, problem=str(error))
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not stop the others
            return Outcome(port.path, State.FAILED, label, problem=_UNEXPECTED.format(type(error).__name__, port.path))
        return Outcome(port.path, State.SYNCED, label, result)

    def _claim(self, key: str, token_id: int) -> None:
        """Raises NotTrusted when a token with this identity is at another port too."""
        self._here[key] = token_id
        if list(self._here.values()).count(token_id) < 2:
            return
        self._cloned.add(token_id)
        with self._registry.write() as session:
            tokens.raise_alarm(session, session.get_one(Token, token_id), tokens.ALARM_CLONE, int(time.time()))
        raise NotTrusted(_CLONE)


_UNEXPECTED = "unexpected {}: BZTOKEN_DEBUG=1 and `bztoken sync --port {}` show where; report it."
_CLONE = (
    "Two devices that are plugged in have this token's identity: neither is read on; keep both, and tell the person in "
    "charge."
)


def require_some(outcomes: Sequence[Outcome]) -> None:
    """Raises LinkError when there was no token at all."""
    if not any(outcome.state != State.LEFT_ALONE for outcome in outcomes):
        raise LinkError(
            "No token was found: plug one in, wait some seconds, and try again; `bztoken ports` shows what was looked "
            "at."
        )
