"""Sightings of a registry as a lake holds them: day by day in order of time, in pieces, without what may not leave."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from bztoken.lake.columns import CLINIC_BITS, FORMAT, MOST_UNCERTAIN_S, NO_PAGE
from bztoken.lake.day_file import Columns
from bztoken.lake.expiry import Floors
from bztoken.lake.folder import start_s
from bztoken.matching.bearers import Bearers
from bztoken.matching.day import NO_AEM, TX_POWER_UNTOLD
from bztoken.matching.kernel import halves
from bztoken.matching.loading import load_bearers
from bztoken.matching.registry_source import Offsets, load_offsets, pieces
from bztoken.matching.tolerance import UNKNOWN, Int64s
from bztoken.registry import person_rows
from bztoken.registry.models import Page, Sighting
from bztoken.registry.pages import KIND_GAEN
from bzwire.bluezone import DAY_S

_BOOT_BITS = 32
# Weights of rows in the sums that tell whether a day changed, so that two changes do not cancel each other out.
_WEIGHTS = (65_521, 251)


class DayPlan(NamedTuple):
    """One day that the registry has something of. rows: before what may not leave is left out."""

    day: int
    rows: int
    mark: str


@dataclass(frozen=True)
class Facts:
    """Of one snapshot. clinic_number: in the lake; withheld: logs of those who withdrew, which never leave; only: where
    not all may leave, the numbers of the pages that may, by log; first_page_id: the row of the first of these.
    """

    clinic_number: int
    floors: Floors
    offsets: Offsets
    bearers: Bearers
    withheld: frozenset[int]
    only: Mapping[int, Int64s] | None = None
    first_page_id: int = 0
    _site_logs: Int64s = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    @classmethod
    def of(cls, session: Session, clinic_number: int, floors: Floors) -> "Facts":
        """Read from the registry."""
        bearers = load_bearers(session)
        return cls(
            clinic_number,
            floors,
            load_offsets(session),
            bearers,
            frozenset(person_rows.withheld_logs(session)),
            _site_logs=np.array(sorted(bearers.site_logs), dtype=np.int64),
        )

    def mark(self, places_only: bool) -> str:
        """Of everything beside the day's rows that decides what is written."""
        said = (FORMAT, self.clinic_number, sorted(self.withheld), sorted(self.offsets.by_log_db.items()))
        return repr((*said, sorted(self.bearers.site_logs) if places_only else None))

    def may_leave(self, columns: Columns) -> Any:
        """Which rows (a mask): log is still the registry's own number."""
        log = columns["log"]
        kept = ~np.isin(log, np.array(sorted(self.withheld), dtype=np.int64))
        kept &= self.floors.kept(columns["first_s"], np.isin(log, self._site_logs))
        if self.only is not None:
            kept &= _among(log, columns["page"], self.only)
        return kept


def plan_days(session: Session, facts: Facts) -> list[DayPlan]:
    """Days with sightings that are not past their time, in order. The index on times leads from day to day."""
    found = []
    at_s = _first_from(session, facts, facts.floors.site_s)
    while at_s is not None:
        day = at_s // DAY_S
        found.append(_plan(session, facts, day))
        at_s = _first_from(session, facts, start_s(day + 1))
    return found


def day_rows(session: Session, facts: Facts, day: int) -> Iterator[Columns]:
    """A day's sightings, in order of time, piece by piece."""
    query = _everything().where(*_on(facts, day)).order_by(Sighting.first_s, Sighting.id)
    for part in pieces(session, query):
        columns = _columns(part, facts.offsets)
        kept = facts.may_leave(columns)
        columns["log"] |= facts.clinic_number << CLINIC_BITS
        if kept.any():
            yield columns if kept.all() else {name: column[kept] for name, column in columns.items()}


def page_number(boot_id: Int64s, sequence: Int64s) -> Int64s:
    """How a lake calls a page of a log."""
    return boot_id << _BOOT_BITS | sequence


def _on(facts: Facts, day: int) -> tuple[Any, ...]:
    of_day = (Sighting.first_s >= start_s(day), Sighting.first_s < start_s(day + 1))
    return (*of_day, Sighting.page_id >= facts.first_page_id) if facts.only is not None else of_day


def _first_from(session: Session, facts: Facts, at_s: int) -> int | None:
    query = select(func.min(Sighting.first_s)).where(Sighting.first_s >= at_s)
    if facts.only is not None:
        query = query.where(Sighting.page_id >= facts.first_page_id)
    return session.scalar(query)


def _plan(session: Session, facts: Facts, day: int) -> DayPlan:
    """Rows are only added, put right in time, or deleted: the sums tell, short of two changes made to cancel out."""
    second, unsure = Sighting.first_s - start_s(day), func.coalesce(Sighting.uncertainty_s, UNKNOWN)
    told = (second, Sighting.last_s - start_s(day), unsure, Sighting.log_id)
    sums = [func.sum(column) for column in (Sighting.id, *told)]
    sums += [func.sum(Sighting.id % weight * column) for weight in _WEIGHTS for column in told]
    rows, *numbers = session.execute(select(func.count(), *sums).where(*_on(facts, day))).one()
    places_only = facts.floors.only_places(day)
    said = repr((rows, *map(int, numbers))) + facts.mark(places_only)
    return DayPlan(day, int(rows), hashlib.sha256(said.encode()).hexdigest())


def _everything() -> Select[*tuple[Any, ...]]:
    """In the order that `_columns` takes apart."""
    return select(
        Sighting.rotating_id,
        Sighting.aem,
        Sighting.kind == KIND_GAEN,
        func.coalesce(Page.boot_id, UNKNOWN),
        func.coalesce(Page.sequence, UNKNOWN),
        Sighting.first_s,
        Sighting.last_s,
        Sighting.log_id,
        Sighting.window_start_s,
        Sighting.packets,
        Sighting.scans,
        Sighting.scan_period_s,
        Sighting.rssi_max_dbm,
        Sighting.rssi_mean_dbm,
        Sighting.stale,
        func.coalesce(Sighting.tx_power_dbm, TX_POWER_UNTOLD),
        func.coalesce(Sighting.uncertainty_s, UNKNOWN),
    ).outerjoin(Page, Page.id == Sighting.page_id)


_NUMBERS = (
    "first_s",
    "last_s",
    "log",
    "window_start_s",
    "packets",
    "scans",
    "scan_period_s",
    "rssi_max_dbm",
    "rssi_mean_dbm",
    "stale",
    "tx_power_dbm",
    "uncertainty_s",
)


def _columns(rows: Sequence[Sequence[Any]], offsets: Offsets) -> Columns:
    ids, aem, gaen, boot_id, sequence, *numbers = zip(*rows, strict=True)
    columns = {name: np.array(column, dtype=np.int64) for name, column in zip(_NUMBERS, numbers, strict=True)}
    columns["id_hi"], columns["id_lo"] = halves(ids)
    columns["aem"] = np.array([NO_AEM if one is None else int.from_bytes(one, "big") for one in aem], dtype=np.int64)
    columns["gaen"] = np.array(gaen, dtype=np.int64)
    boots, sequences = np.array(boot_id, dtype=np.int64), np.array(sequence, dtype=np.int64)
    columns["page"] = np.where(sequences == UNKNOWN, NO_PAGE, page_number(boots, sequences))
    columns["uncertainty_s"] = np.minimum(columns["uncertainty_s"], MOST_UNCERTAIN_S)
    columns["rssi_offset_db"] = offsets.of(columns["log"])
    return columns


def _among(log: Int64s, page: Int64s, wanted: Mapping[int, Int64s]) -> Any:
    """Which rows are of a wanted page (a mask)."""
    found = np.zeros(len(log), dtype=np.bool_)
    for number in np.unique(log).tolist():
        if number in wanted:
            of_log = log == number
            found[of_log] = np.isin(page[of_log], wanted[number])
    return found
