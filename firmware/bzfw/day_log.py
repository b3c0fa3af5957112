"""The log in flash: sealed pages, back to back, in a file per UTC day; deletion is deletion of a file.

LittleFS makes an append whole or absent. Sequences rise by one from page to page of a file and never start again: the
highest one that is acknowledged, and the highest that was deleted, are stored. A file whose end is not a whole page is
never appended to. A full flash gives up its oldest day. A file that cannot be read is put aside, and the log goes on.
"""

import os
import struct

from micropython import const

from bzwire.cbor import Pieces
from bzwire.errors import WireError
from bzwire.page_format import HEADER_BYTES, MIN_PAGE_BYTES, V1_HEADER_BYTES, read_header

from . import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = "/log"
QUARANTINE = "/bad"
STATE_PATH = "/log_state"
_EIO = const(5)
_ENOSPC = const(28)  # no space left; the ESP32's errno module does not name it
_PIECE_BYTES = const(256)  # read from flash at a time
_STATE = "<II"  # highest sequence acknowledged, highest deleted


class DayFile:
    """One file of the log. first, last: page sequences; last is first - 1 for a file without a whole page; size: of the
    whole pages; rubbish: bytes that follow them.
    """

    def __init__(self, day: int, first: int, last: int, size: int) -> None:
        self.day = day
        self.first = first
        self.last = last
        self.size = size
        self.rubbish = 0

    def last_used(self) -> int:
        """The highest sequence that this file may ever have held: rubbish may be pages that a host has read."""
        return self.last + self.rubbish // MIN_PAGE_BYTES

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


class Stretch(Pieces):
    """Bytes of a day file, read piece by piece, and anew each time: no answer needs a buffer of its own size.

    Nothing may write the log between two readings of one answer, or its MAC is of other bytes. Raises OSError when the
    file is shorter than it was.
    """

    def __init__(self, path: str, start: int, count: int) -> None:
        self._path = path
        self._start = start
        self._length = count

    def __iter__(self) -> "Iterator[memoryview]":
        left = self._length
        view = memoryview(bytearray(min(left, _PIECE_BYTES)))
        with open(self._path, "rb") as file:
            file.seek(self._start)
            while left:
                got = file.readinto(view[:left] if left < len(view) else view)
                if not got:
                    raise OSError(_EIO)
                yield view[:got]
                left -= got


class DayLog:
    """Appends, reads by cursor, deletes what is acknowledged or too old. Raises OSError when the flash refuses.

    days_dropped: day files given up for room since boot; quarantined: files put aside because they cannot be read.
    """

    def __init__(self) -> None:
        self.days_dropped = 0
        self.quarantined = len(files.names(QUARANTINE))
        files.make_folder(FOLDER)
        self.acknowledged, self._deleted = self._load_state()
        self._files = self._scan()
        used = self._files[-1].last_used() if self._files else 0
        self.next_sequence = max(self.acknowledged, self._deleted, used) + 1
        self._cursor = (0, 0)  # (sequence, offset in its file) of the page read last: reading on need not search

    def _load_state(self) -> "tuple[int, int]":
        try:
            raw = files.read_whole(STATE_PATH)
        except WireError:
            raw = None
        return struct.unpack(_STATE, raw) if raw else (0, 0)

    def _save_state(self, acknowledged: int, deleted: int) -> None:
        files.write_whole(STATE_PATH, struct.pack(_STATE, acknowledged, deleted))
        self.acknowledged, self._deleted = acknowledged, deleted

    def _scan(self) -> "list[DayFile]":
        named = [_parse_name(name) for name in files.names(FOLDER)]
        found = []
        for day, first in sorted([entry for entry in named if entry], key=lambda entry: entry[1]):
            day_file = DayFile(day, first, first - 1, 0)
            try:
                self._measure(day_file)
            except OSError:
                self._put_aside(day_file)
                continue
            found.append(day_file)
        return found

    def _put_aside(self, day_file: DayFile) -> None:
        """Out of the log's way, for a technician; a file that cannot even be moved stays where it is, unread."""
        self.quarantined += 1
        try:
            files.make_folder(QUARANTINE)
            path = day_file.path()
            os.rename(path, QUARANTINE + path[len(FOLDER) :])
        except OSError:
            return

    def _measure(self, day_file: DayFile) -> None:
        """Walk the page headers; whatever follows the last whole page is not counted."""
        size = os.stat(day_file.path())[6]
        with open(day_file.path(), "rb") as file:
            while day_file.size + V1_HEADER_BYTES <= size:
                file.seek(day_file.size)
                try:
                    header = read_header(file.read(HEADER_BYTES))
                except WireError:
                    break
                if day_file.size + header.length > size or header.sequence != day_file.last + 1:
                    break
                day_file.size += header.length
                day_file.last = header.sequence
        day_file.rubbish = size - day_file.size

    def append(self, day: int, page: "bytes | memoryview") -> None:
        """Write the page with sequence `next_sequence` into the file of this day, flushed when it returns."""
        while True:
            try:
                self._append(day, page)
                return
            except OSError as error:
                if error.errno != _ENOSPC or len(self._files) < 2:
                    raise
            self.days_dropped += 1
            self._delete(self._files[:1])

    def _append(self, day: int, page: "bytes | memoryview") -> None:
        newest = self._files[-1] if self._files else None
        goes_on = newest is not None and newest.day == day and newest.last + 1 == self.next_sequence
        if newest is None or not goes_on or (newest.size and newest.rubbish):
            newest = DayFile(day, self.next_sequence, self.next_sequence - 1, 0)
        # A file without a whole page holds nothing, or what a power cut left of one.
        with open(newest.path(), "ab" if newest.size else "wb") as file:
            file.write(page)
        if newest not in self._files:
            self._files.append(newest)
        newest.rubbish = 0
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

    def read(self, sequence: int, offset: int, count: int) -> "tuple[int, bytes | Stretch] | None":
        """(sequence, bytes): up to `count` bytes from `offset` inside the page `sequence`, running on over later pages
        of the same file. A page that is gone is answered with the next one there is, from its beginning; None at the
        end of the log.
        """
        for day_file in self._files:
            if sequence <= day_file.last and day_file.last >= day_file.first:
                if sequence < day_file.first:
                    sequence, offset = day_file.first, 0
                start = self._find(day_file, sequence) + offset
                count = min(count, day_file.size - start)
                return sequence, Stretch(day_file.path(), start, count) if count > 0 else b""
        return None

    def _find(self, day_file: DayFile, sequence: int) -> int:
        """Offset of a page in its file; goes on from the page found last when that lies before."""
        at_sequence, at = day_file.first, 0
        if day_file.first <= self._cursor[0] <= sequence:
            at_sequence, at = self._cursor
        if at_sequence < sequence:
            with open(day_file.path(), "rb") as file:
                while at_sequence < sequence:
                    file.seek(at)
                    at += read_header(file.read(HEADER_BYTES)).length
                    at_sequence += 1
        self._cursor = (sequence, at)
        return at

    def acknowledge(self, sequence: int) -> None:
        """The host has everything up to this sequence: remember it, then delete the files that hold nothing else.

        A file with rubbish goes only by age, or when the host says that it has what the rubbish may have been.
        """
        sequence = min(sequence, self.next_sequence - 1)
        if sequence > self.acknowledged:
            self._save_state(sequence, self._deleted)
        self._delete([day_file for day_file in self._files if day_file.last_used() <= self.acknowledged])

    def delete_older(self, today: int, retention_days: int) -> None:
        """Delete the files of days that are past the retention."""
        self._delete([day_file for day_file in self._files if day_file.day < today - retention_days])

    def _delete(self, unwanted: "list[DayFile]") -> None:
        if self._files and self._files[-1] in unwanted:
            # Stored first: sequences must not start again after the newest file is gone.
            self._save_state(self.acknowledged, self.next_sequence - 1)
        for day_file in unwanted:
            os.remove(day_file.path())
            self._files.remove(day_file)
            self._cursor = (0, 0)
