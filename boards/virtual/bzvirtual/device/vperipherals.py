"""What else of `machine` the firmware may use: watchdog, battery voltage, PWM for a buzzer, a bus with a clock chip.

Traps: the watchdog cannot be stopped and bites in a blocking sleep too; an ADC without attenuation sees 0.95 V at most;
a bus on the wrong pins is empty.
"""

import struct

import pipe
from vclock import clock as _clock

_WDT_RESET = 3
_LEAST_TIMEOUT_MS = 1000

_battery_pin = -1
_battery_uv = 0  # at the pin, behind the divider
_divider = 1.0
_chip = None
_chip_pins = ()


def configure(board, battery_mv, chip_clock):
    """Told by the board's boot. board: its board.json; chip_clock: (offset_us or None, set_us, drift_ppm)."""
    global _battery_pin, _divider, _chip, _chip_pins
    battery = board.get("battery") or {}
    if "adc_pin" in battery:
        _battery_pin, _divider = battery["adc_pin"], battery.get("divider", 1)
    _take_battery(battery_mv)
    _clock.handlers[pipe.BATTERY] = _on_battery
    rtc = board.get("rtc") or {}
    if rtc.get("chip") == "pcf8563":
        import vpcf8563

        _chip = vpcf8563.Pcf8563(chip_clock)
        _chip_pins = (rtc.get("scl"), rtc.get("sda"))


def _take_battery(millivolts):
    global _battery_uv
    _battery_uv = int(millivolts * 1000 / _divider)


def _on_battery(events, at, length):
    _take_battery(struct.unpack_from(pipe.BATTERY_ARGS, events, at)[0])


class WDT:
    """Resets the chip when it was not fed in time; deep sleep, which is a reset, ends it."""

    _timeout_us = 0

    def __init__(self, id=0, timeout=5000):
        if id != 0:
            raise ValueError("WDT id")
        if timeout < _LEAST_TIMEOUT_MS:
            raise ValueError("timeout is at least 1 s")
        WDT._timeout_us = timeout * 1000
        self.feed()

    def feed(self):
        _clock.watchdog_us = _clock.now_us() + WDT._timeout_us


class ADC:
    ATTN_0DB = 0
    ATTN_2_5DB = 1
    ATTN_6DB = 2
    ATTN_11DB = 3
    _MOST_UV = (950000, 1250000, 1750000, 2450000)  # where the ESP32's converter stops being linear

    def __init__(self, pin, *, atten=0):
        self._number = pin if isinstance(pin, int) else pin._number
        self._atten = atten

    def atten(self, atten):
        self._atten = atten

    def read_uv(self):
        value = _battery_uv if self._number == _battery_pin else 0
        return min(value, ADC._MOST_UV[self._atten])

    def read_u16(self):
        return self.read_uv() * 65535 // ADC._MOST_UV[self._atten]


class PWM:
    """Seen from outside as a pin: 1 while it sounds."""

    def __init__(self, pin, freq=5000, duty_u16=32768):
        self._pin = pin
        self._freq = freq
        self._duty = -1
        self.duty_u16(duty_u16)

    def freq(self, hz=None):
        if hz is None:
            return self._freq
        self._freq = hz
        return None

    def duty_u16(self, duty=None):
        if duty is None:
            return self._duty
        self._duty = duty
        self._pin.value(1 if duty else 0)
        return None

    def deinit(self):
        self._pin.value(0)


class I2C:
    """A bus; `SoftI2C` is the same without a number."""

    def __init__(self, id=-1, *, scl=None, sda=None, freq=400000, timeout=50000):
        pins = (getattr(scl, "_number", None), getattr(sda, "_number", None))
        self._devices = {_chip.ADDRESS: _chip} if _chip is not None and pins == _chip_pins else {}

    def scan(self):
        return sorted(self._devices)

    def _device(self, address):
        try:
            return self._devices[address]
        except KeyError:
            raise OSError(19)  # ENODEV: nobody acknowledged

    def readfrom_mem(self, address, register, count, *, addrsize=8):
        return self._device(address).read(register, count)

    def readfrom_mem_into(self, address, register, buf, *, addrsize=8):
        buf[:] = self._device(address).read(register, len(buf))

    def writeto_mem(self, address, register, buf, *, addrsize=8):
        self._device(address).write(register, bytes(buf))


class SoftI2C(I2C):
    def __init__(self, scl, sda, *, freq=400000, timeout=50000):
        super().__init__(scl=scl, sda=sda, freq=freq, timeout=timeout)
