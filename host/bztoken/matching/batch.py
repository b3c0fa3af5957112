"""Matches every active case against every log of the registry, day by day, and keeps the exposures up to date.

Bluezone keys meet Bluezone sightings only: those of GAEN are stored, but there are no cases with GAEN keys yet.

Reading and computing happen on one snapshot; batch and exposures are then written in one transaction. A second run
changes nothing; exposures that no longer follow from the data are removed.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from bztoken.matching.day import (
    TX_POWER_UNTOLD,
    CaseColumns,
    DayColumns,
    day_text,
    empty_columns,
    score_day,
)
from bztoken.matching.kernel import halves
from bztoken.matching.key_table import KeyTable
from bztoken.matching.rules import BLUEZONE, Rule, Score
from bztoken.matching.tolerance import DEFAULT_TOLERANCE_S, UNKNOWN, Tolerance
from bztoken.registry.cases import active_keys
from bztoken.registry.database import Registry
from bztoken.registry.models import Batch, Exposure, Log, Sighting
from bztoken.registry.pages import KIND_BLUEZONE
from bzwire.bluezone import DAY_S

_ROWS_AT_ONCE = 50_000

Key = tuple[int, int, str]  # case, log, day
Progress = Callable[[str, int, int], None]  # day, how many days are done, of how many
_Row = tuple[bytes, int, int, int, int, int, int, int, int, int, bool, int | None, int | None]


class BatchResult(NamedTuple):
    """What one run did. unknown_clocks, bad_clocks: sightings by tokens of whose clock nothing is known, or of which it
    is known that it may have been off by more than the tolerance for unknown ones.
    """

    days: int
    sightings: int
    exposures: int
    removed: int
    unknown_clocks: int = 0
    bad_clocks: int = 0


class _Found(NamedTuple):
    scores: dict[Key, Score]
    days: int
    sightings: int
    unknown_clocks: int
    bad_clocks: int


def run_batch(
    registry: Registry,
    clock_s: Callable[[], int],
    tolerance_s: int = DEFAULT_TOLERANCE_S,
    rule: Rule = BLUEZONE,
    progress: Progress | None = None,
) -> BatchResult:
    """Match all, then write batch and exposures together. Raises RegistryError; then nothing was written.

    tolerance_s: for clocks of which nothing is known; what is known of the others widens or narrows it.
    """
    started_s = clock_s()
    with registry.read() as session:
        found = _compute(session, Tolerance(tolerance_s), rule, progress)
    with registry.write() as session:
        batch = Batch(
            started_s=started_s,
            finished_s=clock_s(),
            rule=rule.name,
            rule_version=rule.version,
            tolerance_s=tolerance_s,
            days=found.days,
            sightings=found.sightings,
            exposures=len(found.scores),
        )
        session.add(batch)
        session.flush()
        removed = _store(session, batch, found.scores)
    return BatchResult(found.days, found.sightings, len(found.scores), removed, found.unknown_clocks, found.bad_clocks)


def _compute(session: Session, tolerance: Tolerance, rule: Rule, progress: Progress | None) -> _Found:
    cases = _case_columns(session)
    table = KeyTable(cases.keys)
    days = table.days(tolerance.largest_s)
    scores: dict[Key, Score] = {}
    sightings = unknown = bad = 0
    for done, day in enumerate(days, 1):
        found = score_day(table, cases, _load_day(session, day), tolerance, rule)
        sightings += found.sightings
        unknown += found.unknown_clocks
        bad += found.bad_clocks
        scores.update({(case, log, day_text(day)): scored for (case, log), scored in found.scores.items()})
        if progress is not None:
            progress(day_text(day), done, len(days))
    return _Found(scores, len(days), sightings, unknown, bad)


def _case_columns(session: Session) -> CaseColumns:
    pairs = active_keys(session)
    log_of_token = {token_id: log_id for log_id, token_id in session.execute(select(Log.id, Log.token_id))}
    own = {case.id: log_of_token[case.token_id] for case, _ in pairs if case.token_id is not None}
    return CaseColumns([key for _, key in pairs], [case.id for case, _ in pairs], own)


def _load_day(session: Session, day: int) -> DayColumns:
    """The columns of one day in order of time; rows are turned into columns in pieces to keep memory small."""
    rows = session.execute(
        select(
            Sighting.rotating_id,
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
            Sighting.tx_power_dbm,
            Sighting.uncertainty_s,
        )
        .where(Sighting.first_s >= day * DAY_S, Sighting.first_s < (day + 1) * DAY_S, Sighting.kind == KIND_BLUEZONE)
        .order_by(Sighting.first_s, Sighting.id)
        .execution_options(yield_per=_ROWS_AT_ONCE)
    )
    parts = [_columns([tuple(row) for row in part]) for part in rows.partitions()]
    if not parts:
        return empty_columns()
    return DayColumns(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _columns(rows: list[_Row]) -> DayColumns:
    hi, lo = halves([row[0] for row in rows])
    tx_power_dbm = [TX_POWER_UNTOLD if row[11] is None else row[11] for row in rows]
    uncertainty_s = [UNKNOWN if row[12] is None else row[12] for row in rows]
    numbers = np.array([row[1:11] for row in rows], dtype=np.int64)
    last = (np.array(column, dtype=np.int64) for column in (tx_power_dbm, uncertainty_s))
    return DayColumns(*(hi, lo, *numbers.T, *last))


def _store(session: Session, batch: Batch, scores: dict[Key, Score]) -> int:
    """Bring the exposures of this rule in line with the scores; answers how many were removed."""
    left = dict(scores)
    removed = 0
    for exposure in session.scalars(select(Exposure).where(Exposure.rule == batch.rule)).all():
        scored = left.pop((exposure.case_id, exposure.log_id, exposure.day), None)
        if scored is None:
            session.delete(exposure)
            removed += 1
        else:
            _fill(exposure, batch, scored)
    for (case_id, log_id, day), scored in left.items():
        exposure = Exposure(case_id=case_id, log_id=log_id, day=day, rule=batch.rule)
        _fill(exposure, batch, scored)
        session.add(exposure)
    session.flush()
    return removed


def _fill(exposure: Exposure, batch: Batch, scored: Score) -> None:
    exposure.batch_id = batch.id
    exposure.rule_version = batch.rule_version
    for name, value in scored._asdict().items():
        setattr(exposure, name, value)
