"""Where the radio's interrupt leaves packets: a ring made once, filled without allocating, losses counted."""

import asyncio

MAX_PAYLOAD_BYTES = 31


class ScanRing:
    """`put` runs in the interrupt, everything else in the app."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._payloads = [bytearray(MAX_PAYLOAD_BYTES) for _ in range(slots)]
        self._views = [memoryview(payload) for payload in self._payloads]
        self._lengths = bytearray(slots)
        self._rssi = bytearray(slots)  # dBm + 128
        self._head = 0
        self._count = 0
        self._lost = 0
        self._lent = False  # the oldest packet is being read: its slot is not free yet
        self.filled = asyncio.ThreadSafeFlag()

    def put(self, rssi_dbm: int, payload: memoryview) -> None:
        """Keep a copy; a full ring counts the packet as lost."""
        length = len(payload)
        if self._count == self._slots or length > MAX_PAYLOAD_BYTES:
            self._lost += 1
            return
        at = (self._head + self._count) % self._slots
        self._views[at][:length] = payload
        self._lengths[at] = length
        self._rssi[at] = (rssi_dbm + 128) & 0xFF
        self._count += 1
        self.filled.set()

    def take(self) -> "tuple[int, memoryview] | None":
        """(RSSI in dBm, payload) of the oldest packet, None when empty; the view is good until the next `take`."""
        if self._lent:
            # Only now: on the chip the interrupt may come while the view is read.
            self._head = (self._head + 1) % self._slots
            self._count -= 1
            self._lent = False
        if self._count == 0:
            return None
        self._lent = True
        at = self._head
        return self._rssi[at] - 128, self._views[at][: self._lengths[at]]

    def take_lost(self) -> int:
        """Packets lost since this was last asked."""
        lost, self._lost = self._lost, 0
        return lost
