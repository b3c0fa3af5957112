"""Light and deep sleep of the chip: processor, console and radio stand still; the slow clock or an armed pin wakes it.

Pins are level-triggered: a level that holds already lets no sleep begin. Of an edge during sleep only the new level is
left, no interrupt. GPIO wakes from deep sleep only where the board says so (`power.deepsleep_wake`), as on the C3.
"""

import struct

import pipe
from vclock import clock as _clock

EXT0_WAKE, EXT1_WAKE, TIMER_WAKE, GPIO_WAKE = 2, 3, 4, 7
UNDEFINED = 0

_armed = {}  # wake source -> (pins, level)
_gpio_wakes_from_deep = False
reason = UNDEFINED


def configure(last_reason, gpio_wakes_from_deep):
    """Told by the board's boot what ended the last sleep, and what this chip can."""
    global reason, _gpio_wakes_from_deep
    reason = last_reason
    _gpio_wakes_from_deep = gpio_wakes_from_deep


def arm(source, pins, level):
    """Wake on these pins; no pins: no more."""
    if pins:
        _armed[source] = (pins, 1 if level else 0)
    else:
        _armed.pop(source, None)


def _woken_by(deep):
    for source in (EXT0_WAKE, EXT1_WAKE, GPIO_WAKE):
        if source not in _armed or (source == GPIO_WAKE and deep and not _gpio_wakes_from_deep):
            continue
        pins, level = _armed[source]
        same = [pin.value() == level for pin in pins]
        if all(same) if source == EXT1_WAKE and not level else any(same):
            return source
    return UNDEFINED


def sleep(time_ms, deep):
    """Stand still; 0 ms: until a pin wakes it. Returns when awake again."""
    global reason
    start_us = _clock.now_us()
    until_us = start_us + _clock.slept_us(time_ms * 1000) if time_ms else -1
    for stop in _clock.before_sleep:
        stop()
    if deep:
        _clock.watchdog_us = -1
    reason = _woken_by(deep)
    if reason:
        return
    _clock.link.send(pipe.SLEEP, start_us, bytes((pipe.DEEP if deep else pipe.LIGHT,)))
    _clock.asleep = True
    while not reason:
        if 0 <= until_us <= _clock.now_us():
            reason = TIMER_WAKE
        else:
            _clock.wait(until_us)
            reason = _woken_by(deep)
    _clock.asleep = False
    _clock.serial_hint = True
    _clock.link.send(pipe.SLEEP, _clock.now_us(), bytes((pipe.AWAKE,)))
    _clock.count_sleep(_clock.now_us() - start_us)
    _clock.check_watchdog()


def reset_payload(cause):
    """What the board keeps of a reset. Only a deep sleep leaves a wake reason."""
    return struct.pack(pipe.RESET_ARGS, cause, reason if cause == 4 else UNDEFINED)
