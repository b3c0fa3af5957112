"""What is past its time leaves all sources of a lake whenever something is added: the days of `retention.toml`."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from bztoken.calendar_days import day_of
from bztoken.errors import LakeError
from bztoken.lake.day_file import Columns
from bztoken.lake.folder import Clinic, Folder, start_s
from bztoken.lake.hands import lake_wide, read_hands
from bztoken.lake.records import SourceRecord, forget_day, forget_source, write_record
from bztoken.lake.rewriting import rewrite_day
from bztoken.matching.tolerance import Int64s
from bztoken.people.retention_rules import rules
from bztoken.registry.purging import floor_s


class Floors(NamedTuple):
    """What was heard before is past its time (unix s): by people's devices, by those of places, which is earlier."""

    person_s: int
    site_s: int

    @classmethod
    def at(cls, now_s: int) -> "Floors":
        """As the rules say today."""
        rule = rules()
        return cls(floor_s(now_s, rule.person_days), floor_s(now_s, rule.site_days))

    def only_places(self, day: int) -> bool:
        """Whether of this day nothing but what places heard is kept."""
        return start_s(day) < self.person_s

    def kept(self, first_s: Int64s, by_place: Any) -> Any:
        """Which sightings are not past their time (a mask)."""
        return (first_s >= self.person_s) | (by_place & (first_s >= self.site_s))


def require_likely(newest_s: int | None, now_s: int) -> None:
    """A clock that is wrong by months must not empty a lake. Raises LakeError when the newest sighting is that old."""
    if newest_s is None or now_s - newest_s <= rules().most_days_since_last * 86_400:
        return
    raise LakeError(
        f"this computer says it is {day_of(now_s)}, and the newest encounter is of {day_of(newest_s)}: nothing was "
        "changed; look at date and time, and if they are right add `--yes`"
    )


def expire(folder: Folder, clinics: dict[str, Clinic], records: Sequence[SourceRecord], floors: Floors) -> int:
    """Take away what is past its time; how many rows went. Raises LakeError."""
    gone = 0
    for record in records:
        before = dict(record.days)
        for day, entry in before.items():
            if start_s(day) < floors.site_s:
                forget_day(folder, record, day)
                gone += entry.rows
            elif floors.only_places(day) and not entry.places_only:
                gone += _leave_places(folder, record, day, clinics[record.clinic_id])
        if not record.days:
            forget_source(folder, record)
        elif record.days != before:
            write_record(folder, record)
    return gone


def _leave_places(folder: Folder, record: SourceRecord, day: int, clinic: Clinic) -> int:
    site_logs = read_hands(folder, record.clinic_id).site_logs
    wide = np.array([lake_wide(log, clinic.number) for log in sorted(site_logs)], dtype=np.int64)

    def by_place(rows: Columns) -> Any:
        return np.isin(rows["log"], wide)

    return rewrite_day(folder, record, day, clinic.number, by_place, places_only=True)
