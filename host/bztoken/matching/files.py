"""Matches a case list against a contact history, both loose files; no registry, nothing is stored.

A history need not be in order of time, so its columns are held (32 bytes a line) and sorted; IDs are still derived a
day at a time.
"""

from array import array
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bztoken import scoring
from bztoken.formats.case_list import CaseKey, read_case_list, whole_key
from bztoken.formats.history import read_history
from bztoken.matching.day import NO_AEM, TX_POWER_UNTOLD, DayColumns, HeldSlice, day_text, score_day
from bztoken.matching.kernel import halves
from bztoken.matching.peers import Entry, Kind, Owner, Peers
from bztoken.matching.rules import Preset, Score
from bztoken.matching.tolerance import UNKNOWN, Int64s, Tolerance
from bzwire.bluezone import DAY_S

_LINES_AT_ONCE = 10_000


class FileExposure(NamedTuple):
    """A case of the list (1-based entry number) near the phone on one UTC day."""

    case: int
    day: str
    score: Score


class FileMatch(NamedTuple):
    """Lines read, lines that matched (once per case), and what they add up to."""

    lines: int
    sightings: int
    exposures: list[FileExposure]


def match_files(cases_path: Path, history_path: Path, tolerance_s: int, preset: Preset | None = None) -> FileMatch:
    """Exposures in order of day and case; preset: None for Bluezone's. Raises FormatError or OSError."""
    preset = preset or scoring.load(scoring.DEFAULT)
    peers = Peers.of([_entry(number, key) for number, key in enumerate(read_case_list(cases_path), 1)])
    history, tolerance = _load(history_path), Tolerance(tolerance_s)
    exposures: list[FileExposure] = []
    sightings = 0
    for day in peers.days(tolerance):
        low, high = np.searchsorted(history.seen_s, (day * DAY_S, (day + 1) * DAY_S))
        if low == high:
            continue
        columns = _columns(history, int(low), int(high), preset.window_s)
        found = score_day(peers, HeldSlice(columns), tolerance, preset)
        sightings += found.sightings
        exposures += [
            FileExposure(peers.owners[owner].case_id, day_text(day), scored)
            for (owner, _), scored in sorted(found.scores.items())
        ]
    return FileMatch(len(history.seen_s), sightings, exposures)


def _entry(number: int, key: CaseKey) -> Entry:
    """Each entry of a list is taken for a case of its own."""
    return Entry(Owner(Kind.CASE, number, 0), whole_key(key))


class _History(NamedTuple):
    hi: Int64s
    lo: Int64s
    seen_s: Int64s
    rssi_dbm: Int64s


def _load(path: Path) -> _History:
    parts = [array("q") for _ in _History._fields]
    ids: list[bytes] = []
    for line in read_history(path):
        ids.append(line.contact_id)
        parts[2].append(line.unix_ms // 1000)
        parts[3].append(line.rssi_dbm)
        if len(ids) == _LINES_AT_ONCE:
            _flush(ids, parts)
    _flush(ids, parts)
    columns = _History(*(np.array(part, dtype=np.int64) for part in parts))
    order = np.argsort(columns.seen_s, kind="stable")
    return _History(*(column[order] for column in columns))


def _flush(ids: list[bytes], parts: list["array[int]"]) -> None:
    for part, half in zip(parts, halves(ids), strict=False):
        part.frombytes(half.tobytes())
    ids.clear()


def _columns(history: _History, low: int, high: int, window_s: int) -> DayColumns:
    hi, lo, seen_s, rssi_dbm = (column[low:high] for column in history)

    def full(value: int) -> Int64s:
        return np.full(high - low, value, dtype=np.int64)

    return DayColumns(
        hi=hi,
        lo=lo,
        first_s=seen_s,
        last_s=seen_s,
        log_id=full(0),
        window_start_s=seen_s - seen_s % window_s,
        packets=full(1),
        scans=full(1),
        scan_period_s=full(0),
        rssi_max_dbm=rssi_dbm,
        rssi_mean_dbm=rssi_dbm,
        stale=full(0),
        tx_power_dbm=full(TX_POWER_UNTOLD),
        uncertainty_s=full(UNKNOWN),
        gaen=full(0),
        aem=full(NO_AEM),
        rssi_offset_db=full(0),
    )
