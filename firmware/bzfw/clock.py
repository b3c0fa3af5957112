"""What time it is, how sure that is, and how long the token has been up.

Nothing is broadcast before the clock was set once. A reset keeps the chip's clock; power-on loses it.
"""

import asyncio

from bzwire.page import CLOCK_KEPT, CLOCK_SET, CLOCK_UNSET

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .hal import Hal


# Before this no token was made: a clock that says less was never set. 2026-01-01 UTC.
EARLIEST_UNIX_MS = 1767225600000
# Nobody wears a token then, and window starts still fit 32 bits. 2100-01-01 UTC.
LATEST_UNIX_MS = 4102444800000


class Clock:
    """state: CLOCK_UNSET, CLOCK_SET (by a station since boot) or CLOCK_KEPT (set before the last reset)."""

    def __init__(self, hal: "Hal") -> None:
        self._hal = hal
        self._last_ticks = hal.ticks_ms()
        self._uptime_ms = 0
        kept = not hal.woke_from_power_off() and hal.clock_unix_ms() >= EARLIEST_UNIX_MS
        self.state = CLOCK_KEPT if kept else CLOCK_UNSET
        self.changed = asyncio.Event()

    def is_set(self) -> bool:
        """True once the time may be used."""
        return self.state != CLOCK_UNSET

    def now_ms(self) -> int:
        """Unix time in ms; meaningless while the clock is not set."""
        return self._hal.clock_unix_ms()

    def now_s(self) -> int:
        """Unix time in s."""
        return self._hal.clock_unix_ms() // 1000

    def uptime_ms(self) -> int:
        """Since boot, without the wrap of the ticks; to be called every few days at least: radio and light do."""
        ticks = self._hal.ticks_ms()
        self._uptime_ms += self._hal.ticks_diff(ticks, self._last_ticks)
        self._last_ticks = ticks
        return self._uptime_ms

    def set(self, unix_ms: int) -> int:
        """Set the clock; the ms by which it was behind (negative: ahead)."""
        behind_ms = unix_ms - self._hal.clock_unix_ms()
        self._hal.set_clock_unix_ms(unix_ms)
        self.state = CLOCK_SET
        self.changed.set()
        return behind_ms

    async def wait_until_ms(self, unix_ms: int) -> bool:
        """Sleep until the clock shows this; False as soon as somebody sets the clock."""
        if self.changed.is_set():  # then `unix_ms` is of another clock, and may lie years ahead
            return False
        left_ms = unix_ms - self.now_ms()
        if left_ms <= 0:
            return True
        try:
            await asyncio.wait_for_ms(self.changed.wait(), left_ms)
        except asyncio.TimeoutError:
            return True
        return False
