"""Staying alive: counts boots and failed boots, feeds the watchdog, restarts when the radio stands still and at night.

A boot that does not live for a minute has failed; after three of them in a row the token starts in safe mode, in which
only the console and the light run, and tries again after an hour. A version on trial is confirmed by the same minute;
its failed boots are counted by the loader, which takes it back.
"""

import asyncio
import os
import struct

from micropython import const

from bzwire.errors import WireError

from . import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .hal import Hal

BOOTS_PATH = "/boot_count"
SLOTS_PATH = "/slots"  # there since the first update
QUIET_PATH = "/quiet"  # the next boot is one without a radio
# Garbage may grow to this before it is collected. Less keeps the heap tidier and costs time, with no bound at all an
# answer of 1 KiB finds no room (DESIGN.md 8).
COLLECT_AFTER_BYTES = 12 * 1024
_HEALTHY_MS = const(60000)
_FAILED_BOOTS = const(3)
_SAFE_MODE_MS = const(3600 * 1000)
_QUIET_MS = const(600 * 1000)
_LOOK_MS = const(30000)
# Longer than the longest light sleep and any flash erase, and than two looks.
WATCHDOG_MS = const(120000)
_SILENT_MS = const(300000)  # the radio's task begins a minute each minute
# Radios are known to go deaf after days and memory to crumble: once a day everything begins anew.
_RESTART_AFTER_MS = const(20 * 3600 * 1000)
_RESTART_FROM_S = const(19 * 3600)  # UTC: two to six in the morning in Vietnam
_RESTART_UNTIL_S = const(23 * 3600)
_DAY_S = const(86400)


class Alive:
    """boot_id: number of this boot, 1 and up; failed: boots in a row before it that did not live for a minute.

    quiet: a boot without a radio, which leaves its room to an update.
    """

    def __init__(self, hal: "Hal", uptime_ms: "Callable[[], int]") -> None:
        self._hal = hal
        self._uptime_ms = uptime_ms
        self._beat_ms = 0
        self._beating = False
        self.has_radio = False
        self.flush: "Callable[[], None]" = lambda: None  # writes the present window before a restart
        before, self.failed = self._load()
        self.boot_id = before + 1
        # A developer's board is restarted all the time, and has a prompt.
        self.safe_mode = self.failed >= _FAILED_BOOTS and not files.exists(files.DEVELOPMENT_PATH)
        self.quiet = files.exists(QUIET_PATH)
        if self.quiet:
            os.remove(QUIET_PATH)
        self.on_trial = False
        if files.exists(SLOTS_PATH):
            from . import slots  # most tokens were never updated

            self.on_trial = slots.is_on_trial()
        self._save(self.failed if self.on_trial else self.failed + 1)

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
        if not files.exists(files.DEVELOPMENT_PATH):
            self._hal.start_watchdog(WATCHDOG_MS)
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
            if self.on_trial and healthy and not self.quiet and (self._beating or not self.has_radio):
                from . import slots

                self.on_trial = not slots.confirm()
            if (self.safe_mode and now_ms >= _SAFE_MODE_MS) or (self.quiet and now_ms >= _QUIET_MS):
                self.restart()
