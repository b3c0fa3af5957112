"""The two slots of the application: which one runs, which is on trial, what became of the last update.

The file is read and counted up by `loader.py`, which no update replaces: its format can never change.
"""

import os
import struct
import sys

from bzwire.errors import WireError

from . import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PATH = "/slots"
FOLDERS = ("/slot_a", "/slot_b")
COMPLETE = "/complete"  # there when an update was finished in the slot: the heads of its archive
PARTS = "/parts"  # the same, while it is being written
FORMAT = 1
RESULT_NONE, RESULT_CONFIRMED, RESULT_ROLLED_BACK = 0, 1, 2


def running() -> int:
    """0 or 1. The application that the board was flashed with counts as slot a."""
    return 1 if str(sys.modules["bzfw"].__path__).startswith(FOLDERS[1]) else 0


def _load() -> "tuple[int, int, int, int]":
    """Active slot, 1 + slot on trial or 0, boots tried, result. What is lost or damaged: nothing was ever updated."""
    try:
        raw = files.read_whole(PATH)
    except WireError:
        raw = None
    if raw is None or len(raw) != 5 or raw[0] != FORMAT:
        return 0, 0, 0, RESULT_NONE
    return raw[1], raw[2], raw[3], raw[4]


def _save(active: int, trial: int, result: int) -> None:
    files.write_whole(PATH, struct.pack("<BBBBB", FORMAT, active, trial, 0, result))


def is_on_trial() -> bool:
    """True while the running version has not proven itself."""
    return _load()[1] == running() + 1


def fields() -> "dict[str, Any]":
    """What STATUS tells: running slot, on trial, result of the last update."""
    return {"us": "ab"[running()], "ut": 1 if is_on_trial() else 0, "ur": _load()[3]}


def try_other() -> None:
    """The other slot, which is whole, runs from the next boot on; this one stays the active one. Raises OSError."""
    os.rename(FOLDERS[1 - running()] + PARTS, FOLDERS[1 - running()] + COMPLETE)
    _save(running(), 2 - running(), RESULT_NONE)


def confirm() -> bool:
    """The running slot lives as a token should: it becomes the active one, and the other makes room for the log.

    False when the flash is full: to be tried again.
    """
    try:
        _save(running(), 0, RESULT_CONFIRMED)
        empty(FOLDERS[1 - running()])
    except OSError:
        return False
    return True


def empty(folder: str) -> None:
    """Delete a slot; what makes it bootable first. Raises OSError."""
    for name in (COMPLETE, PARTS):
        if files.exists(folder + name):
            os.remove(folder + name)
    for inner in files.names(folder):
        for name in files.names(folder + "/" + inner):
            os.remove(folder + "/" + inner + "/" + name)
        os.rmdir(folder + "/" + inner)
    if files.exists(folder):
        os.rmdir(folder)
