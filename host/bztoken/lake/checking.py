"""Reads a whole lake and lists all that is wrong with it. A lake without a finding is one that matching can use."""

import hashlib
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bztoken.errors import LakeError
from bztoken.home import FILE_MODE, FOLDER_MODE
from bztoken.lake.checks import PagesSeen, RowChecks
from bztoken.lake.columns import SCHEMA
from bztoken.lake.day_file import Columns, DayFile, Place, place_of
from bztoken.lake.folder import ENCOUNTERS, Clinic, Folder, day_of_folder, read_clinics
from bztoken.lake.hands import read_hands
from bztoken.lake.records import SourceRecord, is_unfinished, read_records, rows_of_days, unfinished_problem
from bztoken.lake.slices import joined

Progress = Callable[[str, int, int], None]  # what, rows read, of how many


def check(folder: Folder, progress: Progress) -> list[str]:
    """A sentence for each thing that is wrong. Raises LakeError for a folder that is no lake."""
    clinics = read_clinics(folder)
    try:
        records = read_records(folder)
    except LakeError as error:
        return [str(error)]
    found = [*_unknown_clinics(records, clinics), *_unfinished(records), *_strays(folder, records)]
    found += [*_hands(folder, records, clinics), *_open_to_others(folder)]
    known = [record for record in records if record.clinic_id in clinics]
    done, rows = 0, rows_of_days(known)
    for day in rows:
        progress(f"Checking day {day}", done, sum(rows.values()))
        found += _day(folder, [record for record in known if day in record.days], clinics, day)
        done += rows[day]
    return found


def _day(folder: Folder, records: Sequence[SourceRecord], clinics: dict[str, Clinic], day: int) -> Iterator[str]:
    pages = PagesSeen()
    for record in records:
        place = place_of(folder, record, day)
        try:
            log_and_page = _whole_file(place, clinics[record.clinic_id])
            pages.add(place, log_and_page["log"], log_and_page["page"])
        except LakeError as error:
            yield str(error)


def _whole_file(place: Place, clinic: Clinic) -> Columns:
    """Logs and pages of a file in which every row was looked at. Raises LakeError."""
    checks, file, kept = RowChecks(place, clinic.number), DayFile(place), []
    try:
        for group in file.groups(SCHEMA.names):
            checks.require(group)
            kept.append({name: group[name] for name in ("log", "page")})
    finally:
        file.close()
    with place.path.open("rb") as raw:
        if hashlib.file_digest(raw, "sha256").hexdigest() != place.entry.sha256:
            raise place.refuse("its file was changed after it was written")
    return joined(kept, ("log", "page"))


def _unknown_clinics(records: Sequence[SourceRecord], clinics: dict[str, Clinic]) -> Iterator[str]:
    for record in records:
        if record.clinic_id not in clinics:
            yield f"the source {record.name} is of a clinic that the lake does not know: forget it and add it again"


def _unfinished(records: Sequence[SourceRecord]) -> Iterator[str]:
    for record in records:
        problem = unfinished_problem(record)
        if problem is not None:
            yield problem


def _strays(folder: Folder, records: Sequence[SourceRecord]) -> Iterator[str]:
    expected = {folder.day_file(day, record.name) for record in records for day in record.days}
    encounters = folder.path / ENCOUNTERS
    if not encounters.is_dir():
        yield f"{encounters} is missing: run `bztoken lake add` for every clinic again"
        return
    for parent in sorted(encounters.iterdir()):
        if day_of_folder(parent) is None:
            yield f"{parent} is no folder of a day: look what it is and take it away"
            continue
        for path in sorted(parent.iterdir()):
            if path not in expected and not is_unfinished(path):
                yield f"{path} belongs to no source of the lake: take it away, or add its source again"


def _hands(folder: Folder, records: Sequence[SourceRecord], clinics: dict[str, Clinic]) -> Iterator[str]:
    for clinic_id in sorted({record.clinic_id for record in records} & set(clinics)):
        try:
            read_hands(folder, clinic_id)
        except LakeError as error:
            yield str(error)


def _open_to_others(folder: Folder) -> Iterator[str]:
    for path in [folder.path, *sorted(folder.path.rglob("*"))]:
        if stat.S_IMODE(path.lstat().st_mode) & 0o077:
            yield f"{path} can be read by other users of this computer: run `chmod {_mode(path):o} {path}`"


def _mode(path: Path) -> int:
    return FOLDER_MODE if path.is_dir() else FILE_MODE
