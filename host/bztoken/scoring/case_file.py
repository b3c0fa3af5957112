"""The published test cases of the Corona-Warn-App: exposure windows, a configuration, and what must come out.

The format is that of corona-warn-app's `exposure-windows-risk-calculation.json`. Expectations are checked or refused,
never skipped: one that nobody knows ends the reading.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from bztoken.scoring.cwa import Cwa, RiskDay
from bztoken.scoring.cwa_configuration import HIGH_RISK, LOW_RISK, Configuration, read_configuration
from bztoken.scoring.document import Part, read_document
from bztoken.scoring.windows import HIGH, NONE, REVOKED, ExposureWindow, ScanInstance

LARGEST_SECONDS = 1_000_000
# Our names of what a case expects, in the order of the file.
EXPECTATIONS = {
    "expTotalRiskLevel": "total_risk_level",
    "expAgeOfMostRecentDateWithLowRisk": "age_of_most_recent_day_with_low_risk",
    "expAgeOfMostRecentDateWithHighRisk": "age_of_most_recent_day_with_high_risk",
    "expNumberOfDaysWithLowRisk": "days_with_low_risk",
    "expNumberOfDaysWithHighRisk": "days_with_high_risk",
    "expTotalMinimumDistinctEncountersWithLowRisk": "encounters_with_low_risk",
    "expTotalMinimumDistinctEncountersWithHighRisk": "encounters_with_high_risk",
}


class RiskCase(NamedTuple):
    """Windows, and what is expected of them, by our names."""

    description: str
    windows: tuple[ExposureWindow, ...]
    expected: Mapping[str, int | None]


class CaseFile(NamedTuple):
    """The cases of a file, and the configuration that they are meant for."""

    configuration: Configuration
    cases: tuple[RiskCase, ...]


class RiskOutcome(NamedTuple):
    """What came out of a case, by our names, and whether that is what was expected."""

    days: Sequence[RiskDay]
    got: Mapping[str, int | None]
    passed: bool


def read_cases(path: Path) -> CaseFile:
    """Raises FormatError, with the place ("case 3, window 2"), or OSError."""
    whole = read_document(path)
    configuration = read_configuration(whole.part("defaultRiskCalculationConfiguration"))
    cases = tuple(_case(part) for part in whole.items("testCases", "case"))
    if not cases:
        raise whole.misfit("testCases is empty, so there is nothing to check")
    return CaseFile(configuration, cases)


def run_case(preset: Cwa, case: RiskCase) -> RiskOutcome:
    """Judge the windows of a case and compare what came out with what is expected."""
    days = preset.risk_days(case.windows)
    got = _summary(days)
    return RiskOutcome(days, got, all(got[name] == value for name, value in case.expected.items()))


def _summary(days: Sequence[RiskDay]) -> dict[str, int | None]:
    ages = {level: [day.age_days for day in days if day.level == level] for level in (LOW_RISK, HIGH_RISK)}
    encounters = {level: sum(day.encounters[level] for day in days) for level in (LOW_RISK, HIGH_RISK)}
    return {
        "total_risk_level": HIGH_RISK if ages[HIGH_RISK] else LOW_RISK,
        "age_of_most_recent_day_with_low_risk": min(ages[LOW_RISK], default=None),
        "age_of_most_recent_day_with_high_risk": min(ages[HIGH_RISK], default=None),
        "days_with_low_risk": len(ages[LOW_RISK]),
        "days_with_high_risk": len(ages[HIGH_RISK]),
        "encounters_with_low_risk": encounters[LOW_RISK],
        "encounters_with_high_risk": encounters[HIGH_RISK],
    }


def _case(part: Part) -> RiskCase:
    description = part.text("description")
    windows = tuple(_window(entry) for entry in part.items("exposureWindows", "window"))
    return RiskCase(description, windows, _expected(part))


def _expected(part: Part) -> dict[str, int | None]:
    told = [name for name in part.value if name.startswith("exp") and name != "exposureWindows"]
    unknown = [name for name in told if name not in EXPECTATIONS]
    if unknown:
        raise part.misfit(f"{unknown[0]} is an expectation that nobody here can check")
    if not told:
        raise part.misfit("nothing is expected of it: expTotalRiskLevel is missing")
    return {EXPECTATIONS[name]: part.whole(name, 0) if part.has(name) else None for name in told}


def _window(part: Part) -> ExposureWindow:
    scans = tuple(_scan(entry) for entry in part.items("scanInstances", "scan"))
    return ExposureWindow(
        scans=scans,
        report_type=part.whole("reportType", 0, REVOKED),
        infectiousness=part.whole("infectiousness", NONE, HIGH),
        age_days=part.whole("ageInDays", 0, 1000),
        confidence=part.whole("calibrationConfidence", 0, 3),
    )


def _scan(part: Part) -> ScanInstance:
    return ScanInstance(
        least_db=part.number("minAttenuation"),
        typical_db=part.number("typicalAttenuation"),
        seconds=part.whole("secondsSinceLastScan", -LARGEST_SECONDS, LARGEST_SECONDS),
    )
