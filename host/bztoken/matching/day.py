"""One day's slice of sightings in columns, and what it says: the step that every source and every engine shares."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from bztoken.matching.found import DayFound
from bztoken.matching.kernel import HALVES_BYTES, Sightings, match
from bztoken.matching.peers import Kind, Peers
from bztoken.matching.rules import Heard, Preset
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


class Seen(NamedTuple):
    """What finds a sighting: ID, when, how well the clock is known, and whether it is GAEN's (1) or not (0); columns as
    in `DayColumns`, in order of first_s.
    """

    hi: Int64s
    lo: Int64s
    first_s: Int64s
    last_s: Int64s
    uncertainty_s: Int64s
    gaen: Int64s


class DaySlice(Protocol):
    """Sightings of one task. What is told of a sighting beside `Seen` is read for those that were found only."""

    def seen(self) -> Seen:
        """All of them."""

    def take(self, rows: Int64s) -> DayColumns:
        """All columns of some, by their places in `seen()`, ascending."""


class HeldSlice:
    """A slice that is in memory."""

    def __init__(self, columns: DayColumns) -> None:
        """columns: in order of first_s."""
        self._columns = columns

    def seen(self) -> Seen:
        """All of them."""
        return Seen(*(getattr(self._columns, name) for name in Seen._fields))

    def take(self, rows: Int64s) -> DayColumns:
        """All columns of some."""
        return DayColumns(*(column[rows] for column in self._columns))


class Hits(NamedTuple):
    """Pairs of a sighting and an owner, each once: row of the day, index of the key, owner; by owner, then row."""

    row: Int64s
    key_index: Int64s
    owner: Int64s

    def only(self, wanted: npt.NDArray[np.bool_]) -> "Hits":
        """Those where it is true."""
        return Hits(*(column[wanted] for column in self))


def day_text(day: int) -> str:
    """ISO date of a UTC day number."""
    return datetime.fromtimestamp(day * DAY_S, UTC).date().isoformat()


def score_day(peers: Peers, day_slice: DaySlice, tolerance: Tolerance, preset: Preset) -> DayFound:
    """Match one day's slice and score what was found. Raises what the slice raises."""
    hits, columns = _taken(_hits(peers, day_slice.seen(), tolerance), day_slice)
    hits = _without_own(hits, peers, columns)
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


def _taken(hits: Hits, day_slice: DaySlice) -> tuple[Hits, DayColumns]:
    """All columns of the sightings that were found; the rows of the hits are then places among these."""
    rows, place = np.unique(hits.row, return_inverse=True)
    return hits._replace(row=place.astype(np.int64)), day_slice.take(rows)


def _hits(peers: Peers, seen: Seen, tolerance: Tolerance) -> Hits:
    """A sighting counts once for an owner, even when two of its keys are the same."""
    parts = [_hits_of(scheme, peers, seen, scheme.tolerance(tolerance)) for scheme in peers.tables]
    row, key_index = (np.concatenate(part) for part in zip(*parts, strict=True))
    first_s, last_s = seen.first_s[row], seen.last_s[row]
    until_s, from_s, to_s = peers.until_s[key_index], peers.from_s[key_index], peers.to_s[key_index]
    in_time = (first_s < until_s) & (last_s >= from_s) & (first_s < to_s)
    row, key_index = row[in_time], key_index[in_time]
    owner = peers.owner_of_key[key_index]
    order = np.lexsort((key_index, row, owner))
    row, key_index, owner = row[order], key_index[order], owner[order]
    new = np.ones(len(row), dtype=np.bool_)
    new[1:] = (row[1:] != row[:-1]) | (owner[1:] != owner[:-1])
    return Hits(row[new], key_index[new], owner[new])


def _hits_of(scheme: Scheme, peers: Peers, seen: Seen, tolerance: Tolerance) -> tuple[Int64s, Int64s]:
    rows = np.flatnonzero(seen.gaen == (scheme is GAEN))
    if len(rows) == 0:
        return rows, rows
    of_scheme = seen if len(rows) == len(seen.hi) else Seen(*(column[rows] for column in seen))
    first_s, last_s = int(of_scheme.first_s.min()), int(of_scheme.last_s.max())
    around = peers.tables[scheme].around(first_s, last_s, tolerance.largest_s)
    found = match(around.blocks, around.ids, Sightings(*of_scheme[:5]), tolerance, scheme.slot_s)
    return rows[found.row], found.key_index


def _without_own(hits: Hits, peers: Peers, columns: DayColumns) -> Hits:
    """Without what a device heard of its own person; asked once a day, for the pair's first sighting."""
    logs, place = np.unique(columns.log_id[hits.row], return_inverse=True)
    span = len(logs) + 1  # of places, not of logs: those of a lake have 64 bits
    pairs, first, pair = np.unique(hits.owner * span + place, return_index=True, return_inverse=True)
    kept = [
        not peers.is_own(peers.owners[code // span], int(logs[code % span]), int(columns.first_s[hits.row[at]]))
        for code, at in zip(pairs.tolist(), first.tolist(), strict=True)
    ]
    return hits.only(np.array(kept, dtype=np.bool_)[pair])


def _heard_by_pair(hits: Hits, peers: Peers, columns: DayColumns) -> Iterator[tuple[tuple[int, int], list[Heard]]]:
    groups: dict[tuple[int, int], list[Heard]] = {}
    logs = columns.log_id[hits.row].tolist()
    for row, key_index, owner, log_id in zip(*(column.tolist() for column in hits), logs, strict=True):
        groups.setdefault((owner, log_id), []).append(_heard(peers, key_index, columns, row))
    yield from groups.items()


def _heard(peers: Peers, key_index: int, columns: DayColumns, row: int) -> Heard:
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
        tx_power_dbm=_power_dbm(peers, key_index, columns, row),
        stale=bool(columns.stale[row]),
        report_type=peers.report_type(key_index),
        days_since_onset=peers.days_since_onset(key_index, first_s),
        key_index=key_index,
    )
    return corrected(heard, int(columns.rssi_offset_db[row]))


def _power_dbm(peers: Peers, key_index: int, columns: DayColumns, row: int) -> int | None:
    """As announced, in the clear or beside the RPI; else as the key's owner told."""
    announced_dbm: int | None = int(columns.tx_power_dbm[row])
    key = peers.key(key_index)
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
