"""MicroPython images on this computer: where they are kept, whether one is what it should be, and where to get it.

Nothing is fetched here: this program does not go to the network. What an image is made for, esptool says, run as a
program of its own.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path

from bztoken.boards import Board, Image
from bztoken.errors import BoardError
from bztoken.home import sync_folder

APPLICATION = "factory"  # name of the partition with the interpreter, in every partition table of MicroPython's
_CHIP = re.compile(r"^Chip ID: \d+ \((.+)\)$", re.MULTILINE)
_SOUND = re.compile(r"^(?:Checksum|Validation hash): \S+ \((\w+)", re.MULTILINE)
_READ_BYTES = 1 << 20


class Digest(StrEnum):
    """Whether a board's file has the SHA-256 of its image. One that differs is an error."""

    KNOWN = "known"
    UNKNOWN = "unknown"


def image_of(board: Board) -> Image:
    """Raises BoardError for a board that has none."""
    if board.image is None:
        raise BoardError(f"{board.path} names no image file, so nobody knows what belongs on board {board.name}.")
    return board.image


def cache_folder() -> Path:
    """Where images are looked for; it need not be there."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "bztoken" / "images"


def find(board: Board) -> Path | None:
    """The board's image in the cache, by its file name. Raises BoardError for a board that has none."""
    path = cache_folder() / image_of(board).file
    return path if path.is_file() else None


def what_to_fetch(board: Board) -> str:
    """The one sentence for somebody who has no image yet: file, address, place."""
    image = image_of(board)
    return (
        f"MicroPython for board {board.name} is not here: fetch {image.file} from {image.url} and put it into "
        f"{cache_folder()}, or name the file with --image."
    )


def sha256_of(path: Path) -> str:
    """Lower case hex of a file. Raises BoardError when it cannot be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(_READ_BYTES):
                digest.update(block)
    except OSError as error:
        raise BoardError(f"{path} cannot be read: {(error.strerror or 'the system refused').lower()}.") from None
    return digest.hexdigest()


def check(board: Board, path: Path) -> Digest:
    """Hold a file against the digest in the board's file. Raises BoardError when it is another one, or unreadable."""
    image = image_of(board)
    found = sha256_of(path)
    if image.sha256 is None:
        return Digest.UNKNOWN
    if found != image.sha256:
        raise BoardError(
            f"{path} is not the image of board {board.name}: its SHA-256 is {found}, and {image.sha256} is on record "
            f"(`bztoken boards show {board.name}` says who took it); fetch {image.file} again from {image.url}"
        )
    return Digest.KNOWN


def keep(board: Board, path: Path) -> Path:
    """Copy an image into the cache, whole or not at all; where it is then."""
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / image_of(board).file
    if target.exists() and target.samefile(path):
        return target
    with tempfile.NamedTemporaryFile(dir=folder, prefix=f"{target.name}.", delete=False) as beside:
        try:
            with path.open("rb") as file:
                shutil.copyfileobj(file, beside)
            Path(beside.name).replace(target)
        except BaseException:
            Path(beside.name).unlink(missing_ok=True)
            raise
    sync_folder(folder)
    return target


# -- what an image is made for ---------------------------------------------------------------------------------------
def require_image(board: Board, path: Path) -> None:
    """Raises BoardError unless this is a whole image for the board's chip: boot loader, interpreter in its place."""
    _require_made_for(board, path, path)
    place = next((part for part in board.partitions if part.name == APPLICATION), None)
    if place is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        application = Path(folder) / "application.bin"
        with path.open("rb") as file:
            file.seek(place.offset - board.chip.image_offset)
            application.write_bytes(file.read())
        _require_made_for(board, application, path)


def _require_made_for(board: Board, part: Path, whole: Path) -> None:
    said = _image_info(part)
    chip = _CHIP.search(said)
    if chip is None or set(_SOUND.findall(said)) != {"valid"}:
        raise BoardError(f"{whole} is no image for an ESP32, or was cut short: {_again(board)}")
    if chip.group(1) != board.chip.esptool_name:
        raise BoardError(
            f"{whole} is an image for {chip.group(1)}, and board {board.name} has {board.chip.esptool_name}: "
            f"{_again(board)}"
        )


def _again(board: Board) -> str:
    image = image_of(board)
    return f"fetch {image.file} from {image.url}"


def _image_info(path: Path) -> str:
    """What esptool says of a file; nothing that helps when it is no image. Raises BoardError."""
    if find_spec("esptool") is None:
        raise BoardError("esptool is missing: install bztoken with its extra, `pip install bztoken[desk]`.")
    done = subprocess.run(
        [sys.executable, "-m", "esptool", "image-info", str(path)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8"},
        check=False,
    )
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else ""
