"""Turns a finished window into a sealed page in flash, and marks IDs that have lived too long."""

import gc
from array import array

from micropython import const

from bzwire.bluezone import ID_BYTES as BLUEZONE_ID_BYTES
from bzwire.bluezone import SLOT_S, day_of
from bzwire.messages import PROFILE_WINDOWED
from bzwire.page_format import (
    KIND_BLUEZONE,
    MAX_PAGE_BYTES,
    MAX_RECORDS,
    OVERHEAD_BYTES,
    RECORD_BYTES,
    RECORD_STALE,
    STATE_CLOCK_REPAIRED,
    STATE_SAVING,
    STATE_SITE,
    STATE_WINDOWED,
    PageHeader,
    seal_into,
)

from .window import WINDOW_S

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from bzwire.page_format import Record

    from .device import Device
    from .identity import LogKey
    from .window import Window

_SCAN_PERIOD_S = const(60)
_GAEN_LIFETIME_S = const(1200)  # phones keep an RPI for 10 to 20 minutes
_MAX_U16 = const(65535)
_ENTRIES = const(128)
_TAG_BYTES = const(6)  # of an ID: enough that two never share them by chance
_LATE_S = const(60)  # by so much a slot may seem longer


class ReplayGuard:
    """Whoever records an ID and broadcasts it again later is kept, but marked: an ID is on the air for one slot only.

    (A neighbour whose clock was put back is marked too.) A ring of fixed size remembers half an hour of IDs in a crowd,
    days of them at home. marked: since boot.
    """

    def __init__(self) -> None:
        self._tags = bytearray(_ENTRIES * _TAG_BYTES)
        self._first_s = array("I", bytes(4 * _ENTRIES))
        self._next = 0
        self.marked = 0

    def is_stale(self, rotating_id: bytes, first_s: int, last_s: int, lifetime_s: int) -> bool:
        """True when an ID heard from first_s to last_s (unix s) has outlived lifetime_s. Remembers new ones."""
        tag = rotating_id[:_TAG_BYTES]
        at = self._tags.find(tag)
        while at > 0 and at % _TAG_BYTES:  # across two tags: no entry
            at = self._tags.find(tag, at + 1)
        if at >= 0:
            first_s = self._first_s[at // _TAG_BYTES]
        else:
            self._tags[self._next * _TAG_BYTES : (self._next + 1) * _TAG_BYTES] = tag
            self._first_s[self._next] = first_s
            self._next = (self._next + 1) % _ENTRIES
        stale = last_s - first_s > lifetime_s + _LATE_S
        self.marked += stale
        return stale

    def forget(self) -> None:
        """The clock was set: times from before say nothing any more."""
        for at in range(len(self._tags)):
            self._tags[at] = 0


class Recorder:
    """Called between scans, or when a station sets the clock: a flash erase blocks the processor for 45 to 400 ms.

    saving, clock_repaired: set by the radio, told in the next page.
    """

    def __init__(self, device: "Device", log_key: "LogKey", is_site: bool) -> None:
        self._hal = device.hal
        self._clock = device.clock
        self._log = device.log
        self._settings = device.settings
        self._boot_id = device.alive.boot_id
        self._log_key = log_key
        self._is_site = is_site
        self._page = bytearray(OVERHEAD_BYTES + MAX_RECORDS * RECORD_BYTES)
        self.guard = ReplayGuard()
        self.saving = False
        self.clock_repaired = False
        self.failed_writes = 0
        self.lost_results = 0

    def make_room(self, id_bytes: int) -> None:
        """Be ready for pages with IDs of up to this length: now, for later there may be no piece of that size left."""
        if id_bytes > BLUEZONE_ID_BYTES and len(self._page) < MAX_PAGE_BYTES:
            self._page = bytearray()
            gc.collect()
            self._page = bytearray(MAX_PAGE_BYTES)

    def record(self, window: "Window", lost_results: int) -> None:
        """Write the page of a window. A refused write is counted, not raised: the token must go on recording."""
        self.lost_results += lost_results
        gc.collect()  # nothing is urgent between scans
        header = PageHeader(
            self._log.next_sequence,
            self._boot_id,
            self._clock.uptime_ms() & 0xFFFFFFFF,
            window.start_s,
            WINDOW_S,
            _SCAN_PERIOD_S,
            self._clock.state,
            self._log_key.number,
            min(lost_results, _MAX_U16),
            window.is_crowded(),
        )
        header.listened_ds = window.listened_ms // 100
        header.state = self._state()
        try:
            # The page goes under the key of the day on which it is written: the window's own may be hashed away.
            self._advance_log_key()
            header.log_key_number = self._log_key.number
            records = self._marked(window)
            length = seal_into(self._page, header, records, self._log_key.key, self._hal.encrypt_blocks)
            self._log.append(day_of(window.start_s), memoryview(self._page)[:length])
            self._log.delete_older(self._clock.retention_day(), self._settings.retention_days)
        except (OSError, MemoryError, ValueError):
            self.failed_writes += 1

    def _advance_log_key(self) -> None:
        try:
            self._log_key.advance_to(self._clock.now_s())
        except OSError:  # a full flash: the key has gone forward all the same, and the page makes room for itself
            self.failed_writes += 1

    def _state(self) -> int:
        state = STATE_SITE if self._is_site else 0
        if self._settings.profile == PROFILE_WINDOWED:
            state |= STATE_WINDOWED
        if self.saving:
            state |= STATE_SAVING
        if self.clock_repaired:
            state |= STATE_CLOCK_REPAIRED
        self.saving = self.clock_repaired = False
        return state

    def _marked(self, window: "Window") -> "Iterator[Record]":
        """The window's records; what has lived too long for an ID is marked."""
        for record in window.records():
            lifetime_s = SLOT_S if record.kind == KIND_BLUEZONE else _GAEN_LIFETIME_S
            first_s, last_s = window.start_s + record.first_s, window.start_s + record.last_s
            if self.guard.is_stale(record.rotating_id, first_s, last_s, lifetime_s):
                record.flags |= RECORD_STALE
            yield record
