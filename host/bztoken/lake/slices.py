"""The sightings of one task out of the files of a day: merged in order of time, of the task's logs only.

What matching asks of every sighting is read at once; the rest only of row groups in which something was found.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from bztoken.lake.checks import PagesSeen, RowChecks
from bztoken.lake.columns import NAME_OF_FIELD
from bztoken.lake.day_file import Columns, DayFile, Place, place_of
from bztoken.lake.folder import Clinic, Folder
from bztoken.lake.records import SourceRecord
from bztoken.matching.day import DayColumns, Seen
from bztoken.matching.task import Task
from bztoken.matching.tolerance import Int64s

_SEEN = tuple(NAME_OF_FIELD[field] for field in Seen._fields)
_REST = {field: NAME_OF_FIELD[field] for field in DayColumns._fields if field not in Seen._fields}


class _Read(NamedTuple):
    """seen: by column, in order of time; at: of each row, where it lies in the files taken one after the other, None
    where that is its number.
    """

    seen: Columns
    at: Int64s | None


class LakeSlice:
    """Satisfies `DaySlice`."""

    def __init__(
        self, folder: Folder, records: Sequence[SourceRecord], clinics: Mapping[str, Clinic], task: Task
    ) -> None:
        self._places = [place_of(folder, record, task.day) for record in records]
        self._clinics = clinics
        self._task = task
        self._kept: _Read | None = None

    def seen(self) -> Seen:
        """Raises LakeError when a file is not as it must be."""
        columns = self._read().seen
        return Seen(*(columns[name] for name in _SEEN))

    def take(self, rows: Int64s) -> DayColumns:
        """All columns of these rows of `seen`, ascending. Raises LakeError."""
        read = self._read()
        rest = self._rest(rows if read.at is None else read.at[rows])
        columns = {field: rest[name] for field, name in _REST.items()}
        columns |= {field: read.seen[NAME_OF_FIELD[field]][rows] for field in Seen._fields}
        return DayColumns(**columns)

    def _read(self) -> _Read:
        if self._kept is None:
            self._kept = self._read_files()
        return self._kept

    def _read_files(self) -> _Read:
        """All files of the day, whose rows are then put in order of time; of one moment, in the order of the files."""
        groups: list[Columns] = []
        at: list[Int64s] = []
        pages, files_of_clinic = PagesSeen(), Counter(place.record.clinic_id for place in self._places)
        for place in self._places:
            first = sum(before.entry.rows for before in self._places[: len(at)])
            found, rows = self._read_file(place, with_pages=files_of_clinic[place.record.clinic_id] > 1)
            if "page" in found:
                pages.add(place, found["log"], found.pop("page"))
            groups.append(found)
            at.append(rows + first)
        whole = self._task.shards == 1
        read = _Read(joined(groups, _SEEN), None if whole and len(at) < 2 else np.concatenate(at))
        return read if len(self._places) < 2 else _in_order(read)

    def _read_file(self, place: Place, with_pages: bool) -> tuple[Columns, Int64s]:
        """The task's rows of a file, and their numbers in it."""
        whole = self._task.shards == 1
        names = (*_SEEN, *(() if whole and not with_pages else ("log",)), *(("page",) if with_pages else ()))
        checks = RowChecks(place, self._clinics[place.record.clinic_id].number)
        kept: list[Columns] = []
        numbers: list[Int64s] = []
        start, file = 0, DayFile(place)
        try:
            for group in file.groups(names):
                checks.require(group)
                count = len(group["first_s"])
                wanted = np.arange(count, dtype=np.int64)
                if not whole:
                    wanted = np.flatnonzero(group["log"] % self._task.shards == self._task.shard)
                    group = {name: column[wanted] for name, column in group.items()}
                kept.append(group)
                numbers.append(wanted + start)
                start += count
        finally:
            file.close()
        return joined(kept, names), np.concatenate([*numbers, np.empty(0, dtype=np.int64)])

    def _rest(self, at: Int64s) -> Columns:
        """The other columns of rows that lie there."""
        names = tuple(_REST.values())
        order = np.argsort(at, kind="stable")
        sorted_at = at[order]
        parts: list[Columns] = []
        first = 0
        for place in self._places:
            inside = sorted_at[(sorted_at >= first) & (sorted_at < first + place.entry.rows)] - first
            first += place.entry.rows
            if len(inside):
                parts.append(_rows_of(place, inside, names))
        found = joined(parts, names)
        back = np.empty(len(order), dtype=np.int64)
        back[order] = np.arange(len(order), dtype=np.int64)
        return {name: column[back] for name, column in found.items()}


def _rows_of(place: Place, rows: Int64s, names: Sequence[str]) -> Columns:
    file = DayFile(place)
    try:
        return file.rows_at(rows, names)
    finally:
        file.close()


def _in_order(read: _Read) -> _Read:
    order = np.argsort(read.seen["first_s"], kind="stable")
    at = None if read.at is None else read.at[order]
    return _Read({name: column[order] for name, column in read.seen.items()}, at)


def joined(parts: Sequence[Columns], names: Sequence[str]) -> Columns:
    """One array a column. Takes the parts apart, so that no more than one column lies in memory twice."""
    empty = np.empty(0, dtype=np.int64)
    return {name: np.concatenate([empty, *(part.pop(name) for part in parts)]) for name in names}
