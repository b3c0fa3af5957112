"""A MicroPython image for an ESP32, as micropython.org offers it: boot loader, partition table and interpreter in one
file, to be written from the chip's first boot address on. Whether it is whole, and for which chip, `images.py` tells.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from bztoken.errors import FormatError
from bztoken.formats import partition_table
from bztoken.formats.partition_table import Entry

MIB = 1024 * 1024
FLASH_SIZE_AT = 3  # in the header, ESP-IDF's esp_app_format.h: the upper four bits, 0 for 1 MiB, 1 for 2 MiB, ..
# What the interpreter prints above its prompt.
_RELEASE = re.compile(rb"(v\d+\.\d+[0-9A-Za-z.+-]*) on \d{4}-\d\d-\d\d")


@dataclass(frozen=True)
class MicroPythonImage:
    """release: None when it does not say; flash_bytes: of the smallest flash on which it starts."""

    path: Path
    content: bytes
    release: str | None
    flash_bytes: int
    partitions: tuple[Entry, ...]

    @property
    def sha256(self) -> str:
        """In hex."""
        return hashlib.sha256(self.content).hexdigest()


def read(path: Path, image_offset: int) -> MicroPythonImage:
    """image_offset: the address from which this kind of chip boots. Raises FormatError."""
    try:
        content = path.read_bytes()
    except OSError as error:
        why = (error.strerror or "the system refused").lower()
        raise FormatError(path, None, f"this image cannot be read ({why})") from None
    table_at = partition_table.TABLE_AT - image_offset
    try:
        entries = partition_table.read(content[table_at : table_at + partition_table.TABLE_BYTES])
    except ValueError as error:
        raise FormatError(path, None, f"this is no MicroPython image as it is fetched ({error})") from None
    return MicroPythonImage(path, content, _release(content), MIB << (content[FLASH_SIZE_AT] >> 4), entries)


def _release(content: bytes) -> str | None:
    found = _RELEASE.search(content)
    return None if found is None else found.group(1).decode("ascii")
