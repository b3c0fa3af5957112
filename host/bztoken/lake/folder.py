"""Where what lies in a lake's folder, which clinics are in it, and who writes to it now. Only its owner may read it.

lake.json                                clinics, each with the number that its logs and people carry here
sources/SOURCE.json                      which days a source has, with rows and digest of each file (`records.py`)
hands/CLINIC.json                        who carried which log, in numbers (`hands.py`)
encounters/day=2026-11-30/SOURCE.parquet (`day_file.py`)
stopped/PLAN/2026-11-30.found            days of a batch that was stopped
"""

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from bztoken.errors import LakeError
from bztoken.home import FILE_MODE, FOLDER_MODE, private_file
from bztoken.lake.columns import CLINIC_BITS, FORMAT
from bztoken.matching.day import day_text
from bzwire.bluezone import DAY_S

LAKE_FILE, LOCK_FILE = "lake.json", "lake.lock"
ENCOUNTERS, SOURCES, HANDS, STOPPED = "encounters", "sources", "hands", "stopped"
DAY_PREFIX, FILE_SUFFIX = "day=", ".parquet"
MOST_CLINICS = (1 << (63 - CLINIC_BITS)) - 1
_EPOCH = date(1970, 1, 1)
_Read = TypeVar("_Read")


class Clinic(NamedTuple):
    """number: of its logs and people in this lake, never given twice; name: as its operator says."""

    number: int
    name: str


@dataclass(frozen=True)
class Folder:
    """Paths of one lake; nothing is read until a function is called."""

    path: Path

    def day_folder(self, day: int) -> Path:
        """Of a UTC day number."""
        return self.path / ENCOUNTERS / f"{DAY_PREFIX}{day_text(day)}"

    def day_file(self, day: int, source: str) -> Path:
        """What a source has of a day."""
        return self.day_folder(day) / f"{source}{FILE_SUFFIX}"

    def source_file(self, source: str) -> Path:
        """What it says of itself."""
        return self.path / SOURCES / f"{source}.json"

    def hands_file(self, clinic_id: str) -> Path:
        """Who carried a clinic's logs."""
        return self.path / HANDS / f"{clinic_id}.json"

    @property
    def stopped(self) -> Path:
        """Where batches that were stopped keep what they had found (`matching.kept_folder`)."""
        return self.path / STOPPED

    @property
    def lake_file(self) -> Path:
        """Which makes the folder a lake."""
        return self.path / LAKE_FILE


def read_clinics(folder: Folder) -> dict[str, Clinic]:
    """By their IDs. Raises LakeError for a folder that is no lake, or one of another version."""
    if not folder.lake_file.exists():
        raise LakeError(f"{folder.path} is no lake: `bztoken lake add` makes one of a folder that is new or empty")
    return read_json(folder.lake_file, _clinics)


def write_clinics(folder: Folder, clinics: Mapping[str, Clinic]) -> None:
    """Whole or not at all."""
    said = {clinic_id: clinic._asdict() for clinic_id, clinic in clinics.items()}
    write_json(folder.lake_file, {"format": FORMAT, "clinics": said})


def _clinics(said: Any) -> dict[str, Clinic]:
    found = {str(key): Clinic(int(one["number"]), str(one["name"])) for key, one in said["clinics"].items()}
    numbers = [clinic.number for clinic in found.values()]
    if len(set(numbers)) != len(numbers) or not all(1 <= number <= MOST_CLINICS for number in numbers):
        raise ValueError("numbers of clinics")
    return found


def make(folder: Folder) -> None:
    """Make the folder a lake, unless it is one. Raises LakeError when other things lie in it."""
    if folder.lake_file.exists():
        _make_folders(folder)
        return
    if folder.path.exists() and any(path.name != LOCK_FILE for path in folder.path.iterdir()):
        raise LakeError(f"{folder.path} is no lake and not empty: nothing was changed, name a new folder")
    folder.path.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    folder.path.chmod(FOLDER_MODE)
    _make_folders(folder)
    os.close(_open_lock(folder))
    write_clinics(folder, {})


def _make_folders(folder: Folder) -> None:
    for name in (ENCOUNTERS, SOURCES, HANDS):
        (folder.path / name).mkdir(mode=FOLDER_MODE, exist_ok=True)


@contextmanager
def written_alone(folder: Folder) -> Iterator[None]:
    """Nobody else reads or writes meanwhile. Raises LakeError at once when somebody does.

    What batches had found that were stopped goes: it may be about somebody who is just being taken away.
    """
    with _locked(_open_lock(folder), fcntl.LOCK_EX, folder, "another program is using"):
        if folder.stopped.exists():
            shutil.rmtree(folder.stopped)
        yield


@contextmanager
def held_still(folder: Folder) -> Iterator[None]:
    """Nobody writes meanwhile. Raises LakeError at once when somebody does."""
    read_clinics(folder)
    try:
        lock = os.open(folder.path / LOCK_FILE, os.O_RDONLY)
    except FileNotFoundError:
        raise _missing(folder.path / LOCK_FILE, "any clinic") from None
    with _locked(lock, fcntl.LOCK_SH, folder, "somebody is just writing to"):
        yield


def _open_lock(folder: Folder) -> int:
    return os.open(folder.path / LOCK_FILE, os.O_RDWR | os.O_CREAT, FILE_MODE)


@contextmanager
def _locked(descriptor: int, how: int, folder: Folder, who: str) -> Iterator[None]:
    """The system takes the lock back when the program ends, however it ends."""
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise LakeError(f"{who} the lake {folder.path}: nothing was changed, try again when that has ended") from None
    finally:
        os.close(descriptor)


def days_there(folder: Folder) -> dict[int, Path]:
    """Folders of days, by day number. Raises LakeError for a name that is no day's."""
    found = {}
    if not (folder.path / ENCOUNTERS).is_dir():
        raise _missing(folder.path / ENCOUNTERS, "every clinic")
    for path in sorted((folder.path / ENCOUNTERS).iterdir()):
        day = day_of_folder(path)
        if day is None:
            raise LakeError(
                f"{path} is no folder of a day: nothing was read; look what it is and take it away "
                f"(`bztoken lake check {folder.path}` names all)"
            )
        found[day] = path
    return found


def day_of_folder(path: Path) -> int | None:
    """The day that a folder's name tells; None for a name that is not exactly one."""
    try:
        day = (date.fromisoformat(path.name.removeprefix(DAY_PREFIX)) - _EPOCH).days
    except ValueError:
        return None
    return day if path.is_dir() and path.name == f"{DAY_PREFIX}{day_text(day)}" else None


def read_json(path: Path, parse: Callable[[Any], _Read]) -> _Read:
    """A file of the lake's own. Raises LakeError when it is damaged, or of another version."""
    try:
        said = json.loads(path.read_bytes())
        version = said["format"]
        if version == FORMAT:
            return parse(said)
    except FileNotFoundError:
        raise _missing(path, "that clinic") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise LakeError(
            f"{path} is damaged: nothing was read; run `bztoken lake add` again and, where that says the same, "
            "for every clinic into a new folder"
        ) from None
    raise LakeError(f"{path} was made by another version (format {version}): nothing was read, update this program")


def _missing(path: Path, whose: str) -> LakeError:
    return LakeError(f"{path} is missing: nothing was read, run `bztoken lake add` for {whose} again")


def write_json(path: Path, said: Mapping[str, object]) -> None:
    """Whole or not at all, and readable by its owner only."""
    with private_file(path) as file:
        file.write(json.dumps(said, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode() + b"\n")


def start_s(day: int) -> int:
    """The first second of a UTC day number."""
    return day * DAY_S
