"""Takes a source, or days before one, out of a lake."""

from bztoken.lake.folder import Folder, read_clinics
from bztoken.lake.hands import forget_idle_hands
from bztoken.lake.records import SourceRecord, by_name, forget_day, forget_source, read_records, write_record


def forget_named(folder: Folder, name: str) -> int:
    """All that a source has; how many rows. For who has the lake alone. Raises LakeError for an unknown name."""
    records = {record.name: record for record in read_records(folder)}
    record = by_name(folder, name, records)
    rows = rows_of(record)
    forget_source(folder, record)
    _tidy(folder)
    return rows


def forget_before(folder: Folder, day: int) -> int:
    """All that began before a UTC day, of every source; how many rows. For who has the lake alone. Raises LakeError."""
    gone = 0
    for record in read_records(folder):
        old = [one for one in record.days if one < day]
        gone += sum(record.days[one].rows for one in old)
        for one in old:
            forget_day(folder, record, one)
        if old and not record.days:
            forget_source(folder, record)
        elif old:
            write_record(folder, record)
    _tidy(folder)
    return gone


def rows_of(record: SourceRecord, before_day: int | None = None) -> int:
    """How many sightings a source has, or has of days before one."""
    return sum(entry.rows for day, entry in record.days.items() if before_day is None or day < before_day)


def _tidy(folder: Folder) -> None:
    forget_idle_hands(folder, read_clinics(folder), {record.clinic_id for record in read_records(folder)})
