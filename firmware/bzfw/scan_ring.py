"""Where the radio's interrupt leaves packets: a ring made once, filled without keeping memory, losses counted."""

import asyncio

from micropython import const

_PAYLOAD_BYTES = const(31)
_ADDRESS_BYTES = const(7)  # type and address


class ScanRing:
    """`put` runs in the interrupt, everything else in the app."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        # One buffer for all slots: an object for each would take more than the packets themselves.
        self._payloads = bytearray(slots * _PAYLOAD_BYTES)
        self._view = memoryview(self._payloads)
        self._lengths = bytearray(slots)
        self._rssi = bytearray(slots)  # dBm + 128
        self._addresses = bytearray(slots * _ADDRESS_BYTES)
        self._head = 0
        self._count = 0
        self._lost = 0
        self._lent = False  # the oldest packet is being read: its slot is not free yet
        self.filled = asyncio.ThreadSafeFlag()

    def put(self, rssi_dbm: int, payload: memoryview, address_type: int, address: memoryview) -> None:
        """Keep a copy; a full ring counts the packet as lost."""
        length = len(payload)
        if self._count == self._slots or length > _PAYLOAD_BYTES:
            self._lost += 1
            return
        slot = (self._head + self._count) % self._slots
        at = slot * _PAYLOAD_BYTES
        self._payloads[at : at + length] = payload
        self._lengths[slot] = length
        self._rssi[slot] = (rssi_dbm + 128) & 0xFF
        at = slot * _ADDRESS_BYTES
        self._addresses[at] = address_type
        self._addresses[at + 1 : at + _ADDRESS_BYTES] = address
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
        at = self._head * _PAYLOAD_BYTES
        return self._rssi[self._head] - 128, self._view[at : at + self._lengths[self._head]]

    def address(self) -> bytes:
        """Type and address of the packet that `take` gave last."""
        at = self._head * _ADDRESS_BYTES
        return bytes(self._addresses[at : at + _ADDRESS_BYTES])

    def lose(self) -> None:
        """The packet that `take` gave last could not be used."""
        self._lost += 1

    def take_lost(self) -> int:
        """Packets lost since this was last asked."""
        lost, self._lost = self._lost, 0
        return lost
