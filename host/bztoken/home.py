"""The data folder of one computer: where registry and keys lie, how keys are made and read.

Key files hold 32 random bytes as hex, or sealed under a passphrase (`key_lock.py`); they are made whole or not at all,
and plain ones are refused when others may read them. They may lie in a folder of their own (BZTOKEN_KEYS: a stick).
A courier's computer has a pass instead of the master key: it carries pages that it cannot read.
"""

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from bztoken.errors import HomeError
from bztoken.key_lock import Ask, Lock, ask_nobody, is_locked, open_key

KEY_BYTES = 32
FOLDER_MODE = 0o700
FILE_MODE = 0o600
ENVIRONMENT_VARIABLE = "BZTOKEN_HOME"
KEYS_VARIABLE = "BZTOKEN_KEYS"
DEFAULT_FOLDER = "~/.local/share/bztoken"
_UNFINISHED = ".new"
_FROM_BACKUP = "copy the file from your backup"


@dataclass(frozen=True)
class Home:
    """A data folder; nothing is touched on disk until a method is called.

    keys: the folder of the key files, when it is another one. ask: who tells the passphrase of a locked key file.
    """

    path: Path
    keys: Path | None = None
    ask: Ask = field(default=ask_nobody, compare=False, repr=False)

    @property
    def registry_path(self) -> Path:
        """The encrypted database."""
        return self.path / "registry.db"

    @property
    def registry_key_path(self) -> Path:
        """The key of the database."""
        return self._key_folder / "registry.key"

    @property
    def master_key_path(self) -> Path:
        """The key from which all token keys follow."""
        return self._key_folder / "master.key"

    @property
    def courier_pass_path(self) -> Path:
        """The pass of a courier's computer, sealed under the registry key (`courier.py`)."""
        return self.path / "courier.pass"

    @property
    def is_courier(self) -> bool:
        """True for a courier's computer."""
        return self.courier_pass_path.exists() and not self.master_key_path.exists()

    def require_clinic(self) -> None:
        """Raises HomeError on a courier's computer, which holds closed pages only and is asked by nobody."""
        if self.is_courier:
            raise HomeError("this is a courier's computer: do this at the clinic")

    def registry_key(self) -> bytes:
        """32 bytes. Raises HomeError, also when it is locked and the passphrase is not to be had."""
        return self.open_key(self.registry_key_path)[0]

    def master_key(self) -> bytes:
        """32 bytes. Raises HomeError, also when this computer was not given the master key."""
        if self.is_courier:
            raise HomeError("this is a courier's computer, which has no master key: do this at the clinic")
        return self.open_key(self.master_key_path)[0]

    def open_key(self, path: Path) -> tuple[bytes, Lock | None]:
        """A key file of this folder, or a copy of one; and what it is locked with. Raises HomeError."""
        return _read_key(path, self._cure(), self.purpose_of(path), self.ask)

    def key_files(self) -> list[Path]:
        """Those that are there, with the registry keys of before that old backups open with."""
        present = [path for path in (self.registry_key_path, self.master_key_path) if path.exists()]
        before = sorted(self._key_folder.glob(f"{self.registry_key_path.name}.before-*"))
        return present + [path for path in before if not _is_unfinished(path)]

    def forget_unfinished_keys(self) -> None:
        """Unlink what a killed program left of key files that it was writing. For who has the folder alone."""
        for key in (self.registry_key_path, self.master_key_path):  # on a stick there may be files of others
            for path in self._key_folder.glob(f"{key.name}*{_UNFINISHED}"):
                path.unlink(missing_ok=True)

    def require_outside(self, out: Path) -> None:
        """Raises HomeError when a file that somebody asked for would lie among the registry's own, or its keys."""
        own = {self.path.resolve(), self._key_folder.resolve()}
        if own & {out.resolve().parent, out.parent.resolve()}:
            raise HomeError(f"{out} lies in the data folder itself: nothing was changed, choose another folder")

    def purpose_of(self, path: Path) -> str:
        """What a key file is for; sealed into it when it is locked."""
        return "master key" if path.name.startswith(self.master_key_path.stem) else "registry key"

    def require_keys_folder(self) -> None:
        """Raises HomeError when the stick with the keys is not there."""
        if self.keys is not None and not self.keys.is_dir():
            raise HomeError(
                f"the folder of the keys, {self.keys}, is not there: plug in the stick that holds it, or correct "
                f"{KEYS_VARIABLE}"
            )

    def prepare(self) -> None:
        """Make the folder, and the keys that are missing; keys that exist stay, since tokens may depend on them."""
        self.prepare_courier()
        if not self.is_courier:
            self._make_key(self.master_key_path)

    def prepare_courier(self) -> None:
        """The same without the master key."""
        self.require_keys_folder()
        self.path.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        self._make_key(self.registry_key_path)

    @property
    def _key_folder(self) -> Path:
        return self.keys or self.path

    def _make_key(self, path: Path) -> None:
        if not path.exists():
            write_key(path, secrets.token_bytes(KEY_BYTES), None, self.purpose_of(path))
        _read_key(path, _FROM_BACKUP, self.purpose_of(path), self.ask)

    def _cure(self) -> str:
        """Of a missing key. A new one never opens what is there already."""
        self.require_keys_folder()
        if self.registry_path.exists():
            return _FROM_BACKUP
        return f"run `bztoken registry init`, or {_FROM_BACKUP}"


def find_home(chosen: Path | None = None, ask: Ask = ask_nobody) -> Home:
    """The folder chosen, else the one in BZTOKEN_HOME, else the default; keys in BZTOKEN_KEYS, else in it."""
    keys = os.environ.get(KEYS_VARIABLE)
    path = chosen or Path(os.environ.get(ENVIRONMENT_VARIABLE) or DEFAULT_FOLDER)
    return Home(path.expanduser(), Path(keys).expanduser() if keys else None, ask)


def sync_folder(folder: Path) -> None:
    """Make renames in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def unfinished(path: Path) -> Path:
    """The name under which `private_file` writes."""
    return path.with_name(f"{path.name}{_UNFINISHED}")


def _is_unfinished(path: Path) -> bool:
    return path.suffix == _UNFINISHED


@contextmanager
def private_file(path: Path) -> Iterator[BinaryIO]:
    """A file that only its owner may read, whole or not there at all: written beside, then renamed.

    A key file cut short by a power cut would lose every token's log.
    """
    beside = unfinished(path)
    with told_as(beside, path):
        beside.unlink(missing_ok=True)
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        with told_as(beside, path):
            beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


@contextmanager
def told_as(beside: Path, path: Path) -> Iterator[None]:
    """Let errors name the file that somebody asked for, not the one that is written beside it."""
    try:
        yield
    except OSError as error:
        if str(error.filename) != str(beside):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def write_key(path: Path, key: bytes, lock: Lock | None, purpose: str) -> None:
    """Write a key file whole or not at all, sealed when there is a lock."""
    text = f"{key.hex()}\n" if lock is None else lock.seal(key, purpose)
    with private_file(path) as file:
        file.write(text.encode("ascii"))


def _read_key(path: Path, cure: str, purpose: str, ask: Ask) -> tuple[bytes, Lock | None]:
    if not path.exists():
        raise HomeError(f"{path} is missing: {cure}")
    try:
        text, key, lock = path.read_text(encoding="ascii"), b"", None
        if is_locked(text):
            key, lock = open_key(path, text, purpose, ask)
        else:
            _require_private(path)
            key = bytes.fromhex(text.strip())
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise HomeError(f"{path} does not hold a key of 64 hex digits: {_FROM_BACKUP}")
    return key, lock


def _require_private(path: Path) -> None:
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise HomeError(f"{path} can be read by other users of this computer: run `chmod 600 {path}`")
