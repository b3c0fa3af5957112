"""What time it is, how sure that is, and how long the token has been up.

Nothing is broadcast before the clock was set once. A reset keeps the chip's clock; power-on loses it, unless the board
has an RTC chip. A clock that jumps while the ticks go on is put back, and its drift is learned from sync to sync.
"""

import asyncio

from micropython import const

from bzwire import cbor
from bzwire.errors import WireError
from bzwire.messages import EARLIEST_UNIX_MS, LATEST_UNIX_MS
from bzwire.page_format import CLOCK_KEPT, CLOCK_RTC, CLOCK_SET, CLOCK_UNSET

from . import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .hal import Hal


CLOCK_PATH = "/clock"
_DAY_MS = const(86400000)
# A cable's round trip shifts a setting by less than half a second: 6 h of life make that 23 ppm.
_LEARN_AFTER_MS = const(6 * 3600 * 1000)
_WORST_DRIFT_PPM = const(60000)  # of an RC oscillator; more is no drift but a jump
_JUMP_MS = const(2000)  # the ticks and the chip's clock may part by so much, and by 7 % of the time between two looks
_JUMP_PER_MILLE = const(70)
_LOOK_MS = const(60000)
_CHIP_PERIOD_MS = const(3600 * 1000)
_CHIP_TOLERANCE_MS = const(1500)  # the RTC chip counts whole seconds
# A station that sets the clock more than two days ahead may be wrong: for a day nothing is deleted by age.
_DOUBT_JUMP_MS = const(2 * _DAY_MS)
DOUBT_MS = _DAY_MS


class Clock:
    """state: CLOCK_UNSET, CLOCK_SET (by a station since boot), CLOCK_KEPT (over a reset) or CLOCK_RTC (the RTC chip's).

    drift_ppm: by how much the chip's clock runs fast, as learned; repairs: jumps put back since boot.
    """

    def __init__(self, hal: "Hal") -> None:
        self._hal = hal
        self._last_ticks = hal.ticks_ms()
        self._uptime_ms = 0
        self.drift_ppm = 0
        self.repairs = 0
        self.changed = asyncio.Event()
        self._doubt_day = 0  # the last day that was not in doubt
        self._doubt_until_ms = 0
        self._chip_looked_ms = -_CHIP_PERIOD_MS  # follow the chip at once: a reset forgets what it had said
        self._looked_ms = 0  # uptime at the last comparison of clock and ticks
        self._repaired = False
        self.state = CLOCK_UNSET
        # now = base (when it was last set) + what the clock has gone since, less its drift + what the RTC chip says
        self._base_ms = self._base_raw_ms = self._chip_ms = 0
        self._wake()
        self._last_raw_ms = hal.clock_unix_ms()

    def _wake(self) -> None:
        """Take up the chip's clock if a reset kept it, else the RTC chip's if the board has one."""
        raw_ms = self._hal.clock_unix_ms()
        kept = self._load()
        if not self._hal.woke_from_power_off() and raw_ms >= EARLIEST_UNIX_MS:
            self.state = CLOCK_KEPT
            known = kept.get("r", 0)
            if 0 < known <= raw_ms:
                self._base_raw_ms, self._base_ms = known, kept["b"]
            else:
                self._base_raw_ms = self._base_ms = raw_ms
            return
        chip_ms = self._hal.clock_chip_unix_ms()
        if EARLIEST_UNIX_MS <= chip_ms < LATEST_UNIX_MS:
            self._hal.set_clock_unix_ms(chip_ms)
            self._base_raw_ms = self._base_ms = chip_ms
            self.state = CLOCK_RTC
            self._save()

    def _load(self) -> "dict[str, Any]":
        try:
            raw = files.read_whole(CLOCK_PATH)
            kept: "dict[str, Any]" = cbor.loads(raw) if raw else {}
            self.drift_ppm = kept.get("d", 0)
            self._doubt_day, self._doubt_until_ms = kept.get("dd", 0), kept.get("du", 0)
        except (WireError, AttributeError):
            return {}
        return kept

    def _save(self) -> None:
        content = {
            "v": 1,
            "r": self._base_raw_ms,
            "b": self._base_ms,
            "d": self.drift_ppm,
            "dd": self._doubt_day,
            "du": self._doubt_until_ms,
        }
        try:
            files.write_whole(CLOCK_PATH, cbor.dumps(content))
        except OSError:  # a full flash: the time itself is right, only what was learned is lost with the next reset
            return

    def is_set(self) -> bool:
        """True once the time may be used."""
        return self.state != CLOCK_UNSET

    def now_ms(self) -> int:
        """Unix time in ms; meaningless while the clock is not set."""
        gone_ms = self._raw_ms() - self._base_raw_ms
        return self._base_ms + self._chip_ms + gone_ms * 1000000 // (1000000 + self.drift_ppm)

    def _raw_ms(self) -> int:
        """What the chip's clock says. One that has jumped by itself since the last look is put back at once, before
        anything is done by its time.
        """
        raw_ms = self._hal.clock_unix_ms()
        gone_ms = self.uptime_ms() - self._looked_ms
        wrong_ms = raw_ms - self._last_raw_ms - gone_ms
        if self.is_set() and abs(wrong_ms) > _JUMP_MS + gone_ms * _JUMP_PER_MILLE // 1000:
            raw_ms -= wrong_ms
            self._hal.set_clock_unix_ms(raw_ms)
            self.repairs += 1
            self._repaired = True
        if gone_ms > _LOOK_MS:
            self._look(raw_ms)
        return raw_ms

    def _look(self, raw_ms: int) -> None:
        """From here on clock and ticks are compared anew."""
        self._last_raw_ms = raw_ms
        self._looked_ms = self._uptime_ms

    def now_s(self) -> int:
        """Unix time in s."""
        return self.now_ms() // 1000

    def uptime_ms(self) -> int:
        """Since boot, without the wrap of the ticks; to be called every few days at least: radio and light do."""
        ticks = self._hal.ticks_ms()
        self._uptime_ms += self._hal.ticks_diff(ticks, self._last_ticks)
        self._last_ticks = ticks
        return self._uptime_ms

    def check(self) -> bool:
        """Once a minute: follow the RTC chip. False when the clock was put back since the last check."""
        self._raw_ms()
        if self.is_set():
            self._follow_chip()
        repaired, self._repaired = self._repaired, False
        return not repaired

    def _follow_chip(self) -> None:
        """Once an hour: a crystal beside the chip is better than its own oscillator."""
        if self._uptime_ms - self._chip_looked_ms < _CHIP_PERIOD_MS:
            return
        self._chip_looked_ms = self._uptime_ms
        chip_ms = self._hal.clock_chip_unix_ms()
        off_ms = chip_ms - self.now_ms()
        if chip_ms and _CHIP_TOLERANCE_MS < abs(off_ms) < _DAY_MS:
            self._chip_ms += off_ms

    def set(self, unix_ms: int) -> None:
        """A station tells the time: take it, learn the drift since the last time it was told."""
        ahead_ms = unix_ms - self.now_ms()
        if self.is_set():
            self._learn(unix_ms)
            if ahead_ms > _DOUBT_JUMP_MS:
                self._doubt_day = self.retention_day()
                self._doubt_until_ms = unix_ms + DOUBT_MS
            elif ahead_ms < -_DOUBT_JUMP_MS:
                self._doubt_until_ms = 0
        self._hal.set_clock_unix_ms(unix_ms)
        self._hal.set_clock_chip(unix_ms)
        self._base_raw_ms = self._base_ms = unix_ms
        self._chip_ms = 0
        self.uptime_ms()
        self._look(unix_ms)
        self.state = CLOCK_SET
        self.changed.set()
        self._save()

    def _learn(self, unix_ms: int) -> None:
        true_ms = unix_ms - self._base_ms
        raw_ms = self._raw_ms() - self._base_raw_ms
        if true_ms < _LEARN_AFTER_MS:
            return
        drift_ppm = (raw_ms - true_ms) * 1000000 // true_ms
        if abs(drift_ppm) <= _WORST_DRIFT_PPM:
            self.drift_ppm = drift_ppm

    def retention_day(self) -> int:
        """The UTC day by which things grow old: today, but not while a station's leap ahead is in doubt."""
        now_ms = self.now_ms()
        if now_ms < self._doubt_until_ms:
            return min(self._doubt_day, now_ms // _DAY_MS)
        return now_ms // _DAY_MS

    async def wait_until_ms(self, unix_ms: int) -> bool:
        """Sleep until the clock shows this; False as soon as somebody sets the clock."""
        if self.changed.is_set():  # then `unix_ms` is of another clock, and may lie years ahead
            return False
        return await self.wait_ms(unix_ms - self.now_ms())

    async def wait_ms(self, left_ms: int) -> bool:
        """Sleep for so long; False as soon as somebody sets the clock."""
        if left_ms <= 0:
            return True
        try:
            await asyncio.wait_for_ms(self.changed.wait(), left_ms)
        except asyncio.TimeoutError:
            return True
        return False
