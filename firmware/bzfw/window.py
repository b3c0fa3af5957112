"""Collects what is heard in one 5-minute window: per ID when, how often, how strong."""

import gc
from array import array

from micropython import const

from bzwire.bluezone import ID_BYTES
from bzwire.page_format import KIND_BLUEZONE, KIND_MASK, MAX_RECORDS, Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

WINDOW_S = 300
_MAX_TRACKED = const(96)  # more than a page holds, so that a late strong ID still gets in
_MAX_U16 = const(65535)
_MAX_U8 = const(255)


class Window:
    """start_s: Unix second of the window's beginning, a multiple of WINDOW_S unless the clock was set inside it.
    listened_ms: how long the radio has listened in it. id_bytes: of the longest kind of ID that may come.

    Made once and begun anew for each window: columns of fixed size, no dictionary, because a heap in crumbs has no room
    for a table that grows in the middle of a crowd.
    """

    def __init__(self, id_bytes: int) -> None:
        self.start_s = 0
        self.listened_ms = 0
        self._evicted = False
        self._scan = 0
        self._used = 0  # rows of the columns
        self.id_bytes = id_bytes
        self._ids = bytearray(id_bytes * _MAX_TRACKED)
        self._order = bytearray(_MAX_TRACKED)  # of the rows, for `records`
        self._kinds = bytearray(_MAX_TRACKED)  # kind and flags, as the record has them
        self._first_s = array("H", bytes(2 * _MAX_TRACKED))
        self._last_s = array("H", bytes(2 * _MAX_TRACKED))
        self._packets = array("H", bytes(2 * _MAX_TRACKED))
        self._scans = array("B", bytes(_MAX_TRACKED))
        self._last_scan = bytearray(_MAX_TRACKED)
        self._rssi_max = array("b", bytes(_MAX_TRACKED))
        self._rssi_sum = array("i", bytes(4 * _MAX_TRACKED))
        self._tx = array("b", bytes(_MAX_TRACKED))

    def begin(self, start_s: int) -> None:
        """Forget what was heard: a new window."""
        self.start_s = start_s
        self.listened_ms = 0
        self._evicted = False
        self._scan = 0
        self._used = 0

    def widen(self, id_bytes: int) -> None:
        """Take IDs of up to this length from now on. What was heard is forgotten: begin anew."""
        self._used = 0
        if id_bytes > self.id_bytes:
            self._ids = bytearray()  # room for the wider column first
            gc.collect()
            self._ids = bytearray(id_bytes * _MAX_TRACKED)
            self.id_bytes = id_bytes

    def begin_scan(self) -> None:
        """Packets from now on belong to a new scan."""
        self._scan = (self._scan + 1) & 0xFF  # only told apart from the one before

    def add(self, now_s: int, kind: int, rotating_id: bytes, rssi_dbm: int, tx_power_dbm: int) -> None:
        """One packet heard. kind: a KIND_* of bzwire.page_format with its RECORD_* flags."""
        at_s = min(max(now_s - self.start_s, 0), _MAX_U16)
        row = self._row_of(rotating_id)
        if row < 0:
            row = self._free_row(rssi_dbm)
            if row < 0:
                return
            at = row * self.id_bytes
            self._ids[at : at + len(rotating_id)] = rotating_id
            self._kinds[row] = kind
            self._first_s[row] = at_s
            self._packets[row] = self._scans[row] = self._rssi_sum[row] = self._last_scan[row] = 0
            self._rssi_max[row] = rssi_dbm
            self._tx[row] = tx_power_dbm
        self._last_s[row] = at_s
        if self._packets[row] < _MAX_U16:  # the mean is of as many
            self._packets[row] += 1
            self._rssi_sum[row] += rssi_dbm
        if self._last_scan[row] != self._scan or not self._scans[row]:
            self._last_scan[row] = self._scan
            self._scans[row] = min(self._scans[row] + 1, _MAX_U8)
        if rssi_dbm > self._rssi_max[row]:
            self._rssi_max[row] = rssi_dbm

    def _row_of(self, rotating_id: bytes) -> int:
        """The row of an ID, -1 when it was not heard in this window."""
        width = self.id_bytes
        at = self._ids.find(rotating_id, 0, self._used * width)
        while at > 0 and at % width:  # across two IDs: no row
            at = self._ids.find(rotating_id, at + 1, self._used * width)
        return at // width

    def _free_row(self, rssi_dbm: int) -> int:
        """A row for a newcomer; when all are taken, that of the weakest ID, or -1 if the newcomer is no stronger."""
        if self._used < _MAX_TRACKED:
            self._used += 1
            return self._used - 1
        self._evicted = True
        weakest = 0
        for row in range(_MAX_TRACKED):
            if self._rssi_max[row] < self._rssi_max[weakest]:
                weakest = row
        return weakest if self._rssi_max[weakest] < rssi_dbm else -1

    def is_crowded(self) -> bool:
        """True when more IDs were heard than a page holds."""
        return self._evicted or self._used > MAX_RECORDS

    def records(self) -> "Iterator[Record]":
        """The strongest MAX_RECORDS IDs, in the order of first hearing, made one by one and without a list."""
        order, count = self._order, 0
        floor_dbm, at_floor = self._weakest_kept()
        for row in range(self._used):
            rssi_dbm = self._rssi_max[row]
            if rssi_dbm < floor_dbm or (rssi_dbm == floor_dbm and not at_floor):
                continue
            at_floor -= rssi_dbm == floor_dbm
            at = count
            while at and self._first_s[order[at - 1]] > self._first_s[row]:
                order[at] = order[at - 1]
                at -= 1
            order[at] = row
            count += 1
        for at in range(count):
            yield self._record(order[at])

    def _weakest_kept(self) -> "tuple[int, int]":
        """(RSSI of the weakest that fit a page, how many of that RSSI still do)."""
        if self._used <= MAX_RECORDS:
            return -129, 0
        counts = bytearray(256)
        for row in range(self._used):
            counts[self._rssi_max[row] + 128] += 1
        room, level = MAX_RECORDS, 256
        while room > 0:
            level -= 1
            room -= counts[level]
        return level - 128, counts[level] + room

    def _record(self, row: int) -> Record:
        packets = self._packets[row]
        kind = self._kinds[row]
        at = row * self.id_bytes
        return Record(
            bytes(self._ids[at : at + (ID_BYTES if kind & KIND_MASK == KIND_BLUEZONE else self.id_bytes)]),
            self._first_s[row],
            self._last_s[row],
            packets,
            self._scans[row],
            self._rssi_max[row],
            # rounded to the nearest dB; // alone would lean to the weaker side
            (2 * self._rssi_sum[row] + packets) // (2 * packets),
            self._tx[row],
            kind & KIND_MASK,
            kind & ~KIND_MASK,
        )
