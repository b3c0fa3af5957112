"""MicroPython images that nobody built: whole by every check of esptool's, but without a program in them.

Real ones cannot lie in the repository. Layout: ESP-IDF, esp_app_format.h (images), gen_esp32part.py (partition table).
"""

import argparse
import hashlib
import random
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

IMAGE_AT = {"esp32": 0x1000, "esp32c3": 0, "esp32c6": 0, "esp32s3": 0}
CHIP_IDS = {"esp32": 0, "esp32c3": 5, "esp32c6": 13, "esp32s3": 9}
# Load addresses in the chips' memory, as esptool knows it: the boot loader's, the application's (constants in flash).
RAM = {"esp32": 0x3FFF0000, "esp32c3": 0x3FCD0000, "esp32c6": 0x40800000, "esp32s3": 0x3FCE0000}
ROM = {"esp32": 0x3F400020, "esp32c3": 0x3C000020, "esp32c6": 0x42000020, "esp32s3": 0x3C000020}
TABLE_AT = 0x8000
APPLICATION_AT = 0x10000
RELEASE = "v1.29.0"

Row = tuple[str, int, int, int, int]  # name, kind, subtype, offset, size
# MicroPython's partitions-4MiBplus.csv.
PARTITIONS: tuple[Row, ...] = (
    ("nvs", 1, 2, 0x9000, 0x6000),
    ("phy_init", 1, 1, 0xF000, 0x1000),
    ("factory", 0, 0, 0x10000, 0x1F0000),
)


def image(
    chip: str = "esp32c3",
    partitions: Sequence[Row] = PARTITIONS,
    release: str = RELEASE,
    application_bytes: int = 64 * 1024,
    flash_mib: int = 4,
    chip_revision: int = 0,
) -> bytes:
    """As it would be fetched: from the chip's boot address on. flash_mib: the smallest on which it would start;
    chip_revision: the oldest chip on which it would, a hundred times its number (v1.2 is 102)."""
    said = f"MicroPython {release} on 2026-08-24; a program that does not run\0".encode()
    filling = random.Random(1).randbytes(application_bytes - len(said))  # as hard to compress as a program
    boot = _esp_image(chip, RAM[chip], bytes(4096), flash_mib, chip_revision)
    begin = IMAGE_AT[chip]
    whole = boot.ljust(TABLE_AT - begin, b"\xff") + table(partitions)
    return whole.ljust(APPLICATION_AT - begin, b"\xff") + _esp_image(chip, ROM[chip], said + filling, flash_mib)


def write(path: Path, chip: str = "esp32c3", **options: Any) -> Path:
    """The same into a file; options: those of `image`."""
    path.write_bytes(image(chip, **options))
    return path


def table(partitions: Sequence[Row]) -> bytes:
    """A partition table with its digest."""
    rows = b"".join(
        struct.pack("<2sBBII16sI", b"\xaa\x50", kind, subtype, offset, size, name.encode(), 0)
        for name, kind, subtype, offset, size in partitions
    )
    return (rows + b"\xeb\xeb" + b"\xff" * 14 + hashlib.md5(rows).digest()).ljust(0xC00, b"\xff")


def _esp_image(chip: str, address: int, data: bytes, flash_mib: int, chip_revision: int = 0) -> bytes:
    data = data.ljust(-(-len(data) // 4) * 4, b"\0")
    header = struct.pack("<BBBBI", 0xE9, 1, 2, (flash_mib.bit_length() - 1) << 4, 0x40380000)
    extended = struct.pack("<BBBBHBHHIB", 0xEE, 0, 0, 0, CHIP_IDS[chip], 0, chip_revision, 0xFFFF, 0, 1)
    body = header + extended + struct.pack("<II", address, len(data)) + data
    checksum = 0xEF
    for byte in data:
        checksum ^= byte
    body = body.ljust(len(body) // 16 * 16 + 15, b"\0") + bytes([checksum])
    return body + hashlib.sha256(body).digest()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write a MicroPython image that is whole but holds no program.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--chip", choices=sorted(IMAGE_AT), default="esp32c3")
    chosen = parser.parse_args()
    write(chosen.out, chosen.chip)
