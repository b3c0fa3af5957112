"""The data folder of one computer: where registry and keys lie, how keys are made and read.

Key files hold 32 random bytes as hex, are made whole or not at all, and are refused when others may read them.
A courier's computer has a pass instead of the master key: it carries pages that it cannot read.
"""

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from bztoken.errors import HomeError

KEY_BYTES = 32
FOLDER_MODE = 0o700
FILE_MODE = 0o600
ENVIRONMENT_VARIABLE = "BZTOKEN_HOME"
DEFAULT_FOLDER = "~/.local/share/bztoken"


@dataclass(frozen=True)
class Home:
    """A data folder; nothing is touched on disk until a method is called."""

    path: Path

    @property
    def registry_path(self) -> Path:
        """The encrypted database."""
        return self.path / "registry.db"

    @property
    def registry_key_path(self) -> Path:
        """The key of the database."""
        return self.path / "registry.key"

    @property
    def master_key_path(self) -> Path:
        """The key from which all token keys follow."""
        return self.path / "master.key"

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
        """32 bytes. Raises HomeError."""
        return _read_key(self.registry_key_path, self._cure())

    def master_key(self) -> bytes:
        """32 bytes. Raises HomeError, also when this computer was not given the master key."""
        if self.is_courier:
            raise HomeError("this is a courier's computer, which has no master key: do this at the clinic")
        return _read_key(self.master_key_path, self._cure())

    def _cure(self) -> str:
        """Of a missing key. A new one never opens what is there already."""
        if self.registry_path.exists():
            return "copy the file from your backup"
        return "run `bztoken registry init`, or copy the file from your backup"

    def prepare(self) -> None:
        """Make the folder, and the keys that are missing; keys that exist stay, since tokens may depend on them."""
        self.prepare_courier()
        if not self.is_courier:
            _make_key(self.master_key_path)

    def prepare_courier(self) -> None:
        """The same without the master key."""
        self.path.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        _make_key(self.registry_key_path)


def find_home(chosen: Path | None = None) -> Home:
    """The folder chosen, else the one in BZTOKEN_HOME, else the default."""
    if chosen is not None:
        return Home(chosen.expanduser())
    return Home(Path(os.environ.get(ENVIRONMENT_VARIABLE) or DEFAULT_FOLDER).expanduser())


def sync_folder(folder: Path) -> None:
    """Make renames in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def private_file(path: Path) -> Iterator[BinaryIO]:
    """A file that only its owner may read, whole or not there at all: written beside, then renamed.

    A key file cut short by a power cut would lose every token's log.
    """
    beside = path.with_name(f"{path.name}.new")
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


def _make_key(path: Path) -> None:
    if not path.exists():
        with private_file(path) as file:
            file.write(f"{secrets.token_hex(KEY_BYTES)}\n".encode("ascii"))
    _read_key(path, "copy the file from your backup")


def _read_key(path: Path, cure: str) -> bytes:
    if not path.exists():
        raise HomeError(f"{path} is missing: {cure}")
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise HomeError(f"{path} can be read by other users of this computer: run `chmod 600 {path}`")
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise HomeError(f"{path} does not hold a key of 64 hex digits: copy the file from your backup")
    return key
