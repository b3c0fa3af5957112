"""The rule of the Bluezone app: minutes of 5-minute windows whose mean attenuation is at most so much, on one day.

Bluezone calls a contact close within 2 m for 15 minutes or more, and knows thresholds of RSSI only. Minutes are
rounded half up before they are compared, and close minutes are of close windows only, so they never exceed minutes.
iPhones have other thresholds (-69, -88, -74 dBm) that the records cannot tell apart: a band is not a distance.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any

from bztoken.matching.rules import FAR, VERDICT_F1, VERDICT_NOTED, Heard, Score
from bztoken.scoring.about import About, DayJudged, Described
from bztoken.scoring.attenuation import Bands, mean_db, typical_db
from bztoken.scoring.heard_time import believed, seconds_of, whole_minutes
from bztoken.scoring.summary import summed_up
from bztoken.scoring.windows import ExposureWindow, by_age

KIND = "bluezone"


@dataclass(frozen=True)
class Bluezone(Described):
    """default_tx_power_dbm: where nobody tells the power; close_minutes_f1: from so many on it is an F1."""

    default_tx_power_dbm: int
    bands: Bands
    close_minutes_f1: int

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Bluezone":
        """From a preset file whose shape was checked."""
        return cls(
            about=About.of(document),
            default_tx_power_dbm=document["default_tx_power_dbm"],
            bands=Bands(document["near_max_db"], document["middle_max_db"]),
            close_minutes_f1=document["close_minutes_f1"],
        )

    def score(self, heard: Sequence[Heard]) -> Score:
        """Score at least one sighting; the order does not matter. Stale ones count only if there are no others, and
        then for no time.
        """
        rows = believed(heard)
        seconds = seconds_of(rows)
        value_of = partial(typical_db, default_tx_power_dbm=self.default_tx_power_dbm)
        close: list[Heard] = []
        close_s = 0
        for _, group in groupby(zip(rows, seconds, strict=True), key=lambda pair: pair[0].window_start_s):
            in_window, spent_s = zip(*group, strict=True)
            if self.bands.of(mean_db(in_window, value_of)) != FAR:
                close += in_window
                close_s += sum(spent_s)
        minutes = whole_minutes(close_s)
        return summed_up(rows, seconds, close, value_of, self.bands, minutes, minutes >= self.close_minutes_f1)

    def judge(self, windows: Sequence[ExposureWindow]) -> list[DayJudged]:
        """Minutes of the scans whose typical attenuation is not far, and the verdict."""
        found = []
        for age_days, of_day in by_age(self.young_enough(windows)):
            scans = [scan for window in of_day for scan in window.scans if self.bands.of(scan.typical_db) != FAR]
            minutes = whole_minutes(sum(max(0, scan.seconds) for scan in scans))
            if minutes:
                level = VERDICT_F1 if minutes >= self.close_minutes_f1 else VERDICT_NOTED
                found.append(DayJudged(age_days, minutes, level))
        return found
