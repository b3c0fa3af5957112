"""Provisions whatever is plugged in, several at a time, under the running numbers of one batch, until there are enough.

One that fails stops no other, and is tried again while it is plugged in. Whoever kills the program goes on with the
same command: tokens that hold their keys are finished under the number that they have.
"""

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from bztoken import boards
from bztoken.errors import BoardError, BztokenError, RegistryError
from bztoken.home import FILE_MODE, Home
from bztoken.label_turns import LabelTurns, Onlooker
from bztoken.link.ports import FoundPort
from bztoken.link.refusals import NotAToken
from bztoken.naming import BatchNumbers
from bztoken.port_watch import LOOK_S, PortWatch
from bztoken.provision import OfAnotherRegistry, OfThisRegistry, ProvisionDesk, Provisioned
from bztoken.registry import provision_batches
from bztoken.registry.database import Registry
from bztoken.registry.models import ProvisionBatch, Token
from bztoken.token_settings import Profile, Scheme, Wanted

AT_ONCE = 8
LOCK_NAME = "provision.lock"


class State(StrEnum):
    """How it went with one port."""

    PROVISIONED = "provisioned"
    KNOWN = "of this batch"  # it was provisioned before, under this batch
    FAILED = "failed"
    LEFT_ALONE = "left alone"  # no token, or one that has a place elsewhere


@dataclass(frozen=True)
class Outcome:
    """One port. label: empty while there is none; problem: a sentence unless it was provisioned; board: where known."""

    port: str
    state: State
    label: str = ""
    done: Provisioned | None = None
    problem: str = ""
    board: str = ""


@dataclass(frozen=True)
class Tally:
    """How far a batch is. wanted: None without an end; left_s: about, None while nobody knows."""

    done: int
    wanted: int | None
    failed: int
    under_way: int
    left_s: float | None


class Audience(Onlooker, Protocol):
    """Who is told how it goes, and which label goes where. Called from the event loop: return at once."""

    def over(self, outcome: Outcome, is_news: bool) -> None:
        """Nothing more is done at this port for now. is_news: False when trying again ended as the time before."""

    def tally(self, tally: Tally) -> None:
        """So far."""


class _NotNow(BztokenError):
    """The batch has enough, counting those under way, or is being ended."""


class ManyProvisions:
    """One batch at the ports of this computer. wanted: so many tokens shall it have, those of earlier times counted."""

    def __init__(
        self,
        home: Home,
        registry: Registry,
        batch: ProvisionBatch,
        audience: Audience,
        wanted: int | None,
        at_once: int = AT_ONCE,
        may_be_development: bool = False,
        shows_labels: bool = False,
    ) -> None:
        self._registry = registry
        self._batch = batch
        self._audience = audience
        self._wanted = wanted
        naming, settings = BatchNumbers(batch), settings_of(batch)
        self._desk = ProvisionDesk(registry, home.master_key(), naming, settings, self, may_be_development)
        self._at_once = asyncio.Semaphore(at_once)
        self._watch = PortWatch(self._attempt, lambda outcome: outcome.state == State.FAILED, self._gone)
        self._turns = LabelTurns(home, registry, self._watch.is_there, audience) if shows_labels else None
        with registry.read() as session:
            self._before = len(provision_batches.tokens_of(session, batch))
        self._done = 0
        self._labels: dict[str, str] = {}  # of those under way, by port; empty while it has none
        self._failed: set[str] = set()  # keys of ports
        self._began_s = 0.0
        self._ended = asyncio.Event()
        self._enough = asyncio.Event()
        self._look()
        self.was_full = self._enough.is_set()  # from the beginning: tokens are plugged in to be labelled

    # -- life ----------------------------------------------------------------------------------------------------------
    @asynccontextmanager
    async def working(self, find: Callable[[], Sequence[FoundPort]]) -> AsyncIterator[None]:
        """Work at what is plugged in until the end of the block."""
        self._tasks = [asyncio.create_task(self._watch.run(find))]
        if self._turns is not None:
            self._tasks.append(asyncio.create_task(self._turns.run()))
        try:
            yield
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def until_enough(self) -> None:
        """The batch has all that are wanted, or `end` was called, and nothing is under way. Raises LinkError when
        nobody can look for ports.
        """
        await self._or_fail(self._enough.wait())

    async def until_labelled(self) -> None:
        """Every token that is done was pulled out, or `end` was called; only this ends it when the batch was full."""
        if self._turns is not None:
            await self._or_fail(self._ended.wait() if self.was_full else self._turns.until_over())

    async def _or_fail(self, wanted: Coroutine[None, None, object]) -> None:
        waiting = asyncio.create_task(wanted)
        try:
            done, _ = await asyncio.wait((waiting, *self._tasks), return_when=asyncio.FIRST_COMPLETED)
            for task in done - {waiting}:
                task.result()
        finally:
            waiting.cancel()

    def end(self) -> int:
        """Begin nothing more; how many are under way, which are finished."""
        self._ended.set()
        if self._turns is not None:
            self._turns.end()
        self._look()
        return len(self._labels)

    # -- one port ------------------------------------------------------------------------------------------------------
    async def _attempt(self, port: FoundPort, before: Outcome | None) -> Outcome:
        outcome = None
        while outcome is None:
            async with self._at_once:
                if not self._watch.is_there(port):  # pulled out while it waited
                    return Outcome(port.path, State.LEFT_ALONE)
                outcome = await self._outcome(port.path)
            while outcome is None and self._is_taken(port.path) and self._watch.is_there(port):
                await asyncio.sleep(LOOK_S / 4)
        (self._failed.add if outcome.state == State.FAILED else self._failed.discard)(port.key)
        if self._turns is not None and outcome.state in (State.PROVISIONED, State.KNOWN):
            self._turns.add(port, outcome.label, _has_light(outcome.board))
        self._audience.over(outcome, is_news=outcome != before)
        self._look()
        return outcome

    async def _outcome(self, port: str) -> Outcome | None:
        """None: not now."""
        try:
            done = await self._desk.provision(port)
            self._done += 1
            return Outcome(port, State.PROVISIONED, done.label, done, board=done.board)
        except _NotNow:
            return None
        except (NotAToken, OfAnotherRegistry) as error:
            return Outcome(port, State.LEFT_ALONE, problem=str(error))
        except OfThisRegistry as error:
            return self._known(port, error)
        except BztokenError as error:
            return Outcome(port, State.FAILED, self._labels.get(port, ""), problem=str(error))
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not stop the others
            sentence = _UNEXPECTED.format(type(error).__name__, port)
            return Outcome(port, State.FAILED, self._labels.get(port, ""), problem=sentence)
        finally:
            self._labels.pop(port, None)

    def _known(self, port: str, error: OfThisRegistry) -> Outcome:
        with self._registry.read() as session:
            token = session.get_one(Token, error.token_id)
            is_ours, board = token.batch_id == self._batch.id, token.board
        if is_ours and error.is_trusted:
            return Outcome(port, State.KNOWN, error.label, board=board)
        return Outcome(port, State.LEFT_ALONE, problem=_PLACED.format(port))

    def _gone(self, key: str) -> None:
        self._failed.discard(key)
        if self._turns is not None:
            self._turns.gone(key)
        self._look()

    # -- as the desk's watcher -----------------------------------------------------------------------------------------
    def admit(self, port: str) -> None:
        """Raises _NotNow when the batch needs no more."""
        if self._is_taken(port):
            raise _NotNow
        self._began_s = self._began_s or time.monotonic()
        self._labels[port] = ""
        self._look()

    def known(self, port: str, label: str) -> None:
        """Its number."""
        self._labels[port] = label

    # -- how far it is -------------------------------------------------------------------------------------------------
    def _is_taken(self, port: str) -> bool:
        """What there is to do is being done at other ports."""
        others = len(self._labels.keys() - {port})
        return self._ended.is_set() or (self._wanted is not None and self._before + self._done + others >= self._wanted)

    def _look(self) -> None:
        done = self._before + self._done
        if not self._labels and (self._ended.is_set() or (self._wanted is not None and done >= self._wanted)):
            self._enough.set()
        self._audience.tally(Tally(done, self._wanted, len(self._failed), len(self._labels), self._left_s(done)))

    def _left_s(self, done: int) -> float | None:
        if self._wanted is None or not self._done:
            return None
        return max(0, self._wanted - done) * (time.monotonic() - self._began_s) / self._done


def _has_light(board: str) -> bool:
    """Whether it can blink. One of which there is no good file may."""
    try:
        return bool(boards.load(board).description.get("light"))
    except BoardError:
        return True


def settings_of(batch: ProvisionBatch) -> Wanted:
    """What each of its tokens is told."""
    return Wanted(
        None if batch.profile is None else Profile(batch.profile),
        None if batch.scheme is None else Scheme(batch.scheme),
    )


@contextmanager
def only_program(home: Home, batch: ProvisionBatch) -> Iterator[None]:
    """Nobody else on this computer works at this batch meanwhile. Raises RegistryError when somebody does.

    A row that is pending would else be of a killed program, or just being made: the count needs to know which.
    """
    descriptor = os.open(home.path / LOCK_NAME, os.O_RDWR | os.O_CREAT, FILE_MODE)
    try:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, batch.id)
        except OSError:
            raise RegistryError(
                "another program on this computer works at this batch: let it do so, or begin a batch of another name"
            ) from None
        yield
    finally:
        os.close(descriptor)


_PLACED = (
    "It has keys of this registry already, and this batch may not provision it: it was not changed; `bztoken status "
    "--port {}` tells which it is."
)
_UNEXPECTED = "unexpected {}: BZTOKEN_DEBUG=1 and `bztoken provision --port {} --label ..` show where; report it."
