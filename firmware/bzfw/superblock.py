"""The two blocks with which LittleFS begins. Loaded by a wipe only.

Young file systems keep the root folder there. After a hundred rewritings it moves away, and one of the two then keeps
what the folder held in that moment, keys included, for ever: nothing that goes through the file system reaches it.
"""

import binascii
import struct

from micropython import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_ERASE = const(6)  # of a block device's ioctl
_BLOCK_BYTES = const(4096)
_KIND = const(0x780)
_CRC_TYPE = const(0x500)  # of a tag that ends a commit
_DELETED_BYTES = const(0x3FF)


def _read(flash: "Any", block: int, at: int, count: int) -> bytes:
    found = bytearray(count)
    flash.readblocks(block, found, at)
    return bytes(found)


def revisions(flash: "Any") -> "tuple[int, ...]":
    """Which change whenever one of the two is written anew."""
    return tuple([struct.unpack("<I", _read(flash, block, 0, 4))[0] for block in (0, 1)])


def _begins_whole(flash: "Any", block: int) -> bool:
    """True when its first commit, which holds everything that was live, carries the right checksum."""
    crc = binascii.crc32(_read(flash, block, 0, 4))
    at, tag = 4, 0xFFFFFFFF
    while at + 8 <= _BLOCK_BYTES:
        raw = _read(flash, block, at, 4)
        crc = binascii.crc32(raw, crc)
        tag ^= struct.unpack(">I", raw)[0]
        size = tag & 0x3FF
        if tag >> 31:
            return False
        if (tag >> 20) & _KIND == _CRC_TYPE:
            return struct.unpack("<I", _read(flash, block, at + 4, 4))[0] == crc ^ 0xFFFFFFFF
        if size != _DELETED_BYTES:
            crc = binascii.crc32(_read(flash, block, at + 4, size), crc)
            at += size
        at += 4
    return False


def erase_stale(flash: "Any", before: "tuple[int, ...]") -> None:
    """Erase the older of the two, unless it was written anew since `before`. LittleFS lives with one of them."""
    after = revisions(flash)
    older = 1 if (after[1] - after[0]) & 0x80000000 else 0
    if after[older] == before[older] and _begins_whole(flash, 1 - older):
        flash.ioctl(_ERASE, older)
