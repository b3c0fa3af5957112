"""Small files that must be whole or absent: written beside, then renamed, with a CRC-32 at the end.

LittleFS renames atomically, so a power cut leaves the old content or the new one.
"""

import binascii
import os
import struct

from micropython import const

from bzwire.errors import BadChecksum, Truncated

_CRC_BYTES = const(4)
# The switch of a developer's board: where this file lies, the prompt stays open and no watchdog runs.
DEVELOPMENT_PATH = "/development"


def write_whole(path: str, data: bytes) -> None:
    """Replace the file's content. Raises OSError when the flash refuses; the old content then still stands."""
    beside = path + ".new"
    try:
        with open(beside, "wb") as file:
            file.write(data)
            file.write(struct.pack("<I", binascii.crc32(data) & 0xFFFFFFFF))
        os.rename(beside, path)
    except OSError:
        if exists(beside):
            os.remove(beside)
        raise


def read_whole(path: str) -> "bytes | None":
    """The content, None when there is no such file. Raises Truncated or BadChecksum for a damaged one."""
    try:
        with open(path, "rb") as file:
            raw = file.read()
    except OSError:
        return None
    if len(raw) < _CRC_BYTES:
        raise Truncated("file cut short")
    data = raw[:-_CRC_BYTES]
    if struct.unpack("<I", raw[-_CRC_BYTES:])[0] != binascii.crc32(data) & 0xFFFFFFFF:
        raise BadChecksum("file CRC does not match")
    return data


def make_folder(path: str) -> None:
    """Create a folder unless it is there."""
    if not exists(path):
        os.mkdir(path)


def names(folder: str) -> "list[str]":
    """Names in a folder; none when there is no such folder or it cannot be read."""
    try:
        return os.listdir(folder)
    except OSError:
        return []


def exists(path: str) -> bool:
    """True when there is such a file or folder."""
    try:
        os.stat(path)
    except OSError:
        return False
    return True
