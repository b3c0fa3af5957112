"""Files that a person asked for (labels, lists): whole or as they were, and known to be writable before work begins."""

import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from bztoken.errors import PrintError
from bztoken.home import sync_folder


def require_writable(path: Path) -> None:
    """Raises PrintError when `write_whole` could not write there. Leaves nothing behind, changes nothing."""
    try:
        if path.exists() and not path.is_file():
            raise PrintError(f"{path} is no file: name a file to be written")
        beside = _beside(path)
        with beside.open("xb"):
            pass
        beside.unlink()
    except OSError as error:
        raise _not_writable(path, error) from error


def require_unread(path: Path, read: Iterable[Path]) -> None:
    """Raises PrintError when a file to be written is one of those that are read, by whatever name."""
    if path.exists() and any(other.exists() and path.samefile(other) for other in read):
        raise PrintError(f"{path} is read here, so it cannot be written: nothing was changed, name another file")


def write_whole(path: Path, content: bytes) -> None:
    """Written beside, then renamed. Raises PrintError; then a file that was there is as it was."""
    beside = _beside(path)
    try:
        with beside.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise _not_writable(path, error) from error


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}.new")


def _not_writable(path: Path, error: OSError) -> PrintError:
    reason = (error.strerror or type(error).__name__).lower()
    return PrintError(f"{path} cannot be written ({reason}): name a file in a folder of yours, on a disk with space")
