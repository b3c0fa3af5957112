"""What each source of a lake says of itself: which days it has, and how each of its files must look.

A file that no source names, or that a source names and is not there, stops the reading: so no answer is of a part only.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from bztoken.errors import LakeError
from bztoken.lake.columns import FORMAT
from bztoken.lake.folder import ENCOUNTERS, FILE_SUFFIX, SOURCES, Folder, days_there, read_json, write_json
from bztoken.matching.day import day_text

_UNFINISHED = ".new"  # what a killed program left of a file that it was writing; the next one takes it away


class Kind(StrEnum):
    """From where."""

    REGISTRY = "registry"
    BUNDLE = "bundle"


class DayEntry(NamedTuple):
    """One file: how many rows and bytes, its SHA-256, what it was made from (`mark`), whether only logs of places are
    in it, since all others were past their time.
    """

    rows: int
    bytes: int
    sha256: str
    mark: str
    places_only: bool


@dataclass
class SourceRecord:
    """clinic_id: whose; whole: False while it is being written, or when that was interrupted; days: by day number;
    rewriting: the day of which some rows are just being left out, None when there is none.
    """

    name: str
    clinic_id: str
    kind: Kind
    whole: bool = False
    days: dict[int, DayEntry] = field(default_factory=dict)
    rewriting: int | None = None


def read_record(folder: Folder, name: str) -> SourceRecord | None:
    """None when there is no such source. Raises LakeError when its file is damaged."""
    path = folder.source_file(name)
    return read_json(path, _record) if path.exists() else None


def read_records(folder: Folder) -> list[SourceRecord]:
    """All, in the order of their names. Raises LakeError."""
    paths = sorted((folder.path / SOURCES).glob("*.json"))
    return sorted((read_json(path, _record) for path in paths), key=lambda record: record.name)


def write_record(folder: Folder, record: SourceRecord) -> None:
    """Whole or not at all."""
    days = {str(day): record.days[day]._asdict() for day in sorted(record.days)}
    said = {"format": FORMAT, "name": record.name, "clinic": record.clinic_id, "kind": record.kind.value}
    state = {"whole": record.whole, "rewriting": record.rewriting}
    write_json(folder.source_file(record.name), {**said, **state, "days": days})


def _record(said: Any) -> SourceRecord:
    days = {
        int(day): DayEntry(
            int(one["rows"]), int(one["bytes"]), str(one["sha256"]), str(one["mark"]), bool(one["places_only"])
        )
        for day, one in said["days"].items()
    }
    name, clinic_id, rewriting = str(said["name"]), str(said["clinic"]), said["rewriting"]
    rewriting = None if rewriting is None else int(rewriting)
    return SourceRecord(name, clinic_id, Kind(said["kind"]), bool(said["whole"]), days, rewriting)


def forget_day(folder: Folder, record: SourceRecord, day: int) -> None:
    """The file first, so that what is gone is gone; the caller writes the record."""
    path = folder.day_file(day, record.name)
    path.unlink(missing_ok=True)
    record.days.pop(day, None)
    if path.parent.is_dir() and not any(path.parent.iterdir()):
        path.parent.rmdir()


def forget_source(folder: Folder, record: SourceRecord) -> None:
    """All of it; interrupted, it is no whole source any more."""
    record.whole = False
    write_record(folder, record)
    for day in list(record.days):
        forget_day(folder, record, day)
    folder.source_file(record.name).unlink()


def require_whole(folder: Folder, records: Iterable[SourceRecord], clinic_ids: Collection[str]) -> None:
    """Raises LakeError when a source was not written to its end or is of no clinic, or when there are files of none."""
    for record in records:
        if record.clinic_id not in clinic_ids:
            raise LakeError(
                f"the source {record.name} is of a clinic that the lake does not know: nothing was read, run "
                "`bztoken lake forget` for this source, then `bztoken lake add` for it again"
            )
        problem = unfinished_problem(record)
        if problem is not None:
            raise LakeError(f"{problem}; nothing was read")
    for path in strays(folder, records):
        raise LakeError(
            f"{path} belongs to no source of the lake: nothing was read; take it away, or add its source again "
            f"(`bztoken lake check {folder.path}` names all)"
        )


def unfinished_problem(record: SourceRecord) -> str | None:
    """The sentence for a source that somebody was writing when they were stopped."""
    if not record.whole:
        return f"the source {record.name} was not written to its end: run the same `bztoken lake add` again"
    if record.rewriting is not None:
        return f"rows of the source {record.name} were not left out to the end: run any `bztoken lake add` again"
    return None


def strays(folder: Folder, records: Iterable[SourceRecord]) -> list[Path]:
    """What lies in the folders of days and is no file of a source."""
    expected = {folder.day_file(day, record.name) for record in records for day in record.days}
    there = (path for parent in days_there(folder).values() for path in sorted(parent.iterdir()))
    return [path for path in there if path not in expected and not is_unfinished(path)]


def is_unfinished(path: Path) -> bool:
    """Whether a killed program left it, half-written, under a name that nobody reads."""
    return path.name.endswith(FILE_SUFFIX + _UNFINISHED)


def take_away_unfinished(folder: Folder) -> None:
    """What killed programs left. For who has the lake alone."""
    for path in folder.path.rglob(f"*{_UNFINISHED}"):
        path.unlink(missing_ok=True)
    for path in (folder.path / ENCOUNTERS).iterdir():
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()


def rows_of_days(records: Iterable[SourceRecord]) -> dict[int, int]:
    """How many sightings of all sources begin on each day."""
    found: dict[int, int] = {}
    for record in records:
        for day, entry in record.days.items():
            found[day] = found.get(day, 0) + entry.rows
    return dict(sorted(found.items()))


def by_name(folder: Folder, name: str, records: Mapping[str, SourceRecord]) -> SourceRecord:
    """Raises LakeError for a name that no source has."""
    if name not in records:
        raise LakeError(f"the lake {folder.path} has no source {name}: `bztoken lake list` names them")
    return records[name]


def title(record: SourceRecord, day: int) -> str:
    """How sentences call one file."""
    return f"{day_text(day)} of the source {record.name}"
