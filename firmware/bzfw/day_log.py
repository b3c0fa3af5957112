"""The log in flash: sealed pages, back to back, in a file per UTC day; deletion is deletion of a file.

LittleFS makes an append whole or absent. Sequences rise by one from page to page and never start again: the highest
acknowledged one is stored, so they go on even when every page was taken over by the host and deleted.
"""

import os
import struct

from bzwire.errors import WireError
from bzwire.page import HEADER_BYTES, read_header

from . import files

FOLDER = "/log"
STATE_PATH = "/log_state"
RETENTION_DAYS = 14


class DayFile:
    """One file of the log. first, last: page sequences; last is first - 1 for a file without a whole page."""

    def __init__(self, day: int, first: int, last: int, size: int) -> None:
        self.day = day
        self.first = first
        self.last = last
        self.size = size

    def path(self) -> str:
        """Name: day and first sequence, so that both are known without opening the file."""
        return f"{FOLDER}/{self.day:06d}-{self.first:010d}.bzl"


def _parse_name(name: str) -> "tuple[int, int] | None":
    if not name.endswith(".bzl") or len(name) != 21:
        return None
    try:
        return int(name[:6]), int(name[7:17])
    except ValueError:
        return None


class DayLog:
    """Appends, reads by cursor, deletes what is acknowledged or too old. Raises OSError when the flash refuses."""

    def __init__(self) -> None:
        files.make_folder(FOLDER)
        self.acknowledged = self._load_acknowledged()
        self._files = self._scan()
        self.next_sequence = max(self.acknowledged, self._files[-1].last if self._files else 0) + 1
        self._cursor = (0, 0)  # (sequence, offset in its file) of the page read last: reading on need not search

    def _load_acknowledged(self) -> int:
        try:
            raw = files.read_whole(STATE_PATH)
        except WireError:
            raw = None
        return struct.unpack("<I", raw)[0] if raw else 0

    def _scan(self) -> "list[DayFile]":
        named = [_parse_name(name) for name in os.listdir(FOLDER)]
        found = []
        for day, first in sorted([entry for entry in named if entry], key=lambda entry: entry[1]):
            day_file = DayFile(day, first, first - 1, 0)
            self._measure(day_file)
            found.append(day_file)
        return found

    def _measure(self, day_file: DayFile) -> None:
        """Walk the page headers; whatever follows the last whole page is not counted."""
        size = os.stat(day_file.path())[6]
        with open(day_file.path(), "rb") as file:
            while day_file.size + HEADER_BYTES <= size:
                file.seek(day_file.size)
                try:
                    header = read_header(file.read(HEADER_BYTES))
                except WireError:
                    break
                if day_file.size + header.length > size:
                    break
                day_file.size += header.length
                day_file.last = header.sequence

    def append(self, day: int, page: bytes) -> None:
        """Write the page with sequence `next_sequence` into the file of this day, flushed when it returns."""
        newest = self._files[-1] if self._files else None
        if newest is None or newest.day != day:
            newest = DayFile(day, self.next_sequence, self.next_sequence - 1, 0)
            self._files.append(newest)
        with open(newest.path(), "ab") as file:
            file.write(page)
        newest.last = self.next_sequence
        newest.size += len(page)
        self.next_sequence += 1

    def first_sequence(self) -> int:
        """Of the oldest page that is still here; next_sequence when there is none."""
        for day_file in self._files:
            if day_file.last >= day_file.first:
                return day_file.first
        return self.next_sequence

    def size_bytes(self) -> int:
        """Of all pages."""
        return sum([day_file.size for day_file in self._files])

    def read(self, sequence: int, offset: int, count: int) -> "tuple[int, bytes] | None":
        """(sequence, bytes): up to `count` bytes from `offset` inside the page `sequence`, running on over later pages
        of the same file. A page that is gone is answered with the next one there is, from its beginning; None at the
        end of the log.
        """
        for day_file in self._files:
            if sequence <= day_file.last and day_file.last >= day_file.first:
                if sequence < day_file.first:
                    sequence, offset = day_file.first, 0
                start = self._find(day_file, sequence)
                with open(day_file.path(), "rb") as file:
                    file.seek(start + offset)
                    return sequence, file.read(min(count, day_file.size - start - offset))
        return None

    def _find(self, day_file: DayFile, sequence: int) -> int:
        """Offset of a page in its file; goes on from the page found last when that lies before."""
        at_sequence, at = day_file.first, 0
        if day_file.first <= self._cursor[0] <= sequence:
            at_sequence, at = self._cursor
        with open(day_file.path(), "rb") as file:
            while at_sequence < sequence:
                file.seek(at)
                at += read_header(file.read(HEADER_BYTES)).length
                at_sequence += 1
        self._cursor = (sequence, at)
        return at

    def acknowledge(self, sequence: int) -> None:
        """The host has everything up to this sequence: remember it, then delete the files that hold nothing else."""
        sequence = min(sequence, self.next_sequence - 1)
        if sequence > self.acknowledged:
            files.write_whole(STATE_PATH, struct.pack("<I", sequence))
            self.acknowledged = sequence
        self._delete([day_file for day_file in self._files if day_file.last <= self.acknowledged])

    def delete_older(self, today: int) -> None:
        """Delete the files of days that are past the retention."""
        self._delete([day_file for day_file in self._files if day_file.day < today - RETENTION_DAYS])

    def _delete(self, unwanted: "list[DayFile]") -> None:
        for day_file in unwanted:
            # The state is stored first: sequences must not start again after the newest file is gone.
            if day_file.last > self.acknowledged:
                files.write_whole(STATE_PATH, struct.pack("<I", day_file.last))
                self.acknowledged = day_file.last
            os.remove(day_file.path())
            self._files.remove(day_file)
            self._cursor = (0, 0)
