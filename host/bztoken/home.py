"""The data folder of one computer: where registry and keys lie, how keys are made and read.

Key files hold 32 random bytes as hex, are made whole or not at all, and are refused when others may read them.
The master key may be absent: a courier's computer carries pages that it cannot read.
"""

import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path

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

    def registry_key(self) -> bytes:
        """32 bytes. Raises HomeError."""
        return _read_key(self.registry_key_path)

    def master_key(self) -> bytes:
        """32 bytes. Raises HomeError, also when this computer was not given the master key."""
        return _read_key(self.master_key_path)

    def prepare(self) -> None:
        """Make the folder, and the keys that are missing; keys that exist stay, since tokens may depend on them."""
        self.path.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        for key_path in (self.registry_key_path, self.master_key_path):
            if not key_path.exists():
                _write_new(key_path, secrets.token_hex(KEY_BYTES) + "\n")
            _read_key(key_path)


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


def _write_new(path: Path, text: str) -> None:
    # Written beside and renamed: a key file cut short by a power cut would lose every token's log.
    beside = path.with_suffix(".new")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    sync_folder(path.parent)


def _read_key(path: Path) -> bytes:
    if not path.exists():
        raise HomeError(f"{path} is missing: run `bztoken registry init`, or copy the file from your backup")
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise HomeError(f"{path} can be read by other users of this computer: run `chmod 600 {path}`")
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise HomeError(f"{path} does not hold a key of 64 hex digits: copy the file from your backup")
    return key
