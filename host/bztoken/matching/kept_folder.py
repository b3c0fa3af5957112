"""Days of a batch that was stopped, as files that only their owner may read; see `matching.run.Kept`.

They say who was near whom: `forget` is called as soon as the batch is whole.
"""

import shutil
import time
from contextlib import suppress
from pathlib import Path

from bztoken.errors import LakeError
from bztoken.home import FOLDER_MODE, private_file
from bztoken.matching.day import day_text
from bzwire.bluezone import DAY_S

_MARK_BYTES = 32


class KeptFolder:
    """A file a day: the mark, then what was found."""

    def __init__(self, root: Path, plan: bytes) -> None:
        """plan: of `run.plan_digest`, so that two batches side by side leave each other's days alone."""
        self._root, self._path = root, root / plan.hex()[:16]

    def get(self, day: int, mark: bytes) -> bytes | None:
        """What was put there under this mark."""
        try:
            raw = self._file(day).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return raw[_MARK_BYTES:] if raw[:_MARK_BYTES] == mark else None

    def put(self, day: int, mark: bytes, found: bytes) -> None:
        """In place of what was there of this day, whole or not at all. Raises LakeError when it cannot be written."""
        try:
            for folder in (self._root, self._path):  # the mode is not for what `parents` makes
                folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
            with private_file(self._file(day)) as file:
                file.write(mark + found)
        except OSError as error:
            reason = (error.strerror or type(error).__name__).lower()
            raise LakeError(
                f"{self._root} cannot be written ({reason}): a match keeps there what it found until it ends, "
                "and needs the right to write to the lake, and space"
            ) from error

    def forget(self) -> None:
        """All of them, and those of batches that were stopped a day ago or longer; younger ones may be running."""
        shutil.rmtree(self._path, ignore_errors=True)
        with suppress(OSError):  # nobody stopped here, or somebody else is just tidying up
            for other in self._root.iterdir():
                if time.time() - other.stat().st_mtime > DAY_S:
                    shutil.rmtree(other, ignore_errors=True)
            self._root.rmdir()

    def _file(self, day: int) -> Path:
        return self._path / f"{day_text(day)}.found"
