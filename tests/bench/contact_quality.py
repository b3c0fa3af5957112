"""What the recordings say about bands: how far off an attenuation is at one distance, and whether it tells 2 m apart.

- systematic: spread of the means of arrangements at one distance, each receiver's own level taken out;
- within: spread of the packets of one arrangement (root of the mean variance): the most that a window's mean scatters;
- AUC: the chance that of two arrangements, one within 2 m and one beyond, the nearer one is louder (0.5: a coin).
"""

from collections.abc import Callable, Iterable, Sequence
from math import sqrt
from statistics import fmean, pstdev

import numpy as np
from contact_recordings import Group

from bztoken.calibration import quality
from bztoken.calibration.windows import WITHIN_M


def by(groups: Iterable[Group], key: Callable[[Group], str]) -> dict[str, list[Group]]:
    """Groups by a text."""
    found: dict[str, list[Group]] = {}
    for group in groups:
        found.setdefault(key(group), []).append(group)
    return found


def levelled(groups: Sequence[Group]) -> list[float]:
    """Means, less the mean of all that the same receiver heard."""
    level = {name: fmean(group.mean_dbm for group in of) for name, of in by(groups, lambda it: it.receiver).items()}
    return [group.mean_dbm - level[group.receiver] for group in groups]


def systematic_db(groups: Sequence[Group]) -> float:
    """Of arrangements at one distance."""
    return pstdev(levelled(groups))


def within_db(groups: Sequence[Group]) -> float:
    """Of packets, arrangement by arrangement."""
    return sqrt(fmean(group.spread_db**2 for group in groups))


def centred(groups: Sequence[Group]) -> list[float]:
    """Means, less the mean of all."""
    level = fmean(group.mean_dbm for group in groups)
    return [group.mean_dbm - level for group in groups]


def share_within(off: Sequence[float], sigma_db: float) -> float:
    """Of these deviations, those that are no larger than this."""
    return sum(abs(value) <= sigma_db for value in off) / len(off)


def auc(groups: Sequence[Group], heard_dbm: Sequence[float]) -> float:
    """How well what was heard tells arrangements within 2 m from those beyond, as `bztoken calibrate` counts it."""
    close = np.array([group.distance_m <= WITHIN_M for group in groups])
    loss_db = -np.array(heard_dbm, np.float64)
    return quality.auc(loss_db[close], loss_db[~close])


def corrected_dbm(groups: Sequence[Group], device: Callable[[Group], str]) -> list[float]:
    """What was heard, less the offset of its device: how much louder than everybody's line the device's *other*
    recordings are, so that nothing is corrected with itself. Without another recording: as it is.
    """
    line = _line(groups)
    total: dict[tuple[str, str], tuple[float, int]] = {}
    for group in groups:
        for place in ((device(group), ""), (device(group), group.recording)):
            over_db, count = total.get(place, (0.0, 0))
            total[place] = over_db + group.mean_dbm - line(group.distance_m), count + 1
    found = []
    for group in groups:
        all_db, everything = total[device(group), ""]
        own_db, own = total[device(group), group.recording]
        found.append(group.mean_dbm - ((all_db - own_db) / (everything - own) if everything > own else 0.0))
    return found


def _line(groups: Sequence[Group]) -> Callable[[float], float]:
    """Least squares of RSSI over distance; its logarithm would fit a little better (last lines of the results)."""
    mean_m, mean_dbm = fmean(g.distance_m for g in groups), fmean(g.mean_dbm for g in groups)
    slope = sum((g.distance_m - mean_m) * (g.mean_dbm - mean_dbm) for g in groups) / sum(
        (g.distance_m - mean_m) ** 2 for g in groups
    )
    return lambda distance_m: mean_dbm + slope * (distance_m - mean_m)
