"""Chooses which application runs: the slot on trial, the active slot, or the one that the board was flashed with.

As small as a boot loader, and never updated: it must not import from a slot before it has decided, and trusts no
more than the file `/slots` (SPEC.md "Updates"). `main.py` forgets it once the application is loaded.
"""

import binascii
import gc
import os
import struct
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PATH = "/slots"
DEVELOPMENT_PATH = "/development"
FOLDERS = ("/slot_a", "/slot_b")
FORMAT = 1
TRIES = 3
ROLLED_BACK = 2
WATCHDOG_MS = 120000
FLASHED = ""  # found by the path that the board starts with


def read_state() -> "list[int] | None":
    """[active slot, 1 + slot on trial or 0, boots tried, result of the last update]; None when lost or damaged."""
    try:
        with open(PATH, "rb") as file:
            raw = file.read(16)
    except OSError:
        return None
    if len(raw) != 9 or struct.unpack("<I", raw[5:])[0] != binascii.crc32(raw[:5]):
        return None
    state = list(raw[1:5])
    return state if raw[0] == FORMAT and state[0] < 2 and state[1] < 3 else None


def write_state(state: "list[int]") -> bool:
    """Whole or not at all; False when the flash refuses."""
    raw = bytes([FORMAT] + state)
    try:
        with open(PATH + ".new", "wb") as file:
            file.write(raw + struct.pack("<I", binascii.crc32(raw)))
        os.rename(PATH + ".new", PATH)
    except OSError:
        return False
    return True


def exists(path: str) -> bool:
    """True when there is such a file."""
    try:
        os.stat(path)
    except OSError:
        return False
    return True


def is_complete(folder: str) -> bool:
    """True when an update was finished there."""
    return exists(folder + "/complete")


def on_trial(state: "list[int] | None") -> str:
    """The slot to try, with this try already counted; else what was tried in vain is rolled back."""
    if state is None or state[1] == 0:
        return FLASHED
    folder = FOLDERS[state[1] - 1]
    if state[2] < TRIES and is_complete(folder):
        state[2] += 1
        # A try that cannot be counted is none: it might be tried for ever.
        return folder if write_state(state) else FLASHED
    roll_back(state)
    return FLASHED


def roll_back(state: "list[int]") -> None:
    """The active slot it is, from now on."""
    state[1:] = [0, 0, ROLLED_BACK]
    write_state(state)


def candidates(state: "list[int] | None") -> "list[str]":
    """In this order, after the one on trial."""
    if state is None:
        return [FLASHED] + [folder for folder in FOLDERS if is_complete(folder)]
    by_rank = (FOLDERS[state[0]], FOLDERS[1 - state[0]])
    if state[0] == 0 and not is_complete(FOLDERS[0]):
        return [FLASHED] + [folder for folder in by_rank if is_complete(folder)]
    return [folder for folder in by_rank if is_complete(folder)] + [FLASHED]


def start_watchdog() -> None:
    """A version that hangs must come back as a boot that failed. The application's own watchdog takes over.

    Not where a developer is at the prompt: nothing can stop it there.
    """
    if exists(DEVELOPMENT_PATH):
        return
    import machine

    machine.WDT(timeout=WATCHDOG_MS)


def load_from(folder: str) -> "tuple[Any, Any]":
    """The application's entry and its board. Raises whatever is wrong with it."""
    if folder:
        sys.path.insert(0, folder)
    from bzfw import app, hal_esp32

    return app, hal_esp32


def forget(folder: str) -> None:
    """Leave nothing of an application that could not be loaded."""
    for name in list(sys.modules):
        if name.split(".")[0] in ("bzfw", "bzwire"):
            del sys.modules[name]
    if folder and folder in sys.path[:1]:  # "" is a path of the board's own
        sys.path.pop(0)
    gc.collect()


def load() -> "tuple[Any, Any]":
    """The first application that can be loaded, in the order of trust. Raises when there is none."""
    state = read_state()
    trial = on_trial(state)
    if trial:
        start_watchdog()
    last: "Exception | None" = None
    for folder in ([trial] if trial else []) + candidates(state):
        try:
            return load_from(folder)
        except Exception as error:  # noqa: BLE001 - told on the console; the next one may be whole
            sys.print_exception(error)
            last = error
        forget(folder)
        if folder == trial and state is not None and trial:
            roll_back(state)
    raise last or ImportError("no application")
