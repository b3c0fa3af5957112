"""Offsets of devices: what to add to the RSSI that a receiver hears, or that is heard of a transmitter.

    attenuation = level + slope * distance term + receiver's term + transmitter's term        (least squares, windows)

A line over distance is the path loss (Friis: over its logarithm; Herald suggests the distance itself, which did worse
on recordings that were left out: tests/bench/results/contact.md).
Terms of two kinds of devices are known only but for what goes from one kind to the other, and for the level. So the
receivers' terms sum to zero, and so do the transmitters' within each set of devices that are joined by who heard whom
(receivers alone, transmitters alone: all of them sum to zero). Receivers of different sets are compared by the line
alone. A deaf receiver has more attenuation, so its term is its offset as it stands.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from bztoken.calibration.windows import Codes, Flags, Floats, Windows

LINEAR, LOGARITHM = "metres", "logarithm of metres"
CHOSEN = LOGARITHM  # generalised better on the public recordings: `make bench-contact`, tests/bench/results/contact.md
NEAREST_M = 0.1  # the logarithm takes what is nearer as this
_RANK_TOLERANCE = 1e-10


class Terms(NamedTuple):
    """Which devices get an offset."""

    receivers: bool
    transmitters: bool


@dataclass(frozen=True)
class Offsets:
    """In dB, to be added to RSSI, by the codes of the windows; 0 where not known. sets: see the module."""

    receivers_db: Floats
    transmitters_db: Floats
    receivers_known: Flags
    transmitters_known: Flags
    sets: int
    level_db: float
    slope_db: float
    distance: str

    def corrected_db(self, windows: Windows) -> Floats:
        """The attenuation as if every device had none."""
        found: Floats = windows.loss_db - self.receivers_db[windows.receiver]
        return found - self.transmitters_db[windows.transmitter]

    def known(self, windows: Windows) -> Flags:
        """For which windows every offset that there should be is known."""
        found: Flags = self.receivers_known[windows.receiver] & self.transmitters_known[windows.transmitter]
        return found

    def residual_db(self, windows: Windows) -> Floats:
        """What the line and the offsets leave unexplained."""
        return self.corrected_db(windows) - self.level_db - self.slope_db * distance_term(windows, self.distance)


def distance_term(windows: Windows, distance: str) -> Floats:
    """Metres, or ten times their logarithm, so that the slope is an exponent of the path loss."""
    if distance == LINEAR:
        return windows.distance_m
    return 10 * np.log10(np.maximum(windows.distance_m, NEAREST_M))


def fit(windows: Windows, terms: Terms, learn: Flags | None = None, distance: str = CHOSEN) -> Offsets | None:
    """Learned from the windows that `learn` chooses (None: all). None where these do not tell the terms apart, such as
    receivers that were never at two distances.
    """
    learner = Learner(windows, terms, distance)
    return learner.everything() if learn is None else learner.without(~learn)


class _Sums(NamedTuple):
    """What a fit needs of windows: the design's product with itself and with the attenuation, and who heard whom how
    often (receivers x transmitters).
    """

    gram: Floats
    right: Floats
    pairs: Codes


class Learner:
    """Fits by the normal equations, with some windows left out: what these add is taken away from what all add up to,
    so that leaving out each group in turn costs one pass, and memory does not grow with windows times devices.
    """

    def __init__(self, windows: Windows, terms: Terms, distance: str = CHOSEN) -> None:
        self._windows, self._terms, self._distance = windows, terms, distance
        along = distance_term(windows, distance)
        self._middle, self._scale = float(along.mean()), float(along.std()) or 1.0
        self._along = (along - self._middle) / self._scale
        self._all = self._sums(np.ones(len(windows), bool))

    def everything(self) -> Offsets | None:
        """Learned from all windows."""
        return self._solved(self._all)

    def without(self, out: Flags) -> Offsets | None:
        """Learned from the others."""
        whole, part = self._all, self._sums(out)
        return self._solved(_Sums(whole.gram - part.gram, whole.right - part.right, whole.pairs - part.pairs))

    def _sums(self, chosen: Flags) -> _Sums:
        windows, rows = self._windows, np.flatnonzero(chosen)
        receivers, transmitters = len(windows.receivers), len(windows.transmitters)
        receiver, transmitter, loss_db = (
            column[rows] for column in (windows.receiver, windows.transmitter, windows.loss_db)
        )
        zero, one = np.zeros(len(rows), np.int64), np.ones(len(rows))
        size = 2 + receivers + transmitters
        entries = [  # four in each row of the design: column, value
            (zero, one),
            (zero + 1, self._along[rows]),
            (2 + receiver, one * self._terms.receivers),
            (2 + receivers + transmitter, one * self._terms.transmitters),
        ]
        gram, right = np.zeros(size * size), np.zeros(size)
        for column, value in entries:
            right += np.bincount(column, value * loss_db, size)
            for other, factor in entries:
                gram += np.bincount(column * size + other, value * factor, size * size)
        pairs = np.bincount(receiver * transmitters + transmitter, minlength=receivers * transmitters)
        return _Sums(gram.reshape(size, size), right, pairs.reshape(receivers, transmitters))

    def _solved(self, sums: _Sums) -> Offsets | None:
        terms, receivers = self._terms, len(sums.pairs)
        seen_r: Flags = sums.pairs.sum(axis=1) > 0
        seen_t: Flags = sums.pairs.sum(axis=0) > 0
        sets = _sets(sums.pairs)
        bound = np.array(list(_constraints(terms, seen_r, seen_t, sets))) * np.sqrt(max(1, sums.pairs.sum()))
        found, _, rank, _ = np.linalg.lstsq(sums.gram + bound.T @ bound, sums.right, rcond=_RANK_TOLERANCE)
        if rank < len(sums.right):
            return None
        solved: Floats = found.astype(np.float64)
        slope = float(solved[1]) / self._scale
        return Offsets(
            receivers_db=solved[2 : 2 + receivers],
            transmitters_db=solved[2 + receivers :],
            receivers_known=seen_r | (not terms.receivers),
            transmitters_known=seen_t | (not terms.transmitters),
            sets=len(np.unique(sets[np.concatenate([seen_r, seen_t])])),
            level_db=float(solved[0]) - slope * self._middle,
            slope_db=slope,
            distance=self._distance,
        )


def _constraints(terms: Terms, seen_r: Flags, seen_t: Flags, sets: Codes) -> Iterator[Floats]:
    """Rows that are to be zero. They are as many as the data leave open, so meeting them costs the fit nothing."""
    receivers, size = len(seen_r), 2 + len(seen_r) + len(seen_t)
    used = np.concatenate([seen_r & terms.receivers, seen_t & terms.transmitters])
    for place in np.flatnonzero(~used):  # a device without a term: 0
        yield np.eye(1, size, 2 + int(place))[0]
    of_receiver = np.arange(len(used)) < receivers
    sums = [used & of_receiver]
    if terms.receivers and terms.transmitters:
        sums += [used & ~of_receiver & (sets == number) for number in np.unique(sets)]
    else:
        sums.append(used & ~of_receiver)
    for chosen in sums:
        if chosen.any():
            yield np.concatenate([[0.0, 0.0], chosen.astype(np.float64)])


def _sets(pairs: Codes) -> Codes:
    """For each receiver, then each transmitter, a number that is the same for those that are joined."""
    receivers, transmitters = pairs.shape
    found = np.arange(receivers + transmitters)
    for receiver, transmitter in np.argwhere(pairs):
        keep, give = sorted((found[receiver], found[receivers + transmitter]))
        if keep != give:
            found[found == give] = keep
    return found
