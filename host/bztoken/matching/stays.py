"""Visits: what devices heard of a site's token, day after day, cut into stays where nothing was heard for long.

Rule "stay", version 1, our choice: more than 15 minutes of silence end a stay, so that one or two windows missed by a
radio do not cut it. Its minutes are those for which the site was heard, as `bztoken.scoring.heard_time` has them. A
stay may last over midnight UTC, which is 7 in the morning in Vietnam, when markets are full: what may go on is held
back.
"""

from typing import NamedTuple

import numpy as np

from bztoken.matching.tolerance import Int64s
from bztoken.scoring.heard_time import PHONE_GAP_S, PHONE_LINE_S, WINDOW_S, whole_minutes

RULE, RULE_VERSION = "stay", 1
BREAK_S = 900
_BEYOND_S = 1 << 36  # more than any time: keeps the pairs apart in one running maximum


class SiteRows(NamedTuple):
    """Sightings of sites' IDs, in columns: by whose log, when, and how strong. heard_s: what a record of a token stands
    for, 0 for a line of a phone.
    """

    site_log_id: Int64s
    log_id: Int64s
    first_s: Int64s
    last_s: Int64s
    window_start_s: Int64s
    heard_s: Int64s
    packets: Int64s
    rssi_max_dbm: Int64s
    rssi_mean_dbm: Int64s


class Stay(NamedTuple):
    """One device near one site's token."""

    site_log_id: int
    log_id: int
    first_s: int
    last_s: int
    minutes: int
    windows: int
    rssi_max_dbm: int
    rssi_mean_dbm: float


class StayFinder:
    """Takes the days in order; keeps only what the next day may go on with."""

    def __init__(self) -> None:
        self._open = no_rows()

    def add(self, rows: SiteRows, until_s: int) -> list[Stay]:
        """The stays that ended; until_s: what begins before it was given now or earlier."""
        rows = SiteRows(*(np.concatenate(columns) for columns in zip(self._open, rows, strict=True)))
        if len(rows.log_id) == 0:
            return []
        order = np.lexsort((rows.last_s, rows.first_s, rows.log_id, rows.site_log_id))
        rows = SiteRows(*(column[order] for column in rows))
        number = _numbers(rows)
        starts = _starts(number)
        open_stays = np.maximum.reduceat(rows.last_s, starts) >= until_s - BREAK_S
        held = open_stays[number]
        self._open = SiteRows(*(column[held] for column in rows))
        return _stays(SiteRows(*(column[~held] for column in rows)))

    def finish(self) -> list[Stay]:
        """Those that were still open."""
        rows, self._open = self._open, no_rows()
        return _stays(rows)


def no_rows() -> SiteRows:
    """Nobody heard a site."""
    return SiteRows(*(np.empty(0, dtype=np.int64) for _ in SiteRows._fields))


def _numbers(rows: SiteRows) -> Int64s:
    """For each row, in order of pair and time, which stay it belongs to: 0, 1, .."""
    other = np.zeros(len(rows.log_id), dtype=np.bool_)
    other[1:] = (rows.site_log_id[1:] != rows.site_log_id[:-1]) | (rows.log_id[1:] != rows.log_id[:-1])
    beyond_s = np.cumsum(other) * _BEYOND_S
    heard_until_s = np.maximum.accumulate(rows.last_s + beyond_s) - beyond_s
    broken = np.zeros(len(other), dtype=np.bool_)
    broken[1:] = rows.first_s[1:] - heard_until_s[:-1] > BREAK_S
    return np.cumsum(other | broken)


def _starts(number: Int64s) -> Int64s:
    """Where each run of a number begins."""
    new = np.ones(len(number), dtype=np.bool_)
    new[1:] = number[1:] != number[:-1]
    return np.flatnonzero(new)


def _stays(rows: SiteRows) -> list[Stay]:
    if len(rows.log_id) == 0:
        return []
    number = _numbers(rows)
    starts = _starts(number)
    seconds, windows = _heard_in_windows(rows, number)
    seconds += _heard_in_lines(rows, number)
    weight = np.maximum(1, rows.packets)
    mean_dbm = np.add.reduceat(weight * rows.rssi_mean_dbm, starts) / np.add.reduceat(weight, starts)
    columns = (
        rows.site_log_id[starts],
        rows.log_id[starts],
        rows.first_s[starts],
        np.maximum.reduceat(rows.last_s, starts),
        np.array([whole_minutes(heard_s) for heard_s in seconds.tolist()], dtype=np.int64),
        windows,
        np.maximum.reduceat(rows.rssi_max_dbm, starts),
        mean_dbm,
    )
    return [Stay(*values) for values in zip(*(column.tolist() for column in columns), strict=True)]


def _heard_in_windows(rows: SiteRows, number: Int64s) -> tuple[Int64s, Int64s]:
    """(seconds, windows) of each stay; two IDs in a window (rotation) add up, but no window holds more than itself."""
    order = np.lexsort((rows.window_start_s, number))
    stay, window_start_s = number[order], rows.window_start_s[order]
    new = np.ones(len(order), dtype=np.bool_)
    new[1:] = (stay[1:] != stay[:-1]) | (window_start_s[1:] != window_start_s[:-1])
    starts = np.flatnonzero(new)
    heard_s = np.minimum(WINDOW_S, np.add.reduceat(rows.heard_s[order], starts))
    stays = stay[starts]
    seconds = np.zeros(number[-1] + 1, dtype=np.int64)
    np.add.at(seconds, stays, heard_s)
    return seconds, np.bincount(stays, minlength=len(seconds)).astype(np.int64)


def _heard_in_lines(rows: SiteRows, number: Int64s) -> Int64s:
    """Seconds of each stay for which lines of a phone stand: up to the next one, if that is not too far."""
    lines = np.flatnonzero(rows.heard_s == 0)
    stay, first_s = number[lines], rows.first_s[lines]
    line_s = np.full(len(lines), PHONE_LINE_S, dtype=np.int64)
    to_next_s = first_s[1:] - first_s[:-1]
    bridged = (stay[1:] == stay[:-1]) & (to_next_s <= PHONE_LINE_S + PHONE_GAP_S)
    line_s[:-1][bridged] = to_next_s[bridged]
    seconds = np.zeros(number[-1] + 1, dtype=np.int64)
    np.add.at(seconds, stay, line_s)
    return seconds
