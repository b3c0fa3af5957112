"""What a courier's bundle is made of; `bundle_file` reads and writes it. Every byte: host/README.md "Bundles".

A bundle may be larger than memory: it is a sequence of sections, each small enough to be held and stored as one.
"""

import struct
from dataclasses import dataclass, field
from typing import Any, NamedTuple

MAGIC = b"BZBUNDLE"
VERSION = 1
HEADER, TOKEN, SYNC, CLOCK, PAGE, END, SIGNATURE = range(7)
RANDOM_BYTES = 16
SIGNED_AS = b"bluezone courier bundle 1"

SECTION_PAGES = 2048  # a section is read whole and stored in one transaction
SECTION_ROWS = 4096  # syncs and clock readings of one token in one section, written; as many of each are read
MAX_ITEM_BYTES = 70_000  # a page has at most 65,535
MAX_SECTIONS = 100_000
MAX_TEXT = 20
LENGTH = struct.Struct(">I")
_INTEGER_LIMIT = 1 << 63
MAX_MADE_AT_S = 253_402_300_799  # the end of the year 9999, past which there are no dates

# Columns that a sync and a clock reading carry, by their names in the registry, and whether they may be empty.
SYNC_COLUMNS = {
    "started_s": False,
    "ended_s": True,
    "clock_offset_ms": True,
    "round_trip_ms": True,
    "next_sequence": False,
    "pages_new": False,
    "pages_known": False,
    "damaged_sequence": True,
    "state": False,
    "firmware": True,
    "boot_id": True,
    "uptime_ms": True,
    "battery_mv": True,
    "battery_state": True,
    "flash_bytes": True,
    "flash_free_bytes": True,
    "lost_results": True,
    "drift_ppm": True,
}
CLOCK_COLUMNS = {
    "at_ms": False,
    "uncertainty_ms": False,
    "clock_ms": True,
    "boot_id": False,
    "uptime_ms": False,
    "next_sequence": False,
    "was_set": False,
    "drift_bound_ppm": False,
}
_TEXTS = ("state", "firmware")
_TRUTHS = ("was_set",)

Row = dict[str, Any]


class Header(NamedTuple):
    """Who wrote the bundle and when, by the clock of that computer."""

    courier_number: bytes
    made_at_s: int


@dataclass
class Section:
    """Up to `SECTION_PAGES` pages of one token, with its syncs and clock readings. digest: of its bytes in the file."""

    uid: bytes
    syncs: list[Row] = field(default_factory=list)
    readings: list[Row] = field(default_factory=list)
    pages: list[bytes] = field(default_factory=list)
    digest: bytes = b""


class Counts(NamedTuple):
    """What a bundle holds, as its end says too."""

    sections: int = 0
    syncs: int = 0
    readings: int = 0
    pages: int = 0

    def plus(self, section: Section) -> "Counts":
        """With one more section."""
        return Counts(
            self.sections + 1,
            self.syncs + len(section.syncs),
            self.readings + len(section.readings),
            self.pages + len(section.pages),
        )


def is_integer(value: object) -> bool:
    """True for an integer that a database holds."""
    return isinstance(value, int) and not isinstance(value, bool) and -_INTEGER_LIMIT <= value < _INTEGER_LIMIT


def is_bytes(value: object, length: int) -> bool:
    """True for bytes of this length."""
    return isinstance(value, bytes) and len(value) == length


def row_fits(row: object, columns: dict[str, bool]) -> bool:
    """True when there are just these columns, each with a value of its kind."""
    return (
        isinstance(row, dict)
        and row.keys() == columns.keys()
        and all(_value_fits(name, row[name], may_be_empty) for name, may_be_empty in columns.items())
    )


def _value_fits(name: str, value: object, may_be_empty: bool) -> bool:
    if value is None:
        return may_be_empty
    if name in _TEXTS:
        return isinstance(value, str) and len(value) <= MAX_TEXT
    if name in _TRUTHS:
        return isinstance(value, bool)
    return is_integer(value)
