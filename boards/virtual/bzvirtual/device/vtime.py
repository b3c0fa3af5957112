"""`time` of the ESP32 port: epoch 2000, ticks that wrap at 2**30 ms, sleeping hands the turn to the ether."""

import time as _real

from vclock import EPOCH_2000_S, TICKS_PERIOD
from vclock import clock as _clock

_HALF = TICKS_PERIOD // 2


def time():
    return _clock.rtc_us() // 1000000 - EPOCH_2000_S


def time_ns():
    return _clock.rtc_us() * 1000 - EPOCH_2000_S * 1000000000


def gmtime(seconds=None):
    return _real.gmtime((time() if seconds is None else seconds) + EPOCH_2000_S)[:8]


localtime = gmtime


def mktime(fields):
    return _real.mktime(fields) - EPOCH_2000_S


def ticks_ms():
    return _clock.ticks_us() // 1000 % TICKS_PERIOD


def ticks_us():
    return _clock.ticks_us() % TICKS_PERIOD


ticks_cpu = ticks_us


def ticks_add(ticks, delta):
    if not -_HALF < delta < _HALF:
        raise OverflowError("ticks interval overflow")
    return (ticks + delta) % TICKS_PERIOD


def ticks_diff(end, start):
    return (end - start + _HALF) % TICKS_PERIOD - _HALF


def sleep_us(amount):
    _clock.sleep(_clock.now_us() + amount)


def sleep_ms(amount):
    sleep_us(amount * 1000)


def sleep(amount):
    sleep_us(int(amount * 1000000))
