"""A passphrase put on the key files of a data folder, or taken off; every file whole at every moment."""

from dataclasses import dataclass
from pathlib import Path

from bztoken.errors import HomeError
from bztoken.home import Home, write_key
from bztoken.key_lock import Lock, require_strong
from bztoken.registry import occupancy, rekeying


@dataclass(frozen=True)
class Changed:
    """The key files that were written."""

    files: list[Path]


def lock_keys(home: Home, passphrase: str) -> Changed:
    """Seal every key file under a new passphrase; files that are locked are opened with theirs first.

    Interrupted between two files, the same command finishes. Raises HomeError, then nothing was changed.
    """
    require_strong(passphrase)
    return _write_all(home, Lock.of(passphrase))


def unlock_keys(home: Home) -> Changed:
    """Write every key file plain again. Raises HomeError, also when none is locked; then nothing was changed."""
    if all(home.open_key(path)[1] is None for path in home.key_files()):
        _require_keys(home)
        raise HomeError("no key file is locked: nothing was changed")
    return _write_all(home, None)


def _write_all(home: Home, lock: Lock | None) -> Changed:
    _require_keys(home)
    rekeying.settle(home)
    with occupancy.alone(home):
        home.forget_unfinished_keys()
        opened = {path: home.open_key(path)[0] for path in home.key_files()}
        for path, key in opened.items():
            write_key(path, key, lock, home.purpose_of(path))
    return Changed(list(opened))


def _require_keys(home: Home) -> None:
    home.registry_key()
    if not home.is_courier:
        home.master_key()
