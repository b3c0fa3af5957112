"""The numbers of the Corona-Warn-App's risk calculation, under the names that it publishes them with (camel case)."""

from collections.abc import Mapping
from typing import NamedTuple

from bztoken.scoring.document import Part
from bztoken.scoring.windows import CLINICAL, HIGH, RECURSIVE, SELF_REPORT, STANDARD, TEST

LOW_RISK, HIGH_RISK = 1, 2
LEVELS = {LOW_RISK: "low", HIGH_RISK: "high"}


class Range(NamedTuple):
    """Bounds belong to it unless they are exclusive."""

    low: float
    high: float
    low_exclusive: bool
    high_exclusive: bool

    def holds(self, value: float) -> bool:
        """Whether a value is in it."""
        above = value > self.low if self.low_exclusive else value >= self.low
        below = value < self.high if self.high_exclusive else value <= self.high
        return above and below


class MinutesFilter(NamedTuple):
    """Drops a window that was at these attenuations for so many minutes."""

    attenuation: Range
    minutes: Range


class Encoding(NamedTuple):
    """Transmission risk level = offset of the report type + offset of the infectiousness; unknown ones add 0."""

    reports: Mapping[int, int]
    infectiousness: Mapping[int, int]


class Configuration(NamedTuple):
    """Of attenuations: what is dropped, and the weight of a minute; of levels: what a window and a day are from which
    normalised time on; risk_values by transmission risk level, where there are none the level times the multiplier.
    """

    minutes_filters: tuple[MinutesFilter, ...]
    risk_filters: tuple[Range, ...]
    weights: tuple[tuple[Range, float], ...]
    window_levels: tuple[tuple[Range, int], ...]
    day_levels: tuple[tuple[Range, int], ...]
    encoding: Encoding
    risk_values: Mapping[int, float]
    risk_multiplier: float
    max_age_days: int | None


def read_configuration(part: Part) -> Configuration:
    """From a published document. Raises FormatError with the place."""
    return Configuration(
        minutes_filters=tuple(
            MinutesFilter(_range(entry, "attenuationRange"), _range(entry, "dropIfMinutesInRange"))
            for entry in part.items("minutesAtAttenuationFilters", "attenuation filter")
        ),
        risk_filters=tuple(_range(entry, "dropIfTrlInRange") for entry in part.items("trlFilters", "TRL filter")),
        weights=tuple(
            (_range(entry, "attenuationRange"), entry.number("weight"))
            for entry in part.items("minutesAtAttenuationWeights", "weight")
        ),
        window_levels=_levels(part, "normalizedTimePerEWToRiskLevelMapping", "window level"),
        day_levels=_levels(part, "normalizedTimePerDayToRiskLevelMapping", "day level"),
        encoding=_encoding(part.part("trlEncoding")),
        risk_values=_risk_values(part),
        risk_multiplier=_optional_number(part, "transmissionRiskLevelMultiplier"),
        max_age_days=part.whole("maxEncounterAgeInDays", 0, 1000) if part.has("maxEncounterAgeInDays") else None,
    )


def _range(entry: Part, name: str) -> Range:
    part = entry.part(name)
    return Range(part.number("min"), part.number("max"), part.flag("minExclusive"), part.flag("maxExclusive"))


def _levels(part: Part, name: str, called: str) -> tuple[tuple[Range, int], ...]:
    entries = part.items(name, called)
    return tuple(
        (_range(entry, "normalizedTimeRange"), entry.whole("riskLevel", LOW_RISK, HIGH_RISK)) for entry in entries
    )


def _encoding(part: Part) -> Encoding:
    reports = {
        RECURSIVE: part.whole("reportTypeOffsetRecursive"),
        SELF_REPORT: part.whole("reportTypeOffsetSelfReport"),
        CLINICAL: part.whole("reportTypeOffsetConfirmedClinicalDiagnosis"),
        TEST: part.whole("reportTypeOffsetConfirmedTest"),
    }
    infectiousness = {
        STANDARD: part.whole("infectiousnessOffsetStandard"),
        HIGH: part.whole("infectiousnessOffsetHigh"),
    }
    return Encoding(reports, infectiousness)


def _risk_values(part: Part) -> Mapping[int, float]:
    name = "transmissionRiskValueMapping"
    if not part.has(name):
        return {}
    entries = part.items(name, "risk value")
    return {entry.whole("transmissionRiskLevel"): entry.number("transmissionRiskValue") for entry in entries}


def _optional_number(part: Part, name: str) -> float:
    return part.number(name) if part.has(name) else 0.0
