"""Writes a courier's bundle: the syncs, clock readings and unopened pages that the clinic does not have yet."""

import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bztoken.courier import own_pass
from bztoken.errors import HomeError, RegistryError
from bztoken.formats.bundle import CLOCK_COLUMNS, RANDOM_BYTES, SYNC_COLUMNS, Counts, Header, Row
from bztoken.formats.bundle_file import BundleWriter
from bztoken.home import Home, private_file
from bztoken.registry import carried
from bztoken.registry.database import open_registry
from bztoken.registry.models import ClockPoint, Log, Page, Sync, Token

_ROWS_AT_ONCE = 200

# Told (pages done, pages in all).
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Exported:
    """What was written. forgotten: pages deleted from this computer after it."""

    counts: Counts
    tokens: int
    bytes_written: int
    forgotten: int


def export_bundle(
    home: Home, out: Path, progress: Progress, everything: bool = False, forget: bool = False
) -> Exported:
    """Write what came since the last bundle, or everything that is here; whole or not at all.

    forget: delete here what the bundle holds then. Raises HomeError, RegistryError or OSError.
    """
    own = own_pass(home)
    if out.exists():
        raise HomeError(f"{out} exists already: nothing was written, choose another file")
    now_s = int(time.time())
    signing_key = Ed25519PrivateKey.from_private_bytes(own.signing_key)
    with open_registry(home) as registry:
        with registry.write() as session:
            carried.delete_old(session, now_s)
        with registry.read() as session:
            pages = _PagesToWrite(session, everything)
            if not pages.total and not _new_syncs(session) and not everything:
                raise RegistryError(
                    "nothing was read since the last bundle: none was written; `--all` writes everything again"
                )
            with private_file(out) as file:
                random = secrets.token_bytes(RANDOM_BYTES)
                writer = BundleWriter(file, signing_key, Header(own.number, now_s), random)
                written = _write_logs(writer, session, pages, progress)
                counts = writer.finish()
        with registry.write() as session:
            carried.note_exported(session, written, pages.last_row, now_s)
            forgotten = carried.forget_exported(session) if forget else 0
    return Exported(counts, len(written), out.stat().st_size, forgotten)


def forget_exported(home: Home) -> int:
    """Delete here what bundles hold; how many pages. Raises HomeError or RegistryError."""
    own_pass(home)
    with open_registry(home) as registry, registry.write() as session:
        return carried.forget_exported(session)


class _PagesToWrite:
    """Which rows go into the bundle: those that are there now and in no bundle, or all."""

    def __init__(self, session: Session, everything: bool) -> None:
        self._session = session
        self.last_row = carried.last_row(session)
        self._wanted = Page.id <= self.last_row if everything else (Page.id <= self.last_row) & ~Page.bundled
        self.done = 0
        counted = select(Page.log_id, func.count(Page.id)).where(self._wanted).group_by(Page.log_id)
        self._of_log = {row[0]: row[1] for row in session.execute(counted)}
        self.total = sum(self._of_log.values())

    def has(self, log: Log) -> bool:
        """True when there are pages of this log."""
        return log.id in self._of_log

    def of(self, log: Log) -> Iterable[bytes]:
        """The pages of a log, read from the registry bit by bit."""
        query = (
            select(Page.raw)
            .where(Page.log_id == log.id, self._wanted)
            .order_by(Page.id)
            .execution_options(yield_per=_ROWS_AT_ONCE)
        )
        return self._session.scalars(query)


def _new_syncs(session: Session) -> bool:
    since_s = carried.exported_at_s(session)
    return session.scalar(select(Sync.id).where(Sync.started_s > since_s).limit(1)) is not None


def _write_logs(writer: BundleWriter, session: Session, pages: _PagesToWrite, progress: Progress) -> list[int]:
    """Every token of which there is something; their numbers here."""
    query = select(Token, Log).join(Log, Log.token_id == Token.id).order_by(Token.id)
    found = [(token, log) for token, log in session.execute(query)]
    return [token.id for token, log in found if _write_log(writer, session, token, log, pages, progress)]


def _write_log(
    writer: BundleWriter, session: Session, token: Token, log: Log, pages: _PagesToWrite, progress: Progress
) -> bool:
    """One token's rows and pages; False when there are none."""
    syncs = select(Sync).where(Sync.log_id == log.id, Sync.ended_s.is_not(None)).order_by(Sync.id)
    readings = select(ClockPoint).where(ClockPoint.log_id == log.id).order_by(ClockPoint.id)
    sync_rows, reading_rows = session.scalars(syncs).all(), session.scalars(readings).all()
    if not sync_rows and not reading_rows and not pages.has(log):
        return False
    writer.token(token.uid)
    for row in sync_rows:
        writer.sync(_columns(row, SYNC_COLUMNS))
    for reading in reading_rows:
        writer.reading(_columns(reading, CLOCK_COLUMNS))
    for raw in pages.of(log):
        writer.page(raw)
        pages.done += 1
        if pages.done % _ROWS_AT_ONCE == 0:
            progress(pages.done, pages.total)
    progress(pages.done, pages.total)
    return True


def _columns(row: Sync | ClockPoint, columns: dict[str, bool]) -> Row:
    return {name: getattr(row, name) for name in columns}
