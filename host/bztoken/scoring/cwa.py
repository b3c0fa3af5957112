"""The risk calculation of Germany's Corona-Warn-App (CWA) on exposure windows.

Sources: corona-warn-app/cwa-app-ios, RiskCalculation.swift and RiskCalculationExposureWindow.swift (steps and their
order); cwa-app-android, the published cases (a day's time is rounded to 0.1 before it is compared, and the encounters
of days without a level are not counted). Normalised time = value of the transmission risk level x minutes weighted by
the strongest packet of each scan. Of our own sightings the level is looked up by days since onset, as the app does
when keys are uploaded (TransmissionRiskVectorDeterminer.kt), not by the report type, which it only travels in.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import floor
from pathlib import Path
from typing import Any, NamedTuple

from bztoken.matching.rules import Heard, Score
from bztoken.scoring.about import About, DayJudged, Described
from bztoken.scoring.attenuation import Bands, least_db, typical_db
from bztoken.scoring.cwa_configuration import HIGH_RISK, LEVELS, Configuration, Range, read_configuration
from bztoken.scoring.document import Part
from bztoken.scoring.heard_time import believed, seconds_of, whole_minutes
from bztoken.scoring.summary import summed_up
from bztoken.scoring.windows import COUNTED_REPORTS, ExposureWindow, by_age, windows_of

KIND = "cwa"
_ONSET_FROM_DAY = -14
_LOWEST_TRANSMISSION_RISK = 1


class RiskDay(NamedTuple):
    """A day's normalised time in minutes, its level (None when it is nothing) and the fewest encounters by level."""

    age_days: int
    normalized_minutes: float
    level: int | None
    encounters: Mapping[int, int]


@dataclass(frozen=True)
class Cwa(Described):
    """levels_by_onset: transmission risk level by days since onset; level_unknown: when nobody told the onset."""

    default_tx_power_dbm: int
    configuration: Configuration
    levels_by_onset: Mapping[int, int]
    level_unknown: int

    @classmethod
    def of(cls, document: Mapping[str, Any], path: Path) -> "Cwa":
        """From a preset file whose shape was checked. Raises FormatError for what the shape does not tell."""
        onset = document["transmission_risk_by_onset"]
        return cls(
            about=About.of(document),
            default_tx_power_dbm=document["default_tx_power_dbm"],
            configuration=read_configuration(Part(path, "configuration", document["configuration"])),
            levels_by_onset=dict(enumerate(onset["levels"], _ONSET_FROM_DAY)),
            level_unknown=onset["unknown"],
        )

    def with_configuration(self, configuration: Configuration) -> "Cwa":
        """The same with other numbers; what these do not say of the age stays."""
        if configuration.max_age_days is not None:
            about = self.about._replace(max_age_days=configuration.max_age_days)
            return replace(self, configuration=configuration, about=about)
        return replace(self, configuration=configuration)

    @property
    def bands(self) -> Bands:
        """near: the range of weights that begins at 0; middle: the others that count; far: what counts nothing."""
        bounds = sorted(
            (found.high, found.high_exclusive) for found, weight in self.configuration.weights if weight > 0
        )
        return Bands(bounds[0][0], bounds[-1][0], not bounds[0][1])

    def score(self, heard: Sequence[Heard]) -> Score:
        """Score at least one sighting; the order does not matter. Stale ones count only if there are no others, and
        then for no time.
        """
        rows = believed(heard)
        seconds = seconds_of(rows)
        least = partial(least_db, default_tx_power_dbm=self.default_tx_power_dbm)
        typical = partial(typical_db, default_tx_power_dbm=self.default_tx_power_dbm)
        close = [row for row in rows if self._weight(least(row)) > 0]
        day = next(iter(self.risk_days(windows_of(rows, seconds, least, typical))), None)
        minutes = 0 if day is None else whole_minutes(60 * day.normalized_minutes)
        return summed_up(rows, seconds, close, least, self.bands, minutes, day is not None and day.level == HIGH_RISK)

    def judge(self, windows: Sequence[ExposureWindow]) -> list[DayJudged]:
        """Normalised minutes of each day, and its level."""
        return [
            DayJudged(day.age_days, day.normalized_minutes, None if day.level is None else LEVELS[day.level])
            for day in self.risk_days(windows)
            if day.normalized_minutes > 0
        ]

    def risk_days(self, windows: Sequence[ExposureWindow]) -> list[RiskDay]:
        """Each day with windows that are not dropped, the youngest first."""
        kept = [window for window in self.young_enough(windows) if self._kept(window)]
        return [self._risk_day(age_days, of_day) for age_days, of_day in by_age(kept)]

    def _risk_day(self, age_days: int, windows: Sequence[ExposureWindow]) -> RiskDay:
        minutes = floor(10 * sum(map(self._normalized_minutes, windows)) + 0.5 + 1e-9) / 10
        level = _level(self.configuration.day_levels, minutes)
        told = {(self._window_level(window), self._risk_level(window), window.confidence) for window in windows}
        counted = {wanted: sum(found == wanted for found, _, _ in told) for wanted in LEVELS}
        return RiskDay(age_days, minutes, level, counted if level is not None else dict.fromkeys(LEVELS, 0))

    def _kept(self, window: ExposureWindow) -> bool:
        if self._window_level(window) is None or not self._reported(window):
            return False
        level = self._risk_level(window)
        return not any(found.holds(level) for found in self.configuration.risk_filters) and not any(
            found.minutes.holds(_seconds(window, found.attenuation.holds) / 60)
            for found in self.configuration.minutes_filters
        )

    def _reported(self, window: ExposureWindow) -> bool:
        return not window.report_type or window.report_type in COUNTED_REPORTS  # a revoked key counts nothing

    def _window_level(self, window: ExposureWindow) -> int | None:
        return _level(self.configuration.window_levels, self._normalized_minutes(window))

    def _normalized_minutes(self, window: ExposureWindow) -> float:
        weighted_s = sum(self._weight(scan.least_db) * max(0, scan.seconds) for scan in window.scans)
        return self._risk_value(self._risk_level(window)) * weighted_s / 60

    def _risk_level(self, window: ExposureWindow) -> int:
        if window.infectiousness is not None:
            encoding = self.configuration.encoding
            reported = encoding.reports.get(window.report_type or 0, 0)
            return reported + encoding.infectiousness.get(window.infectiousness, 0)
        if window.days_since_onset is None:
            return self.level_unknown
        return self.levels_by_onset.get(window.days_since_onset, _LOWEST_TRANSMISSION_RISK)

    def _risk_value(self, risk_level: int) -> float:
        configuration = self.configuration
        return configuration.risk_values.get(risk_level, configuration.risk_multiplier * risk_level)

    def _weight(self, attenuation_db: float) -> float:
        return next((weight for found, weight in self.configuration.weights if found.holds(attenuation_db)), 0.0)


def _seconds(window: ExposureWindow, wanted: Callable[[float], bool]) -> int:
    return sum(scan.seconds for scan in window.scans if scan.seconds > 0 and wanted(scan.least_db))


def _level(levels: Sequence[tuple[Range, int]], minutes: float) -> int | None:
    return next((level for found, level in levels if found.holds(minutes)), None)
