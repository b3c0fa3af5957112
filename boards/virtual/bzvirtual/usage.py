"""What a token has spent: how long processor and radio were in which state, and what wore the flash.

The figures behind the power model. Times are true microseconds of the simulated world; a state that still lasts counts
up to the moment that is asked for.
"""

import struct
from dataclasses import dataclass, replace

from .device import pipe

BROADCAST_GAP_US = 5_000  # Bluetooth adds 0 to 10 ms to each advertising interval


@dataclass
class Usage:
    """All since the token was first powered up. listen_us: scanning times the scan's duty (window / interval).

    radio_on_us: Bluetooth switched on, whatever it does. programmed_bytes, erases: flash.
    """

    total_us: int = 0
    off_us: int = 0
    asleep_us: int = 0
    deep_asleep_us: int = 0
    radio_on_us: int = 0
    advertise_us: int = 0
    listen_us: int = 0
    connected_us: int = 0
    advertisements: int = 0
    light_sleeps: int = 0
    deep_sleeps: int = 0
    radio_starts: int = 0
    boots: int = 0
    erases: int = 0
    programmed_bytes: int = 0

    @property
    def awake_us(self) -> int:
        """The processor runs or waits without sleeping."""
        return self.total_us - self.off_us - self.asleep_us - self.deep_asleep_us


class Meter:
    """Keeps a token's usage from the commands that its program sends anyway."""

    def __init__(self, now_us: int) -> None:
        self._start_us = now_us
        self._usage = Usage()
        self._open: dict[str, tuple[int, float]] = {}  # field -> since when, share of the time that counts
        self._interval_us = 0

    def begin(self, field: str, now_us: int, share: float = 1.0) -> None:
        """A state begins; one that is on already ends first."""
        self.end(field, now_us)
        self._open[field] = (now_us, share)

    def end(self, field: str, now_us: int) -> None:
        """A state ends, if it was on."""
        span = self._open.pop(field, None)
        if span is not None:
            self._add(self._usage, field, span, now_us)

    def _add(self, usage: Usage, field: str, span: tuple[int, float], now_us: int) -> None:
        lasted_us = max(0, now_us - span[0])
        setattr(usage, field, getattr(usage, field) + int(lasted_us * span[1]))
        if field == "advertise_us":
            usage.advertisements += lasted_us // (self._interval_us + BROADCAST_GAP_US) + 1

    def is_on(self, field: str) -> bool:
        """True while a state lasts."""
        return field in self._open

    def count(self, field: str, amount: int = 1) -> None:
        """Something happened."""
        setattr(self._usage, field, getattr(self._usage, field) + amount)

    def stop(self, now_us: int) -> None:
        """The program ends, and with it all states but `off_us`."""
        for field in list(self._open):
            if field != "off_us":
                self.end(field, now_us)

    def at(self, now_us: int) -> Usage:
        """A copy up to now."""
        usage = replace(self._usage, total_us=now_us - self._start_us)
        for field, span in self._open.items():
            self._add(usage, field, span, now_us)
        return usage

    def take(self, kind: int, time_us: int, payload: bytes) -> None:
        """One command of the token."""
        if kind == pipe.ADVERTISE:
            self.end("advertise_us", time_us)
            self._interval_us = max(20_000, struct.unpack_from(pipe.ADVERTISE_ARGS, payload)[0])
            self.begin("advertise_us", time_us)
        elif kind == pipe.ADVERTISE_STOP:
            self.end("advertise_us", time_us)
        elif kind == pipe.SCAN:
            _, interval_us, window_us, _ = struct.unpack(pipe.SCAN_ARGS, payload)
            self.begin("listen_us", time_us, window_us / interval_us)
        elif kind == pipe.SCAN_STOP:
            self.end("listen_us", time_us)
        elif kind == pipe.RADIO:
            self._take_radio(bool(payload[0]), time_us)
        elif kind == pipe.SLEEP:
            self._take_sleep(payload[0], time_us)
        elif kind == pipe.FLASH:
            erases, programmed = struct.unpack(pipe.FLASH_ARGS, payload)
            self.count("erases", erases)
            self.count("programmed_bytes", programmed)

    def _take_radio(self, on: bool, time_us: int) -> None:
        if on:
            self.begin("radio_on_us", time_us)
            self.count("radio_starts")
        else:
            self.end("radio_on_us", time_us)

    def _take_sleep(self, how: int, time_us: int) -> None:
        if how == pipe.LIGHT:
            self.begin("asleep_us", time_us)
            self.count("light_sleeps")
        elif how == pipe.DEEP:
            self.begin("deep_asleep_us", time_us)
            self.count("deep_sleeps")
        else:
            self.end("asleep_us", time_us)
            self.end("deep_asleep_us", time_us)
