"""A new registry key. The database and its key are two files, which no system renames at once; so a program that is
killed in between leaves both ways open, and the next one that opens the registry goes one of them to its end:

  registry.key.next   the new key, there first and gone last: as long as it is there, the change has not ended
  registry.db.next    the copy under the new key; renamed to registry.db, which is the moment that counts
  courier.pass.next   on a courier's computer, the pass sealed under the new key

Before that moment registry.db opens with registry.key, and all is undone; after it with the new key, and all is done.
"""

import secrets
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bztoken.courier_seal import seal_pass, unseal_pass
from bztoken.errors import HomeError, RegistryError
from bztoken.home import KEY_BYTES, Home, private_file, sync_folder, unfinished, write_key
from bztoken.registry import audit, audit_head, occupancy
from bztoken.registry.connecting import (
    BUSY_TIMEOUT_S,
    Progress,
    connect,
    does_not_open,
    move_logs,
    opens,
    remove_database,
    sentences,
)
from bztoken.registry.copying import changing, copy_database, faults_of, fold, revision_of
from bztoken.registry.migrating import head_revision, require_known


@dataclass(frozen=True)
class Rotated:
    """old_key_path: a copy of the key of before, with which the backups of before open; rows: copied."""

    old_key_path: Path
    rows: int


def rotate_key(home: Home, now_s: int, progress: Progress) -> Rotated:
    """Encrypt the registry under a new key. Raises HomeError or RegistryError, with everything as it was.

    Nobody else may have the registry open. Needs as much disk space again as the registry.
    """
    if not home.registry_path.exists():
        raise RegistryError(f"there is no registry in {home.path}: nothing was changed, choose another --home")
    with occupancy.alone(home):
        settle_alone(home)
        if not opens(home.registry_path, home.registry_key()):
            raise does_not_open(home.registry_path, home.registry_key_path)
        try:
            rows = _prepare(home, now_s, progress)
            _next(home.registry_path).replace(home.registry_path)
        except BaseException:
            settle_alone(home)  # looks which way it is: an interruption may come just after the renaming
            raise
        sync_folder(home.path)
        return Rotated(_finish(home), rows)


def is_unsettled(home: Home) -> bool:
    """Whether a change of key, or a restore, has not ended."""
    key = _next(home.registry_key_path)
    return key.exists() or unfinished(key).exists() or restored_path(home).exists()


def settle(home: Home) -> None:
    """Finish or undo what a killed program left; nothing to do as a rule. Raises HomeError or RegistryError."""
    if not is_unsettled(home):
        return
    with occupancy.alone(home, wait_s=BUSY_TIMEOUT_S):
        settle_alone(home)


def restored_path(home: Home) -> Path:
    """Where a restore builds the registry that it puts in place at its end."""
    return home.registry_path.with_name("registry.db.restored")


def settle_alone(home: Home) -> None:
    """`settle` for who has the registry alone."""
    _forget_restore(home)
    if not _next(home.registry_key_path).exists():
        unfinished(_next(home.registry_key_path)).unlink(missing_ok=True)
        return
    if opens(home.registry_path, home.registry_key()):
        _undo(home)
    elif opens(home.registry_path, home.open_key(_next(home.registry_key_path))[0]):
        sync_folder(home.path)
        _finish(home)
    else:
        raise RegistryError(
            f"{home.registry_path} opens neither with {home.registry_key_path} nor with the new key beside it: nothing "
            "was changed, keep all these files and restore a backup into another --home"
        )


def _prepare(home: Home, now_s: int, progress: Progress) -> int:
    """All that is done before the moment that counts; how many rows were copied."""
    old_key, lock = home.open_key(home.registry_key_path)
    new_key = secrets.token_bytes(KEY_BYTES)
    key_path, copy = _next(home.registry_key_path), _next(home.registry_path)
    write_key(key_path, new_key, lock, home.purpose_of(key_path))
    remove_database(copy)
    with sentences(), closing(connect(home.registry_path, old_key, wal=False)) as registry:
        if require_known(revision_of(registry), home.registry_path) != head_revision():
            raise RegistryError("the registry was made by an older version: run `bztoken registry upgrade` first")
        fold(registry)  # a log of before would be read into the new file
        rows = copy_database(registry, copy, new_key, progress)
    with changing(copy, new_key) as session:
        audit.record(session, audit.Action.CHANGE, audit.What.REGISTRY, now_s, detail="a new registry key")
    with sentences(), closing(connect(copy, new_key, wal=False)) as connection:
        faults = faults_of(connection)
    if faults:
        raise RegistryError(f"the registry is damaged ({faults[0]}): its key was not changed, run `bztoken db check`")
    _seal_pass_anew(home, old_key, new_key)
    sync_folder(home.path)
    return sum(rows.values())


def _seal_pass_anew(home: Home, old_key: bytes, new_key: bytes) -> None:
    if not home.courier_pass_path.exists():
        return
    raw = unseal_pass(old_key, home.courier_pass_path.read_bytes())
    if raw is None:
        raise HomeError(f"{home.courier_pass_path} is damaged: no key was changed, accept the pass again first")
    with private_file(_next(home.courier_pass_path)) as file:
        file.write(seal_pass(new_key, raw))


def _finish(home: Home) -> Path:
    """Every step may be the last one of a program that is killed, and is done again then."""
    key, new_key = home.registry_key_path, _next(home.registry_key_path)
    if _next(home.courier_pass_path).exists():
        _next(home.courier_pass_path).replace(home.courier_pass_path)
        sync_folder(home.path)
    began = datetime.fromtimestamp(int(new_key.stat().st_mtime), UTC)
    kept = key.with_name(f"{key.name}.before-{began:%Y%m%dT%H%M%SZ}")
    with private_file(kept) as file:
        file.write(key.read_bytes())
    _anchor_anew(home, home.open_key(new_key)[0])
    new_key.replace(key)
    sync_folder(key.parent)
    return kept


def _anchor_anew(home: Home, new_key: bytes) -> None:
    """The audit's anchor under the new key, so that it holds when the old key is deleted one day."""
    try:
        head = audit_head.read(home)
    except RegistryError:  # done before a kill; or changed by somebody, which `audit verify` must still find
        return
    if head is not None:
        audit_head.put(home, new_key, head)


def _undo(home: Home) -> None:
    remove_database(_next(home.registry_path))
    for path in (_next(home.courier_pass_path), _next(home.registry_key_path)):
        unfinished(path).unlink(missing_ok=True)
        path.unlink(missing_ok=True)


def _forget_restore(home: Home) -> None:
    """What a killed restore built, and the second name that it gave the registry in place, are of no use."""
    if not restored_path(home).exists():
        return
    for kept in home.path.glob(f"{home.registry_path.name}.before-restore-*"):
        if home.registry_path.exists() and kept.samefile(home.registry_path):
            move_logs(kept, home.registry_path)
            kept.unlink()
    remove_database(restored_path(home))


def _next(path: Path) -> Path:
    return path.with_name(f"{path.name}.next")
