"""One day's slice of sightings in columns, and its scores: the step that registry batches and loose files share."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np

from bztoken.formats.case_list import CaseKey
from bztoken.matching.kernel import Matches, Sightings, match
from bztoken.matching.key_table import KeyTable
from bztoken.matching.rules import Heard, Rule, Score, score
from bztoken.matching.tolerance import Int64s, Tolerance
from bzwire.bluezone import DAY_S

TX_POWER_UNTOLD = 127


class DayColumns(NamedTuple):
    """Bluezone sightings that begin on one UTC day. stale: 1 where replayed; tx_power_dbm: 127 where nobody told it;
    uncertainty_s: of the times, UNKNOWN where nothing is known of the clock.
    """

    hi: Int64s
    lo: Int64s
    first_s: Int64s
    last_s: Int64s
    log_id: Int64s
    window_start_s: Int64s
    packets: Int64s
    scans: Int64s
    scan_period_s: Int64s
    rssi_max_dbm: Int64s
    rssi_mean_dbm: Int64s
    stale: Int64s
    tx_power_dbm: Int64s
    uncertainty_s: Int64s


class CaseColumns(NamedTuple):
    """Who each key of a KeyTable belongs to, and the log that is the case's own (its token hears no stranger)."""

    keys: Sequence[CaseKey]
    case_ids: Sequence[int]
    own_log_ids: Mapping[int, int]


class DayScores(NamedTuple):
    """Scores by (case, log), how many sightings they rest on, and of how many of these, heard by tokens, the clock is
    unknown or known badly (worse than what is granted to an unknown one).
    """

    scores: dict[tuple[int, int], Score]
    sightings: int
    unknown_clocks: int = 0
    bad_clocks: int = 0


def day_text(day: int) -> str:
    """ISO date of a UTC day number."""
    return datetime.fromtimestamp(day * DAY_S, UTC).date().isoformat()


def score_day(table: KeyTable, cases: CaseColumns, columns: DayColumns, tolerance: Tolerance, rule: Rule) -> DayScores:
    """Match one day's slice and score what was found."""
    if len(columns.hi) == 0:
        return DayScores({}, 0)
    first_s, last_s = int(columns.first_s.min()), int(columns.last_s.max())
    key_ids = table.slice(first_s, last_s, tolerance.largest_s)
    seen = Sightings(columns.hi, columns.lo, columns.first_s, columns.last_s, columns.uncertainty_s)
    groups, rows = _group(match(key_ids, seen, tolerance), cases, columns)
    scores = {pair: score(heard, rule) for pair, heard in groups.items()}
    by_tokens = rows[columns.scan_period_s[rows] > 0]
    uncertainty_s = columns.uncertainty_s[by_tokens]
    unknown, bad = uncertainty_s < 0, uncertainty_s > tolerance.unknown_s
    return DayScores(scores, len(rows), int(np.count_nonzero(unknown)), int(np.count_nonzero(bad)))


def _group(
    found: Matches, cases: CaseColumns, columns: DayColumns
) -> tuple[dict[tuple[int, int], list[Heard]], Int64s]:
    """(what was heard by case and log, rows of it)."""
    groups: dict[tuple[int, int], list[Heard]] = {}
    rows: list[int] = []
    taken: set[tuple[int, int]] = set()
    for row, key_index in zip(found.row.tolist(), found.key_index.tolist(), strict=True):
        case_id, log_id = cases.case_ids[key_index], int(columns.log_id[row])
        # a sighting counts once for a case, even when the case's list names its key twice
        if (case_id, row) in taken or cases.own_log_ids.get(case_id) == log_id:
            continue
        taken.add((case_id, row))
        rows.append(row)
        groups.setdefault((case_id, log_id), []).append(_heard(columns, row, cases.keys[key_index].tx_power_dbm))
    return groups, np.array(rows, dtype=np.int64)


def _heard(columns: DayColumns, row: int, key_tx_power_dbm: int | None) -> Heard:
    announced_dbm = int(columns.tx_power_dbm[row])
    return Heard(
        window_start_s=int(columns.window_start_s[row]),
        first_s=int(columns.first_s[row]),
        last_s=int(columns.last_s[row]),
        packets=int(columns.packets[row]),
        scans=int(columns.scans[row]),
        scan_period_s=int(columns.scan_period_s[row]),
        rssi_max_dbm=int(columns.rssi_max_dbm[row]),
        rssi_mean_dbm=int(columns.rssi_mean_dbm[row]),
        tx_power_dbm=key_tx_power_dbm if announced_dbm == TX_POWER_UNTOLD else announced_dbm,
        stale=bool(columns.stale[row]),
    )


def empty_columns() -> DayColumns:
    """A day without sightings."""
    return DayColumns(*(np.empty(0, dtype=np.int64) for _ in DayColumns._fields))
