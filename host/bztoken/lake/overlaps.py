"""A page that a courier brought may be in the registry too, or in a second bundle: its sightings count once."""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from bztoken.lake.checks import unique_pairs
from bztoken.lake.columns import CLINIC_BITS
from bztoken.lake.day_file import Columns, DayFile, place_of
from bztoken.lake.folder import Folder
from bztoken.lake.records import Kind, SourceRecord, forget_source, read_records, write_record
from bztoken.lake.registry_rows import Facts, page_number
from bztoken.lake.rewriting import rewrite_day
from bztoken.matching.tolerance import Int64s
from bztoken.registry.models import Page

_OWN_NUMBER = (1 << CLINIC_BITS) - 1


def leave_out_known(session: Session, folder: Folder, clinic_id: str, facts: Facts) -> None:
    """From the bundles of a clinic, pages that its registry has by now, and whatever may not leave it any more."""

    @cache
    def pages_of(log: int) -> Int64s:
        rows = session.execute(select(Page.boot_id, Page.sequence).where(Page.log_id == log)).all()
        boots, sequences = (np.array([row[at] for row in rows], dtype=np.int64) for at in range(2))
        return page_number(boots, sequences)

    def stays(rows: Columns) -> Any:
        log = rows["log"] & _OWN_NUMBER
        kept = ~np.isin(log, np.array(sorted(facts.withheld), dtype=np.int64))
        for number in np.unique(log[kept]).tolist():
            of_log = log == number
            kept[of_log] &= ~np.isin(rows["page"][of_log], pages_of(number))
        return kept

    for record in read_records(folder):
        if record.clinic_id == clinic_id and record.kind is Kind.BUNDLE:
            _leave_out(folder, record, facts.clinic_number, stays)


def _leave_out(folder: Folder, record: SourceRecord, clinic_number: int, stays: Any) -> None:
    before = dict(record.days)
    for day in before:
        if not all(bool(stays(group).all()) for group in _logs_and_pages(folder, record, day)):
            rewrite_day(folder, record, day, clinic_number, stays)
    if not record.days:
        forget_source(folder, record)
    elif record.days != before:
        write_record(folder, record)


def pages_elsewhere(folder: Folder, own: str, clinic_id: str, wanted: Mapping[int, Int64s]) -> dict[int, Int64s]:
    """Which of these pages, by log, other sources of the clinic have on whatever day. own: the source that asks."""
    found: dict[int, list[Int64s]] = {log: [] for log in wanted}
    for record in read_records(folder):
        if record.clinic_id == clinic_id and record.name != own:
            for day in record.days:
                _collect(_logs_and_pages(folder, record, day), found)
    empty = np.empty(0, dtype=np.int64)
    return {log: np.intersect1d(np.concatenate([empty, *parts]), wanted[log]) for log, parts in found.items()}


def _collect(groups: Iterable[Columns], found: dict[int, list[Int64s]]) -> None:
    for group in groups:
        logs, pages = unique_pairs(group["log"] & _OWN_NUMBER, group["page"])
        each, starts = np.unique(logs, return_index=True)
        for log, of_log in zip(each.tolist(), np.split(pages, starts[1:]), strict=True):
            if log in found:
                found[log].append(of_log)


def _logs_and_pages(folder: Folder, record: SourceRecord, day: int) -> Iterable[Columns]:
    file = DayFile(place_of(folder, record, day))
    try:
        yield from file.groups(("log", "page"))
    finally:
        file.close()
