"""Writes day files: new ones, and those of which some rows have to go. A file is there whole or as it was before."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from bztoken.home import FOLDER_MODE, private_file, sync_folder
from bztoken.lake.checks import RowChecks
from bztoken.lake.columns import SCHEMA
from bztoken.lake.day_file import Columns, DayFile, DayWriter, entry_of, place_of, rows_in
from bztoken.lake.folder import Folder
from bztoken.lake.records import SourceRecord, forget_day, read_records, take_away_unfinished, write_record

Keep = Callable[[Columns], Any]  # which rows stay (a mask)


def write_day(
    folder: Folder, record: SourceRecord, day: int, pieces: Iterable[Columns], mark: str, places_only: bool
) -> int:
    """Write what a source has of a day, in order of time, and note it in the record, which the caller writes; how many
    rows. No file is left of a day without any.
    """
    path = folder.day_file(day, record.name)
    if not path.parent.is_dir():
        path.parent.mkdir(mode=FOLDER_MODE)
        sync_folder(path.parent.parent)
    with private_file(path) as file:
        writer = DayWriter(file, record.name, day)
        for piece in pieces:
            writer.add(piece)
        writer.finish()
    record.days[day] = entry_of(path, writer.rows, mark, places_only)
    if not writer.rows:
        forget_day(folder, record, day)
    return writer.rows


def rewrite_day(
    folder: Folder, record: SourceRecord, day: int, clinic_number: int, keep: Keep, *, places_only: bool = False
) -> int:
    """Leave out rows of a file; how many went. Raises LakeError for a file that is not as it must be."""
    before = record.days[day]
    record.rewriting = day
    write_record(folder, record)
    pieces = _kept(folder, record, day, clinic_number, keep)
    left = write_day(folder, record, day, pieces, before.mark, places_only or before.places_only)
    record.rewriting = None
    write_record(folder, record)
    return before.rows - left


def settle(folder: Folder) -> None:
    """Take away what killed programs left, and note what they had written: where rows were being left out, the file is
    as before or as after, and whoever wanted them out will find out. For who has the lake alone.
    """
    take_away_unfinished(folder)
    for record in read_records(folder):
        if record.rewriting is not None:
            _note_as_it_is(folder, record, record.rewriting)
            record.rewriting = None
            write_record(folder, record)


def _note_as_it_is(folder: Folder, record: SourceRecord, day: int) -> None:
    path, before = folder.day_file(day, record.name), record.days.get(day)
    if path.exists() and before is not None:
        record.days[day] = entry_of(path, rows_in(path), before.mark, before.places_only)
    else:
        forget_day(folder, record, day)


def _kept(folder: Folder, record: SourceRecord, day: int, clinic_number: int, keep: Keep) -> Iterator[Columns]:
    place = place_of(folder, record, day)
    checks, file = RowChecks(place, clinic_number), DayFile(place)
    try:
        for group in file.groups(SCHEMA.names):
            checks.require(group)
            mask = keep(group)
            yield {name: column[mask] for name, column in group.items()}
    finally:
        file.close()
