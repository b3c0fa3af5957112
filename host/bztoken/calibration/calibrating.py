"""A whole calibration: reads a file, judges every way of telling, fits offsets, chooses bands. Writes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bztoken import boards
from bztoken.calibration import bands, judging
from bztoken.calibration.bands import ChosenBands, OffsetLine
from bztoken.calibration.device_offsets import Offsets, Terms, fit
from bztoken.calibration.judging import AS_HEARD, BOTH, OFFSETS, OTHER_GROUPS, RECEIVER, SAME_DATA, TRANSMITTER, Judged
from bztoken.calibration.quality import roc
from bztoken.calibration.recordings import read
from bztoken.calibration.roc_chart import Curve
from bztoken.calibration.windows import SHORT_S, WINDOWS_S, Codes, Flags, Floats, Windows, windows_of
from bztoken.errors import BoardError

LEAST_PACKETS = 3  # of a window: a token that listens 4 s a minute hears one in each minute at least
DEFAULT_TX_DBM = -15  # as the presets have it
_WORDS = {
    AS_HEARD: "như nghe được · as heard",
    RECEIVER: "có hiệu chỉnh máy nhận · receivers' offsets",
    TRANSMITTER: "có hiệu chỉnh máy phát · transmitters' offsets",
    BOTH: "có hiệu chỉnh cả hai · both offsets",
}


class Fitted(NamedTuple):
    """Offsets of all recordings, by windows of the shorter length."""

    offsets: Offsets
    receivers: list[OffsetLine]
    transmitters: list[OffsetLine]
    residual_db: float


@dataclass(frozen=True)
class Calibration:
    """fitted: None where no offset can be told; remarks: sentences on what could not be done, or flatters."""

    lines: int
    windows: list[Windows]
    judged: list[Judged]
    fitted: Fitted | None
    bands: ChosenBands
    remarks: list[str]

    @property
    def learned_on(self) -> str:
        """Of the figures that count: other groups where there are any."""
        return OTHER_GROUPS if any(found.learned_on == OTHER_GROUPS for found in self.judged) else SAME_DATA


def calibrate(path: Path, least_packets: int, tx_dbm: int) -> Calibration:
    """tx_dbm: of packets that tell none. Raises FormatError for recordings that say nothing of 2 m, or OSError."""
    found = read(path)
    lengths = [windows_of(path, found, window_s, least_packets, tx_dbm) for window_s in WINDOWS_S]
    judged: list[Judged] = []
    for windows in lengths:
        for correction in judging.corrections(windows, found.told > 0):
            same = judging.on_same_data(windows, correction)
            if same is None:  # what all groups together do not tell, fewer do not either
                continue
            left_out = judging.on_other_groups(windows, correction) if found.has_groups else None
            judged += [same, *([] if left_out is None else [left_out])]
    fitted = _fitted(lengths[0])
    remarks = [
        *_remarks_on_groups(lengths[0], found.has_groups, judged),
        *_remarks_on_offsets(lengths[0], fitted),
        *_remarks_on_gain(judged),
    ]
    chosen = bands.choose(lengths[0], None if fitted is None else fitted.offsets)
    return Calibration(found.lines, lengths, judged, fitted, chosen, remarks)


def _remarks_on_groups(windows: Windows, has_groups: bool, judged: Sequence[Judged]) -> list[str]:
    if not has_groups:
        return [
            "Without a column `group` everything is judged on the data it was learned from: figures with offsets "
            "flatter, and so do the balanced accuracies."
        ]
    if len(windows.groups) == 1:
        return ["All is of one group, so no other one can teach it: the figures are on the same data and flatter."]
    if not any(way.learned_on == OTHER_GROUPS for way in judged):
        return ["No group can be judged by the others, which lie on one side of 2 m: the figures flatter."]
    return []


# -- offsets ---------------------------------------------------------------------------------------------------------
def _fitted(windows: Windows) -> Fitted | None:
    """Of the most kinds of devices that there are two of, and that the recordings tell apart."""
    for correction in reversed(judging.corrections(windows, told=False)):
        if correction in OFFSETS:
            terms = OFFSETS[correction]
            offsets = fit(windows, terms)
            if offsets is not None:
                return _told(windows, terms, offsets)
    return None


def _told(windows: Windows, terms: Terms, offsets: Offsets) -> Fitted:
    known = _board_names()
    receivers = _lines(windows.receivers, windows.receiver, offsets.receivers_db, known) if terms.receivers else []
    sent = _lines(windows.transmitters, windows.transmitter, offsets.transmitters_db, known)
    return Fitted(offsets, receivers, sent if terms.transmitters else [], float(offsets.residual_db(windows).std()))


def _lines(names: tuple[str, ...], codes: Codes, offsets_db: Floats, known: frozenset[str]) -> list[OffsetLine]:
    counts = np.bincount(codes, minlength=len(names))
    return [
        OffsetLine(name, round(float(offset_db), 3) + 0.0, int(count), name in known)
        for name, offset_db, count in zip(names, offsets_db, counts, strict=True)
    ]


def _board_names() -> frozenset[str]:
    """Empty on a computer that has no folder of boards: offsets can be told all the same."""
    try:
        return frozenset(boards.names())
    except BoardError:
        return frozenset()


def _remarks_on_offsets(windows: Windows, fitted: Fitted | None) -> list[str]:
    found = []
    if len(windows.receivers) == 1:
        found.append("There is one receiver only, so there is no offset of a receiver: record with two or more.")
    elif fitted is None:
        found.append("No offset can be told from distance: let every device be heard at two distances or more.")
    elif judging.pairs_only(windows):
        found.append(
            "Each receiver heard a transmitter of its own, so an offset is that of the pair, carried as it was: "
            "let receivers hear the same transmitter."
        )
    elif fitted.offsets.sets > 1:
        found.append(
            f"The devices are {fitted.offsets.sets} sets that never heard one another: offsets are compared across "
            "sets by distance alone."
        )
    return found


def _remarks_on_gain(judged: Sequence[Judged]) -> list[str]:
    """Where receivers' offsets tell no better than none, on groups that they were not learned from."""
    aucs = {way.correction: way.auc for way in judged if (way.window_s, way.learned_on) == (SHORT_S, OTHER_GROUPS)}
    gains = [
        aucs[having] - aucs[lacking]
        for having, lacking in ((RECEIVER, AS_HEARD), (BOTH, TRANSMITTER))
        if having in aucs and lacking in aucs
    ]
    if not gains or max(gains) > 0:
        return []
    return ["Receivers' offsets tell no better on groups that they were not learned from: put none into a board file."]


# -- the picture -----------------------------------------------------------------------------------------------------
def curves(found: Calibration) -> list[Curve]:
    """As heard and with the offsets that tell best, for each length of window, as the figures that count say."""
    return [
        Curve(f"{windows.window_s} s, {_WORDS[name]}: AUC {judged.auc:.2f}", way, dash, roc(*_sides(windows, judged)))
        for dash, windows in enumerate(found.windows)
        for way, (name, judged) in enumerate(_best(found, windows).items())
    ]


def _best(found: Calibration, windows: Windows) -> dict[str, Judged]:
    ways = [way for way in found.judged if (way.window_s, way.learned_on) == (windows.window_s, found.learned_on)]
    heard = [way for way in ways if way.correction == AS_HEARD]
    best = sorted((way for way in ways if way.correction in OFFSETS), key=lambda way: -way.auc)[:1]
    return {way.correction: way for way in [*heard, *best]}


def _sides(windows: Windows, judged: Judged) -> tuple[Floats, Floats]:
    scored = judging.scored(windows, judged)
    within: Flags = windows.within[scored.judged]
    values = scored.corrected_db[scored.judged]
    return values[within], values[~within]
