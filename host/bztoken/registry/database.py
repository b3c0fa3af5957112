"""Opens the registry: an SQLCipher file, never a plaintext one, at the migration that this version knows.

Transactions are ours, not the driver's: `read()` sees one snapshot, `write()` takes the write lock at once, commits at
the end or leaves nothing. A change of key that was interrupted is finished or undone before anything is read.
"""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import Engine, select, text
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.orm import Session

from bztoken.errors import RegistryError
from bztoken.home import FILE_MODE, Home, sync_folder, told_as
from bztoken.registry import audit, audit_head, occupancy, rekeying
from bztoken.registry.connecting import (
    REFUSED,
    does_not_open,
    encrypted_engine,
    remove_database,
    require_sqlcipher,
    sentences,
)
from bztoken.registry.migrating import head_revision, known_revision, migrate
from bztoken.registry.models import AuditEntry

_FIRST_WITH_AUDIT = "0005"
_NOT_EMPTIED = (
    "what was deleted is still in the registry's log, because another program reads it: end that program, then run "
    "`bztoken purge`, which empties it"
)


@dataclass(frozen=True)
class Place:
    """A registry that somebody has open, for another process of the same program, which opens it to read."""

    path: Path
    key: bytes = field(repr=False)

    def engine(self) -> Engine:
        """A new one; nothing is opened yet."""
        return encrypted_engine(self.path, self.key)


class Registry:
    """An open registry; use as a context manager, or call close()."""

    def __init__(
        self,
        engine: Engine,
        share: occupancy.Share | None = None,
        keeper: audit_head.Keeper | None = None,
        place: Place | None = None,
    ) -> None:
        """place: where it lies, for those who open it once more."""
        self.place = place
        self._engine = engine
        self._share = share
        self._keeper = keeper

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session that sees one snapshot and changes nothing."""
        with sentences(), Session(self._engine) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session whose changes are committed together at the end, or not at all when anything is raised.

        Rows stay readable after the commit, so that a caller can go on with what it stored.
        """
        engine = self._engine.execution_options(bz_begin="BEGIN IMMEDIATE")
        with sentences(), Session(engine, expire_on_commit=False) as session:
            with session.begin():
                yield session
            head = session.info.get(audit.HEAD)
            if head is not None and self._keeper is not None:
                self._keeper.advance(audit_head.Head(*head), self._digest_of_entry)

    def _digest_of_entry(self, number: int) -> bytes | None:
        with self.read() as session:
            return session.scalar(select(AuditEntry.digest).where(AuditEntry.id == number))

    def compact(self) -> None:
        """Write the file anew without free pages, if it has any, and empty the log: nothing that was deleted is in
        either, for within a page it is overwritten.

        Takes the write lock, and memory of the size of the file. Raises RegistryError, also when somebody who reads
        keeps the log from being emptied.
        """
        with sentences(), closing(self._engine.raw_connection()) as connection:
            cursor = connection.cursor()
            (free_pages,) = cursor.execute("PRAGMA freelist_count").fetchone()
            if free_pages:
                cursor.execute("VACUUM")
        self.empty_log()

    def empty_log(self) -> None:
        """Put the write-ahead log into the file and empty it; pages of the file that are free hold nothing since.

        Raises RegistryError, also when somebody who reads keeps the log from being emptied.
        """
        with sentences(), closing(self._engine.raw_connection()) as connection:
            emptied = connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if emptied is None or emptied[0]:
            raise RegistryError(_NOT_EMPTIED)

    def close(self) -> None:
        """Close every connection; the last one folds the write-ahead log into the file."""
        self._engine.dispose()
        if self._share is not None:
            self._share.give_back()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def create_registry(home: Home) -> None:
    """Make data folder, keys and an empty registry. Raises RegistryError when there is a registry already."""
    require_sqlcipher()
    if home.registry_path.exists():
        raise RegistryError(f"{home.registry_path} exists already: nothing was changed, choose another --home")
    home.prepare()
    # Built beside and renamed, so that an interrupted init leaves no half registry that looks like a whole one.
    beside = home.registry_path.with_suffix(".new")
    with told_as(beside, home.registry_path):
        remove_database(beside)
        os.close(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE))
    engine = encrypted_engine(beside, home.registry_key())
    try:
        with sentences():
            migrate(engine)
    finally:
        engine.dispose()
    audit_head.put(home, home.registry_key(), audit_head.NOTHING_YET)
    beside.replace(home.registry_path)
    sync_folder(home.path)


def open_registry(home: Home) -> Registry:
    """Open for use. Raises HomeError or RegistryError: missing, wrong key, not encrypted, another migration."""
    share, engine = _enter(home)
    try:
        have = known_revision(engine, home.registry_path)
        if have != head_revision():
            raise RegistryError(
                f"{home.registry_path} was made by an older version: make a backup, then run `bztoken registry upgrade`"
            )
    except BaseException:
        engine.dispose()
        share.give_back()
        raise
    return Registry(
        engine, share, audit_head.Keeper(home, home.registry_key()), Place(home.registry_path, home.registry_key())
    )


def upgrade_registry(home: Home) -> tuple[str, str]:
    """Run the migrations that are missing, all or none; answers (from, to). Raises as open_registry does."""
    share, engine = _enter(home)
    try:
        have = known_revision(engine, home.registry_path)
        with sentences():
            migrate(engine)
        if have < _FIRST_WITH_AUDIT:
            audit_head.put(home, home.registry_key(), audit_head.NOTHING_YET)
        return have, head_revision()
    finally:
        engine.dispose()
        share.give_back()


def _enter(home: Home) -> tuple[occupancy.Share, Engine]:
    """An engine that has opened the file once, as one of those who have it open."""
    if not home.registry_path.exists():
        raise RegistryError(
            f"there is no registry in {home.path}: run `bztoken registry init` at the clinic, or "
            "`bztoken courier accept FILE` on a courier's computer"
        )
    share = occupancy.share(home)
    try:
        while rekeying.is_unsettled(home):
            share.give_back()
            rekeying.settle(home)
            share = occupancy.share(home)
        return share, _proven_engine(home)
    except BaseException:
        share.give_back()
        raise


def _proven_engine(home: Home) -> Engine:
    path = home.registry_path
    engine = encrypted_engine(path, home.registry_key())
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT count(*) FROM sqlite_master"))
    except OperationalError as error:  # the system, not the key
        engine.dispose()
        raise RegistryError(REFUSED.format(reason=error.orig)) from error
    except DatabaseError as error:
        engine.dispose()
        raise does_not_open(path, home.registry_key_path) from error
    except RegistryError:
        engine.dispose()
        raise
    return engine
