"""`bluetooth` of the ESP32 port over the ether, with its traps: an exception in the handler silences it for good, a
new address is refused without a word while the radio is busy, scan data die with the call, switching the radio on
brings the fixed public address back, and a light sleep with the radio on leaves it deaf and dumb until a reset.
"""

import os
import struct

import pipe
from vclock import clock as _clock
from vgatt import Connections
from vuuid import UUID  # noqa: F401 - part of this module's interface

_IRQ_SCAN_RESULT = 5
_IRQ_SCAN_DONE = 6
_ADDR_PUBLIC = 0
_ADDR_RANDOM = 1
_ENODEV = 19
_ENOMEM = 12
_ADDR_MODE_NRPA = 3
_DATA_BYTES = 31
_RUBBISH = b"\xdd" * _DATA_BYTES


_public_address = b""
_leak_cycles = None


def configure(public_address, leak_cycles):
    """Told by the board's boot. leak_cycles: how often the radio can be switched on before its memory is gone."""
    global _public_address, _leak_cycles
    _public_address = public_address
    _leak_cycles = leak_cycles


class BLE(Connections):
    _only = None

    def __new__(cls):
        if cls._only is None:
            cls._only = super().__new__(cls)
            cls._only._start()
        return cls._only

    def __init__(self):
        pass

    def _start(self):
        self._active = False
        self._handler = None
        self._advertising = False
        self._scanning = False
        self._dead = False  # by a light sleep; nothing says so
        self._switched_on = 0
        self._address_type = _ADDR_PUBLIC
        self._mac = _public_address
        self._last_data = b""
        self._shared = bytearray(_DATA_BYTES)  # what a scan result's data view points into
        self._shared_address = bytearray(6)
        self._shared_view = memoryview(self._shared)
        self._address_view = memoryview(self._shared_address)
        _clock.handlers[pipe.SCAN_RESULT] = self._on_result
        _clock.handlers[pipe.SCAN_DONE] = self._on_done
        _clock.before_sleep.append(self._die_in_sleep)
        self._start_connections()

    def active(self, value=None):
        if value is not None and bool(value) != self._active:
            if value:
                self._switch_on()
            else:
                self._stop_all()
                self._send(pipe.RADIO, b"\x00")
            self._active = bool(value)
        return self._active

    def _switch_on(self):
        self._switched_on += 1
        if _leak_cycles is not None and self._switched_on > _leak_cycles:
            raise OSError(_ENOMEM)
        self._set_address(_ADDR_PUBLIC, _public_address)
        self._send(pipe.RADIO, b"\x01")

    def _die_in_sleep(self):
        if self._active and not self._dead:
            self._send(pipe.ADVERTISE_STOP)
            self._send(pipe.SCAN_STOP)
            self._drop_connections()
            self._send(pipe.RADIO, b"\x00")
            self._dead = True

    def _stop_all(self):
        if self._advertising:
            self.gap_advertise(None)
        if self._scanning:
            self.gap_scan(None)
        self._drop_connections()

    def irq(self, handler):
        self._handler = handler

    def config(self, *args, **kwargs):
        if args:
            if args[0] == "mac":
                self._need_active()
                return self._address_type, self._mac
            raise ValueError("unknown config param")
        for name, value in kwargs.items():
            if name == "addr_mode":
                self._set_address_mode(value)
            elif name not in ("rxbuf", "gap_name", "mtu", "bond", "mitm", "io", "le_secure"):
                raise ValueError("unknown config param")
        return None

    def _set_address_mode(self, mode):
        if mode != _ADDR_MODE_NRPA:
            raise NotImplementedError("the virtual board knows addr_mode 3 only")
        if not self._active or self._advertising or self._scanning or self._connecting:
            return  # NimBLE refuses, MicroPython's assertion is compiled out: nothing changes, nothing is said
        address = bytearray(os.urandom(6))
        address[0] &= 0x3F  # non-resolvable private: the two top bits are 0
        self._set_address(_ADDR_RANDOM, bytes(address))

    def _set_address(self, address_type, address):
        self._address_type, self._mac = address_type, address
        self._send(pipe.ADDRESS, bytes((address_type,)) + address)

    def _send(self, kind, payload=b""):
        if not self._dead:
            _clock.link.send(kind, _clock.now_us(), payload)

    def _need_active(self):
        if not self._active:
            raise OSError(_ENODEV)

    def gap_advertise(self, interval_us, adv_data=None, *, resp_data=None, connectable=True):
        self._need_active()
        if interval_us is None:
            self._advertising = False
            self._send(pipe.ADVERTISE_STOP)
            return
        if adv_data is not None:
            self._last_data = bytes(adv_data)
        if len(self._last_data) > _DATA_BYTES:
            raise OSError(22)  # EINVAL
        self._advertising = True
        interval_us = interval_us // 625 * 625
        self._send(
            pipe.ADVERTISE, struct.pack(pipe.ADVERTISE_ARGS, interval_us, 1 if connectable else 0) + self._last_data
        )

    def gap_scan(self, duration_ms, interval_us=1280000, window_us=11250, active=False):
        self._need_active()
        if duration_ms is None:
            if self._scanning:
                self._scanning = False
                self._send(pipe.SCAN_STOP)
                if not self._dead:  # the port tells the end of a stopped scan too
                    self._call(_IRQ_SCAN_DONE, ())
            return
        if not 2500 <= window_us <= interval_us <= 10240000:
            raise OSError(22)
        self._scanning = True
        self._send(pipe.SCAN, struct.pack(pipe.SCAN_ARGS, duration_ms, interval_us, window_us, 1 if active else 0))

    def _on_result(self, events, at, length):
        if not self._scanning:
            return
        # Fields of pipe.RESULT_ARGS, read one by one for speed.
        rssi = events[at + 2]
        count = length - pipe.RESULT_ARGS_BYTES
        self._shared[:count] = events[at + pipe.RESULT_ARGS_BYTES : at + length]
        self._shared_address[:] = events[at + 3 : at + 9]
        self._call(
            _IRQ_SCAN_RESULT,
            (
                events[at],
                self._address_view,
                events[at + 1],
                rssi - 256 if rssi > 127 else rssi,
                self._shared_view[:count],
            ),
        )
        self._shared[:] = _RUBBISH  # for whoever kept the view

    def _on_done(self, events, at, length):
        if self._scanning:
            self._scanning = False
            self._call(_IRQ_SCAN_DONE, ())

    def _call(self, event, data):
        if self._handler is None:
            return
        try:
            self._handler(event, data)
        except Exception:  # noqa: BLE001 - this is what the port does
            self._handler = None
