"""`machine` of the ESP32 port: pins, clock, sleep, reset. What outlives a restart is kept by the ether."""

import struct
import time as _real_time  # registered before this module is loaded: the virtual one

import pipe
import vsleep
from vclock import EPOCH_2000_S
from vclock import clock as _clock
from vperipherals import ADC, I2C, PWM, WDT, SoftI2C  # noqa: F401 - part of this module's interface
from vsleep import EXT0_WAKE, EXT1_WAKE, TIMER_WAKE  # noqa: F401

PWRON_RESET = 1
HARD_RESET = 2
WDT_RESET = 3
DEEPSLEEP_RESET = 4
SOFT_RESET = 5
PIN_WAKE = EXT0_WAKE

_FREQUENCIES_MHZ = (20, 40, 80, 160, 240)
_RTC_MEMORY_BYTES = 2048

_boot_cause = PWRON_RESET
_rtc_memory = b""
_unique_id = b""
_frequency_hz = 160000000


def configure(boot_cause, rtc_memory, unique_id, driven):
    """Told by the board's boot what the last restart left behind; driven: pins whose level comes from outside."""
    global _boot_cause, _rtc_memory, _unique_id
    _boot_cause = boot_cause
    _rtc_memory = rtc_memory
    _unique_id = unique_id
    Pin._driven.update(driven)
    _clock.handlers[pipe.PIN_IN] = Pin._on_edge
    _clock.on_watchdog = _bite


def reset_cause():
    return _boot_cause


def wake_reason():
    return vsleep.reason


def _restart(cause, time_us):
    for tell in _clock.before_wait:
        tell()
    _clock.link.send(pipe.RESET, time_us, vsleep.reset_payload(cause))
    _clock.link.stand_still()  # nothing that the program did after its reset may count


def _bite(time_us):
    _restart(WDT_RESET, max(time_us, _clock.now_us()) if _clock.lockstep else _clock.now_us())


def reset():
    _restart(HARD_RESET, _clock.now_us())


def soft_reset():
    _restart(SOFT_RESET, _clock.now_us())


def lightsleep(time_ms=0):
    vsleep.sleep(time_ms, False)


def deepsleep(time_ms=0):
    vsleep.sleep(time_ms, True)
    _restart(DEEPSLEEP_RESET, _clock.now_us())


def freq(hz=None):
    global _frequency_hz
    if hz is None:
        return _frequency_hz
    if hz // 1000000 not in _FREQUENCIES_MHZ:
        raise ValueError("frequency must be 20MHz, 40MHz, 80Mhz, 160MHz or 240MHz")
    _frequency_hz = hz // 1000000 * 1000000
    return None


def unique_id():
    return _unique_id


class Pin:
    IN = 1
    OUT = 3
    PULL_UP = 2
    PULL_DOWN = 1
    IRQ_RISING = 1
    IRQ_FALLING = 2
    _by_number = {}
    _driven = {}  # level of a pin that something outside drives

    def __init__(self, number, mode=-1, pull=-1, *, value=None, drive=None, hold=None):
        self._number = number
        self._level = Pin._driven.get(number, 1 if pull == Pin.PULL_UP else 0)
        self._handler = None
        self._trigger = 0
        self._mode = mode
        Pin._by_number[number] = self
        if value is not None:
            self.value(value)

    def value(self, level=None):
        if level is None:
            return self._level
        level = 1 if level else 0
        if level != self._level:
            self._level = level
            _clock.link.send(pipe.PIN_OUT, _clock.now_us(), struct.pack(pipe.PIN_ARGS, self._number, level))
        return None

    def __call__(self, level=None):
        return self.value(level)

    def on(self):
        self.value(1)

    def off(self):
        self.value(0)

    def irq(self, handler=None, trigger=IRQ_RISING | IRQ_FALLING):
        self._handler = handler
        self._trigger = trigger

    @staticmethod
    def _on_edge(events, at, length):
        number, level = struct.unpack_from(pipe.PIN_ARGS, events, at)
        Pin._driven[number] = level
        pin = Pin._by_number.get(number)
        if pin is None or pin._level == level:
            return
        pin._level = level
        if _clock.asleep:
            return
        wanted = Pin.IRQ_RISING if level else Pin.IRQ_FALLING
        if pin._handler and pin._trigger & wanted:
            pin._handler(pin)


class RTC:
    def datetime(self, fields=None):
        if fields is None:
            rtc_us = _clock.rtc_us()
            year, month, day, hour, minute, second, weekday, _ = _real_time.gmtime(rtc_us // 1000000 - EPOCH_2000_S)
            return year, month, day, weekday, hour, minute, second, rtc_us % 1000000
        year, month, day, _weekday, hour, minute, second, micros = fields
        seconds = _real_time.mktime((year, month, day, hour, minute, second, 0, 0)) + EPOCH_2000_S
        _clock.set_rtc_us(seconds * 1000000 + micros)
        return None

    def memory(self, data=None):
        global _rtc_memory
        if data is None:
            return _rtc_memory
        if len(data) > _RTC_MEMORY_BYTES:
            raise ValueError("buffer too long")
        _rtc_memory = bytes(data)
        _clock.link.send(pipe.RTC_MEMORY, _clock.now_us(), _rtc_memory)
        return None
