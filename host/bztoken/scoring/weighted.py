"""Rules of the kind "weighted-windows": minutes weighted by attenuation, report type and infectiousness, per day.

Source: google/exposure-notifications-internals @aaada6ce, DailySummaryUtils.java and DailySummariesConfig.java: a
window's weighted duration is the sum of seconds x weight of the attenuation bucket, its score that x report type weight
x infectiousness weight; windows below a minimum are dropped; a day's score is the sum (or the largest) of its windows.
Written-down simplification: each case is judged on its own, where a phone adds up all cases of a day.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from bztoken.matching.rules import VERDICT_F1, Heard, Score
from bztoken.scoring.about import About, DayJudged, Described
from bztoken.scoring.attenuation import Bands, least_db, typical_db
from bztoken.scoring.heard_time import believed, seconds_of, whole_minutes
from bztoken.scoring.summary import summed_up
from bztoken.scoring.windows import HIGH, NONE, STANDARD, ExposureWindow, ScanInstance, by_age, windows_of

KIND = "weighted-windows"
MINIMUM = "minimum"  # compares the strongest packet of a scan instead of the mean
LARGEST = "max"  # a day is its largest window instead of the sum
_INFECTIOUSNESS = {"none": NONE, "standard": STANDARD, "high": HIGH}
_REPORTS = ("confirmed_test", "clinical_diagnosis", "self_report", "recursive")


class Level(NamedTuple):
    """What a day is called from so many weighted minutes on, and the verdict that goes with it."""

    name: str
    from_minutes: float
    verdict: str


class Infectiousness(NamedTuple):
    """Of which days since onset, its weight, and what is taken when nobody told the onset; other days: none."""

    by_day: Mapping[int, int]
    weights: Mapping[int, float]
    unknown: int

    def weight_of(self, window: ExposureWindow) -> float:
        """0 where a window counts nothing."""
        if window.infectiousness is not None:
            return self.weights[window.infectiousness]
        if window.days_since_onset is None:
            return self.weights[self.unknown]
        return self.weights[self.by_day.get(window.days_since_onset, NONE)]


@dataclass(frozen=True)
class WeightedWindows(Described):
    """bounds_db: of the buckets but the last, in order; included: whether a bound belongs to the nearer bucket;
    report_weights: by GAEN's number, one that is not in it counts nothing.
    """

    default_tx_power_dbm: int
    compares_minimum: bool
    bounds_db: tuple[float, ...]
    included: bool
    weights: tuple[float, ...]
    infectiousness: Infectiousness | None
    report_weights: Mapping[int, float]
    report_unknown: int
    minimum_window_minutes: float
    day_is_largest: bool
    levels: tuple[Level, ...]

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "WeightedWindows":
        """From a preset file whose shape was checked."""
        reports = document["report_types"]
        return cls(
            about=About.of(document),
            default_tx_power_dbm=document["default_tx_power_dbm"],
            compares_minimum=document["compares"] == MINIMUM,
            bounds_db=tuple(document["bounds_db"]),
            included=document["bound_included"],
            weights=tuple(document["weights"]),
            infectiousness=_infectiousness(document.get("infectiousness")),
            report_weights={number: reports[name] for number, name in enumerate(_REPORTS, 1)},
            report_unknown=_REPORTS.index(reports["unknown"]) + 1,
            minimum_window_minutes=document["minimum_window_minutes"],
            day_is_largest=document["day"] == LARGEST,
            levels=tuple(Level(**level) for level in document["levels"]),
        )

    @property
    def bands(self) -> Bands:
        """near: the first bucket; middle: the others that count; far: what counts nothing."""
        counted = [bound for bound, weight in zip(self.bounds_db, self.weights, strict=False) if weight > 0]
        return Bands(self.bounds_db[0], counted[-1], self.included)

    def score(self, heard: Sequence[Heard]) -> Score:
        """Score at least one sighting; the order does not matter. Stale ones count only if there are no others, and
        then for no time.
        """
        rows = believed(heard)
        seconds = seconds_of(rows)
        least = partial(least_db, default_tx_power_dbm=self.default_tx_power_dbm)
        typical = partial(typical_db, default_tx_power_dbm=self.default_tx_power_dbm)
        value_of = least if self.compares_minimum else typical
        close = [row for row in rows if self._weight(value_of(row)) > 0]
        minutes = self._day_minutes(windows_of(rows, seconds, least, typical))
        level = self._level(minutes)
        is_f1 = level is not None and level.verdict == VERDICT_F1
        return summed_up(rows, seconds, close, value_of, self.bands, whole_minutes(60 * minutes), is_f1)

    def judge(self, windows: Sequence[ExposureWindow]) -> list[DayJudged]:
        """Weighted minutes of each day, and their level."""
        days = [(age_days, self._day_minutes(of_day)) for age_days, of_day in by_age(self.young_enough(windows))]
        named = [(age_days, minutes, self._level(minutes)) for age_days, minutes in days if minutes > 0]
        return [
            DayJudged(age_days, minutes, None if level is None else level.name) for age_days, minutes, level in named
        ]

    def _day_minutes(self, windows: Sequence[ExposureWindow]) -> float:
        minutes = [found for found in map(self._window_minutes, windows) if found >= self.minimum_window_minutes]
        total = max(minutes, default=0.0) if self.day_is_largest else sum(minutes)
        return round(total, 9)  # a sum of tenths must not miss its level by the last bit

    def _window_minutes(self, window: ExposureWindow) -> float:
        weighted_s = sum(max(0, scan.seconds) * self._weight(self._compared(scan)) for scan in window.scans)
        report_type = window.report_type or self.report_unknown  # 0 is GAEN's number for "unknown"
        infectious = 1.0 if self.infectiousness is None else self.infectiousness.weight_of(window)
        return weighted_s / 60 * self.report_weights.get(report_type, 0.0) * infectious

    def _compared(self, scan: ScanInstance) -> float:
        return scan.least_db if self.compares_minimum else scan.typical_db

    def _weight(self, attenuation_db: float) -> float:
        for bound_db, weight in zip(self.bounds_db, self.weights, strict=False):
            if attenuation_db < bound_db or (self.included and attenuation_db == bound_db):
                return weight
        return self.weights[-1]

    def _level(self, minutes: float) -> Level | None:
        return next((level for level in reversed(self.levels) if minutes >= level.from_minutes), None)


def _infectiousness(document: Mapping[str, Any] | None) -> Infectiousness | None:
    if document is None:
        return None
    by_day = dict.fromkeys(document["standard_days"], STANDARD) | dict.fromkeys(document["high_days"], HIGH)
    weights = {NONE: 0.0, STANDARD: document["standard_weight"], HIGH: document["high_weight"]}
    return Infectiousness(by_day, weights, _INFECTIOUSNESS[document["unknown"]])
