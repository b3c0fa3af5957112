"""One day of one source as a Parquet file: written in order of time, in pieces; read column by column, never believed.

What a file says of itself (format, source, day, rows) must fit its name and what the source's record says.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bztoken.errors import LakeError
from bztoken.lake.columns import FORMAT, ROW_GROUP_ROWS, SCHEMA, WRITE_OPTIONS, problem_of_schema, table_of
from bztoken.lake.folder import Folder
from bztoken.lake.records import DayEntry, SourceRecord, title
from bztoken.matching.tolerance import Int64s

_KEY = "bztoken.lake."
Columns = dict[str, Int64s]


class DayWriter:
    """Add pieces in order of first_s, then `finish`. Holds a row group at most, and the piece that came last."""

    def __init__(self, file: BinaryIO, source: str, day: int) -> None:
        self._said = {"format": str(FORMAT), "source": source, "day": str(day)}
        self._writer = pq.ParquetWriter(file, SCHEMA, **WRITE_OPTIONS)
        self._waiting: list[Any] = []
        self.rows = 0

    def add(self, rows: Mapping[str, Int64s]) -> None:
        """Raises LakeError for a number that a column does not hold."""
        self._waiting.append(table_of(rows))
        self.rows += len(rows["first_s"])
        if sum(table.num_rows for table in self._waiting) >= ROW_GROUP_ROWS:
            self._write(ROW_GROUP_ROWS)

    def finish(self) -> None:
        """The rest, and the end of the file."""
        self._write(1)
        said = {**self._said, "rows": str(self.rows)}
        self._writer.add_key_value_metadata({_KEY + name: value for name, value in said.items()})
        self._writer.close()

    def _write(self, at_least: int) -> None:
        """Whole row groups while so many rows wait."""
        table = pa.concat_tables(self._waiting) if self._waiting else SCHEMA.empty_table()
        while table.num_rows >= at_least:
            self._writer.write_table(table.slice(0, ROW_GROUP_ROWS), row_group_size=ROW_GROUP_ROWS)
            table = table.slice(ROW_GROUP_ROWS)
        self._waiting = [table] if table.num_rows else []


def entry_of(path: Path, rows: int, mark: str, places_only: bool) -> DayEntry:
    """What a record says of a file that was just written."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return DayEntry(rows, path.stat().st_size, digest, mark, places_only)


def rows_in(path: Path) -> int:
    """As a file that was just written says. Raises LakeError when it is damaged."""
    try:
        return int(pq.read_metadata(path).num_rows)
    except (pa.ArrowException, OSError):
        raise LakeError(f"{path} is damaged: take it away, then run `bztoken lake add` for its source again") from None


class Place(NamedTuple):
    """Where a file lies and what it belongs to."""

    path: Path
    record: SourceRecord
    day: int

    @property
    def entry(self) -> DayEntry:
        """What the source says of it."""
        return self.record.days[self.day]

    def refuse(self, problem: str) -> LakeError:
        """The sentence for a file that is not as it must be."""
        return LakeError(
            f"{title(self.record, self.day)} cannot be used, {problem}: nothing was answered; run "
            "`bztoken lake forget` for this source, then `bztoken lake add` for it again"
        )


def place_of(folder: Folder, record: SourceRecord, day: int) -> Place:
    """Of a day that the source has."""
    return Place(folder.day_file(day, record.name), record, day)


class DayFile:
    """An open file of which the footer was checked. Every method raises LakeError for what is damaged."""

    def __init__(self, place: Place) -> None:
        self.place = place
        try:
            self._file = pq.ParquetFile(place.path, page_checksum_verification=True)
        except FileNotFoundError:
            raise place.refuse("its file is missing") from None
        except (pa.ArrowException, OSError):
            raise self._damaged() from None
        problem = self._problem()
        if problem is not None:
            self.close()
            raise place.refuse(problem)
        sizes = [self._file.metadata.row_group(at).num_rows for at in range(self._file.num_row_groups)]
        self._starts = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype(np.int64)

    @property
    def rows(self) -> int:
        """How many sightings."""
        return int(self._file.metadata.num_rows)

    def groups(self, names: Sequence[str]) -> Iterator[Columns]:
        """These columns, row group by row group."""
        for at in range(self._file.num_row_groups):
            yield self._group(at, names)

    def rows_at(self, rows: Int64s, names: Sequence[str]) -> Columns:
        """These columns of these rows (ascending); only row groups that hold one of them are read."""
        parts = []
        ends = np.searchsorted(rows, self._starts)
        for at, (first, end) in enumerate(zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)):
            if first < end:
                group = self._group(at, names)
                inside = rows[first:end] - self._starts[at]
                parts.append({name: group[name][inside] for name in names})
        empty = np.empty(0, dtype=np.int64)
        return {name: np.concatenate([part[name] for part in parts]) if parts else empty for name in names}

    def close(self) -> None:
        """Give the file back."""
        self._file.close()

    def _group(self, at: int, names: Sequence[str]) -> Columns:
        try:
            table = self._file.read_row_group(at, columns=list(names), use_threads=False)
            rows = self._starts[at + 1] - self._starts[at]
            if any(len(column) != rows for column in table.columns):  # a damaged page may be passed over in silence
                raise self._damaged()
            if any(column.null_count for column in table.columns):
                raise self.place.refuse("it has rows without a value")
            return {name: table.column(name).to_numpy().astype(np.int64, copy=False) for name in names}
        except (pa.ArrowException, OSError):
            raise self._damaged() from None

    def _damaged(self) -> LakeError:
        return self.place.refuse("its file is damaged or half-written")

    def _problem(self) -> str | None:
        problem = problem_of_schema(self._file.schema_arrow)
        if problem is not None:
            return problem
        said = {key.decode(errors="replace"): value for key, value in (self._file.metadata.metadata or {}).items()}
        wanted = {"format": FORMAT, "source": self.place.record.name, "day": self.place.day, "rows": self.rows}
        for name, value in wanted.items():
            if said.get(_KEY + name) != str(value).encode():
                return f"the {name} that it tells is another one"
        if self.rows != self.place.entry.rows:
            return f"it holds {self.rows} rows, and {self.place.entry.rows} were written"
        return None
