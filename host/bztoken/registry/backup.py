"""Backups of the registry: encrypted files under the registry key, whole or not at all, read again once written.

They hold no key. Restoring one is `restoring.py`.
"""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bztoken.errors import HomeError, RegistryError
from bztoken.home import Home, sync_folder
from bztoken.registry import audit
from bztoken.registry.connecting import Progress, connect, connect_read_only, remove_database, sentences
from bztoken.registry.copying import copy_database, faults_of, revision_of, rows_of
from bztoken.registry.database import open_registry
from bztoken.registry.migrating import head_revision


@dataclass(frozen=True)
class Backup:
    """A file that was written and read again. rows: by table."""

    path: Path
    size_bytes: int
    migration: str
    rows: dict[str, int]


def backup(home: Home, out: Path, now_s: int, progress: Progress, *, replace: bool = False) -> Backup:
    """Write what the registry holds now into a new file; others may go on writing meanwhile.

    The audit has it before the file is there. Raises HomeError, RegistryError or OSError, and then there is no new
    file, and one that is to be replaced is as it was.
    """
    _require_free(home, out, replace)
    with open_registry(home) as registry:
        key = home.registry_key()
        with registry.write() as session:
            audit.record(session, audit.Action.BACKUP, audit.What.REGISTRY, now_s)
        with _beside(out) as unfinished:
            with sentences(), closing(connect(home.registry_path, key)) as source:
                rows = copy_database(source, unfinished, key, progress)
            _read_again(home, unfinished, key, rows)
            size_bytes = unfinished.stat().st_size
            unfinished.replace(out)
    sync_folder(out.resolve().parent)
    return Backup(out, size_bytes, head_revision(), rows)


def _require_free(home: Home, out: Path, replace: bool) -> None:
    """Raises HomeError when the file may not be written, before any work."""
    home.require_outside(out)
    if out.is_dir():
        raise HomeError(f"{out} is a folder: nothing was written, name a file")
    if out.exists() and not replace:
        raise HomeError(f"{out} exists already: nothing was changed, choose another file, or add --force")


@contextmanager
def _beside(out: Path) -> Iterator[Path]:
    """The name under which a file is written, with nothing left of it when anything is raised."""
    unfinished = out.with_name(f".{out.name[:100]}.{os.getpid()}.new")
    remove_database(unfinished)
    try:
        yield unfinished
    except OSError as error:
        if str(error.filename) != str(unfinished):
            raise
        raise OSError(error.errno, error.strerror, str(out)) from error
    finally:
        remove_database(unfinished)


def _read_again(home: Home, path: Path, key: bytes, rows: dict[str, int]) -> None:
    with sentences(), closing(connect_read_only(path, key)) as copy:
        faults = faults_of(copy)
        if not faults and revision_of(copy) == head_revision() and rows_of(copy) == rows:
            return
    fault = faults[0] if faults else "rows are missing"
    raise RegistryError(
        f"the copy is not whole ({fault}): it was removed; run `bztoken db check`; where the registry itself is "
        f"damaged, keep the older backups and a copy of {home.path} as it is"
    )
