"""Opens the registry: an SQLCipher file, never a plaintext one, at the migration that this version knows.

Transactions are ours, not the driver's: `read()` sees one snapshot, `write()` takes the write lock at once, commits at
the end or leaves nothing. Migrations run in one transaction.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.orm import Session
from sqlalchemy.pool import QueuePool
from sqlcipher3 import dbapi2  # type: ignore[import-untyped]

from bztoken.errors import RegistryError
from bztoken.home import FILE_MODE, Home, sync_folder, told_as

BUSY_TIMEOUT_S = 30
_MIGRATIONS = Path(__file__).parent / "migrations"
_REFUSED = "the registry refused ({reason}): nothing of this step was kept, check disk space and try again"
_PLAIN_HEADER = b"SQLite format 3\x00"


class Registry:
    """An open registry; use as a context manager, or call close()."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session that sees one snapshot and changes nothing."""
        with _sentences(), Session(self._engine) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session whose changes are committed together at the end, or not at all when anything is raised.

        Rows stay readable after the commit, so that a caller can go on with what it stored.
        """
        engine = self._engine.execution_options(bz_begin="BEGIN IMMEDIATE")
        with _sentences(), Session(engine, expire_on_commit=False) as session, session.begin():
            yield session

    def close(self) -> None:
        """Close every connection; the last one folds the write-ahead log into the file."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def create_registry(home: Home) -> None:
    """Make data folder, keys and an empty registry. Raises RegistryError when there is a registry already."""
    if home.registry_path.exists():
        raise RegistryError(f"{home.registry_path} exists already: nothing was changed, choose another --home")
    home.prepare()
    # Built beside and renamed, so that an interrupted init leaves no half registry that looks like a whole one.
    beside = home.registry_path.with_suffix(".new")
    with told_as(beside, home.registry_path):
        _remove(beside)
        os.close(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE))
    engine = _engine(beside, home.registry_key())
    try:
        with _sentences():
            _migrate(engine)
    finally:
        engine.dispose()
    beside.replace(home.registry_path)
    sync_folder(home.path)


def open_registry(home: Home) -> Registry:
    """Open for use. Raises HomeError or RegistryError: missing, wrong key, not encrypted, another migration."""
    engine = _open_engine(home)
    try:
        have = _known_revision(engine, home)
        if have != head_revision():
            raise RegistryError(
                f"{home.registry_path} was made by an older version: make a backup, then run `bztoken registry upgrade`"
            )
    except BaseException:
        engine.dispose()
        raise
    return Registry(engine)


def upgrade_registry(home: Home) -> tuple[str, str]:
    """Run the migrations that are missing, all or none; answers (from, to). Raises as open_registry does."""
    engine = _open_engine(home)
    try:
        have = _known_revision(engine, home)
        with _sentences():
            _migrate(engine)
        return have, head_revision()
    finally:
        engine.dispose()


def head_revision() -> str:
    """The migration that this version of the program works with."""
    head = ScriptDirectory.from_config(_alembic_config()).get_current_head()
    if head is None:
        raise RegistryError("the migrations are missing from this installation: install bztoken again")
    return head


def _alembic_config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    return config


def _migrate(engine: Engine) -> None:
    config = _alembic_config()
    with engine.execution_options(bz_begin="BEGIN IMMEDIATE").begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _known_revision(engine: Engine, home: Home) -> str:
    """The migration of a registry, when it is one that this version knows."""
    with _sentences(), engine.connect() as connection:
        have = MigrationContext.configure(connection).get_current_revision()
    if have is None:
        raise RegistryError(f"{home.registry_path} holds no registry: restore it from a backup")
    known = {script.revision for script in ScriptDirectory.from_config(_alembic_config()).walk_revisions()}
    if have not in known:
        raise RegistryError(
            f"{home.registry_path} was made by a newer version: install that version, "
            "`bztoken registry upgrade` cannot go back"
        )
    return have


def _open_engine(home: Home) -> Engine:
    path = home.registry_path
    if not path.exists():
        raise RegistryError(
            f"there is no registry in {home.path}: run `bztoken registry init` at the clinic, or "
            "`bztoken courier accept FILE` on a courier's computer"
        )
    with path.open("rb") as file:
        if file.read(len(_PLAIN_HEADER)) == _PLAIN_HEADER:
            raise RegistryError(f"{path} is not encrypted, which a registry always is: it was not opened")
    engine = _engine(path, home.registry_key())
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT count(*) FROM sqlite_master"))
    except OperationalError as error:  # the system, not the key
        engine.dispose()
        raise RegistryError(_REFUSED.format(reason=error.orig)) from error
    except DatabaseError as error:
        engine.dispose()
        raise RegistryError(
            f"{path} does not open with {home.registry_key_path}: the key belongs to another registry or the file is "
            "damaged, restore both from the same backup"
        ) from error
    except RegistryError:
        engine.dispose()
        raise
    return engine


def _engine(path: Path, key: bytes) -> Engine:
    def connect() -> Any:
        # isolation_level None: the driver starts no transactions of its own
        connection = dbapi2.connect(str(path), timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
        try:
            _prepare(connection, key)
        except BaseException:
            connection.close()
            raise
        return connection

    # hide_parameters: no error text may carry an ID or a key
    engine = create_engine("sqlite://", creator=connect, module=dbapi2, poolclass=QueuePool, hide_parameters=True)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: Any, key: bytes) -> None:
    connection.execute(f"PRAGMA key = \"x'{key.hex()}'\"")
    version = connection.execute("PRAGMA cipher_version").fetchone()
    if not version or not version[0]:
        raise RegistryError("this installation has no SQLCipher, and without it no registry is opened: install it")
    connection.execute("PRAGMA temp_store = MEMORY")  # sort files on disk would not be encrypted
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("bz_begin", "BEGIN"))


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)


@contextmanager
def _sentences() -> Iterator[None]:
    try:
        yield
    except DatabaseError as error:
        raise RegistryError(_REFUSED.format(reason=error.orig)) from error
