"""Reads a token's log into the registry: every page exactly once, wherever the cable is cut or the program killed.

Pages, sightings, the sync's row and the right to acknowledge are committed together, and only then the token is told
what it may delete; a page that was committed but not acknowledged is recognised by its number the next time. Storing
happens in a thread, so that the cable is read on meanwhile.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from bztoken.clock_care import offset_ms, read_clock, require_sane_clock
from bztoken.connection import KnownToken, connect
from bztoken.errors import LinkError, PageConflict
from bztoken.home import Home
from bztoken.link.log_reader import Cursor, LogReader
from bztoken.registry import carried, clock_points, gaps, intake, logs, page_times, pages, syncs, tokens
from bztoken.registry.database import Registry, open_registry
from bztoken.registry.models import Log, Token
from bztoken.tracing import notices
from bzwire import messages
from bzwire.errors import Truncated, WireError
from bzwire.page import check_page

COMMIT_PAGES = 96  # a third of a day: what a killed program costs at most, and few enough fsyncs
READS_OF_DAMAGED = 3

# Told (pages done, pages in all).
Progress = Callable[[int, int], None]
# Told which token it is, once that is proven; may raise LinkError.
OnKnown = Callable[[KnownToken], None]


@dataclass
class SyncResult:
    """What one sync did. clock_offset_ms: how far the token was ahead of this computer, None if its clock was unset;
    clock_set: it was set right, as only a courier does not do.

    alarm: "rollback" when the token counts lower than at an earlier visit; kept_from: the token keeps its pages from
    this one on, because it is damaged; notice: what was done about it, None: nothing.
    """

    label: str
    pages_new: int = 0
    pages_known: int = 0
    bytes_read: int = 0
    repeats: int = 0
    seconds: float = 0.0
    clock_offset_ms: int | None = None
    round_trip_ms: int = 0
    heap_bytes: int = 0
    kept_from: int | None = None
    alarm: str | None = None
    clock_set: bool = True
    notice: notices.Told | None = None


def sync(home: Home, port: str, progress: Progress) -> SyncResult:
    """Sync the token at a port. Raises LinkError or RegistryError; what was committed stays and is not read again."""
    with open_registry(home) as registry:
        return asyncio.run(sync_port(home, registry, port, progress))


def _anybody(_known: KnownToken) -> None:
    """Every token of the registry may be read."""


async def sync_port(
    home: Home,
    registry: Registry,
    port: str,
    progress: Progress,
    on_known: OnKnown = _anybody,
    storing: asyncio.Lock | None = None,
) -> SyncResult:
    """`sync` for those who sync several ports at once: on_known is told whose port it is, storing is held while rows
    are written.
    """
    async with connect(home, registry, port) as known:
        on_known(known)
        return await _LogSync(registry, known, progress, storing or asyncio.Lock()).run()


class _LogSync:
    """One token's log, from the first page that the registry lacks to the end."""

    def __init__(self, registry: Registry, known: KnownToken, progress: Progress, storing: asyncio.Lock) -> None:
        self._registry = registry
        self._known = known
        self._link = known.link
        self._progress = progress
        self._lock = storing
        self._reader = LogReader(known.link, min(known.info.read_bytes, messages.MAX_READ_BYTES))
        self._result = SyncResult(known.label)
        self._sync_id = 0
        self._waiting: list[bytes] = []  # whole pages, not yet given to be stored
        self._storing: asyncio.Task[int] | None = None  # gives the highest page that the token may delete
        self._rest = b""  # beginning of the page `_next`
        self._next = 0
        self._first = 0
        self._end = 0
        self._damaged: list[int] = []  # pages that never arrived whole
        self._keep_from: int | None = None  # lowest page that the token must not delete: a technician may save it
        self._overlap: bytes | None = None  # what the page `_next` must be: it is stored already
        self._safe = 0  # highest page that it may delete, as committed here; 0 on a courier's computer
        self._all_stored = False  # whatever was read

    async def run(self) -> SyncResult:
        started = time.monotonic()
        await self._begin()
        try:
            await self._read_all()
        except LinkError:
            await self._store_rest()
            raise
        except PageConflict:
            await self._write(self._raise_clone_alarm)
            raise
        finally:
            await self._let_storing_end()
            self._result.seconds = time.monotonic() - started
            self._result.repeats = self._link.repeats
            await self._write(self._finish)
        if not self._known.is_courier:
            self._result.notice = await notices.tell(self._registry, self._known, self._lock)
        if self._damaged:
            raise LinkError(
                f"The log on the token is damaged, first at page {min(self._damaged)}: all whole pages that it gives "
                "are stored, and it keeps the rest; let a technician look at it within 14 days."
            )
        self._result.kept_from = self._keep_from
        return self._result

    async def _write(self, change: Callable[[Session, Log], None]) -> None:
        """Make a change to the token's rows, in a transaction and a thread of its own."""

        def transact() -> None:
            with self._registry.write() as session:
                change(session, logs.log_of_token(session, session.get_one(Token, self._known.token_id)))

        async with self._lock:
            await asyncio.to_thread(transact)

    def _finish(self, session: Session, log: Log) -> None:
        if not self._known.is_courier:
            page_times.correct(session, log)
        result, damaged = self._result, min(self._damaged, default=None)
        done = self._next >= self._end and self._all_stored
        syncs.finish(session, self._sync_id, result.pages_new, result.pages_known, damaged, done)

    # -- the beginning -----------------------------------------------------------------------------------------------
    async def _begin(self) -> None:
        """Measure and set the clock (which closes the present window), then see what there is to read."""
        with self._registry.read() as session:
            require_sane_clock(session)
        readings, status = await read_clock(self._link, self._known.is_courier)
        self._result.clock_offset_ms = offset = offset_ms(readings[0])
        self._result.clock_set = readings[0].was_set
        self._result.round_trip_ms = round_trip_ms = 2 * readings[0].uncertainty_ms
        self._result.heap_bytes = int(status["hp"])
        self._end = int(status["n"])

        def note(session: Session, log: Log) -> None:
            if self._known.is_courier:
                carried.delete_old_once_a_day(session, int(time.time()))
            self._note_alarm(session, log, status)
            for reading in readings:
                clock_points.record(session, log, reading)
            stored = pages.next_sequence(session, log)
            self._keep_from = syncs.lowest_damaged(session, log, int(status["f"]))
            self._sync_id = syncs.start(session, log, int(time.time()), offset, round_trip_ms, stored)
            syncs.note_status(session, self._sync_id, status, self._known.info.firmware)
            self._choose_start(session, log, stored, int(status["f"]))

        await self._write(note)

    def _choose_start(self, session: Session, log: Log, stored: int, first: int) -> None:
        """Where to read on, and what may be acknowledged from an earlier time.

        A token that counts lower than the registry has lost its flash: read all it has, acknowledge nothing yet. Else
        the last page that is stored is read again where the token still has it: a second device with this identity
        has another one, and its pages must not be passed over as known.
        """
        if stored > self._end:
            self._next = self._first = first
            return
        if not self._known.is_courier:  # a courier's bundle may have been lost
            stored = gaps.read_on_from(session, log, first, stored, self._keep_from)
        self._next = self._first = max(stored, first)
        if first < stored:
            self._overlap = pages.raw_of(session, log, stored - 1)
            self._next = stored if self._overlap is None else stored - 1  # None: it was deleted for its age
        self._safe = log.safe_sequence if self._keep_from is None else min(log.safe_sequence, self._keep_from - 1)

    def _note_alarm(self, session: Session, log: Log, status: dict[str, Any]) -> None:
        token = session.get_one(Token, self._known.token_id)
        now_s = int(time.time())
        tokens.note_seen(session, token, now_s)
        if int(status["n"]) < pages.next_sequence(session, log) or int(status["bo"]) < syncs.last_boot(session, log):
            self._result.alarm = tokens.ALARM_ROLLBACK
            tokens.raise_alarm(session, token, tokens.ALARM_ROLLBACK, now_s)

    # -- the pages -----------------------------------------------------------------------------------------------------
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
                    if self._overlap is None:
                        self._keep_on_token(self._next)
                    self._overlap = None
                    self._next += 1
                    attempts = 0
            await self._store_behind()
            self._progress(max(0, self._next - self._first), self._end - self._first)
        await self._reader.settle()
        await self._store_rest()
        await self._acknowledge()

    def _keep_on_token(self, sequence: int) -> None:
        """This page is damaged or forged: go on behind it, and let the token delete nothing from it on."""
        self._damaged.append(sequence)
        self._keep_from = sequence if self._keep_from is None else min(self._keep_from, sequence)

    async def _read_piece(self) -> None:
        cursor = Cursor(self._next, len(self._rest))
        piece = await self._reader.read(cursor)
        if not piece.data:
            self._next = self._end = piece.cursor.sequence
            return
        self._result.bytes_read += len(piece.data)
        if piece.cursor.sequence != self._next:
            await self._jump(piece.cursor.sequence)
        self._take(self._rest + piece.data)
        self._reader.moved(Cursor(self._next, len(self._rest)))

    async def _jump(self, sequence: int) -> None:
        """The token went on at a later page: those between are past the retention, or their headers are damaged."""
        await self._reader.settle()
        status = await self._link.command(messages.CMD_STATUS)
        missing = self._next if self._overlap is None else self._next + 1
        if int(status["f"]) <= missing < sequence:  # what lies behind the oldest page was not deleted
            self._keep_on_token(missing)
        self._next, self._rest, self._overlap = sequence, b"", None

    def _take(self, data: bytes) -> None:
        """Cut whole pages off. Raises WireError for a damaged one."""
        view = memoryview(data)
        while len(view):
            try:
                header = check_page(view)
            except Truncated:
                break
            self._take_page(bytes(view[: header.length]))
            view = view[header.length :]
            self._next = header.sequence + 1
        self._rest = bytes(view)

    def _take_page(self, page: bytes) -> None:
        """Raises PageConflict when it is not what the registry has under its number."""
        if self._overlap is None:
            self._waiting.append(page)
        elif page == self._overlap:
            self._overlap = None
        else:
            raise PageConflict(pages.CONFLICT.format(sequence=self._next))

    # -- storing -------------------------------------------------------------------------------------------------------
    async def _store_behind(self) -> None:
        """When enough is waiting, give it to be stored and go on reading; tell the token on the way when it is safe."""
        enough = len(self._waiting) >= COMMIT_PAGES
        if self._storing is not None and (enough or self._storing.done()):
            await self._stored()
            if self._safe > 0:
                await self._reader.also(messages.CMD_ACKNOWLEDGE, s=self._safe)
        if enough:
            self._give_to_store()

    def _give_to_store(self) -> None:
        batch, self._waiting = self._waiting, []
        self._storing = asyncio.create_task(self._store(batch, self._next))

    async def _store_rest(self) -> None:
        """Nothing is waiting after this."""
        await self._stored()
        if self._waiting:
            self._give_to_store()
            await self._stored()
        self._all_stored = True

    async def _stored(self) -> None:
        """Wait for what is being stored. Ctrl-C ends the waiting, not the storing."""
        if self._storing is not None:
            self._safe = await asyncio.shield(self._storing)
            self._storing = None

    async def _let_storing_end(self) -> None:
        """After an error or Ctrl-C, which is what the caller hears of: the sync's row must tell what was stored."""
        if self._storing is not None:
            await asyncio.wait([self._storing])
            if not self._storing.cancelled():
                self._storing.exception()  # asked for, so that asyncio does not print it

    async def _store(self, batch: list[bytes], next_sequence: int) -> int:
        """Store pages in one transaction; the highest page that the token may delete then."""
        found = intake.Intake()

        def take(session: Session, log: Log) -> None:
            nonlocal found
            now_s = int(time.time())
            found = intake.take_pages(
                session, log, batch, self._known.first_log_key, now_s, next_sequence, self._keep_from
            )
            done = (self._result.pages_new + found.new, self._result.pages_known + found.known)
            syncs.note_progress(session, self._sync_id, *done)

        await self._write(take)
        self._result.pages_new += found.new
        self._result.pages_known += found.known
        for sequence in found.damaged:
            self._keep_on_token(sequence)
        return found.safe_sequence

    def _raise_clone_alarm(self, session: Session, _log: Log) -> None:
        token = session.get_one(Token, self._known.token_id)
        tokens.raise_alarm(session, token, tokens.ALARM_CLONE, int(time.time()))

    async def _acknowledge(self) -> None:
        """Everything that is committed here the token may delete."""
        if self._safe > 0:
            await self._link.command(messages.CMD_ACKNOWLEDGE, s=self._safe)
