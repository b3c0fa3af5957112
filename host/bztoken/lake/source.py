"""A lake as the source of a batch's sightings. Reads what the lake's records name, all of it or nothing."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bztoken.lake.folder import Clinic, Folder, held_still, read_clinics
from bztoken.lake.hands import read_bearers
from bztoken.lake.records import read_records, require_whole, rows_of_days
from bztoken.lake.slices import LakeSlice
from bztoken.matching.bearers import Bearers
from bztoken.matching.task import Task


class LakeSource:
    """Raises LakeError when it is opened: for a folder that is no lake, an add that was interrupted, files of nobody;
    and when a day is read, for whatever is wrong with its files.
    """

    def __init__(self, path: Path) -> None:
        self._folder = Folder(path)
        self._clinics = read_clinics(self._folder)
        self._records = read_records(self._folder)
        require_whole(self._folder, self._records, self._clinics)

    @property
    def clinics(self) -> dict[str, Clinic]:
        """By their IDs (`clinic_id.py`): which numbers their logs carry here."""
        return dict(self._clinics)

    def rows_by_day(self) -> dict[int, int]:
        """How many sightings begin on each UTC day."""
        return rows_of_days(self._records)

    def mark(self, day: int) -> str:
        """The digest of the day's files."""
        files = [f"{record.name} {record.days[day].sha256}" for record in self._records if day in record.days]
        return hashlib.sha256("\n".join(files).encode()).hexdigest()

    def slice(self, task: Task) -> LakeSlice:
        """The sightings of a task; its files are read when it is asked for them."""
        return LakeSlice(
            self._folder, [record for record in self._records if task.day in record.days], self._clinics, task
        )

    def bearers(self) -> Bearers:
        """Who carried which log, by the numbers of this lake."""
        here = {record.clinic_id for record in self._records}
        return read_bearers(self._folder, {clinic_id: self._clinics[clinic_id] for clinic_id in here})

    def close(self) -> None:
        """Nothing stays open between two days."""


@dataclass(frozen=True)
class LakeFactory:
    """Opens the lake where a task runs: on a cluster, every machine must have the folder under this path."""

    path: Path

    def __call__(self) -> LakeSource:
        """Raises LakeError."""
        return LakeSource(self.path)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nobody writes to the lake meanwhile. Raises LakeError when somebody does."""
        with held_still(Folder(self.path)):
            yield
