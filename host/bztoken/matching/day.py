"""One day's slice of sightings in columns, and what it says: the step that registry batches and loose files share."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bztoken.matching.kernel import HALVES_BYTES, Sightings, match
from bztoken.matching.peers import Kind, Peers
from bztoken.matching.rules import Heard, Preset, Score
from bztoken.matching.schemes import GAEN, Scheme, metadata_power_dbm
from bztoken.matching.stays import SiteRows
from bztoken.matching.tolerance import Int64s, Tolerance
from bztoken.scoring import corrected
from bzwire.bluezone import DAY_S

TX_POWER_UNTOLD = 127
NO_AEM = -1


class DayColumns(NamedTuple):
    """Sightings that begin on one UTC day. gaen: 1 where the ID is one of GAEN, whose encrypted metadata are in aem (as
    a number, NO_AEM where there are none); stale: 1 where replayed; tx_power_dbm: 127 where nobody told it;
    rssi_offset_db: what to add to the RSSI of the board that heard; uncertainty_s: of the times, UNKNOWN where nothing
    is known of the clock.
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
    gaen: Int64s
    aem: Int64s
    rssi_offset_db: Int64s


class Hits(NamedTuple):
    """Pairs of a sighting and an owner, each once: row of the day, entry of the peers, owner; in order of all three."""

    row: Int64s
    entry: Int64s
    owner: Int64s

    def only(self, wanted: npt.NDArray[np.bool_]) -> "Hits":
        """Those where it is true."""
        return Hits(*(column[wanted] for column in self))


class DayFound(NamedTuple):
    """Scores by (place of the owner, log) of cases and contacts, how many sightings they rest on, and of how many of
    these, heard by tokens, the clock is unknown or known badly (worse than what is granted to an unknown one); and what
    was heard of sites.
    """

    scores: dict[tuple[int, int], Score]
    sightings: int
    unknown_clocks: int
    bad_clocks: int
    at_sites: SiteRows


def day_text(day: int) -> str:
    """ISO date of a UTC day number."""
    return datetime.fromtimestamp(day * DAY_S, UTC).date().isoformat()


def score_day(peers: Peers, columns: DayColumns, tolerance: Tolerance, preset: Preset) -> DayFound:
    """Match one day's slice and score what was found."""
    hits = _without_own(_hits(peers, columns, tolerance), peers, columns)
    sites = np.array([owner.kind is Kind.SITE for owner in peers.owners], dtype=np.bool_)
    of_site = sites[hits.owner] if len(hits.row) else np.empty(0, dtype=np.bool_)
    of_people = hits.only(~of_site)
    scores = {pair: preset.score(heard) for pair, heard in _heard_by_pair(of_people, peers, columns)}
    by_tokens = of_people.row[columns.scan_period_s[of_people.row] > 0]
    uncertainty_s = columns.uncertainty_s[by_tokens]
    unknown, bad = uncertainty_s < 0, uncertainty_s > tolerance.unknown_s
    return DayFound(
        scores,
        len(of_people.row),
        int(np.count_nonzero(unknown)),
        int(np.count_nonzero(bad)),
        _site_rows(hits.only(of_site), peers, columns),
    )


def _hits(peers: Peers, columns: DayColumns, tolerance: Tolerance) -> Hits:
    """A sighting counts once for an owner, even when two of its keys are the same."""
    parts = [_hits_of(scheme, peers, columns, scheme.tolerance(tolerance)) for scheme in peers.tables]
    row, entry = (np.concatenate(part) for part in zip(*parts, strict=True))
    first_s, last_s = columns.first_s[row], columns.last_s[row]
    in_time = (first_s < peers.until_s[entry]) & (last_s >= peers.from_s[entry]) & (first_s < peers.to_s[entry])
    row, entry = row[in_time], entry[in_time]
    owner = peers.owner_of_entry[entry]
    order = np.lexsort((entry, row, owner))
    row, entry, owner = row[order], entry[order], owner[order]
    new = np.ones(len(row), dtype=np.bool_)
    new[1:] = (row[1:] != row[:-1]) | (owner[1:] != owner[:-1])
    return Hits(row[new], entry[new], owner[new])


def _hits_of(scheme: Scheme, peers: Peers, columns: DayColumns, tolerance: Tolerance) -> tuple[Int64s, Int64s]:
    rows = np.flatnonzero(columns.gaen == (scheme is GAEN))
    if len(rows) == 0:
        return rows, rows
    first_s, last_s = columns.first_s[rows], columns.last_s[rows]
    seen = Sightings(columns.hi[rows], columns.lo[rows], first_s, last_s, columns.uncertainty_s[rows])
    key_ids = peers.tables[scheme].slice(int(first_s.min()), int(last_s.max()), tolerance.largest_s)
    found = match(key_ids, seen, tolerance, scheme.slot_s)
    return rows[found.row], found.key_index


def _without_own(hits: Hits, peers: Peers, columns: DayColumns) -> Hits:
    """Without what a device heard of its own person; asked once a day, for the pair's first sighting."""
    logs = columns.log_id[hits.row]
    span = int(logs.max(initial=0)) + 1
    pairs, first, pair = np.unique(hits.owner * span + logs, return_index=True, return_inverse=True)
    kept = [
        not peers.is_own(peers.owners[code // span], code % span, int(columns.first_s[hits.row[at]]))
        for code, at in zip(pairs.tolist(), first.tolist(), strict=True)
    ]
    return hits.only(np.array(kept, dtype=np.bool_)[pair])


def _heard_by_pair(hits: Hits, peers: Peers, columns: DayColumns) -> Iterator[tuple[tuple[int, int], list[Heard]]]:
    groups: dict[tuple[int, int], list[Heard]] = {}
    logs = columns.log_id[hits.row].tolist()
    for row, entry, owner, log_id in zip(*(column.tolist() for column in hits), logs, strict=True):
        groups.setdefault((owner, log_id), []).append(_heard(peers, entry, columns, row))
    yield from groups.items()


def _heard(peers: Peers, entry: int, columns: DayColumns, row: int) -> Heard:
    first_s = int(columns.first_s[row])
    heard = Heard(
        window_start_s=int(columns.window_start_s[row]),
        first_s=first_s,
        last_s=int(columns.last_s[row]),
        packets=int(columns.packets[row]),
        scans=int(columns.scans[row]),
        scan_period_s=int(columns.scan_period_s[row]),
        rssi_max_dbm=int(columns.rssi_max_dbm[row]),
        rssi_mean_dbm=int(columns.rssi_mean_dbm[row]),
        tx_power_dbm=_power_dbm(peers, entry, columns, row),
        stale=bool(columns.stale[row]),
        report_type=peers.report_type(entry),
        days_since_onset=peers.days_since_onset(entry, first_s),
        key_index=entry,
    )
    return corrected(heard, int(columns.rssi_offset_db[row]))


def _power_dbm(peers: Peers, entry: int, columns: DayColumns, row: int) -> int | None:
    """As announced, in the clear or beside the RPI; else as the key's owner told."""
    announced_dbm: int | None = int(columns.tx_power_dbm[row])
    key = peers.entries[entry].key
    if announced_dbm == TX_POWER_UNTOLD:
        announced_dbm = None
    aem = int(columns.aem[row])
    if aem != NO_AEM and key is not None:
        halves = (int(half[row]).to_bytes(HALVES_BYTES // 2, "big", signed=True) for half in (columns.hi, columns.lo))
        announced_dbm = metadata_power_dbm(key.key, b"".join(halves), aem.to_bytes(4, "big"))
    if announced_dbm is not None:
        return announced_dbm
    return None if key is None else key.tx_power_dbm


def _site_rows(hits: Hits, peers: Peers, columns: DayColumns) -> SiteRows:
    """What visitors heard of sites, with the RSSI corrected; what is a replay says of nobody that they were there."""
    hits = hits.only(columns.stale[hits.row] == 0) if len(hits.row) else hits
    logs = np.array([owner.log_id for owner in peers.owners], dtype=np.int64)
    row = hits.row
    return SiteRows(
        site_log_id=logs[hits.owner] if len(row) else row,
        log_id=columns.log_id[row],
        first_s=columns.first_s[row],
        last_s=columns.last_s[row],
        window_start_s=columns.window_start_s[row],
        heard_s=columns.scans[row] * columns.scan_period_s[row],
        packets=columns.packets[row],
        rssi_max_dbm=columns.rssi_max_dbm[row] + columns.rssi_offset_db[row],
        rssi_mean_dbm=columns.rssi_mean_dbm[row] + columns.rssi_offset_db[row],
    )


def empty_columns() -> DayColumns:
    """A day without sightings."""
    return DayColumns(*(np.empty(0, dtype=np.int64) for _ in DayColumns._fields))
