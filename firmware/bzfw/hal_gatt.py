"""Reading one characteristic of a peer: connect, find it, read, disconnect, with one deadline over all of it.

Fed with the radio's events by `hal_esp32`; each step ends with an event or with the deadline.
"""

import asyncio

from micropython import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_CONNECTED = const(7)
_DISCONNECTED = const(8)
_SERVICE, _SERVICE_DONE = 9, 10
_CHARACTERISTIC, _CHARACTERISTIC_DONE = 11, 12
_READ, _READ_DONE = 15, 16
# What a step waits for.
_ENDS = (_CONNECTED, _SERVICE_DONE, _CHARACTERISTIC_DONE, _READ_DONE)
_NO_CONNECTION = const(0xFFFF)
_LONGEST_VALUE = const(32)
_FAREWELL_MS = const(500)  # for the peer to confirm that the connection is over


class GattReader:
    """One read at a time."""

    def __init__(self, ble: "Any") -> None:
        self._ble = ble
        self._done = asyncio.ThreadSafeFlag()
        self._clear()

    def _clear(self) -> None:
        self._connection = _NO_CONNECTION
        self._range = (0, 0)
        self._handle = 0
        self._value = b""
        self._over = False

    def on_event(self, event: int, data: "tuple[Any, ...]") -> None:
        """From the interrupt."""
        if event == _CONNECTED:
            self._connection = data[0]
        elif event == _DISCONNECTED:
            self._over = True
            self._done.set()
        elif event == _SERVICE:
            self._range = (data[1], data[2])
        elif event == _CHARACTERISTIC:
            self._handle = data[2]
        elif event == _READ:
            self._value = bytes(data[2][:_LONGEST_VALUE])
        if event in _ENDS:
            self._done.set()

    async def read(self, address: bytes, service: "Any", characteristic: "Any", timeout_ms: int) -> bytes:
        """The value, empty when any step fails or the time is over. service, characteristic: bluetooth.UUID."""
        self._clear()
        self._done.clear()
        try:
            await asyncio.wait_for_ms(self._steps(address, service, characteristic, timeout_ms), timeout_ms)
        except (asyncio.TimeoutError, OSError):
            self._value = b""
        await self._hang_up()
        return self._value

    async def _steps(self, address: bytes, service: "Any", characteristic: "Any", timeout_ms: int) -> None:
        ble = self._ble
        ble.gap_connect(address[0], address[1:], timeout_ms)
        await self._done.wait()
        if self._over:
            return
        ble.gattc_discover_services(self._connection, service)
        await self._done.wait()
        if not self._range[1] or self._over:
            return
        ble.gattc_discover_characteristics(self._connection, self._range[0], self._range[1], characteristic)
        await self._done.wait()
        if not self._handle or self._over:
            return
        ble.gattc_read(self._connection, self._handle)
        await self._done.wait()

    async def _hang_up(self) -> None:
        """No connection and no attempt may stay open: the next change of address would be refused."""
        try:
            if self._connection == _NO_CONNECTION and not self._over:
                self._done.clear()
                self._ble.gap_connect(None)  # its end is told later, or a connection that was faster
                await asyncio.wait_for_ms(self._done.wait(), _FAREWELL_MS)
            if self._connection != _NO_CONNECTION and not self._over:
                self._done.clear()
                self._ble.gap_disconnect(self._connection)
                await asyncio.wait_for_ms(self._done.wait(), _FAREWELL_MS)
        except (OSError, asyncio.TimeoutError):
            return
