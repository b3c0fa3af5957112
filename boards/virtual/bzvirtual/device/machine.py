"""`machine` of the ESP32 port: pins, clock, reset. Clock and reset causes are kept by the ether over a restart."""

import struct
import sys
import time as _real_time  # registered before this module is loaded: the virtual one

import pipe
from vclock import EPOCH_2000_S
from vclock import clock as _clock

PWRON_RESET = 1
HARD_RESET = 2
WDT_RESET = 3
DEEPSLEEP_RESET = 4
SOFT_RESET = 5

_RTC_MEMORY_BYTES = 2048

_boot_cause = PWRON_RESET
_rtc_memory = b""


def configure(boot_cause, rtc_memory):
    """Told by the board's boot what the last restart left behind."""
    global _boot_cause, _rtc_memory
    _boot_cause = boot_cause
    _rtc_memory = rtc_memory


def reset_cause():
    return _boot_cause


def _restart(cause, sleep_ms=0):
    _clock.link.send(pipe.RESET, _clock.now_us(), struct.pack(pipe.RESET_ARGS, cause, sleep_ms))
    _clock.link.flush()
    sys.exit(0)


def reset():
    _restart(HARD_RESET)


def soft_reset():
    _restart(SOFT_RESET)


def deepsleep(time_ms=0):
    _restart(DEEPSLEEP_RESET, time_ms)


def freq(hz=None):
    return 160000000


def unique_id():
    return b"\x02virtu"


class Pin:
    IN = 1
    OUT = 3
    PULL_UP = 2
    PULL_DOWN = 1
    IRQ_RISING = 1
    IRQ_FALLING = 2
    _by_number = {}

    def __init__(self, number, mode=-1, pull=-1, *, value=None):
        self._number = number
        self._level = 1 if pull == Pin.PULL_UP else 0
        self._handler = None
        self._trigger = 0
        self._mode = mode
        Pin._by_number[number] = self
        _clock.handlers[pipe.PIN_IN] = Pin._on_edge
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
        pin = Pin._by_number.get(number)
        if pin is None or pin._level == level:
            return
        pin._level = level
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
