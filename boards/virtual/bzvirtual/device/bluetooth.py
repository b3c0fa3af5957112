"""`bluetooth` of the ESP32 port over the ether, with its traps: an exception in the handler silences it for good, a
new address is refused without a word while the radio is busy, scan data die with the call.
"""

import os
import struct

import pipe
from vclock import clock as _clock

_IRQ_SCAN_RESULT = 5
_IRQ_SCAN_DONE = 6
_ADDR_RANDOM = 1
_ADDR_MODE_NRPA = 3
_DATA_BYTES = 31
_RUBBISH = b"\xdd" * _DATA_BYTES


class UUID:
    def __init__(self, value):
        self.value = value

    def __eq__(self, other):
        return isinstance(other, UUID) and other.value == self.value

    def __hash__(self):
        return hash(self.value)


class BLE:
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
        self._mac = b"\x02\x00\x00\x00\x00\x00"
        self._last_data = b""
        self._shared = bytearray(_DATA_BYTES)  # what a scan result's data view points into
        self._shared_address = bytearray(6)
        self._shared_view = memoryview(self._shared)
        self._address_view = memoryview(self._shared_address)
        _clock.handlers[pipe.SCAN_RESULT] = self._on_result
        _clock.handlers[pipe.SCAN_DONE] = self._on_done

    def active(self, value=None):
        if value is not None:
            if not value and self._active:
                self._stop_all()
            self._active = bool(value)
        return self._active

    def _stop_all(self):
        if self._advertising:
            self.gap_advertise(None)
        if self._scanning:
            self.gap_scan(None)

    def irq(self, handler):
        self._handler = handler

    def config(self, *args, **kwargs):
        if args:
            if args[0] == "mac":
                return _ADDR_RANDOM, self._mac
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
        if not self._active or self._advertising or self._scanning:
            return  # NimBLE refuses, MicroPython's assertion is compiled out: nothing changes, nothing is said
        address = bytearray(os.urandom(6))
        address[0] &= 0x3F  # non-resolvable private: the two top bits are 0
        self._mac = bytes(address)
        self._send(pipe.ADDRESS, self._mac)

    def _send(self, kind, payload=b""):
        _clock.link.send(kind, _clock.now_us(), payload)

    def _need_active(self):
        if not self._active:
            raise OSError(19)  # ENODEV

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
                self._call(_IRQ_SCAN_DONE, ())  # the port tells the end of a stopped scan too
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
