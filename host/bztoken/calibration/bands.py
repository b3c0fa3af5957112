"""Bounds of the bands, chosen from recordings, as a preset file that `bztoken.scoring.preset_files` reads.

near ends where windows within 2 m and beyond are split best (balanced accuracy); middle ends where nine of ten windows
within 2 m lie, and at least 1 dB after near. Both hold for RSSI to which each receiver's offset was added, as matching
adds the `rssi_offset_db` of a board. A transmitter's offset is not used: matching knows transmitters by their TX power.
"""

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bztoken.calibration.device_offsets import Offsets
from bztoken.calibration.quality import best_split
from bztoken.calibration.windows import WITHIN_M, Windows
from bztoken.errors import ScoringError
from bztoken.scoring import bluezone

MIDDLE_HOLDS = 0.9
LEAST_MIDDLE_DB = 1.0
CLOSE_MINUTES_F1 = 15  # of the Bluezone app's rule, which recordings say nothing of
_MOST_DB = 255.0
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,38}")  # what the schema of presets allows


class ChosenBands(NamedTuple):
    """Upper bounds in dB of attenuation."""

    near_max_db: float
    middle_max_db: float
    balanced_accuracy: float


class OffsetLine(NamedTuple):
    """A device and what to add to the RSSI that it hears (or that is heard of it). is_board: whether a board file is
    of this name.
    """

    device: str
    offset_db: float
    windows: int
    is_board: bool

    @property
    def rssi_offset_db(self) -> int:
        """Whole dB, as a board file has it."""
        return round(self.offset_db)


def choose(windows: Windows, offsets: Offsets | None) -> ChosenBands:
    """From all windows. Raises ScoringError when the bounds are none that a preset may have."""
    values = windows.loss_db - (0.0 if offsets is None else offsets.receivers_db[windows.receiver])
    within_db, beyond_db = values[windows.within], values[~windows.within]
    split = best_split(within_db, beyond_db)
    near_db = round(split.bound_db, 1)
    middle_db = round(max(float(np.quantile(within_db, MIDDLE_HOLDS)), near_db + LEAST_MIDDLE_DB), 1)
    return ChosenBands(near_db, middle_db, split.balanced_accuracy)


def require_name(path: Path) -> None:
    """Raises ScoringError for a file whose name cannot be that of a preset."""
    if path.suffix != ".toml" or not _NAME.fullmatch(path.stem):
        raise ScoringError(
            f"{path.name} is no name of a preset file: give lower-case letters, digits, dots and dashes, then .toml"
        )


def preset_text(path: Path, source: str, chosen: ChosenBands, tx_dbm: int, lines: Sequence[OffsetLine]) -> str:
    """The preset file. source: name of the file of recordings. Raises ScoringError for bounds out of range."""
    require_name(path)
    if not 0 <= chosen.near_max_db < chosen.middle_max_db <= _MOST_DB:
        raise ScoringError(
            f"The bounds come out at {chosen.near_max_db:g} and {chosen.middle_max_db:g} dB, which no preset may have: "
            "give the TX power of the transmitters with --tx-dbm or in the column tx_dbm."
        )
    choices = [
        f"near ends where windows within {WITHIN_M:g} m and beyond are split best: balanced accuracy "
        f"{chosen.balanced_accuracy:.2f} on the recordings themselves",
        f"middle ends where {MIDDLE_HOLDS:.0%} of the windows within {WITHIN_M:g} m lie, and at least "
        f"{LEAST_MIDDLE_DB:g} dB after near",
        f"{tx_dbm} dBm where neither packet nor key tells the TX power",
        f"{CLOSE_MINUTES_F1} minutes are the Bluezone app's; recordings say nothing of them",
    ]
    return "\n".join(
        [
            "# Written by `bztoken calibrate`. The bounds hold for RSSI with the offsets below.",
            *_board_comments(lines),
            f"name = {_quoted(path.stem)}",
            "version = 1",
            f"kind = {_quoted(bluezone.KIND)}",
            f"title = {_quoted(f'Calibrated: {path.stem}')}",
            f"sources = [{_quoted(f'recordings at known distances: {source}')}]",
            "our_choices = [",
            *(f"    {_quoted(choice)}," for choice in choices),
            "]",
            f"default_tx_power_dbm = {tx_dbm}",
            f"near_max_db = {chosen.near_max_db}",
            f"middle_max_db = {chosen.middle_max_db}",
            f"close_minutes_f1 = {CLOSE_MINUTES_F1}",
            "",
        ]
    )


def _board_comments(lines: Iterable[OffsetLine]) -> list[str]:
    found = []
    for line in lines:
        where = f"boards/{line.device}/board.json, radio" if line.is_board else line.device
        found.append(f'# {where}: "rssi_offset_db": {line.rssi_offset_db}')
    return found or ["# No offset could be told."]


def _quoted(text: str) -> str:
    """A basic string of TOML, which escapes as JSON does."""
    return json.dumps("".join(letter if letter.isprintable() else "?" for letter in text), ensure_ascii=False)
