"""The clock chip PCF8563 behind its registers, as in NXP's data sheet (rev. 11, 8.2 to 8.4): BCD, a flag for a voltage
that was too low, bits that mean nothing and read as 1 here. It has its own supply and its own drift.
"""

import struct
import time as _time  # registered before this module is loaded: the virtual one

import pipe
from vclock import EPOCH_2000_S
from vclock import clock as _clock

_SECONDS = 2  # first of the seven time registers
_YEARS = 8
_LOW_VOLTAGE = 0x80  # in the seconds register: the time cannot be trusted
_STOP = 0x20  # in control_status_1: the chip stands still
_MEANT = (0x7F, 0x7F, 0x3F, 0x3F, 0x07, 0x1F, 0xFF)  # bits of seconds .. years that carry the number
_MEANINGLESS = (0, 0x80, 0xC0, 0xC0, 0xF8, 0x60, 0)


def _bcd(number):
    return number // 10 << 4 | number % 10


def _number(bcd):
    return (bcd >> 4) * 10 + (bcd & 15)


class Pcf8563:
    ADDRESS = 0x51

    def __init__(self, kept):
        offset_us, self._set_us, self._drift_ppm = kept
        self._low_voltage = offset_us is None  # never set since it had power
        self._offset_us = EPOCH_2000_S * 1000000 - _clock.now_us() if offset_us is None else offset_us
        if self._low_voltage:
            self._set_us = _clock.now_us()
        self._other = bytearray(16)  # control, alarm, clock out, timer: kept, without effect but for STOP
        self._stopped_us = 0

    def _now_us(self):
        now_us = _clock.now_us()
        return now_us + self._offset_us + (now_us - self._set_us) * self._drift_ppm // 1000000

    def _registers(self):
        now_us = self._stopped_us or self._now_us()
        year, month, day, hour, minute, second, weekday, _ = _time.gmtime(now_us // 1000000 - EPOCH_2000_S)
        # The data sheet counts weekdays from Sunday.
        numbers = (second, minute, hour, day, (weekday + 1) % 7, month, year % 100)
        found = [_bcd(value) | unused for value, unused in zip(numbers, _MEANINGLESS)]
        if self._low_voltage:
            found[0] |= _LOW_VOLTAGE
        return found

    def read(self, register, count):
        present = self._other[:]
        present[_SECONDS : _YEARS + 1] = bytes(self._registers())
        return bytes(present[(register + at) & 15] for at in range(count))

    def write(self, register, data):
        fields = self._registers()
        timed = False
        for at, value in enumerate(data):
            place = (register + at) & 15
            if _SECONDS <= place <= _YEARS:
                fields[place - _SECONDS] = value
                timed = True
                if place == _SECONDS:
                    self._low_voltage = bool(value & _LOW_VOLTAGE)
            else:
                self._other[place] = value
        if timed:
            self._set(fields)
        self._run(not self._other[0] & _STOP)

    def _set(self, fields):
        second, minute, hour, day, _, month, year = [_number(f & meant) for f, meant in zip(fields, _MEANT)]
        seconds = _time.mktime((2000 + year, month, day, hour, minute, second, 0, 0)) + EPOCH_2000_S
        self._keep(seconds * 1000000)

    def _keep(self, time_us):
        self._set_us = _clock.now_us()
        self._offset_us = time_us - self._set_us
        if self._stopped_us:
            self._stopped_us = time_us
        if not self._low_voltage:
            _clock.link.send(pipe.CHIP_CLOCK, self._set_us, struct.pack(pipe.RTC_ARGS, self._offset_us))

    def _run(self, running):
        if running and self._stopped_us:
            stopped_us, self._stopped_us = self._stopped_us, 0
            self._keep(stopped_us)
        elif not running and not self._stopped_us:
            self._stopped_us = self._now_us()
