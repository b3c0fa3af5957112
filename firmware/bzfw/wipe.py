"""Makes a token forget whose it was: everything but application and boot count goes, and free flash is written over.

LittleFS leaves what is deleted in its blocks. A marker, renamed as the work goes on, lets a boot after a power cut
finish it.
"""

import asyncio
import os

from micropython import const

from bzwire.errors import RC_BAD_REQUEST
from bzwire.keys import UID_BYTES
from bzwire.messages import field_bytes

from . import files
from .session import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .device import Device

# Markers, at which the app looks: keys and log are to be deleted; they are, and free flash is to be written over.
WIPE_PATH = "/wipe"
ERASE_PATH = "/erase"
_FILL_PATH = "/fill"
_CHURN_PATH = "/churn"
# What a wiped token keeps. The boot count, because sequences start anew: boot and sequence name a page for ever.
KEPT = (
    "boot.py", "main.py", "loader.py", "boot.mpy", "main.mpy", "loader.mpy", "board.json", "lib", "rom", "bzfw",
    "bzwire", "slot_a", "slot_b", "slots", "boot_count", "development", WIPE_PATH[1:], ERASE_PATH[1:],
)  # fmt: skip
_OWN = (_FILL_PATH, _CHURN_PATH)
_SECRETS = ("/identity", "/log_key", "/day_keys")
_BLOCK_BYTES = const(4096)
_PIECE_BYTES = const(256)
_SPARE_BLOCKS = const(8)  # while anybody else may write
# Small files lie in the folder's own pair of blocks, which LittleFS writes anew, in turn, when one is full.
_CHURNS = const(160)


def request(token: "Device", fields: "dict[str, Any]") -> "dict[str, Any]":
    """WIPE: write the marker; the rest happens at the next boot, so that there is one way and a cut changes nothing."""
    if token.identity is None or field_bytes(fields, "u", UID_BYTES) != token.identity.uid:
        raise Refusal(RC_BAD_REQUEST)
    try:
        files.write_whole(WIPE_PATH, b"")
    except OSError:  # a full flash: the log goes in any case
        token.log.delete_older(1 << 30, 0)
        files.write_whole(WIPE_PATH, b"")
    token.restart_wanted = True
    return {}


def forget() -> None:
    """Before anything is taken up from flash: delete, secrets first. When that is done, what a power cut left of the
    writing over, for a full flash cannot even count its boots. Raises OSError.
    """
    if files.exists(WIPE_PATH):
        _delete_if_there(_SECRETS)
        for name in files.names("/"):
            if name not in KEPT:
                _delete("/" + name)
        os.rename(WIPE_PATH, ERASE_PATH)
    _delete_if_there(_OWN)


def _delete_if_there(paths: "tuple[str, ...]") -> None:
    for path in paths:
        if files.exists(path):
            os.remove(path)


def _delete(path: str) -> None:
    if os.stat(path)[0] & 0x4000:
        for name in files.names(path):
            _delete(path + "/" + name)
        os.rmdir(path)
    else:
        os.remove(path)


async def overwrite(token: "Device") -> None:
    """Beside everything else, until no block holds what was deleted."""
    from . import superblock

    await _fill(token)
    before = superblock.revisions(token.hal.flash_blocks())
    for _ in range(_CHURNS):
        try:
            files.write_whole(_CHURN_PATH, bytes(64))
        except OSError:
            break
        await _pause(token)
    superblock.erase_stale(token.hal.flash_blocks(), before)
    _delete_if_there(_OWN)
    os.remove(ERASE_PATH)
    token.erasing = False


async def _pause(token: "Device") -> None:
    token.hal.feed_watchdog()
    token.rest.stay_awake()
    await asyncio.sleep_ms(1)


async def _fill(token: "Device") -> None:
    piece = bytes(_PIECE_BYTES)
    left = os.statvfs("/")[3]  # blocks; others may take some meanwhile
    try:
        with open(_FILL_PATH, "wb") as file:
            while True:
                for _ in range(_BLOCK_BYTES // _PIECE_BYTES):
                    file.write(piece)
                left -= 1
                if left > _SPARE_BLOCKS:
                    await _pause(token)
    except OSError:  # the flash is full: everything that was free is written over
        os.remove(_FILL_PATH)
