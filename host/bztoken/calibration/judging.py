"""How well windows within 2 m are told from others: as heard, with TX power, with offsets; on the same data or not.

"Other groups" is what counts: for each group, offsets and bound are learned on all the others and judged on this one,
so that nothing is judged on what it was learned from. On the same data the figures flatter.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from bztoken.calibration.device_offsets import CHOSEN, Learner, Terms
from bztoken.calibration.quality import auc, balanced_accuracy, best_split
from bztoken.calibration.windows import Flags, Floats, Windows

AS_HEARD, WITH_TX = "as heard", "TX power taken in"
RECEIVER, TRANSMITTER = "an offset a receiver", "an offset a transmitter"
BOTH = "an offset a receiver and a transmitter"
OFFSETS = {RECEIVER: Terms(True, False), TRANSMITTER: Terms(False, True), BOTH: Terms(True, True)}
SAME_DATA, OTHER_GROUPS = "same data", "other groups"


class Judged(NamedTuple):
    """One way of telling, judged. bound_db: None where every group had its own; without_offset: windows of devices
    that had to be judged without theirs, because the other groups say nothing of them.
    """

    window_s: int
    learned_on: str
    correction: str
    within: int
    beyond: int
    auc: float
    balanced_accuracy: float
    bound_db: float | None
    without_offset: int


class Scored(NamedTuple):
    """Attenuation of each window that was judged, which were taken for near, and which had no offset."""

    corrected_db: Floats
    near: Flags
    judged: Flags
    without: Flags


def corrections(windows: Windows, told: bool) -> list[str]:
    """The ways that these recordings allow. told: whether a packet told its TX power."""
    found = [AS_HEARD, *([WITH_TX] if told else [])]
    many = Terms(len(windows.receivers) > 1, len(windows.transmitters) > 1)
    for name, terms in OFFSETS.items():
        if all(has for has, wanted in zip(many, terms, strict=True) if wanted) and not _doubles(windows, terms):
            found.append(name)
    return found


def pairs_only(windows: Windows) -> bool:
    """Whether every receiver heard one transmitter, and that one only it: their offsets are one number."""
    pairs = np.unique(np.stack([windows.receiver, windows.transmitter], axis=1), axis=0)
    return len(pairs) == len(windows.receivers) == len(windows.transmitters)


def _doubles(windows: Windows, terms: Terms) -> bool:
    return terms.transmitters and pairs_only(windows)


def on_same_data(windows: Windows, correction: str, distance: str = CHOSEN) -> Judged | None:
    """None where the offsets cannot be told from the distances."""
    found = _same(windows, correction, distance)
    return None if found is None else _judged(windows, SAME_DATA, correction, *found)


def on_other_groups(windows: Windows, correction: str, distance: str = CHOSEN) -> Judged | None:
    """None where there are no two groups to learn from each other, or the judged windows are on one side of 2 m."""
    found = left_out(windows, correction, distance)
    sides = {bool(side) for side in windows.within[found.judged]}
    return _judged(windows, OTHER_GROUPS, correction, found, None) if len(sides) == 2 else None


def scored(windows: Windows, judged: Judged) -> Scored:
    """What a judgement of these windows was about, such as to draw it."""
    found = _same(windows, judged.correction, CHOSEN) if judged.learned_on == SAME_DATA else None
    return left_out(windows, judged.correction) if found is None else found[0]


def _same(windows: Windows, correction: str, distance: str) -> tuple[Scored, float] | None:
    """With the bound."""
    everything = np.ones(len(windows), bool)
    learner = Learner(windows, OFFSETS[correction], distance) if correction in OFFSETS else None
    corrected = _corrected(windows, correction, learner)
    if corrected is None:
        return None
    split = best_split(corrected[0][windows.within], corrected[0][~windows.within])
    return Scored(corrected[0], corrected[0] <= split.bound_db, everything, ~corrected[1]), split.bound_db


def left_out(windows: Windows, correction: str, distance: str = CHOSEN) -> Scored:
    """Each group by what the others teach. A group whose others are all on one side of 2 m is not judged; one whose
    others do not tell the offsets is judged without.
    """
    corrected_db = np.zeros(len(windows))
    near, judged, without = (np.zeros(len(windows), bool) for _ in range(3))
    learner = Learner(windows, OFFSETS[correction], distance) if correction in OFFSETS else None
    for of_group in _groups(windows):
        learn = ~of_group
        sides = windows.within[learn]
        if sides.all() or not sides.any():
            continue
        values, known = _corrected(windows, correction, learner, of_group) or _uncorrected(windows)
        split = best_split(values[learn & windows.within], values[learn & ~windows.within])
        corrected_db[of_group] = values[of_group]
        near[of_group] = values[of_group] <= split.bound_db
        judged |= of_group
        without[of_group] = ~known[of_group]
    return Scored(corrected_db, near, judged, without)


def _groups(windows: Windows) -> Iterator[Flags]:
    for code in range(len(windows.groups)):
        yield windows.group == code


def _corrected(
    windows: Windows, correction: str, learner: Learner | None, out: Flags | None = None
) -> tuple[Floats, Flags] | None:
    """Attenuation, and for which windows all offsets are known; learned without the windows `out`."""
    if learner is None:
        values = windows.heard_db if correction == AS_HEARD else windows.loss_db
        return values, np.ones(len(windows), bool)
    offsets = learner.everything() if out is None else learner.without(out)
    return None if offsets is None else (offsets.corrected_db(windows), offsets.known(windows))


def _uncorrected(windows: Windows) -> tuple[Floats, Flags]:
    return windows.loss_db, np.zeros(len(windows), bool)


def _judged(windows: Windows, learned_on: str, correction: str, found: Scored, bound_db: float | None) -> Judged:
    values, within = found.corrected_db[found.judged], windows.within[found.judged]
    return Judged(
        window_s=windows.window_s,
        learned_on=learned_on,
        correction=correction,
        within=int(within.sum()),
        beyond=int((~within).sum()),
        auc=auc(values[within], values[~within]),
        balanced_accuracy=balanced_accuracy(found.near[found.judged], within),
        bound_db=bound_db,
        without_offset=int(found.without[found.judged].sum()),
    )
