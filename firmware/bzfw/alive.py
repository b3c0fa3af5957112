"""Staying alive: counts boots and failed boots, feeds the watchdog, restarts when the radio stands still and at night.

A boot that does not live for a minute has failed; after three of them in a row the token starts in safe mode, in which
only the console and the light run, and tries again after an hour.
"""

import asyncio
import struct

from micropython import const

from bzwire.errors import WireError

from . import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .hal import Hal

BOOTS_PATH = "/boot_count"
_HEALTHY_MS = const(60000)
_FAILED_BOOTS = const(3)
_SAFE_MODE_MS = const(3600 * 1000)
_LOOK_MS = const(30000)
# Longer than the longest light sleep and any flash erase, and than two looks.
_WATCHDOG_MS = const(120000)
_SILENT_MS = const(300000)  # the radio's task begins a minute each minute
# Radios are known to go deaf after days and memory to crumble: once a day everything begins anew.
_RESTART_AFTER_MS = const(20 * 3600 * 1000)
_RESTART_FROM_S = const(19 * 3600)  # UTC: two to six in the morning in Vietnam
_RESTART_UNTIL_S = const(23 * 3600)
_DAY_S = const(86400)


class Alive:
    """boot_id: number of this boot, 1 and up; failed: boots in a row before it that did not live for a minute."""

    def __init__(self, hal: "Hal", uptime_ms: "Callable[[], int]") -> None:
        self._hal = hal
        self._uptime_ms = uptime_ms
        self._beat_ms = 0
        self._beating = False
        self.flush: "Callable[[], None]" = lambda: None  # writes the present window before a restart
        before, self.failed = self._load()
        self.boot_id = before + 1
        self.safe_mode = self.failed >= _FAILED_BOOTS
        self._save(self.failed + 1)

    def _load(self) -> "tuple[int, int]":
        try:
            raw = files.read_whole(BOOTS_PATH)
        except WireError:
            raw = None
        if not raw or len(raw) < 4:
            return 0, 0
        # A token of version 0.1 kept the number only.
        return struct.unpack_from("<I", raw)[0], raw[4] if len(raw) > 4 else 0

    def _save(self, failed: int) -> None:
        try:
            files.write_whole(BOOTS_PATH, struct.pack("<IB", self.boot_id, min(failed, 255)))
        except OSError:
            # A full flash. The token must live, so that a station can read the log and free it; sequences stay unique.
            return

    def beat(self) -> None:
        """The radio's task is alive."""
        self._beat_ms = self._uptime_ms()
        self._beating = True

    def window_turned(self, now_s: int, slot_s: int) -> None:
        """Restart once a day, at night, and at the turn of a slot, so that no ID is seen under two addresses for it."""
        at_night = _RESTART_FROM_S <= now_s % _DAY_S < _RESTART_UNTIL_S
        if at_night and now_s % slot_s < 60 and self._uptime_ms() > _RESTART_AFTER_MS:
            self.restart()

    def restart(self) -> None:
        """A restart that was planned: nothing is lost, and it is no failed boot."""
        self.flush()
        self.mark_planned()
        self._hal.restart()

    def mark_planned(self) -> None:
        """This boot ends on purpose, however short it was."""
        self._save(0)

    def crash(self) -> None:
        """A restart that was not planned: save what can be saved, and let it count."""
        try:
            self.flush()
        finally:
            self._hal.restart()

    async def run(self) -> None:
        """For ever."""
        self._hal.start_watchdog(_WATCHDOG_MS)
        healthy = False
        while True:
            await asyncio.sleep_ms(_LOOK_MS)
            now_ms = self._uptime_ms()
            self._hal.feed_watchdog()
            if self._beating and now_ms - self._beat_ms > _SILENT_MS:
                self.crash()
            if not healthy and now_ms >= _HEALTHY_MS and not self.safe_mode:
                healthy = True
                self._save(0)
            if self.safe_mode and now_ms >= _SAFE_MODE_MS:
                self.restart()
