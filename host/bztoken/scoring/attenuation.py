"""What the air took from the signal, the band that it makes, and how sure one can be of it. Never a distance.

Attenuation = TX power (announced, else of the case key, else the preset's) - RSSI, corrected by the board that heard
it. Its uncertainty is measured on public recordings (`make bench-contact`, tests/bench/results/contact.md).
"""

from collections.abc import Callable, Iterable, Sequence
from math import sqrt
from typing import NamedTuple

from bztoken.matching.rules import FAR, MIDDLE, NEAR, Heard

# One sigma, at one distance. Systematic: bodies, pockets, rooms and devices, the same all day; per window: what the
# mean of a window still scatters, which many windows average away.
SYSTEMATIC_DB = 8.0
PER_WINDOW_DB = 5.0


class Bands(NamedTuple):
    """Upper bounds of the bands; included: whether a bound belongs to the nearer one."""

    near_max_db: float
    middle_max_db: float
    included: bool = True

    def of(self, attenuation_db: float) -> str:
        """The band of an attenuation."""
        if self._within(attenuation_db, self.near_max_db):
            return NEAR
        return MIDDLE if self._within(attenuation_db, self.middle_max_db) else FAR

    def _within(self, attenuation_db: float, max_db: float) -> bool:
        return attenuation_db < max_db or (self.included and attenuation_db == max_db)


def corrected(heard: Heard, offset_db: int) -> Heard:
    """As a board that needs no correction would have heard it; offset_db: `radio.rssi_offset_db` of the board that
    heard, which is what to add to what it hears.
    """
    return heard._replace(rssi_max_dbm=heard.rssi_max_dbm + offset_db, rssi_mean_dbm=heard.rssi_mean_dbm + offset_db)


def typical_db(heard: Heard, default_tx_power_dbm: int) -> int:
    """Of the mean of what was heard."""
    return _tx_power_dbm(heard, default_tx_power_dbm) - heard.rssi_mean_dbm


def least_db(heard: Heard, default_tx_power_dbm: int) -> int:
    """Of the strongest packet."""
    return _tx_power_dbm(heard, default_tx_power_dbm) - heard.rssi_max_dbm


def _tx_power_dbm(heard: Heard, default_tx_power_dbm: int) -> int:
    return default_tx_power_dbm if heard.tx_power_dbm is None else heard.tx_power_dbm


def mean_db(rows: Sequence[Heard], value_of: Callable[[Heard], float]) -> float:
    """Mean of a value, weighted by packets; a row that counts none weighs one."""
    weights = [max(1, row.packets) for row in rows]
    return sum(weight * value_of(row) for weight, row in zip(weights, rows, strict=True)) / sum(weights)


def off_db(windows: int) -> float:
    """Uncertainty of the attenuation of so many windows, one sigma."""
    return sqrt(SYSTEMATIC_DB**2 + PER_WINDOW_DB**2 / max(1, windows))


def windows_in(rows: Iterable[Heard]) -> int:
    """How many windows of 5 minutes these rows are from."""
    return len({row.window_start_s for row in rows})
