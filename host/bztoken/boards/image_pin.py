"""Records the digest of an image's first download in the board's file, and changes nothing else of its text.

From then on every other computer that flashes this board holds its own download against that digest.
"""

import json
import os
import re
from datetime import date
from pathlib import Path

from bztoken.boards import Board, images
from bztoken.errors import BoardError

_DIGEST = re.compile(r'("sha256"\s*:\s*)null')
_SOURCE = re.compile(r'("sha256_source"\s*:\s*)null')


def pin(board: Board, path: Path, today: date) -> bool:
    """Check an image, record its digest, keep a copy in the cache. False: it was on record already, and is the same.

    Raises BoardError for a file of another name, for another chip, with another digest than the one on record, and for
    a board's file that cannot be written; nothing is changed then.
    """
    image = images.image_of(board)
    if path.name != image.file:
        raise BoardError(f"{path} is not the image of board {board.name}: give {image.file}, from {image.url}")
    known = images.check(board, path)
    images.require_image(board, path)
    if known is images.Digest.KNOWN:
        images.keep(board, path)
        return False
    text = _recorded(board, images.sha256_of(path), f"first download, {today.isoformat()}")
    _require_writable(board.path)
    fresh = images.find(board) is None
    kept = images.keep(board, path)
    try:
        _write(board.path, text)
    except BaseException:
        if fresh and not kept.samefile(path):
            kept.unlink(missing_ok=True)
        raise
    return True


def _recorded(board: Board, sha256: str, source: str) -> str:
    """The text of the board's file with the digest in it. Raises BoardError when its place is not found."""
    text = board.path.read_bytes().decode("utf-8")  # line ends stay as they are
    text, digests = _DIGEST.subn(lambda found: f"{found.group(1)}{json.dumps(sha256)}", text)
    text, sources = _SOURCE.subn(lambda found: f"{found.group(1)}{json.dumps(source)}", text)
    wanted = json.loads(json.dumps(board.description))
    wanted["image"].update({"sha256": sha256, "sha256_source": source})
    if (digests, sources) != (1, 1) or json.loads(text) != wanted:
        raise BoardError(
            f"{board.path} has no single place for the digest: write image.sha256, {sha256}, and its source by hand."
        )
    return text


def _require_writable(path: Path) -> None:
    if not os.access(path, os.W_OK) or not os.access(path.parent, os.W_OK):
        raise BoardError(_not_written(path, "it is write-protected"))


def _write(path: Path, text: str) -> None:
    """Whole or not at all. Raises BoardError."""
    beside = path.with_name(f"{path.name}.new")
    try:
        beside.write_bytes(text.encode("utf-8"))
        beside.chmod(path.stat().st_mode & 0o777)
        beside.replace(path)
    except OSError as error:
        if beside.is_file():
            beside.unlink(missing_ok=True)
        raise BoardError(_not_written(path, (error.strerror or "the system refused").lower())) from None


def _not_written(path: Path, why: str) -> str:
    return f"{path} cannot be written ({why}), so the digest is not on record: do it in a checkout of your own."
