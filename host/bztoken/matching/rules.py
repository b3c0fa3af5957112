"""Rule "bluezone", version 1, as data: from the sightings of one case in one log on one UTC day to a verdict.

Source: Bluezone calls a contact close within 2 m for 15 minutes or more, and takes -86 dBm between Android phones for
2 m; at their low TX power of -15 dBm that is an attenuation of 71 dB. Written-down simplifications:
- attenuation = TX power (announced, else of the case key, else -15 dBm) - mean RSSI of a 5-minute window;
- a scan of a token stands for its scan period, at most 5 minutes in a window; what was heard between scans is unknown;
- a line of a phone's history stands for 60 s; gaps of up to 330 s are bridged (the phone scans 40 s in every 300 s);
  each stretch counts to the window of the line that begins it, and to the day of that line;
- minutes are rounded half up, close minutes of close windows only, so close minutes never exceed minutes;
- a stale sighting (an ID heard for longer than it lives, so replayed) stands for no time and never makes an F1; where
  nothing else was heard of a case it is still listed, with 0 minutes;
- iPhones have other thresholds (-69, -88, -74 dBm) that the records cannot tell apart: a band is not a distance.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

NEAR, MIDDLE, FAR = "near", "middle", "far"
VERDICT_F1, VERDICT_NOTED = "F1", "noted"


@dataclass(frozen=True)
class Rule:
    """Numbers of a rule; another preset is another instance."""

    name: str
    version: int
    default_tx_power_dbm: int
    near_max_db: int
    middle_max_db: int
    close_minutes_f1: int
    window_s: int
    phone_line_s: int
    phone_gap_s: int


BLUEZONE = Rule(
    name="bluezone",
    version=1,
    default_tx_power_dbm=-15,
    near_max_db=55,
    middle_max_db=71,
    close_minutes_f1=15,
    window_s=300,
    phone_line_s=60,
    phone_gap_s=330,
)


class Heard(NamedTuple):
    """One matched sighting; scan_period_s is 0 for a line of a phone; tx_power_dbm None when nobody told it; stale: the
    token marked it as replayed.
    """

    window_start_s: int
    first_s: int
    last_s: int
    packets: int
    scans: int
    scan_period_s: int
    rssi_max_dbm: int
    rssi_mean_dbm: int
    tx_power_dbm: int | None
    stale: bool = False


class Score(NamedTuple):
    """What the rule says about one case, one log, one day.

    attenuation_db and band are those of the close windows if there was one, else of all: a day at the same market must
    not hide half an hour on the same bench.
    """

    minutes: int
    close_minutes: int
    windows: int
    first_s: int
    last_s: int
    rssi_max_dbm: int
    rssi_mean_dbm: float
    attenuation_db: float
    band: str
    verdict: str


def score(heard: Sequence[Heard], rule: Rule = BLUEZONE) -> Score:
    """Score at least one sighting; the order does not matter. Stale ones count only if there are no others, and then
    for no time.
    """
    fresh = [row for row in heard if not row.stale]
    rows = sorted(fresh or heard, key=lambda row: (row.window_start_s, row.first_s))
    seconds = _seconds_by_window(rows, rule)
    close_s = 0
    close_rows: list[Heard] = []
    for window_start_s, group in groupby(rows, key=lambda row: row.window_start_s):
        in_window = list(group)
        if band_of(_mean_attenuation_db(in_window, rule), rule) != FAR:
            close_s += seconds[window_start_s]
            close_rows += in_window
    close_minutes = _minutes(close_s)
    attenuation_db = _mean_attenuation_db(close_rows or rows, rule)
    return Score(
        minutes=_minutes(sum(seconds.values())),
        close_minutes=close_minutes,
        windows=len(seconds),
        first_s=min(row.first_s for row in rows),
        last_s=max(row.last_s for row in rows),
        rssi_max_dbm=max(row.rssi_max_dbm for row in rows),
        rssi_mean_dbm=_weighted([(row.packets, row.rssi_mean_dbm) for row in rows]),
        attenuation_db=attenuation_db,
        band=band_of(attenuation_db, rule),
        verdict=VERDICT_F1 if close_minutes >= rule.close_minutes_f1 else VERDICT_NOTED,
    )


def band_of(attenuation_db: float, rule: Rule = BLUEZONE) -> str:
    """The band of an attenuation; its upper bound belongs to it."""
    if attenuation_db <= rule.near_max_db:
        return NEAR
    return MIDDLE if attenuation_db <= rule.middle_max_db else FAR


def _seconds_by_window(rows: Sequence[Heard], rule: Rule) -> dict[int, int]:
    seconds = dict.fromkeys((row.window_start_s for row in rows), 0)
    if rows[0].stale:  # then all are
        return seconds
    for row in rows:
        # two IDs of one person in a window (rotation) are two rows: add, but no window holds more than itself
        scanned_s = seconds[row.window_start_s] + row.scans * row.scan_period_s
        seconds[row.window_start_s] = min(rule.window_s, scanned_s)
    lines = sorted((row for row in rows if row.scan_period_s == 0), key=lambda row: row.first_s)
    for at, line in enumerate(lines):
        next_s = lines[at + 1].first_s if at + 1 < len(lines) else None
        seconds[line.window_start_s] += _line_s(line.first_s, next_s, rule)
    return seconds


def _line_s(line_at_s: int, next_at_s: int | None, rule: Rule) -> int:
    if next_at_s is None or next_at_s - line_at_s > rule.phone_line_s + rule.phone_gap_s:
        return rule.phone_line_s
    return next_at_s - line_at_s


def _mean_attenuation_db(rows: Sequence[Heard], rule: Rule) -> float:
    def tx_power_dbm(row: Heard) -> int:
        return rule.default_tx_power_dbm if row.tx_power_dbm is None else row.tx_power_dbm

    return _weighted([(row.packets, tx_power_dbm(row) - row.rssi_mean_dbm) for row in rows])


def _weighted(values: Sequence[tuple[int, int]]) -> float:
    """Mean weighted by packets; a row that counts none weighs one."""
    weight = sum(max(1, packets) for packets, _ in values)
    return sum(max(1, packets) * value for packets, value in values) / weight


def _minutes(seconds: int) -> int:
    return (seconds + 30) // 60
