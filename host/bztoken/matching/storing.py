"""Brings exposures and visits of the registry in line with what a batch found.

Rows are updated in place, and those that no longer follow are removed.
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from bztoken.matching.contacts import ExposureKey
from bztoken.matching.rules import Score
from bztoken.matching.stays import RULE, RULE_VERSION, Stay
from bztoken.registry.models import Batch, Exposure, Visit


def store_exposures(session: Session, batch: Batch, found: Mapping[ExposureKey, Score]) -> int:
    """Answers how many were removed. Rows of another rule are those of before the admin chose this one."""
    left = dict(found)
    removed = 0
    for row in session.scalars(select(Exposure)).all():
        scored = left.pop(ExposureKey(row.case_id, row.via_log_id, row.log_id, row.day), None)
        if scored is None:
            session.delete(row)
            removed += 1
        else:
            _fill(row, batch, scored)
    for key, scored in left.items():
        row = Exposure(**key._asdict())
        _fill(row, batch, scored)
        session.add(row)
    session.flush()
    return removed


def _fill(row: Exposure, batch: Batch, scored: Score) -> None:
    row.batch_id, row.rule, row.rule_version = batch.id, batch.rule, batch.rule_version
    for name, value in scored._asdict().items():
        setattr(row, name, value)


def store_visits(session: Session, batch: Batch, stays: Sequence[Stay]) -> int:
    """Answers how many were removed."""
    left = {(stay.site_log_id, stay.log_id, stay.first_s): stay for stay in stays}
    removed = 0
    for row in session.scalars(select(Visit)).all():
        stay = left.pop((row.site_log_id, row.log_id, row.first_s), None)
        if stay is None:
            session.delete(row)
            removed += 1
        else:
            _fill_visit(row, batch, stay)
    for stay in left.values():
        row = Visit(site_log_id=stay.site_log_id, log_id=stay.log_id, first_s=stay.first_s)
        _fill_visit(row, batch, stay)
        session.add(row)
    session.flush()
    return removed


def _fill_visit(row: Visit, batch: Batch, stay: Stay) -> None:
    row.batch_id, row.rule, row.rule_version = batch.id, RULE, RULE_VERSION
    for name, value in stay._asdict().items():
        setattr(row, name, value)
