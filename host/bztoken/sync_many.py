"""Syncs every token that is plugged in, side by side: one that fails, or is pulled out, does not stop the others.

All of them share one registry, into which one at a time writes; nobody waits for that but the token whose pages they
are. Two ports with one identity are a clone: neither is read on.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from bztoken.connection import KnownToken, SecondBoard
from bztoken.errors import BztokenError, LinkError, NotTrusted
from bztoken.home import Home
from bztoken.link.ports import FoundPort
from bztoken.link.refusals import NotAToken
from bztoken.port_watch import PortWatch
from bztoken.registry import tokens
from bztoken.registry.database import Registry
from bztoken.registry.models import Token
from bztoken.sync import SyncResult, sync_port


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

    async def sync_all(self, ports: Sequence[FoundPort]) -> list[Outcome]:
        """All at once; the outcomes in the order of the ports."""
        return list(await asyncio.gather(*(self._sync(port) for port in ports)))

    async def watch(self, find: Callable[[], Sequence[FoundPort]]) -> None:
        """Sync what is plugged in, once a plugging, and again only what failed, until cancelled.

        Raises LinkError when nobody can look.
        """
        await PortWatch(self._sync, lambda outcome: outcome.state == State.FAILED, self._forget).run(find)

    def _forget(self, key: str) -> None:
        """It may be back under another key, while the end of what was read before is still being stored."""
        self._here.pop(key, None)

    async def _sync(self, port: FoundPort, before: Outcome | None = None) -> Outcome:
        outcome = await self._outcome(port)
        self._audience.over(outcome, is_news=outcome != before)
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
        except SecondBoard as error:
            self._cloned.add(error.token_id)  # the other one may be at another port, and is not read on either
            return Outcome(port.path, State.FAILED, label, problem=str(error))
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
