"""The partition table in the flash of an ESP32, as ESP-IDF writes it: entries of 32 bytes, then an MD5 over them.

Layout: ESP-IDF, components/partition_table/gen_esp32part.py. MicroPython keeps its files in the partition `vfs`, or,
where the table names none, in all that lies behind the last one (ports/esp32/main.c).
"""

import hashlib
import struct
from dataclasses import dataclass

TABLE_AT = 0x8000
TABLE_BYTES = 0xC00
ENTRY = "<2sBBII16sI"
ENTRY_BYTES = struct.calcsize(ENTRY)
ENTRY_MAGIC = b"\xaa\x50"
DIGEST_MAGIC = b"\xeb\xeb"
DIGEST_AT = 16  # in the entry that holds it
VFS = "vfs"


@dataclass(frozen=True)
class Entry:
    """One partition; offset and size in bytes of the flash."""

    name: str
    offset: int
    size: int

    @property
    def end(self) -> int:
        """The first byte behind it."""
        return self.offset + self.size


def read(raw: bytes) -> tuple[Entry, ...]:
    """The entries of a table. Raises ValueError, with the reason in words, for what is no table."""
    entries = []
    for at in range(0, min(len(raw), TABLE_BYTES) - ENTRY_BYTES + 1, ENTRY_BYTES):
        magic, _kind, _subtype, offset, size, name, _flags = struct.unpack_from(ENTRY, raw, at)
        if magic == DIGEST_MAGIC:
            if raw[at + DIGEST_AT : at + ENTRY_BYTES] != hashlib.md5(raw[:at], usedforsecurity=False).digest():
                raise ValueError("its partition table is damaged")
            break
        if magic != ENTRY_MAGIC:
            break
        entries.append(Entry(name.rstrip(b"\0").decode("ascii", "replace"), offset, size))
    if not entries:
        raise ValueError("it holds no partition table")
    return tuple(entries)


def file_system(entries: tuple[Entry, ...], flash_bytes: int) -> Entry:
    """Where MicroPython keeps its files on a flash of this size. Raises ValueError when nothing is left for them."""
    named = next((entry for entry in entries if entry.name == VFS), None)
    if named is not None:
        return named
    begin = max(entry.end for entry in entries)
    if begin >= flash_bytes:
        raise ValueError("its partitions leave no room for files")
    return Entry(VFS, begin, flash_bytes - begin)
