"""How well a number tells windows within 2 m from those beyond: AUC, ROC, balanced accuracy. The smaller, the nearer.

Counted in ranks with numpy: a dozen lines, for which a learning library would be a heavy guest.
"""

from typing import NamedTuple

import numpy as np

from bztoken.calibration.windows import Flags, Floats


class Roc(NamedTuple):
    """From (0, 0) to (1, 1), a point for each bound: of those beyond 2 m and of those within, the share up to it."""

    beyond: Floats
    within: Floats


class Split(NamedTuple):
    """A bound that belongs to the near side, and the mean of the two shares that it puts on the right side."""

    bound_db: float
    balanced_accuracy: float


def auc(within_db: Floats, beyond_db: Floats) -> float:
    """The chance that a window within 2 m has less attenuation than one beyond; ties count half: Mann and Whitney's U
    over the number of pairs (Hanley and McNeil, Radiology 143, 1982). Both must hold something.
    """
    ordered = np.sort(beyond_db)
    up_to, below = (np.searchsorted(ordered, within_db, side) for side in ("right", "left"))
    pairs = len(within_db) * len(beyond_db)
    return float(pairs - (up_to + below).sum() / 2) / pairs


def roc(within_db: Floats, beyond_db: Floats) -> Roc:
    """The curve; its area is the AUC."""
    bounds = np.unique(np.concatenate([within_db, beyond_db]))
    return Roc(*(np.concatenate([[0.0], _share_up_to(values, bounds)]) for values in (beyond_db, within_db)))


def best_split(within_db: Floats, beyond_db: Floats) -> Split:
    """The bound with the best balanced accuracy, half-way between two values; the lowest of equally good ones. It
    maximises Youden's J (Cancer 3, 1950), which is twice the balanced accuracy less 1.
    """
    values = np.unique(np.round(np.concatenate([within_db, beyond_db]), 9))  # arithmetic parts equals
    bounds = (values[:-1] + values[1:]) / 2 if len(values) > 1 else values
    right = (_share_up_to(within_db, bounds) + 1 - _share_up_to(beyond_db, bounds)) / 2
    best = int(np.argmax(np.round(right, 12)))
    return Split(float(bounds[best]), float(right[best]))


def balanced_accuracy(taken_for_near: Flags, within: Flags) -> float:
    """Mean of the share of the near ones that were taken for near and that of the others that were not."""
    return float((taken_for_near[within].mean() + (~taken_for_near[~within]).mean()) / 2)


def _share_up_to(values: Floats, bounds: Floats) -> Floats:
    return np.searchsorted(np.sort(values), bounds, "right") / len(values)
