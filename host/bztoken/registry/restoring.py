"""A backup put in the registry's place, which is kept beside it; whole or not at all.

The backup is copied, checked, brought up to this version and written under the present key before anything is moved.
"""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from sqlcipher3 import dbapi2  # type: ignore[import-untyped]

from bztoken.errors import HomeError, RegistryError
from bztoken.home import FOLDER_MODE, Home, sync_folder
from bztoken.registry import audit, audit_head, occupancy, rekeying
from bztoken.registry.connecting import (
    Progress,
    connect,
    connect_read_only,
    encrypted_engine,
    is_plaintext,
    move_logs,
    opens,
    quiet,
    sentences,
)
from bztoken.registry.copying import changing, copy_database, faults_of, fold, revision_of, rows_of
from bztoken.registry.migrating import head_revision, migrate, require_known
from bztoken.registry.persons import number_of


class _Entry(NamedTuple):
    """The last one of a backup's audit."""

    id: int
    at_s: int
    digest: bytes


@dataclass(frozen=True)
class Found:
    """A backup that may be restored. rows: by table; last_entry_s: of its audit; erased_since: see `inspect`."""

    path: Path
    migration: str
    is_older: bool
    rows: dict[str, int]
    last_entry_s: int | None
    erased_since: tuple[str, ...]


@dataclass(frozen=True)
class Restored:
    """kept: the registry that was there before, None when there was none; migration: of the backup."""

    found: Found
    kept: Path | None


def inspect(home: Home, path: Path, key_path: Path | None = None) -> Found:
    """Read a backup to its end; nothing is changed. Raises HomeError, RegistryError or OSError.

    key_path: the key of the time of the backup, where it was another one. erased_since: the numbers (P-0012-7) of
    persons who withdrew or were erased after the backup, by the present registry's audit: it has to be done again.
    """
    with sentences(), _opened(home, path, key_path) as source:
        faults = faults_of(source)
        if faults:
            raise RegistryError(f"{path} is damaged ({faults[0]}): nothing was changed, take another backup")
        have = require_known(revision_of(source), path)
        last, rows = _last_entry(source), rows_of(source)
    last_s = None if last is None else last.at_s
    return Found(path, have, have != head_revision(), rows, last_s, _erased_since(home, last))


def restore(home: Home, path: Path, now_s: int, key_path: Path | None = None, progress: Progress = quiet) -> Restored:
    """Put a backup in the registry's place, upgraded when it is older. Raises HomeError, RegistryError or OSError.

    Nobody else may have the registry open. Persons who were erased after the backup are in it: whoever restores
    repeats that, which is why their numbers are told.
    """
    found, key = inspect(home, path, key_path), home.registry_key()
    home.path.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)  # the keys may lie elsewhere
    with occupancy.alone(home):
        rekeying.settle_alone(home)
        built = rekeying.restored_path(home)
        try:
            with sentences(), _opened(home, path, key_path) as source:
                copy_database(source, built, key, progress)
            head = _bring_up(built, key, now_s)
            kept = _set_aside(home, key, now_s)
            built.replace(home.registry_path)
            audit_head.put(home, key, head)
        except BaseException:
            rekeying.settle_alone(home)
            raise
        sync_folder(home.path)
    return Restored(found, kept)


@contextmanager
def _opened(home: Home, path: Path, key_path: Path | None) -> Iterator[Any]:
    if not path.is_file():
        raise RegistryError(f"{path} is no file: nothing was changed, name a backup")
    _require_own_key(home)
    key = home.registry_key() if key_path is None else home.open_key(key_path)[0]
    with closing(connect_read_only(path, key)) as connection:
        try:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except dbapi2.OperationalError:  # the system, not the key
            raise
        except dbapi2.DatabaseError as error:
            raise _refused(path, key_path or home.registry_key_path) from error
        yield connection


def _require_own_key(home: Home) -> None:
    """A new computer: the keys come first, and never from `registry init`, which would make others."""
    if not home.registry_key_path.exists():
        home.require_keys_folder()
        raise HomeError(
            f"{home.registry_key_path} is missing: copy registry.key and master.key there from where you keep them, "
            "then restore"
        )


def _refused(path: Path, key_path: Path) -> RegistryError:
    if is_plaintext(path):
        return RegistryError(f"{path} is not encrypted, which a backup always is: nothing was changed")
    return RegistryError(
        f"{path} does not open with {key_path}: it is damaged, no backup, or of another key; nothing was changed; "
        "name the key of its time with --key"
    )


def _bring_up(built: Path, key: bytes, now_s: int) -> audit_head.Head:
    """The last entry of its audit, which tells of the restoring."""
    engine = encrypted_engine(built, key)
    try:
        with sentences():
            migrate(engine)
    finally:
        engine.dispose()
    with changing(built, key) as session:
        entry = audit.record(session, audit.Action.RESTORE, audit.What.REGISTRY, now_s)
        head = audit_head.Head(entry.id, entry.digest)
    with sentences(), closing(connect(built, key, wal=False)) as connection:
        if faults_of(connection):
            raise RegistryError("the restored copy is not whole: nothing was changed, try another disk or backup")
    return head


def _set_aside(home: Home, key: bytes, now_s: int) -> Path | None:
    """Give the present registry a second name, so that there is one under the first at every moment."""
    present = home.registry_path
    if not present.exists():
        return None
    kept = present.with_name(f"{present.name}.before-restore-{datetime.fromtimestamp(now_s, UTC):%Y%m%dT%H%M%SZ}")
    folded = _folded(present, key)
    os.link(present, kept)
    if not folded:
        move_logs(present, kept)
    sync_folder(home.path)
    return kept


def _folded(present: Path, key: bytes) -> bool:
    """Whether the registry is one file now; not when it is damaged or of another key, and may be neither read nor lost.

    Raises RegistryError when another program has it open.
    """
    if not opens(present, key):
        return False
    with closing(connect(present, key, wal=False)) as connection:
        try:
            fold(connection)
        except dbapi2.DatabaseError:
            return False
    return True


def _last_entry(connection: Any) -> _Entry | None:
    try:
        row = connection.execute("SELECT id, at_s, digest FROM audit ORDER BY id DESC LIMIT 1").fetchone()
    except dbapi2.OperationalError:  # of a version before there was an audit
        return None
    return None if row is None else _Entry(*row)


def _erased_since(home: Home, last: _Entry | None) -> tuple[str, ...]:
    """By the present registry; nobody when there is none that opens. last: of the backup."""
    present = home.registry_path
    if not present.exists() or not opens(present, home.registry_key()):
        return ()
    with closing(connect(present, home.registry_key(), wal=False)) as connection:
        try:
            after, value = _after(connection, last)
            rows = connection.execute(
                f"SELECT DISTINCT number FROM audit WHERE {after} AND what = ? AND action IN (?, ?) "  # noqa: S608
                "AND number IS NOT NULL ORDER BY number",
                (value, audit.What.PERSON.value, audit.Action.ERASE.value, audit.Action.WITHDRAW.value),
            ).fetchall()
        except dbapi2.OperationalError:
            return ()
    return tuple(number_of(row[0]) for row in rows)


def _after(connection: Any, last: _Entry | None) -> tuple[str, int]:
    """Which entries the backup does not know: by number where both audits are one chain so far, else by time."""
    if last is None:
        return "id > ?", 0
    same = connection.execute("SELECT digest FROM audit WHERE id = ?", (last.id,)).fetchone()
    return ("id > ?", last.id) if same is not None and same[0] == last.digest else ("at_s >= ?", last.at_s)
