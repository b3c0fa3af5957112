"""Reads a token's log into the registry: every page exactly once, wherever the cable is cut or the program killed.

Pages are committed first and acknowledged after, so the token deletes only what is safe; a page that was committed but
not acknowledged is recognised by its number the next time.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.orm import Session

from bztoken.connection import KnownToken, connect
from bztoken.errors import LinkError, PageDamaged
from bztoken.home import Home
from bztoken.registry import logs, pages, syncs
from bztoken.registry.database import Registry, open_registry
from bztoken.registry.models import Log, Token
from bzwire import messages
from bzwire.errors import Truncated, WireError
from bzwire.page import check_page, read_header

COMMIT_PAGES = 96  # a third of a day: what a cut costs at most, and few enough fsyncs
READS_OF_DAMAGED = 3

# Told (pages done, pages in all).
Progress = Callable[[int, int], None]


@dataclass
class SyncResult:
    """What one sync did. clock_offset_ms: how far the token was ahead of this computer, None if its clock was unset."""

    label: str
    pages_new: int = 0
    pages_known: int = 0
    bytes_read: int = 0
    repeats: int = 0
    seconds: float = 0.0
    clock_offset_ms: int | None = None
    round_trip_ms: int = 0
    heap_bytes: int = 0
    kept_from: int | None = None  # the token keeps its pages from this one on: it is damaged


def sync(home: Home, port: str, progress: Progress) -> SyncResult:
    """Sync the token at a port. Raises LinkError or RegistryError; what was committed stays and is not read again."""
    with open_registry(home) as registry:
        return asyncio.run(_sync(home, registry, port, progress))


async def _sync(home: Home, registry: Registry, port: str, progress: Progress) -> SyncResult:
    async with connect(home, registry, port) as known:
        return await _Reader(registry, known, progress).run()


class _Reader:
    """One token's log, from the first page that the registry lacks to the end."""

    def __init__(self, registry: Registry, known: KnownToken, progress: Progress) -> None:
        self._registry = registry
        self._known = known
        self._link = known.link
        self._progress = progress
        self._result = SyncResult(known.label)
        self._sync_id = 0
        self._waiting: list[bytes] = []  # whole pages, not yet committed
        self._rest = b""  # beginning of the page `_next`
        self._next = 0
        self._first = 0
        self._end = 0
        self._damaged: list[int] = []  # pages that never arrived whole
        self._keep_from: int | None = None  # lowest page that the token must not delete: a technician may save it

    async def run(self) -> SyncResult:
        started = time.monotonic()
        await self._begin()
        try:
            await self._read_all()
        finally:
            self._result.seconds = time.monotonic() - started
            self._result.repeats = self._link.repeats
            with self._registry.write() as session:
                syncs.finish(
                    session,
                    self._sync_id,
                    self._result.pages_new,
                    self._result.pages_known,
                    min(self._damaged, default=None),
                    self._done(),
                )
        if self._damaged:
            raise LinkError(
                f"The log on the token is damaged, first at page {self._damaged[0]}: all whole pages that it gives are "
                "stored, and it keeps the rest; let a technician look at it within 14 days."
            )
        self._result.kept_from = self._keep_from
        return self._result

    def _done(self) -> bool:
        return self._next >= self._end and not self._waiting

    async def _begin(self) -> None:
        """Measure and set the clock (which closes the present window), then see what there is to read."""
        before = time.time_ns()
        status = await self._link.command(messages.CMD_STATUS)
        after = time.time_ns()
        result = self._result
        result.round_trip_ms = (after - before) // 1_000_000
        result.heap_bytes = int(status["hp"])
        if status["ck"]:
            result.clock_offset_ms = int(status["t"]) - (before + after) // 2_000_000
        await self._link.command(messages.CMD_SET_CLOCK, t=time.time_ns() // 1_000_000)
        status = await self._link.command(messages.CMD_STATUS)
        self._end = int(status["n"])
        with self._registry.write() as session:
            log = logs.log_of_token(session, session.get_one(Token, self._known.token_id))
            stored = pages.next_sequence(session, log)
            self._keep_from = syncs.lowest_damaged(session, log, int(status["f"]))
            self._sync_id = syncs.start(
                session, log, int(time.time()), result.clock_offset_ms, result.round_trip_ms, stored
            )
        # A token that counts lower than the registry has lost its flash: read all it has.
        self._next = max(stored, int(status["f"])) if stored <= self._end else int(status["f"])
        self._first = self._next
        if self._next > int(status["a"]) + 1 and self._next == stored:
            await self._acknowledge()

    async def _read_all(self) -> None:
        attempts = 0
        self._progress(0, self._end - self._first)
        while self._next < self._end:
            try:
                await self._read_piece()
                attempts = 0
            except WireError:
                attempts += 1
                self._rest = b""
                if attempts == READS_OF_DAMAGED:
                    self._keep_on_token(self._next)
                    self._next += 1
                    attempts = 0
            if len(self._waiting) >= COMMIT_PAGES:
                await self._commit()
            self._progress(self._next - self._first, self._end - self._first)
        await self._commit()

    def _keep_on_token(self, sequence: int) -> None:
        """This page is damaged or forged: go on behind it, and let the token delete nothing from it on."""
        self._damaged.append(sequence)
        self._keep_from = sequence if self._keep_from is None else min(self._keep_from, sequence)

    async def _read_piece(self) -> None:
        answer = await self._link.command(messages.CMD_READ, s=self._next, o=len(self._rest), n=messages.MAX_READ_BYTES)
        data = answer["d"]
        if not data:
            self._next = self._end = int(answer["s"])
            return
        self._result.bytes_read += len(data)
        if answer["s"] != self._next:
            await self._jump(int(answer["s"]))
        self._take(self._rest + data)

    async def _jump(self, sequence: int) -> None:
        """The token went on at a later page: those between are past the retention, or their headers are damaged."""
        status = await self._link.command(messages.CMD_STATUS)
        if self._next >= int(status["f"]):  # what lies behind the oldest page was not deleted
            self._keep_on_token(self._next)
        self._next, self._rest = sequence, b""

    def _take(self, data: bytes) -> None:
        """Cut whole pages off. Raises WireError for a damaged one."""
        view = memoryview(data)
        while len(view):
            try:
                header = check_page(view)
            except Truncated:
                break
            self._waiting.append(bytes(view[: header.length]))
            view = view[header.length :]
            self._next = header.sequence + 1
        self._rest = bytes(view)

    async def _commit(self) -> None:
        """Store what is waiting, in one transaction; only then let the token delete it."""
        if not self._waiting:
            return
        now_s = int(time.time())
        with self._registry.write() as session:
            log = logs.log_of_token(session, session.get_one(Token, self._known.token_id))
            for raw in self._waiting:
                self._import(session, log, raw, now_s)
        self._waiting.clear()
        await self._acknowledge()

    def _import(self, session: Session, log: Log, raw: bytes, now_s: int) -> None:
        try:
            new = pages.import_page(session, log, raw, self._known.keys.first_log_key, now_s)
        except PageDamaged:
            self._keep_on_token(read_header(raw).sequence)
            return
        if new:
            self._result.pages_new += 1
        else:
            self._result.pages_known += 1

    async def _acknowledge(self) -> None:
        """Everything before the cursor is committed: the token may delete it, but for what it has to keep."""
        sequence = self._next - 1 if self._keep_from is None else min(self._next, self._keep_from) - 1
        if sequence > 0:
            await self._link.command(messages.CMD_ACKNOWLEDGE, s=sequence)
