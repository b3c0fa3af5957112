"""A PCF8563 (or BM8563) clock chip on I2C: seconds and calendar, kept over power-off by its own cell.

Registers after the NXP data sheet PCF8563 rev. 11: 0x02 seconds with VL (time lost) in bit 7 .. 0x08 years, in BCD.
"""

import time

from micropython import const

_ADDRESS = const(0x51)
_FIRST_REGISTER = const(2)
_TIME_LOST = const(0x80)


def _from_bcd(value: int) -> int:
    return (value >> 4) * 10 + (value & 15)


def _to_bcd(value: int) -> int:
    return value // 10 << 4 | value % 10


class RtcChip:
    """bus: a machine.I2C. epoch_s: seconds from 1970 to the port's own epoch."""

    def __init__(self, bus: object, epoch_s: int) -> None:
        self._bus = bus
        self._epoch_s = epoch_s

    def unix_ms(self) -> int:
        """Its time; 0 when it was lost, or the chip does not answer."""
        try:
            raw = self._bus.readfrom_mem(_ADDRESS, _FIRST_REGISTER, 7)  # type: ignore[attr-defined]
        except OSError:
            return 0
        if raw[0] & _TIME_LOST:
            return 0
        second, minute, hour = _from_bcd(raw[0] & 0x7F), _from_bcd(raw[1] & 0x7F), _from_bcd(raw[2] & 0x3F)
        day, month, year = _from_bcd(raw[3] & 0x3F), _from_bcd(raw[5] & 0x1F), 2000 + _from_bcd(raw[6])
        if not 1 <= month <= 12 or not 1 <= day <= 31:
            return 0
        return (time.mktime((year, month, day, hour, minute, second, 0, 0)) + self._epoch_s) * 1000

    def set(self, unix_ms: int) -> None:
        """Set it, to the second; writing the seconds clears VL."""
        fields = time.gmtime((unix_ms + 500) // 1000 - self._epoch_s)
        year, month, day, hour, minute, second, weekday = fields[:7]
        values = (second, minute, hour, day, (weekday + 1) % 7, month, year - 2000)
        try:
            self._bus.writeto_mem(  # type: ignore[attr-defined]
                _ADDRESS, _FIRST_REGISTER, bytes([_to_bcd(value) for value in values])
            )
        except OSError:
            return
