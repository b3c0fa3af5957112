"""Sightings and exposure windows for the tests of the scoring."""

from bztoken.matching.rules import Heard
from bztoken.scoring.windows import TEST, ExposureWindow, ScanInstance

START_S = 1_596_844_800
TX_DBM = -15


def rows_at(attenuation_db: int, windows: int, first: int = 0, strongest_db: int | None = None) -> list[Heard]:
    """A token heard by another in every scan of so many windows; strongest_db: attenuation of its strongest packet."""
    starts = [START_S + 300 * (first + n) for n in range(windows)]
    mean_dbm = TX_DBM - attenuation_db
    max_dbm = mean_dbm if strongest_db is None else TX_DBM - strongest_db
    return [Heard(at, at, at + 240, 15, 5, 60, max_dbm, mean_dbm, TX_DBM) for at in starts]


def onset(rows: list[Heard], days: int | None) -> list[Heard]:
    """The same of a key so many days after onset."""
    return [row._replace(days_since_onset=days) for row in rows]


def window(attenuation_db: float, seconds: int, age_days: int = 1, **more: int | None) -> ExposureWindow:
    """An exposure window with one scan."""
    told = {"report_type": TEST, "infectiousness": None, **more}
    return ExposureWindow((ScanInstance(attenuation_db, attenuation_db, seconds),), age_days=age_days, **told)
