"""Is the registry whole? Its pages, its rows, its migration, its audit, its keys and who can read them.

Looks only; the one thing that it may do is to finish a change of key that was interrupted, as every opening does.
"""

import stat
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from bztoken.courier import own_pass
from bztoken.errors import BztokenError
from bztoken.home import Home
from bztoken.key_lock import is_locked
from bztoken.registry import audit_check
from bztoken.registry.connecting import connect, sentences
from bztoken.registry.copying import faults_of, revision_of, rows_of
from bztoken.registry.database import Registry, open_registry


@dataclass
class Checked:
    """problems: sentences about what is wrong; remarks: what somebody should know. rows: by table."""

    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    migration: str | None = None
    rows: dict[str, int] = field(default_factory=dict)


def check(home: Home) -> Checked:
    """Everything that can be found out without a token. Raises OSError; what is wrong is in the answer."""
    found = Checked()
    found.problems += _open_to_others(home)
    found.problems += _keys_that_do_not_open(home)
    try:
        with open_registry(home) as registry:
            _look_inside(home, registry, found)
    except BztokenError as error:
        if str(error) not in found.problems:
            found.problems.append(str(error))
    found.remarks += _left_over(home)
    return found


def _open_to_others(home: Home) -> Iterator[str]:
    """Files and folders that others on this computer can get at. Plain key files say so themselves, when opened."""
    if home.path.is_dir() and _others_may(home.path):
        yield f"{home.path} can be entered by other users of this computer: run `chmod 700 {home.path}`"
    for path in (home.registry_path, home.courier_pass_path, *sorted(home.path.glob("registry.db.before-*"))):
        if path.exists() and _others_may(path):
            yield f"{path} can be read by other users of this computer: run `chmod 600 {path}`"


def _keys_that_do_not_open(home: Home) -> Iterator[str]:
    wanted = [home.registry_key_path] + ([] if home.is_courier else [home.master_key_path])
    for path in dict.fromkeys((*wanted, *home.key_files())):
        try:
            home.open_key(path)
        except BztokenError as error:
            yield str(error)
    if home.is_courier:
        try:
            own_pass(home)
        except BztokenError as error:
            yield str(error)


def _look_inside(home: Home, registry: Registry, found: Checked) -> None:
    with sentences(), closing(connect(home.registry_path, home.registry_key())) as connection:
        found.migration = revision_of(connection)
        faults = faults_of(connection)
        found.problems += [
            f"{home.registry_path}: {fault}; restore a backup with `bztoken db restore`" for fault in faults
        ]
        if not faults:
            found.rows = rows_of(connection)
    with registry.read() as session:
        problems = audit_check.verify(home, session).faults
        found.problems += [f"the audit: {fault}; see `bztoken audit verify`" for fault in problems[:1]]


def _left_over(home: Home) -> Iterator[str]:
    """What lies about and holds data, or opens what holds data."""
    for path in sorted(home.path.glob("registry.db.before-restore-*")):
        if not path.name.endswith(("-wal", "-shm", "-journal")):
            yield f"{path} holds the registry of before a restore: delete it when nobody needs it any more"
    for path in home.key_files():
        if ".before-" in path.name:
            yield f"{path} opens backups of before a change of key: delete it together with the last of them"
    locked = [is_locked(path.read_text(encoding="ascii", errors="replace")) for path in home.key_files()]
    if any(locked) and not all(locked):
        yield "some key files are locked with a passphrase and some are not: run `bztoken db lock` again"
    if home.keys is None and not any(locked):
        yield (
            "the keys lie beside the registry, open to whoever takes this computer: `bztoken db lock` gives them a "
            "passphrase, BZTOKEN_KEYS names another folder"
        )


def _others_may(path: Path) -> bool:
    return bool(stat.S_IMODE(path.stat().st_mode) & 0o077)
