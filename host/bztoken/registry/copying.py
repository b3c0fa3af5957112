"""Encrypted copies of a registry, under its key or another: of one snapshot, while others write; and what is wrong
with a registry inside.

The copy goes page by page through SQLCipher (SQLite's backup interface), so that nothing is ever plain on the disk.
"""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session
from sqlcipher3 import dbapi2  # type: ignore[import-untyped]

from bztoken.home import FILE_MODE
from bztoken.registry.connecting import Progress, connect, encrypted_engine, remove_database, sentences
from bztoken.registry.occupancy import open_elsewhere

_PAGES_A_STEP = 1024
_SHOWN_FAULTS = 5
_REVISION_TABLE = "alembic_version"


def copy_database(source: Any, target: Path, key: bytes, progress: Progress) -> dict[str, int]:
    """Write what a connection sees now into a new file under `key`; how many rows each table of it has.

    Only its owner may read the file, which is one file without a log. Removed again when anything is raised.
    Raises RegistryError or OSError, also when there is a file of this name.
    """
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE))
    try:
        with sentences(), snapshot(source), closing(connect(target, key, wal=False)) as copy:
            rows = rows_of(source)
            source.backup(copy, pages=_PAGES_A_STEP, progress=lambda _, left, total: progress(total - left, total))
            copy.execute("PRAGMA journal_mode = DELETE")  # the pages say WAL, as they do in the source
        _sync_file(target)
    except BaseException:
        remove_database(target)
        raise
    return rows


@contextmanager
def snapshot(connection: Any) -> Iterator[None]:
    """What others write meanwhile is not seen, and does not make a copy begin again."""
    connection.execute("BEGIN")
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()  # the snapshot is taken by the first look
        yield
    finally:
        with suppress(dbapi2.DatabaseError):
            connection.execute("ROLLBACK")


@contextmanager
def changing(copy: Path, key: bytes) -> Iterator[Session]:
    """One transaction in a copy that nobody else knows of; afterwards it is one file again, without a log."""
    engine = encrypted_engine(copy, key)
    try:
        with sentences(), Session(engine) as session, session.begin():
            yield session
    finally:
        engine.dispose()
    with sentences(), closing(connect(copy, key, wal=False)) as connection:
        fold(connection)
    _sync_file(copy)


def fold(connection: Any) -> None:
    """Put the log into the file, and away. Raises RegistryError when another connection has the file open."""
    try:
        connection.execute("PRAGMA journal_mode = DELETE")
    except dbapi2.OperationalError as error:
        if "locked" in str(error):
            raise open_elsewhere() from error
        raise


def rows_of(connection: Any) -> dict[str, int]:
    """Table and number of rows."""
    found = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name"
    )
    names = [name for (name,) in found.fetchall() if name != _REVISION_TABLE]
    return {name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in names}


def revision_of(connection: Any) -> str | None:
    """The migration that a file is at; None for one that is no registry."""
    try:
        row = connection.execute(f"SELECT version_num FROM {_REVISION_TABLE}").fetchone()
    except dbapi2.OperationalError:
        return None
    return None if row is None else str(row[0])


def faults_of(connection: Any) -> list[str]:
    """What is damaged in a registry: pages that were changed or cannot be read, then rows that do not fit."""
    try:
        broken = [str(row[0]) for row in connection.execute("PRAGMA cipher_integrity_check")]
        if broken:
            return _shortened(broken)
        found = [str(row[0]) for row in connection.execute("PRAGMA integrity_check") if row[0] != "ok"]
        orphans: dict[tuple[str, str], int] = {}
        for table, _, parent, _ in connection.execute("PRAGMA foreign_key_check"):
            orphans[table, parent] = orphans.get((table, parent), 0) + 1
    except dbapi2.DatabaseError as error:
        return [f"it cannot be read to its end ({error})"]
    pointing = [
        f"{number} rows of {table} name rows of {parent} that are not there"
        for (table, parent), number in orphans.items()
    ]
    return _shortened(found) + pointing


def _shortened(faults: list[str]) -> list[str]:
    more = len(faults) - _SHOWN_FAULTS
    return faults[:_SHOWN_FAULTS] + ([f"and {more} more of this kind"] if more > 0 else [])


def _sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
