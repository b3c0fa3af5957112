"""The board behind `hal.Hal`: the only file that imports `machine` and `bluetooth`.

What a board has (pins, polarity, TX power) comes from `board.json`; this file asks "has a button?", never "which
model?".
"""

import asyncio
import json
import os
import select
import sys
import time

import bluetooth
import machine
from cryptolib import aes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .hal import Hal

BOARD_FILES = ("/board.json", "/rom/board.json")

_IRQ_CENTRAL_CONNECT = 1
_IRQ_CENTRAL_DISCONNECT = 2
_IRQ_SCAN_RESULT = 5
_IRQ_SCAN_DONE = 6
_ADDRESS_MODE_NRPA = 3
_AES_ECB = 1
_SCAN_WINDOW_US = 50000  # interval = window: listening all the time, changing channel every 50 ms
_SCAN_GRACE_MS = 2000  # how late the radio may say that a scan is over
_DEBOUNCE_MS = 30
_CONSOLE_CHUNK_BYTES = 64


def read_board_file() -> "dict[str, Any]":
    """The board's description: from the file system, else the one shipped with the application."""
    for path in BOARD_FILES:
        try:
            with open(path) as file:
                return json.load(file)
        except OSError:
            continue
    raise OSError("board.json is missing")


def _epoch_offset_s() -> int:
    """Seconds from 1970 to this port's epoch (2000 on the ESP32, 1970 elsewhere)."""
    return 946684800 if time.gmtime(0)[0] == 2000 else 0


class Esp32Hal:
    """See `hal.Hal`. board: the parsed board.json."""

    def __init__(self, board: "dict[str, Any]") -> None:
        self.board = board["name"]
        self.tx_power_dbm = board["radio"]["tx_power_dbm"]
        self._epoch_s = _epoch_offset_s()
        self._rtc = machine.RTC()
        self._light = self._make_light(board.get("light"))
        self._button = self._make_button(board.get("button"))
        self._button_flag = asyncio.ThreadSafeFlag()
        self._button_level = False
        self._take_packet: "Callable[[int, memoryview], None] | None" = None
        self._broadcast: "tuple[bytes, int] | None" = None
        self.irq_errors = 0
        self.dead_scans = 0
        self._scan_done = asyncio.ThreadSafeFlag()
        self._ble = bluetooth.BLE()
        self._ble.active(True)
        self._ble.irq(self._on_ble)
        self._console = asyncio.StreamReader(sys.stdin.buffer)
        self._console_poll = select.poll()
        self._console_poll.register(sys.stdin.buffer, select.POLLIN)
        self._byte = bytearray(1)

    # -- time ------------------------------------------------------------------------------------------------------
    def ticks_ms(self) -> int:
        return time.ticks_ms()  # type: ignore[return-value] # the stubs have a type of their own for ticks

    def ticks_diff(self, end: int, start: int) -> int:
        return time.ticks_diff(end, start)

    def clock_unix_ms(self) -> int:
        return time.time_ns() // 1000000 + self._epoch_s * 1000

    def set_clock_unix_ms(self, unix_ms: int) -> None:
        seconds, millis = divmod(unix_ms, 1000)
        year, month, day, hour, minute, second, weekday, _ = time.gmtime(seconds - self._epoch_s)
        self._rtc.datetime((year, month, day, weekday, hour, minute, second, millis * 1000))

    def woke_from_power_off(self) -> bool:
        return machine.reset_cause() == machine.PWRON_RESET

    # -- secrets ---------------------------------------------------------------------------------------------------
    def random_bytes(self, count: int) -> bytes:
        return os.urandom(count)

    def encrypt_blocks(self, key: bytes, blocks: bytes) -> bytes:
        return aes(key, _AES_ECB).encrypt(blocks)

    # -- radio -----------------------------------------------------------------------------------------------------
    def _on_ble(self, event: int, data: "tuple[Any, ...]") -> None:
        # An exception that leaves this function would silence the radio's handler for good.
        try:
            if event == _IRQ_SCAN_RESULT:
                if self._take_packet is not None:
                    self._take_packet(data[3], data[4])
            elif event == _IRQ_SCAN_DONE:
                self._scan_done.set()
            elif event == _IRQ_CENTRAL_CONNECT:
                # Advertising is connectable, as a phone's is, and ends with a connection; a token offers nothing.
                self._ble.gap_disconnect(data[0])
            elif event == _IRQ_CENTRAL_DISCONNECT and self._broadcast is not None:
                self.advertise(self._broadcast[0], self._broadcast[1])
        except Exception:  # noqa: BLE001 - counted; there is nobody above to tell
            self.irq_errors += 1

    def on_packet(self, take: "Callable[[int, memoryview], None]") -> None:
        self._take_packet = take

    def advertise(self, payload: bytes, interval_ms: int) -> None:
        self._broadcast = (payload, interval_ms)
        self._ble.gap_advertise(interval_ms * 1000, payload)

    def stop_advertising(self) -> None:
        self._broadcast = None
        self._ble.gap_advertise(None)  # type: ignore[arg-type] # documented, not in the stubs

    def change_address(self) -> bool:
        before = bytes(self._ble.config("mac")[1])
        self._ble.config(addr_mode=_ADDRESS_MODE_NRPA)
        return bytes(self._ble.config("mac")[1]) != before

    async def scan(self, duration_ms: int) -> None:
        self._scan_done.clear()
        self._ble.gap_scan(duration_ms, _SCAN_WINDOW_US, _SCAN_WINDOW_US, False)
        try:
            await asyncio.wait_for_ms(self._scan_done.wait(), duration_ms + _SCAN_GRACE_MS)
        except asyncio.TimeoutError:  # scans are known to die after hours: the token must not wait for ever
            self.dead_scans += 1
            self._ble.gap_scan(None)  # type: ignore[arg-type] # documented, not in the stubs

    # -- light and button ------------------------------------------------------------------------------------------
    def _make_light(self, light: "dict[str, Any] | None") -> "list[tuple[Any, int]]":
        """(pin, level that is dark) for red, green, blue, as far as the board has them."""
        pins: "list[tuple[Any, int]]" = []
        dark = 0
        for colour in ("red", "green", "blue"):
            number = light.get(colour) if light else None
            if number is None:
                pins.append((None, 0))
                continue
            dark = 1 if light and light.get("active_low") else 0
            pins.append((machine.Pin(number, machine.Pin.OUT, value=dark), dark))
        return pins

    def show(self, colour: "tuple[int, int, int]") -> None:
        for (pin, dark), wanted in zip(self._light, colour):
            if pin is not None:
                pin.value(1 - dark if wanted else dark)

    def _make_button(self, button: "dict[str, Any] | None") -> "Any":
        if not button:
            return None
        self._pressed_level = 0 if button.get("active_low") else 1
        pin = machine.Pin(button["pin"], machine.Pin.IN, machine.Pin.PULL_UP if self._pressed_level == 0 else -1)
        pin.irq(self._on_button, machine.Pin.IRQ_RISING | machine.Pin.IRQ_FALLING)
        return pin

    def _on_button(self, pin: "Any") -> None:
        self._button_flag.set()

    async def button_change(self) -> bool:
        while True:
            await self._button_flag.wait()
            try:
                await asyncio.sleep_ms(_DEBOUNCE_MS)
            except asyncio.CancelledError:
                self._button_flag.set()  # whoever asks next must see this edge
                raise
            pressed = self._button is not None and self._button.value() == self._pressed_level
            if pressed != self._button_level:
                self._button_level = pressed
                return pressed

    # -- console ---------------------------------------------------------------------------------------------------
    async def read_console(self) -> bytes:
        # One byte through asyncio, then what else is there: a longer read would block until all of it has come.
        found = bytearray(await self._console.read(1))
        while len(found) < _CONSOLE_CHUNK_BYTES and self._console_poll.poll(0):
            sys.stdin.buffer.readinto(self._byte)
            found.append(self._byte[0])
        return bytes(found)

    def write_console(self, data: bytes) -> None:
        sys.stdout.buffer.write(data)

    def restart(self) -> None:
        machine.reset()


if TYPE_CHECKING:

    def _fits(board: Esp32Hal) -> Hal:  # the type checker's proof that the interface is complete
        return board
