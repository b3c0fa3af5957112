"""Exposure windows as Exposure Notification v2 has them: one key, 30 minutes at most, a list of scans.

Sources: google/exposure-notifications-internals @aaada6ce, KeyExposureEvaluator.java (a window ends when a sighting is
30 minutes or more after its first), ExposureWindowUtils.java (typical = mean, min = strongest packet). Written-down
simplification: a scan here is a 5-minute record of one ID, which sums up several scans of a token, and its seconds are
those of `heard_time`, not the time since the scan before.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from bztoken.matching.rules import Heard

LONGEST_WINDOW_S = 1800
TEST, CLINICAL, SELF_REPORT, RECURSIVE, REVOKED = 1, 2, 3, 4, 5  # report types
COUNTED_REPORTS = (TEST, CLINICAL, SELF_REPORT, RECURSIVE)
NONE, STANDARD, HIGH = 0, 1, 2  # infectiousness


class ScanInstance(NamedTuple):
    """Attenuation of the strongest packet and of the mean of a scan, dB, and for how long it stands."""

    least_db: float
    typical_db: float
    seconds: int


class ExposureWindow(NamedTuple):
    """report_type, infectiousness, days_since_onset: of the key, None when nobody told them; age_days: of its day;
    confidence: how well the devices are calibrated, 0 to 3.
    """

    scans: tuple[ScanInstance, ...]
    report_type: int | None
    infectiousness: int | None = None
    days_since_onset: int | None = None
    age_days: int = 0
    confidence: int = 0


def windows_of(
    rows: Sequence[Heard],
    seconds: Sequence[int],
    least_db: Callable[[Heard], float],
    typical_db: Callable[[Heard], float],
) -> list[ExposureWindow]:
    """Windows of the sightings of one case, key by key; seconds: what each row stands for."""
    timed = sorted(zip(rows, seconds, strict=True), key=lambda pair: (pair[0].key_index, pair[0].first_s))
    found = []
    for _, of_key in groupby(timed, key=lambda pair: pair[0].key_index):
        for part in _cut(of_key):
            key = part[0][0]
            scans = tuple(ScanInstance(least_db(row), typical_db(row), spent_s) for row, spent_s in part)
            found.append(ExposureWindow(scans, key.report_type, days_since_onset=key.days_since_onset))
    return found


def _cut(timed: Iterable[tuple[Heard, int]]) -> Iterator[list[tuple[Heard, int]]]:
    part: list[tuple[Heard, int]] = []
    for row, spent_s in timed:
        if part and row.first_s - part[0][0].first_s >= LONGEST_WINDOW_S:
            yield part
            part = []
        part.append((row, spent_s))
    if part:
        yield part


def by_age(windows: Iterable[ExposureWindow]) -> list[tuple[int, list[ExposureWindow]]]:
    """Windows by the age of their day, the youngest first."""
    ordered = sorted(windows, key=lambda window: window.age_days)
    return [(age_days, list(group)) for age_days, group in groupby(ordered, key=lambda window: window.age_days)]
