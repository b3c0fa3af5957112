"""Where tests of Spark work: folders of their own, Java or a reason to skip, and a look at what is left afterwards."""

import os
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from bztoken.errors import EngineError
from bztoken.matching.engines.java import find_java

MARK = "BZ_SPARK_TEST"
PATIENCE_S = 120.0
_REPOSITORY = Path(__file__).parents[2]


class SparkDesk(NamedTuple):
    """days: the source; temporary: where Spark may write while it runs; mark: which all its processes carry."""

    days: Path
    temporary: Path
    mark: str

    def environment(self) -> dict[str, str]:
        """Of a program that starts Spark; executors find the tests' own source by PYTHONPATH."""
        return {MARK: self.mark, "TMPDIR": str(self.temporary), "PYTHONPATH": str(_REPOSITORY)}

    def processes(self) -> list[Path]:
        """Folders in /proc of all that carry the mark, but for this one."""
        wanted = f"{MARK}={self.mark}".encode()
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                marked = wanted in (folder / "environ").read_bytes().split(b"\0")
            except OSError:  # it has ended meanwhile, or is somebody else's
                continue
            if marked and folder.name != str(os.getpid()):
                found.append(folder)
        return found

    def left(self) -> list[str]:
        """Processes and files that are still there after a while."""
        until = time.monotonic() + PATIENCE_S
        while self.processes() and time.monotonic() < until:
            time.sleep(0.1)
        return [*map(str, self.processes()), *(path.name for path in self.temporary.iterdir())]


def made_desk(folder: Path) -> SparkDesk:
    """Empty. Skips the test where there is no Java, unless CI is set: there it must be."""
    try:
        find_java()
    except EngineError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
    desk = SparkDesk(folder / "days", folder / "temporary", uuid.uuid4().hex)
    desk.days.mkdir()
    desk.temporary.mkdir()
    return desk


@contextmanager
def worked_at(desk: SparkDesk) -> Iterator[None]:
    """This process starts Spark there."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in desk.environment().items():
            patch.setenv(name, value)
        patch.setattr(tempfile, "tempdir", None)  # as it was told by the environment before
        yield
