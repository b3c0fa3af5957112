"""The part of a score that is the same for every preset: minutes, span, signal, band and how sure that is."""

from collections.abc import Callable, Sequence

from bztoken.matching.rules import VERDICT_F1, VERDICT_NOTED, Heard, Score
from bztoken.scoring.attenuation import Bands, mean_db, off_db, windows_in
from bztoken.scoring.heard_time import whole_minutes


def summed_up(
    rows: Sequence[Heard],
    seconds: Sequence[int],
    close: Sequence[Heard],
    value_of: Callable[[Heard], float],
    bands: Bands,
    close_minutes: int,
    is_f1: bool,
) -> Score:
    """A score; value_of: the attenuation that the preset compares; close: those of the rows that count for it."""
    told_of = close or rows
    attenuation_db = mean_db(told_of, value_of)
    sigma_db = off_db(windows_in(told_of))
    return Score(
        minutes=whole_minutes(sum(seconds)),
        close_minutes=close_minutes,
        windows=windows_in(rows),
        first_s=min(row.first_s for row in rows),
        last_s=max(row.last_s for row in rows),
        rssi_max_dbm=max(row.rssi_max_dbm for row in rows),
        rssi_mean_dbm=mean_db(rows, lambda row: row.rssi_mean_dbm),
        attenuation_db=attenuation_db,
        band=bands.of(attenuation_db),
        verdict=VERDICT_F1 if is_f1 else VERDICT_NOTED,
        attenuation_off_db=sigma_db,
        nearest=bands.of(attenuation_db - sigma_db),
        farthest=bands.of(attenuation_db + sigma_db),
    )
