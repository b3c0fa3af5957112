"""The contact history that a Bluezone phone uploads: own ID, contact ID, RSSI, time in ms, separated by tabs.

Read line by line, so a file may be larger than memory. Lower-case hex and CRLF are taken, as they are harmless;
written is what the app writes.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from bztoken.errors import FormatError
from bztoken.home import private_file

RSSI_MIN_DBM, RSSI_MAX_DBM = -127, 20
TIME_MIN_MS = 1_577_836_800_000  # 2020-01-01: before Bluezone nobody can have met by it
TIME_MAX_MS = 4_102_444_800_000  # 2100-01-01
MAX_LINE_BYTES = 200
MAX_FILE_BYTES = 256 * 1024 * 1024  # some 4 million contacts; a device or a pipe may never end
_CHUNK_BYTES = 1024 * 1024

_LINE = re.compile(rb"([0-9A-Fa-f]{24})\t([0-9A-Fa-f]{24})\t(-?[0-9]{1,3})\t([0-9]{13})\r?\n?")
_ID = re.compile(rb"[0-9A-Fa-f]{24}")
_INTEGER = re.compile(rb"-?[0-9]{1,18}")


class HistoryLine(NamedTuple):
    """One contact: both IDs as 12 bytes, RSSI, and when."""

    own_id: bytes
    contact_id: bytes
    rssi_dbm: int
    unix_ms: int


def read_history(path: Path) -> Iterator[HistoryLine]:
    """The lines of a history, one by one. Raises FormatError with the line number, or OSError."""
    with path.open("rb") as file:
        yield from _read_lines(path, file)


def digest_of(path: Path) -> bytes:
    """SHA-256 of the file. Raises FormatError for one that is too long to be a history, or OSError."""
    digest, length = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            length += len(chunk)
            _require_length(path, length)
    return digest.digest()


def write_history(path: Path, lines: Iterable[HistoryLine]) -> None:
    """Write as the app does: upper-case hex, line feeds. Whole or not at all, and for its owner only. Raises OSError.

    Who met whom is nobody else's business; and a history that is cut short reads like a shorter one.
    """
    with private_file(path) as file:
        for line in lines:
            ids = f"{line.own_id.hex().upper()}\t{line.contact_id.hex().upper()}"
            file.write(f"{ids}\t{line.rssi_dbm}\t{line.unix_ms}\n".encode("ascii"))


def _read_lines(path: Path, file: BinaryIO) -> Iterator[HistoryLine]:
    number = length = 0
    blank_at: int | None = None
    while raw := file.readline(MAX_LINE_BYTES):
        number += 1
        length += len(raw)
        _require_length(path, length)
        if blank_at is not None:
            raise FormatError(path, blank_at, "the line is empty")
        if raw in (b"\n", b"\r\n"):
            blank_at = number  # harmless as the last line, a hole anywhere else
            continue
        yield _parse(path, number, raw)


def _require_length(path: Path, length: int) -> None:
    if length > MAX_FILE_BYTES:
        raise FormatError(
            path, None, f"the file is longer than {MAX_FILE_BYTES // 1024 // 1024} MiB: it is no contact history"
        )


def _parse(path: Path, number: int, raw: bytes) -> HistoryLine:
    found = _LINE.fullmatch(raw)
    if found is None:
        raise FormatError(path, number, _problem(raw))
    own, contact, rssi, time = found.groups()
    rssi_dbm, unix_ms = int(rssi), int(time)
    if not RSSI_MIN_DBM <= rssi_dbm <= RSSI_MAX_DBM:
        raise FormatError(path, number, f"the RSSI is not between {RSSI_MIN_DBM} and {RSSI_MAX_DBM} dBm")
    if not TIME_MIN_MS <= unix_ms < TIME_MAX_MS:
        raise FormatError(path, number, "the time is not in milliseconds between 2020 and 2100")
    return HistoryLine(bytes.fromhex(own.decode()), bytes.fromhex(contact.decode()), rssi_dbm, unix_ms)


def _problem(raw: bytes) -> str:
    """What is wrong with a line that is not a history line; never quotes it, since it may hold IDs."""
    if len(raw) >= MAX_LINE_BYTES:
        return "the line is too long to be one of a contact history"
    columns = raw.rstrip(b"\r\n").split(b"\t")
    if len(columns) != 4:
        return f"{len(columns)} columns where a contact history has 4, separated by tabs"
    for column, name in zip(columns[:2], ("own", "contact"), strict=True):
        if _ID.fullmatch(column) is None:
            return f"the {name} ID is not 24 hex digits"
    if _INTEGER.fullmatch(columns[2]) is None:
        return "the RSSI is not a whole number"
    if _INTEGER.fullmatch(columns[3]) is None:
        return "the time is not a whole number of milliseconds"
    if len(columns[2].lstrip(b"-")) > 3:
        return f"the RSSI is not between {RSSI_MIN_DBM} and {RSSI_MAX_DBM} dBm"
    return "the time is not in milliseconds between 2020 and 2100"
