"""Takes a registry into a lake: each day that changed is written anew, in order of time; what is gone from the registry
goes from the lake. May be stopped and run again at any time; a second run changes nothing.

Who may export histories may do this, and the audit tells of it before anything leaves. Names, labels, keys never do.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bztoken.errors import LakeError
from bztoken.home import Home
from bztoken.lake.clinic_id import clinic_id
from bztoken.lake.expiry import Floors, expire, require_likely
from bztoken.lake.folder import Clinic, Folder, make, read_clinics, start_s, write_clinics, written_alone
from bztoken.lake.hands import forget_idle_hands, write_hands
from bztoken.lake.overlaps import leave_out_known
from bztoken.lake.records import (
    Kind,
    SourceRecord,
    forget_day,
    read_record,
    read_records,
    rows_of_days,
    write_record,
)
from bztoken.lake.registry_rows import DayPlan, Facts, day_rows, plan_days
from bztoken.lake.rewriting import settle, write_day
from bztoken.matching.day import day_text
from bztoken.registry import audit, labels, permissions
from bztoken.registry.database import Registry, open_registry
from bztoken.registry.models import Sighting

# A day's rows lie all over the file: decrypted once each instead of once a row, they take half the time.
_CACHE_KIB = 262_144

# Told (what is being done, rows or pages done, how many in all or None).
Progress = Callable[[str, int, int | None], None]


@dataclass
class Added:
    """What an add did. source: its name in the lake; rows, days: that it has there now; written: how many days were
    written anew; expired: rows of all sources that were past their time; left_out: pages of a bundle that the lake had.
    """

    source: str
    rows: int = 0
    days: int = 0
    written: int = 0
    expired: int = 0
    left_out: int = 0


@dataclass(frozen=True)
class Asked:
    """path: of the lake; clinic: the name that the operator gives; insist: the date of this computer is right."""

    path: Path
    clinic: str | None
    now_s: int
    insist: bool = False


def add_registry(home: Home, asked: Asked, progress: Progress) -> Added:
    """Add the registry of this computer. Raises LakeError, HomeError, RegistryError, NotAllowed or OSError."""
    home.require_clinic()
    with open_registry(home) as registry:
        own_id = require_exporter(registry, asked.now_s)
        folder = Folder(asked.path)
        home.require_outside(folder.lake_file)
        make(folder)
        with written_alone(folder), registry.read() as session:
            settle(folder)
            session.connection().exec_driver_sql(f"PRAGMA cache_size = -{_CACHE_KIB}")
            clinic = known_clinic(folder, own_id, asked.clinic)
            return _add(registry, session, folder, _Own(own_id, clinic), asked, progress)


@dataclass(frozen=True)
class _Own:
    """The clinic whose registry this is."""

    id: str
    clinic: Clinic


def require_exporter(registry: Registry, now_s: int) -> str:
    """The ID of this clinic; for who may export only. Raises NotAllowed."""
    with registry.write() as session:
        permissions.require(session, permissions.EXPORT_KEYS)
        return clinic_id(session, now_s)


def known_clinic(folder: Folder, own_id: str, name: str | None) -> Clinic:
    """As the lake knows it, with this name if one is given; new ones get the next number.

    Raises LakeError for a name that another one has: answers tell clinics by their names.
    """
    clinics = read_clinics(folder)
    number = (
        clinics[own_id].number if own_id in clinics else max((one.number for one in clinics.values()), default=0) + 1
    )
    if name is not None:
        name = labels.required(name, "a clinic needs a name: say where it is")
    elif own_id in clinics:
        name = clinics[own_id].name
    clinic = Clinic(number, name or f"clinic {number}")
    if any(
        other_id != own_id and other.name.casefold() == clinic.name.casefold() for other_id, other in clinics.items()
    ):
        raise LakeError("another clinic of this lake has that name: nothing was changed, give --clinic another one")
    if clinics.get(own_id) != clinic:
        write_clinics(folder, {**clinics, own_id: clinic})
    return clinic


def _add(registry: Registry, session: Session, folder: Folder, own: _Own, asked: Asked, progress: Progress) -> Added:
    facts = Facts.of(session, own.clinic.number, Floors.at(asked.now_s))
    require_date(folder, newest_s(session), asked)
    plans = plan_days(session, facts)
    with registry.write() as writing:
        detail = f"{sum(plan.rows for plan in plans)} sightings of {len(plans)} days into a lake"
        audit.record(writing, audit.Action.EXPORT, audit.What.REGISTRY, asked.now_s, detail=detail)
    record = read_record(folder, own.id) or SourceRecord(own.id, own.id, Kind.REGISTRY)
    written = write_source(session, folder, record, facts, plans, progress)
    leave_out_known(session, folder, own.id, facts)
    return finish(folder, record, facts, written)


def newest_s(session: Session) -> int | None:
    """When the newest sighting of the registry began."""
    return session.scalar(select(func.max(Sighting.first_s)))


def require_date(folder: Folder, newest_s: int | None, asked: Asked) -> None:
    """Raises LakeError when this computer's date is much later than anything here or in the lake."""
    days = rows_of_days(read_records(folder))
    newest_s = max(newest_s or 0, start_s(max(days, default=0)))
    if newest_s and not asked.insist:
        require_likely(newest_s, asked.now_s)


def write_source(
    session: Session, folder: Folder, record: SourceRecord, facts: Facts, plans: Sequence[DayPlan], progress: Progress
) -> int:
    """Days that changed, and no others; how many. Until `finish` the source is not whole."""
    record.whole = False
    write_record(folder, record)
    write_hands(folder, record.clinic_id, facts.bearers)
    for day in set(record.days) - {plan.day for plan in plans}:
        forget_day(folder, record, day)
    written, done, total = 0, 0, sum(plan.rows for plan in plans)
    for plan in plans:
        progress(f"Writing {day_text(plan.day)}", done, total)
        if not _is_there(folder, record, plan):
            pieces = day_rows(session, facts, plan.day)
            write_day(folder, record, plan.day, pieces, plan.mark, facts.floors.only_places(plan.day))
            write_record(folder, record)
            written += 1
        done += plan.rows
    progress("Writing", total, total)
    return written


def finish(folder: Folder, record: SourceRecord, facts: Facts, written: int) -> Added:
    """The source is whole; what is past its time goes from all of the lake."""
    record.whole = True
    write_record(folder, record)
    clinics = read_clinics(folder)
    expired = expire(folder, clinics, read_records(folder), facts.floors)
    left = read_records(folder)
    forget_idle_hands(folder, clinics, {one.clinic_id for one in left})
    rows = sum(entry.rows for entry in record.days.values())
    return Added(record.name, rows, len(record.days), written, expired)


def _is_there(folder: Folder, record: SourceRecord, plan: DayPlan) -> bool:
    entry, path = record.days.get(plan.day), folder.day_file(plan.day, record.name)
    return entry is not None and entry.mark == plan.mark and path.exists() and path.stat().st_size == entry.bytes
