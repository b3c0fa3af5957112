"""Connections to an SQLCipher file: the only place that hands it a key, and never one to a plaintext file.

Every error of the database leaves here as one sentence, without values.
"""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import QueuePool
from sqlcipher3 import dbapi2  # type: ignore[import-untyped]

from bztoken.errors import RegistryError

BUSY_TIMEOUT_S = 30
REFUSED = "the registry refused ({reason}): nothing of this step was kept, check disk space and try again"
LOGS = ("-wal", "-shm", "-journal")  # what SQLite writes beside a file
_PLAIN_HEADER = b"SQLite format 3\x00"
_NO_SQLCIPHER = "this installation has no SQLCipher, and without it no registry is opened: install it"

Progress = Callable[[int, int], None]  # pages done, pages in all


def quiet(done: int, total: int) -> None:
    """Nobody wants to know."""


def require_sqlcipher() -> None:
    """Raises RegistryError before anything is written, where the driver would write plaintext."""
    with closing(dbapi2.connect(":memory:")) as connection:
        _require_cipher(connection)


def encrypted_engine(path: Path, key: bytes) -> Engine:
    """An engine over one file, in WAL mode. Its transactions begin as the option `bz_begin` says."""
    # hide_parameters: no error text may carry an ID or a key
    engine = create_engine(
        "sqlite://", creator=lambda: connect(path, key), module=dbapi2, poolclass=QueuePool, hide_parameters=True
    )
    event.listen(engine, "begin", _begin)
    return engine


def connect(path: Path, key: bytes, *, wal: bool = True) -> Any:
    """A connection of the driver, which starts no transactions of its own."""
    connection = dbapi2.connect(str(path), timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    with _closed_when_raised(connection):
        _unlock(connection, key)
        if wal:
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA secure_delete = ON")  # what is deleted leaves no copy on a free page
    return connection


def connect_read_only(path: Path, key: bytes) -> Any:
    """A connection that writes nothing, nothing beside the file either: backups may lie on read-only disks."""
    wal = Path(f"{path}-wal")
    # A copy made by hand may have its log beside it, with rows that count; it is read then.
    still = "" if wal.exists() and wal.stat().st_size else "&immutable=1"
    name = f"file:{quote(str(path.resolve()))}?mode=ro{still}"
    connection = dbapi2.connect(name, timeout=BUSY_TIMEOUT_S, isolation_level=None, uri=True)
    with _closed_when_raised(connection):
        _unlock(connection, key)
    return connection


def opens(path: Path, key: bytes) -> bool:
    """Whether a file is a database under this key. Its log, which may be all that is left of it, is not touched."""
    if path.stat().st_size == 0:  # SQLite would delete the log
        return False
    try:
        with closing(connect_read_only(path, key)) as connection:
            return int(connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]) > 0
    except dbapi2.OperationalError as error:  # the system, not the key
        raise RegistryError(REFUSED.format(reason=error)) from error
    except dbapi2.DatabaseError:
        return False


def does_not_open(path: Path, key_path: Path) -> RegistryError:
    """The sentence for a registry that is no database under this key."""
    if is_plaintext(path):
        return RegistryError(f"{path} is not encrypted, which a registry always is: it was not opened")
    return RegistryError(
        f"{path} does not open with {key_path}: the key belongs to another registry or the file is damaged, restore "
        "both from the same backup"
    )


def is_plaintext(path: Path) -> bool:
    """Whether anybody can read a database file. Never asked of a registry that opened.

    Closing the file again would take away the locks that SQLite holds on it in this process (POSIX), and let another
    process delete the log under it.
    """
    with path.open("rb") as file:
        return file.read(len(_PLAIN_HEADER)) == _PLAIN_HEADER


def move_logs(path: Path, to: Path) -> None:
    """What SQLite left beside a database file goes beside another."""
    for suffix in LOGS:
        if Path(f"{path}{suffix}").exists():
            Path(f"{path}{suffix}").replace(f"{to}{suffix}")


def remove_database(path: Path) -> None:
    """Delete a database file and what SQLite left beside it."""
    for suffix in ("", *LOGS):
        Path(f"{path}{suffix}").unlink(missing_ok=True)


@contextmanager
def sentences() -> Iterator[None]:
    """Turn errors of the database into one sentence."""
    try:
        yield
    except DatabaseError as error:
        raise RegistryError(REFUSED.format(reason=error.orig)) from error
    except dbapi2.DatabaseError as error:
        raise RegistryError(REFUSED.format(reason=error)) from error


def _unlock(connection: Any, key: bytes) -> None:
    with suppress(dbapi2.DatabaseError):  # a driver that does not know it is refused below
        connection.execute("PRAGMA cipher_log_level = NONE")  # or it writes to stderr what our sentence says
    connection.execute(f"PRAGMA key = \"x'{key.hex()}'\"")
    _require_cipher(connection)
    connection.execute("PRAGMA temp_store = MEMORY")  # sort files on disk would not be encrypted


def _require_cipher(connection: Any) -> None:
    version = connection.execute("PRAGMA cipher_version").fetchone()
    if not version or not version[0]:
        raise RegistryError(_NO_SQLCIPHER)


@contextmanager
def _closed_when_raised(connection: Any) -> Iterator[None]:
    try:
        yield
    except BaseException:
        connection.close()
        raise


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("bz_begin", "BEGIN"))
