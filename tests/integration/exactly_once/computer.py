"""A clinic's computer that can be killed: what it leaves is the registry's files as they were at that very moment.

After a kill the program is inert: whatever it still does, in its handlers and cleanups, reaches neither the cable nor
the files that the next sync opens.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from sqlalchemy import event, func, select
from tests.integration.clinic import StoredPage
from tests.integration.exactly_once import instant_loop
from tests.integration.exactly_once.memory_cable import PORT, MemoryCable

from bztoken import clock_care
from bztoken import sync as sync_module
from bztoken.home import Home
from bztoken.link import token_link
from bztoken.registry import syncs
from bztoken.registry.database import Registry, open_registry
from bztoken.registry.models import Log, Page, Sighting, Sync, Token
from bztoken.sync import SyncResult, sync_port


class Killed(BaseException):
    """The program ends here."""


@dataclass(frozen=True)
class Kill:
    """Where the program dies: before or after the `number`-th request, or at a place of the `number`-th transaction.

    place: "send", "sent", "begin", "commit" (all is written, nothing committed), "committed"; or "statement" with the
    number counted over all transactions.
    """

    place: str
    number: int


class WorldClock:
    """`time` as the computer sees it."""

    def __init__(self, now_us: Callable[[], int]) -> None:
        self._now_us = now_us

    def time_ns(self) -> int:
        return self._now_us() * 1000

    def time(self) -> float:
        return self._now_us() / 1e6

    monotonic = time


class Computer:
    """home: the data folder that the next sync opens. label: of the one token. offset_s: what its clock is ahead."""

    def __init__(self, home: Home, label: str, now_us: Callable[[], int], live: Callable[[float], None]) -> None:
        self.home = home
        self.label = label
        self.offset_s = 0
        self._now_us = now_us
        self._live = live
        self._kill: Kill | None = None
        self._dead = False
        self._kills = 0
        self._left: Home | None = None  # the folder of the killed program
        self._registry: Registry | None = None
        self.counts: dict[str, int] = {}  # how often each place of a kill was passed in the last sync

    # -- dying ---------------------------------------------------------------------------------------------------------
    def _require_alive(self) -> None:
        if self._dead:
            raise Killed

    def _reach(self, place: str) -> None:
        self._require_alive()
        self.counts[place] = number = self.counts.get(place, 0) + 1
        if self._kill == Kill(place, number):
            self._die()

    def _die(self) -> None:
        self._kills += 1
        rest = self.home.path.with_name(f"home-{self._kills}")
        shutil.copytree(self.home.path, rest)
        self._left = self.home
        self.home = Home(rest)
        self._dead = True
        raise Killed

    def _bury(self) -> None:
        """Nothing of the killed program is used again."""
        self.close()
        if self._left is not None:
            shutil.rmtree(self._left.path)
            self._left = None

    # -- the registry --------------------------------------------------------------------------------------------------
    def _open(self) -> Registry:
        """Opened once for as long as nobody kills the program: that, too, must be right."""
        if self._registry is None:
            self._registry = self._watched(open_registry(self.home))
        return self._registry

    def close(self) -> None:
        """Close the registry."""
        if self._registry is not None:
            self._registry.close()
            self._registry = None

    def _watched(self, registry: Registry) -> Registry:
        """The registry with the places of a kill in its transactions."""
        engine = registry._engine
        # A killed program loses nothing that it wrote; only a computer without power would.
        event.listen(engine, "connect", lambda connection, _record: connection.execute("PRAGMA synchronous = OFF"))
        engine.dispose()  # and connect anew
        event.listen(engine, "before_cursor_execute", lambda *_anything: self._reach("statement"))
        event.listen(engine, "commit", lambda _connection: self._reach("commit"))
        write = registry.write

        @contextmanager
        def watched_write() -> Iterator[Any]:
            self._reach("begin")
            with write() as session:
                yield session
            self._reach("committed")

        registry.write = watched_write  # type: ignore[method-assign]
        return registry

    def _watch(self, cable: MemoryCable) -> None:
        cable.alive = self._require_alive
        send = cable.send

        def watched_send(data: bytes) -> None:
            self._reach("send")
            send(data)
            self._reach("sent")

        cable.send = watched_send  # type: ignore[method-assign]

    # -- syncing -------------------------------------------------------------------------------------------------------
    def sync(
        self, cable: MemoryCable, kill: Kill | None = None, slow_disk: int = 0, commit_pages: int = 96
    ) -> SyncResult:
        """`bztoken sync` at the end of a cable. Raises what it raises, and Killed."""
        self._kill, self.counts = kill, {}
        clock = WorldClock(lambda: self._now_us() + self.offset_s * 1_000_000)
        self._watch(cable)
        registry = self._open()
        loop = instant_loop.InstantLoop(lambda: self._now_us() / 1e6, self._live, slow_disk)
        with (
            patch.object(token_link, "TokenTransport", cable.transport),
            patch.object(sync_module, "time", clock),
            patch.object(clock_care, "time", clock),
            patch.object(syncs, "time", clock),
            patch.object(sync_module, "COMMIT_PAGES", commit_pages),
        ):
            try:
                found = instant_loop.run(loop, sync_port(self.home, registry, PORT, lambda _done, _total: None))
            finally:
                self._kill = None
                if self._dead:
                    self._dead = False
                    self._bury()
        assert isinstance(found, SyncResult)
        return found

    # -- looking -------------------------------------------------------------------------------------------------------
    def stored(self, since: int = 0) -> list[StoredPage]:
        """The pages from this number on, in the order of storing."""
        count = select(func.count(Sighting.id)).where(Sighting.page_id == Page.id).scalar_subquery()
        query = select(Page.sequence, Page.raw, count).join(Log).where(Log.label == self.label, Page.sequence >= since)
        with self._open().read() as session:
            return [StoredPage(*row) for row in session.execute(query.order_by(Page.id))]

    def complaints(self) -> tuple[list[str | None], list[int | None]]:
        """Alarms of tokens, and pages that a sync took for damaged."""
        with self._open().read() as session:
            alarms = session.scalars(select(Token.alarm).where(Token.alarm.is_not(None)))
            damaged = session.scalars(select(Sync.damaged_sequence).where(Sync.damaged_sequence.is_not(None)))
            return list(alarms), list(damaged)

    def last_sync_state(self) -> str:
        """How the registry says that the last sync ended."""
        with self._open().read() as session:
            return session.scalars(select(Sync.state).order_by(Sync.id.desc())).first() or ""


def make_home(folder: Path, create: Callable[[Home], None], key_byte: int = 7) -> Home:
    """A registry with keys that are the same on every run."""
    folder.mkdir(mode=0o700)
    home = Home(folder)
    for path in (home.registry_key_path, home.master_key_path):
        path.touch(mode=0o600)
        path.write_text(f"{bytes([key_byte] * 32).hex()}\n")
    create(home)
    return home
