"""Reads recordings for a calibration: a CSV with a line a packet, added up while it is read, so that memory is bounded.

What is kept is a sum for each arrangement (group, receiver, transmitter, distance) and each tick of 30 s, from which
windows are made. The order of the lines does not matter. No error quotes a cell.
"""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

from bztoken.errors import FormatError
from bztoken.formats.spreadsheet import Heading, columns_of, separator_of

TICK_S = 30  # divides both windows, 150 s and 900 s
MAX_TICKS = 500_000  # some 120 MB, and 450 MB while windows are made of them
MAX_NAMES = 256  # of receivers, and of transmitters
MAX_LINE_BYTES = 4096
MAX_NAME_LETTERS = 64
_MAX_WRITTEN = 20_000
NEEDED = ("receiver", "transmitter", "time_s", "rssi_dbm", "distance_m")
COLUMNS = (*NEEDED, "tx_dbm", "group")
_HEADING = Heading(
    frozenset(NEEDED),
    frozenset(),
    "`receiver`, `transmitter`, `time_s`, `rssi_dbm` and `distance_m`; `tx_dbm` and `group` may follow",
)
# Bounds of a number of a line; what Bluetooth writes for "not known" (127) is outside of them.
_TIME_S, _RSSI_DBM, _TX_DBM, _DISTANCE_M = (-1e11, 1e11), (-127.0, 20.0), (-127.0, 126.0), (0.0, 1000.0)


class Arrangement(NamedTuple):
    """Who heard whom at which distance. group: empty where the file has no such column."""

    group: str
    receiver: str
    transmitter: str
    distance_m: float


@dataclass(slots=True)
class Tick:
    """Sums over the packets of one arrangement in 30 s. told_dbm: of the TX powers of those that tell one."""

    packets: int = 0
    rssi_dbm: float = 0.0
    told: int = 0
    told_dbm: float = 0.0
    first_s: float = float("inf")
    last_s: float = float("-inf")


@dataclass
class Recordings:
    """What a file holds. has_groups: whether it has that column; told: lines that tell a TX power; ticks: by
    arrangement and number of the tick.
    """

    has_groups: bool
    lines: int = 0
    told: int = 0
    ticks: dict[Arrangement, dict[int, Tick]] = field(default_factory=dict)


def read(path: Path) -> Recordings:
    """Everything in a file. Raises FormatError with the line, or OSError."""
    with path.open("rb") as file:
        rows = _Rows(path, file)
        reading = _Reading(rows, Recordings(has_groups="group" in rows.columns))
        for cells in rows:
            reading.take(cells)
    if not reading.found.lines:
        raise FormatError(path, None, "the file has no packets: it needs lines below the one that names the columns")
    return reading.found


class _Reading:
    """Adds lines up. Places are looked up by their cells as they are written, which spares reading them each time."""

    def __init__(self, rows: "_Rows", found: Recordings) -> None:
        self.found = found
        self._rows, self._count = rows, 0
        self._names: tuple[set[str], set[str]] = (set(), set())
        self._written: dict[tuple[str, ...], dict[int, Tick]] = {}
        placed = ("receiver", "transmitter", "distance_m", *(["group"] if found.has_groups else []))
        self._places = [rows.columns[name] for name in placed]

    def take(self, cells: Sequence[str]) -> None:
        """One packet. Raises FormatError."""
        rows = self._rows
        written = tuple([cells[place] for place in self._places])
        ticks = self._written.get(written)
        if ticks is None:
            ticks = self._place(written, cells)
        time_s, rssi_dbm = rows.number(cells, "time_s", _TIME_S), rows.number(cells, "rssi_dbm", _RSSI_DBM)
        tx_dbm = rows.number(cells, "tx_dbm", _TX_DBM) if rows.tells(cells, "tx_dbm") else None
        number = int(time_s // TICK_S)
        if number not in ticks:
            ticks[number] = Tick()
            self._count += 1
            if self._count > MAX_TICKS:
                days = MAX_TICKS * TICK_S // 86400
                raise rows.wrong(f"the recordings are longer than {days} days of one pair: split the file")
        _add(ticks[number], time_s, rssi_dbm, tx_dbm)
        self.found.lines += 1
        self.found.told += tx_dbm is not None

    def _place(self, written: tuple[str, ...], cells: Sequence[str]) -> dict[int, Tick]:
        rows = self._rows
        group = rows.name(cells, "group") if self.found.has_groups else ""
        receiver, transmitter = rows.name(cells, "receiver"), rows.name(cells, "transmitter")
        where = Arrangement(group, receiver, transmitter, rows.number(cells, "distance_m", _DISTANCE_M))
        for known, name, what in zip(self._names, where[1:3], ("receivers", "transmitters"), strict=True):
            known.add(name)
            if len(known) > MAX_NAMES:
                raise rows.wrong(f"there are more than {MAX_NAMES} {what}: split the file")
        if len(self._written) >= _MAX_WRITTEN:
            self._written.clear()
        return self._written.setdefault(written, self.found.ticks.setdefault(where, {}))


def _add(tick: Tick, time_s: float, rssi_dbm: float, tx_dbm: float | None) -> None:
    tick.packets += 1
    tick.rssi_dbm += rssi_dbm
    if tx_dbm is not None:
        tick.told += 1
        tick.told_dbm += tx_dbm
    tick.first_s = min(tick.first_s, time_s)
    tick.last_s = max(tick.last_s, time_s)


class _Rows:
    """The cells of a file, line by line; never more than a line in memory."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path, self._file, self._at = path, file, 0
        lines = self._lines()
        first = next(lines, "").removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}")  # Excel's mark of UTF-8
        if not first.strip():
            raise FormatError(path, None, "the file is empty, or its first line: that one names the columns")
        separator = separator_of(first)
        heading = next(csv.reader([first], delimiter=separator), [])
        self.columns = columns_of(path, heading, COLUMNS, _HEADING)
        self._width = len(heading)
        self._reader = csv.reader(lines, delimiter=separator, strict=True)

    def __iter__(self) -> Iterator[list[str]]:
        try:
            for cells in self._reader:
                if any(cell.strip() for cell in cells[self._width :]):
                    raise self.wrong("this line has more cells than there are columns: mend it")
                if any(map(str.strip, cells)):
                    yield cells + [""] * (self._width - len(cells))
        except csv.Error:
            raise self.wrong("the quotation marks of this line do not fit: save the file anew") from None

    def wrong(self, problem: str) -> FormatError:
        """About the line that was read last."""
        return FormatError(self._path, self._at, problem)

    def number(self, cells: Sequence[str], name: str, bounds: tuple[float, float]) -> float:
        """A cell as a number within bounds, which also keeps out what is not a number (NaN)."""
        low, high = bounds
        cell = cells[self.columns[name]]
        try:
            value = float("-" if "_" in cell else cell)
        except ValueError:
            raise self.wrong(f"{name} is no number: write one from {low:g} to {high:g}") from None
        if not low <= value <= high:
            raise self.wrong(f"{name} is not between {low:g} and {high:g}: mend it or leave the line out")
        return value

    def tells(self, cells: Sequence[str], column: str) -> bool:
        """Whether a line has something in a column that it may leave empty."""
        place = self.columns.get(column)
        return place is not None and cells[place].strip() != ""

    def name(self, cells: Sequence[str], column: str) -> str:
        """A cell as a name of a device or a group."""
        found = cells[self.columns[column]].strip()
        if not found:
            raise self.wrong(f"this line names no {column}")
        if len(found) > MAX_NAME_LETTERS or not found.isprintable():
            raise self.wrong(f"the {column} is no plain text of at most {MAX_NAME_LETTERS} letters")
        return found

    def _lines(self) -> Iterator[str]:
        while line := self._file.readline(MAX_LINE_BYTES + 1):
            self._at += 1
            if len(line) > MAX_LINE_BYTES:
                raise self.wrong(f"this line is longer than {MAX_LINE_BYTES} bytes: it is none of such a file")
            try:
                yield line.decode("utf-8")
            except UnicodeDecodeError:
                raise self.wrong("this line is not in UTF-8: save the file as `CSV UTF-8`") from None
