"""The board behind `hal.Hal`: the only file that imports `machine`, `bluetooth` and `esp32`.

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
import esp32
import machine
from cryptolib import aes
from micropython import const, kbd_intr

from bzwire.messages import PROFILE_CONTINUOUS, PROFILE_WINDOWED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .hal import Hal
    from .hal_gatt import GattReader
    from .rtc_chip import RtcChip

BOARD_FILES = ("/board.json", "/rom/board.json")

_IRQ_CENTRAL_CONNECT = const(1)
_IRQ_CENTRAL_DISCONNECT = const(2)
_IRQ_SCAN_RESULT = const(5)
_IRQ_SCAN_DONE = const(6)
_IRQ_PERIPHERAL_CONNECT = const(7)  # this and the ones after it are a GATT client's
_ADDRESS_MODE_NRPA = const(3)
_AES_ECB = const(1)
_SCAN_WINDOW_US = const(50000)  # interval = window: listening all the time, changing channel every 50 ms
_SCAN_GRACE_MS = const(2000)  # how late the radio may say that a scan is over
_DEBOUNCE_MS = const(30)
_CONSOLE_CHUNK_BYTES = const(64)
_OFF_LOOK_MS = const(60000)
_BUZZ_HZ = const(2700)  # where small piezos are loudest
_DRIFT_BOUND_PPM = const(50000)  # of an RC oscillator, when the board's file says nothing better


def read_board_file(path: str) -> "dict[str, Any]":
    """A board's description. Raises whatever is wrong with it."""
    with open(path) as file:
        return json.load(file)


def build() -> "Esp32Hal":
    """The board as its file describes it: the one in the file system, else the one shipped with the application. When
    neither can be built, a board without pins: it can answer a station.
    """
    for path in BOARD_FILES:
        try:
            return Esp32Hal(read_board_file(path))
        except Exception as error:  # noqa: BLE001 - none here, damaged, too deep, too long, of wrong types
            if not isinstance(error, OSError):
                sys.print_exception(error)
    return Esp32Hal({"name": "unknown", "radio": {"tx_power_dbm": 0}})


def _readable(stream: "Any") -> "Any":
    """To be awaited: what asyncio's own streams do, without the 2 KiB that they take."""
    yield asyncio.core._io_queue.queue_read(stream)


def restart() -> None:
    """Reset the chip."""
    machine.reset()


def _epoch_offset_s() -> int:
    """Seconds from 1970 to this port's epoch (2000 on the ESP32, 1970 elsewhere)."""
    return 946684800 if time.gmtime(0)[0] == 2000 else 0


def _input(place: "dict[str, Any] | None") -> "tuple[Any, int] | None":
    """(pin, level that means pressed or present) of `{"pin", "active_low"}`; None when the board has no such thing."""
    if not place:
        return None
    active = 0 if place.get("active_low") else 1
    return machine.Pin(place["pin"], machine.Pin.IN, machine.Pin.PULL_UP if active == 0 else -1), active


def _is_active(pin: "tuple[Any, int] | None") -> bool:
    return pin is not None and pin[0].value() == pin[1]


class Esp32Hal:
    """See `hal.Hal`. board: the parsed board.json."""

    def __init__(self, board: "dict[str, Any]") -> None:
        self.board = board["name"] + ""  # TypeError for what is no text
        self.tx_power_dbm = board["radio"]["tx_power_dbm"]
        power = board.get("power", {})
        self.default_profile = PROFILE_WINDOWED if power.get("profile") == "windowed" else PROFILE_CONTINUOUS
        self.can_sleep = power.get("sleep") == "light"
        self._cpu_hz, self._boot_hz = power.get("cpu_hz"), machine.freq()
        self._deep_wake = power.get("deepsleep_wake")
        if power.get("hold_pin") is not None:  # some boards cut their own battery off unless told not to
            machine.Pin(power["hold_pin"], machine.Pin.OUT, value=1)
        self.drift_bound_ppm = board.get("clock", {}).get("drift_ppm") or _DRIFT_BOUND_PPM
        self._epoch_s = _epoch_offset_s()
        self._rtc = machine.RTC()
        self._chip = self._make_chip(board.get("rtc"))
        self._light = self._make_light(board.get("light"))
        self._button_flag = asyncio.ThreadSafeFlag()
        self._button = self._make_button(board.get("button"))
        self._button_level = False
        self._cable = _input(board.get("usb_sense"))
        self._make_battery(board.get("battery"))
        self._make_buzzer(board.get("buzzer"))
        self._watchdog: "machine.WDT | None" = None
        self._take_packet: "Callable[[int, memoryview, int, memoryview], None] | None" = None
        self._broadcast: "tuple[bytes, int] | None" = None
        self.irq_errors = 0
        self.dead_scans = 0
        self._scan_done = asyncio.ThreadSafeFlag()
        self._ble = bluetooth.BLE()
        self._gatt: "GattReader | None" = None  # made for the first iPhone
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

    def _make_chip(self, rtc: "dict[str, Any] | None") -> "RtcChip | None":
        if not rtc or rtc.get("chip") != "pcf8563":
            return None
        from .rtc_chip import RtcChip  # few boards have one

        return RtcChip(machine.I2C(0, scl=machine.Pin(rtc["scl"]), sda=machine.Pin(rtc["sda"])), self._epoch_s)

    def clock_chip_unix_ms(self) -> int:
        return self._chip.unix_ms() if self._chip else 0

    def set_clock_chip(self, unix_ms: int) -> None:
        if self._chip:
            self._chip.set(unix_ms)

    def woke_from_power_off(self) -> bool:
        return machine.reset_cause() == machine.PWRON_RESET

    def hardware_id(self) -> bytes:
        return machine.unique_id()

    def reset_cause(self) -> int:
        return machine.reset_cause()

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
                    self._take_packet(data[3], data[4], data[0], data[1])
            elif event == _IRQ_SCAN_DONE:
                self._scan_done.set()
            elif event >= _IRQ_PERIPHERAL_CONNECT and self._gatt is not None:
                self._gatt.on_event(event, data)
            elif event == _IRQ_CENTRAL_CONNECT:
                # Advertising is connectable, as a phone's is, and ends with a connection; a token offers nothing.
                self._ble.gap_disconnect(data[0])
            elif event == _IRQ_CENTRAL_DISCONNECT and self._broadcast is not None:
                self.advertise(self._broadcast[0], self._broadcast[1])
        except Exception:  # noqa: BLE001 - counted; there is nobody above to tell
            self.irq_errors += 1

    def on_packet(self, take: "Callable[[int, memoryview, int, memoryview], None]") -> None:
        self._take_packet = take

    def radio_is_on(self) -> bool:
        return bool(self._ble.active())

    def radio_on(self) -> None:
        self._ble.active(True)
        self._ble.irq(self._on_ble)

    def radio_off(self) -> None:
        self._broadcast = None
        self._ble.active(False)

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

    async def read_characteristic(self, address: bytes, service: str, characteristic: str, timeout_ms: int) -> bytes:
        if self._gatt is None:
            from .hal_gatt import GattReader

            self._gatt = GattReader(self._ble)
        return await self._gatt.read(address, bluetooth.UUID(service), bluetooth.UUID(characteristic), timeout_ms)

    def flash_blocks(self) -> "Any":
        return esp32.Partition.find(esp32.Partition.TYPE_DATA, label="vfs")[0]

    # -- light and button ------------------------------------------------------------------------------------------
    def _make_light(self, light: "dict[str, Any] | None") -> "list[tuple[Any, int]]":
        """(pin, level that is dark) for red, green, blue, as far as the board has them; one that has but `mono`
        shows every colour with it.
        """
        pins: "list[tuple[Any, int]]" = []
        light = light or {}
        dark = 1 if light.get("active_low") else 0
        for colour in ("red", "green", "blue", "mono"):
            number = light.get(colour)
            pins.append((None if number is None else machine.Pin(number, machine.Pin.OUT, value=dark), dark))
        return pins

    def show(self, colour: "tuple[int, int, int]") -> None:
        for (pin, dark), wanted in zip(self._light, colour + (max(colour),)):
            if pin is not None:
                pin.value(1 - dark if wanted else dark)

    def _make_button(self, button: "dict[str, Any] | None") -> "tuple[Any, int] | None":
        made = _input(button)
        if made:
            made[0].irq(self._on_button, machine.Pin.IRQ_RISING | machine.Pin.IRQ_FALLING)
        return made

    def button_is_down(self) -> bool:
        return _is_active(self._button)

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
            pressed = self.button_is_down()
            if pressed != self._button_level:
                self._button_level = pressed
                return pressed

    def _make_buzzer(self, buzzer: "dict[str, Any] | None") -> None:
        self._buzzer = machine.Pin(buzzer["pin"], machine.Pin.OUT, value=0) if buzzer else None
        self._buzzer_is_passive = bool(buzzer and buzzer.get("passive"))
        self._tone: "machine.PWM | None" = None

    def buzz(self, on: bool) -> None:
        if self._buzzer is None:
            return
        if not self._buzzer_is_passive:
            self._buzzer.value(1 if on else 0)
        elif on:
            self._tone = machine.PWM(self._buzzer, freq=_BUZZ_HZ, duty_u16=32768)
        elif self._tone is not None:
            self._tone.deinit()
            self._tone = None

    # -- power -------------------------------------------------------------------------------------------------------
    def _make_battery(self, battery: "dict[str, Any] | None") -> None:
        self.battery_limits_mv = (int(battery.get("low_mv", 0)), int(battery.get("empty_mv", 0))) if battery else (0, 0)
        self._divider = battery["divider"] if battery else 0
        self._adc = machine.ADC(machine.Pin(battery["adc_pin"]), atten=machine.ADC.ATTN_11DB) if battery else None

    def battery_mv(self) -> int:
        return int(self._adc.read_uv() * self._divider) // 1000 if self._adc else 0

    def cable_present(self) -> bool:
        return _is_active(self._cable)

    def run_slowly(self, slowly: bool) -> None:
        if self._cpu_hz:
            machine.freq(self._cpu_hz if slowly else self._boot_hz)

    def light_sleep(self, sleep_ms: int) -> bool:
        if self.radio_is_on():
            self.radio_off()  # the radio does not survive light sleep
        if self._button:
            esp32.wake_on_gpio((self._button[0],), bool(self._button[1]))
        self.feed_watchdog()
        machine.lightsleep(sleep_ms)
        self.feed_watchdog()
        if not self.button_is_down():
            return False
        self._button_flag.set()  # an edge during sleep raises no interrupt
        return True

    def power_off(self) -> None:
        self.show((0, 0, 0))
        self.buzz(False)  # pins stay as they are, and a token may show itself in this moment
        if self.radio_is_on():
            self.radio_off()
        if not self._button or not self._deep_wake:
            # The button cannot end this board's deep sleep: light sleep, which any pin ends, costs a little more.
            while not self.button_is_down() and not self.cable_present():
                self.light_sleep(_OFF_LOOK_MS)
            restart()
            return
        if self._cable and self._deep_wake != "ext1" and hasattr(esp32, "wake_on_ext1"):
            esp32.wake_on_ext1((self._cable[0],), bool(self._cable[1]))
        pin, level = self._button
        if self._deep_wake == "ext0":
            esp32.wake_on_ext0(pin, bool(level))
        elif self._deep_wake == "ext1":
            esp32.wake_on_ext1((pin,), bool(level))
        else:
            esp32.wake_on_gpio((pin,), bool(level))
        machine.deepsleep()

    def start_watchdog(self, timeout_ms: int) -> None:
        self._watchdog = machine.WDT(timeout=timeout_ms)

    def feed_watchdog(self) -> None:
        if self._watchdog is not None:
            self._watchdog.feed()

    # -- console ---------------------------------------------------------------------------------------------------
    async def read_console(self) -> bytes:
        # Byte by byte what is there: a longer read would block until all of it has come.
        await _readable(sys.stdin.buffer)
        found = bytearray()
        while len(found) < _CONSOLE_CHUNK_BYTES and self._console_poll.poll(0):
            sys.stdin.buffer.readinto(self._byte)
            found.append(self._byte[0])
        return bytes(found)

    def write_console(self, data: bytes) -> None:
        sys.stdout.buffer.write(data)

    def ignore_ctrl_c(self) -> None:
        kbd_intr(-1)

    def restart(self) -> None:
        restart()


if TYPE_CHECKING:

    def _fits(board: Esp32Hal) -> Hal:  # the type checker's proof that the interface is complete
        return board
