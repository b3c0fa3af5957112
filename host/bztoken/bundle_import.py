"""Takes a courier's bundle into the clinic's registry: all of it is verified before anything is stored.

The file is read twice. What the first reading found right, the second must find again, section by section; each section
is one transaction, so an import that was killed goes on where it stopped, and a second one changes nothing.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from sqlalchemy import select
from sqlalchemy.orm import Session

from bztoken.courier import today
from bztoken.errors import FormatError, PageConflict, RegistryError
from bztoken.formats.bundle import MAX_MADE_AT_S, Counts, Header, Row, Section
from bztoken.formats.bundle_file import BundleReader
from bztoken.home import Home
from bztoken.registry import (
    clock_points,
    couriers,
    events,
    gaps,
    logs,
    losses,
    page_times,
    pages,
    person_rows,
    syncs,
    tokens,
)
from bztoken.registry.clock_points import ClockReading
from bztoken.registry.database import Registry, open_registry
from bztoken.registry.models import Courier, Log, Sync, Token
from bzwire.bluezone import DAY_S
from bzwire.messages import EARLIEST_UNIX_MS

# What was read on a pass's last day may still be brought for so long.
GRACE_DAYS = 7
# A courier's computer may be ahead of this one by so much; rows with later times would spoil the clocks of tokens.
AHEAD_S = 300
# Clock readings are reckoned with: each number must be one that a token may have told, or a computer measured.
_POSSIBLE = {
    "uncertainty_ms": (0, DAY_S * 1000),
    "clock_ms": (0, MAX_MADE_AT_S * 1000),
    "boot_id": (0, (1 << 32) - 1),
    "uptime_ms": (0, 1 << 53),
    "next_sequence": (0, (1 << 32) - 1),
    "drift_bound_ppm": (0, 500_000),
}

# Told (what is being done, pages done, pages in all or None).
Progress = Callable[[str, int, int | None], None]


@dataclass
class Imported:
    """What an import did.

    refused_tokens: not believed (revoked, or with a double); misdated: syncs and clock readings with impossible times.
    """

    counts: Counts
    pages_new: int = 0
    pages_known: int = 0
    syncs_new: int = 0
    tokens: set[int] = field(default_factory=set)
    refused_tokens: set[int] = field(default_factory=set)
    clones: set[int] = field(default_factory=set)
    pages_damaged: int = 0
    misdated: int = 0

    def problem(self) -> str | None:
        """One sentence when somebody has to look at something."""
        if self.clones:
            return (
                f"{len(self.clones)} of the tokens have a double: pages in the bundle differ from stored pages of the "
                "same number; nothing of that part was stored, `bztoken token due` shows which to look for"
            )
        if self.pages_damaged:
            return (
                f"{self.pages_damaged} pages do not open with their token's key: they were left out, the tokens keep "
                "theirs until they are synced here"
            )
        return None


@dataclass(frozen=True)
class Verified:
    """A bundle that is whole and signed by a courier of this registry. digests: of its sections."""

    courier_id: int
    counts: Counts
    digests: list[bytes]


@dataclass(frozen=True)
class Inspected:
    """signature: True when it was checked and is right, None when nobody here knows the courier."""

    header: Header
    counts: Counts
    tokens: int
    bytes_read: int
    signature: bool | None


class _Undone(Exception):
    """Ends the transaction of a rehearsal."""


class _Writable(Protocol):
    """What a section needs of a registry."""

    def write(self) -> AbstractContextManager[Session]:
        """A transaction."""


class _Inside:
    """Transactions inside another one, which are undone with it."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """All of it or nothing."""
        with self._session.begin_nested():
            yield self._session


def import_bundle(home: Home, path: Path, progress: Progress) -> Imported:
    """Raises FormatError, HomeError, RegistryError or OSError; a bundle that is not right leaves nothing behind."""
    master_key = home.master_key()
    with open_registry(home) as registry, path.open("rb") as file:
        verified = verify(registry, path, file, progress)
        return _take_all(registry, master_key, BundleReader(path, file), verified, progress)


@contextmanager
def rehearsed(
    registry: Registry, master_key: bytes, reader: BundleReader, verified: Verified, progress: Progress
) -> Iterator[tuple[Session, Imported]]:
    """The registry as an import would leave it, to be read; at the end nothing of it stays. Nobody else can write
    meanwhile. Raises as `import_bundle` does.
    """
    with suppress(_Undone), registry.write() as session:
        yield session, _take_all(_Inside(session), master_key, reader, verified, progress)
        raise _Undone


def _take_all(
    registry: _Writable, master_key: bytes, reader: BundleReader, verified: Verified, progress: Progress
) -> Imported:
    result = Imported(verified.counts)
    for number, section in enumerate(reader.sections()):
        if verified.digests[number : number + 1] != [section.digest]:
            raise FormatError(reader.path, None, "the file changed while it was read: import it again")
        _Section(registry, master_key, verified.courier_id, result).take(section)
        progress("Importing", result.pages_new + result.pages_known, verified.counts.pages)
    return result


def inspect_bundle(path: Path, public_key_of: Callable[[bytes], bytes | None]) -> Inspected:
    """What a bundle holds. public_key_of: by a courier's number. Raises FormatError or OSError."""
    with path.open("rb") as file:
        reader = BundleReader(path, file)
        uids = {section.uid for section in reader.sections()}
        public_key = public_key_of(reader.header.courier_number)
        if public_key is not None:
            reader.require_signature(public_key)
        return Inspected(reader.header, reader.counts, len(uids), file.tell(), None if public_key is None else True)


# -- first reading -----------------------------------------------------------------------------------------------------
def verify(registry: Registry, path: Path, file: BinaryIO, progress: Progress) -> Verified:
    """Read all of it. Raises FormatError or RegistryError for one that must not be taken."""
    reader = BundleReader(path, file)
    with registry.read() as session:
        courier = _require_courier(session, reader.header)
        digests, uids = [], set()
        for section in reader.sections():
            digests.append(section.digest)
            uids.add(section.uid)
            progress("Checking", reader.counts.pages, None)
        reader.require_signature(courier.public_key)
        if any(tokens.by_uid(session, uid) is None for uid in uids):
            raise RegistryError("the bundle holds a token that this registry does not know: nothing was stored")
        return Verified(courier.id, reader.counts, digests)


def _require_courier(session: Session, header: Header) -> Courier:
    courier = couriers.by_number(session, header.courier_number)
    if courier is None:
        raise RegistryError(
            "the bundle is of a courier that this registry does not know: nothing was stored, import it where its "
            "pass was made"
        )
    if courier.state == couriers.STATE_REVOKED:
        raise RegistryError("the courier of this bundle was revoked: nothing was stored")
    if today() > date.fromisoformat(courier.last_day) + timedelta(days=GRACE_DAYS):
        raise RegistryError(
            f"the courier's pass ended on {courier.last_day}, more than {GRACE_DAYS} days ago: nothing was stored; "
            "give the courier a new pass and let it run `bztoken bundle export --all`"
        )
    return courier


# -- second reading ----------------------------------------------------------------------------------------------------
class _Section:
    """Stores one section, all of it or nothing."""

    def __init__(self, registry: _Writable, master_key: bytes, courier_id: int, result: Imported) -> None:
        self._registry = registry
        self._master_key = master_key
        self._courier_id = courier_id
        self._result = result
        self._now_s = int(time.time())
        self._new = self._known = self._damaged = self._syncs_new = self._misdated = 0

    def take(self, section: Section) -> None:
        """Raises RegistryError when the registry cannot be written."""
        try:
            with self._registry.write() as session:
                token = tokens.by_uid(session, section.uid)
                assert token is not None  # every token was looked up before
                if token.state == tokens.STATE_REVOKED or token.alarm == tokens.ALARM_CLONE:
                    self._note_revoked(session, token, section)
                    self._result.refused_tokens.add(token.id)
                    return
                if person_rows.is_withheld(session, token):
                    self._result.refused_tokens.add(token.id)
                    return
                self._store(session, token, section)
        except PageConflict:
            self._raise_alarm(section.uid)
            return
        self._count(token)

    def _store(self, session: Session, token: Token, section: Section) -> None:
        log = logs.log_of_token(session, token)
        for row in section.syncs:
            self._take_sync(session, token, log, row)
        for reading in section.readings:
            if self._is_misdated(reading["at_ms"] // 1000, _is_possible(reading)):
                continue
            clock_points.record(session, log, ClockReading(**reading))
        first_log_key = tokens.token_keys(self._master_key, token.uid).first_log_key
        found = pages.import_pages(session, log, section.pages, first_log_key, self._now_s)
        self._new, self._known = found.new, found.known
        self._damaged = len(section.pages) - found.new - found.known
        page_times.correct(session, log)
        gaps.allow_deletion(session, log)

    def _note_revoked(self, session: Session, token: Token, section: Section) -> None:
        """A courier met it after it was revoked, and could not know."""
        revoked = events.latest(session, token, (events.REVOKED,))
        met = [row["started_s"] for row in section.syncs if row["started_s"] <= self._now_s + AHEAD_S]
        if revoked is not None and any(at_s > revoked.at_s for at_s in met):
            losses.note_seen(session, token, self._now_s, "by a courier")

    def _take_sync(self, session: Session, token: Token, log: Log, row: Row) -> None:
        if self._is_misdated(row["started_s"]):
            return
        tokens.note_seen(session, token, row["started_s"])
        if _has_sync(session, log, row):
            return
        state = row["state"] if row["state"] in (syncs.STATE_DONE, syncs.STATE_CUT) else syncs.STATE_CUT
        session.add(Sync(**{**row, "log_id": log.id, "courier_id": self._courier_id, "state": state}))
        session.flush()
        self._syncs_new += 1

    def _is_misdated(self, at_s: int, is_possible: bool = True) -> bool:
        misdated = not is_possible or not EARLIEST_UNIX_MS // 1000 <= at_s <= self._now_s + AHEAD_S
        self._misdated += misdated
        return misdated

    def _raise_alarm(self, uid: bytes) -> None:
        with self._registry.write() as session:
            token = tokens.by_uid(session, uid)
            assert token is not None
            tokens.raise_alarm(session, token, tokens.ALARM_CLONE, self._now_s)
            self._result.clones.add(token.id)

    def _count(self, token: Token) -> None:
        """After the commit."""
        result = self._result
        result.tokens.add(token.id)
        result.pages_new += self._new
        result.pages_known += self._known
        result.pages_damaged += self._damaged
        result.syncs_new += self._syncs_new
        result.misdated += self._misdated


def _is_possible(reading: Row) -> bool:
    return all(reading[name] is None or low <= reading[name] <= high for name, (low, high) in _POSSIBLE.items())


def _has_sync(session: Session, log: Log, row: dict[str, Any]) -> bool:
    """Also when it came under an earlier pass of the same courier."""
    query = select(Sync.id).where(
        Sync.log_id == log.id,
        Sync.courier_id.is_not(None),
        Sync.started_s == row["started_s"],
        Sync.ended_s == row["ended_s"],
        Sync.next_sequence == row["next_sequence"],
    )
    return session.scalar(query.limit(1)) is not None
