"""Waiting with the chip asleep: the radio off, the processor stopped, until the next thing that anybody has to do.

Light sleep is deaf to the cable. So the token stays awake for a minute after boot, after a byte from the cable and
after the button, and as long as the board sees the cable.
"""

import asyncio
import asyncio.core  # type: ignore[import-not-found] # the stubs do not name it

from micropython import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .clock import Clock
    from .hal import Hal

_AWAKE_MS = const(60000)
_SHORTEST_SLEEP_MS = const(50)  # below, going to sleep costs more than it saves
_LONGEST_SLEEP_MS = const(30000)  # the watchdog, and a cable that only a look can see
_LOOK_MS = const(1000)
_DRIFT_SHARE = const(12)  # clock and ticks may part by 8 %


class Rest:
    """allowed: the profile and the board want sleep."""

    def __init__(self, hal: "Hal", clock: "Clock") -> None:
        self._hal = hal
        self._clock = clock
        self.allowed = False
        self._awake_since = hal.ticks_ms()
        self._stay_awake = True

    def stay_awake(self) -> None:
        """Somebody is there: no sleep for a minute."""
        self._awake_since = self._hal.ticks_ms()
        self._stay_awake = True

    def _may_sleep(self) -> bool:
        if self._stay_awake:
            self._stay_awake = self._hal.ticks_diff(self._hal.ticks_ms(), self._awake_since) < _AWAKE_MS
        return self.allowed and not self._stay_awake and not self._hal.cable_present()

    def _next_task_ms(self) -> int:
        task = asyncio.core._task_queue.peek()  # what asyncio's own loop looks at
        return self._hal.ticks_diff(task.ph_key, self._hal.ticks_ms()) if task else _LONGEST_SLEEP_MS

    async def until_ms(self, unix_ms: int) -> bool:
        """Wait until the clock shows this; False as soon as somebody sets the clock.

        The ticks bound it: a clock that jumps back by itself must not keep the token asleep.
        """
        hal = self._hal
        began = hal.ticks_ms()
        wanted_ms = unix_ms - self._clock.now_ms()
        while not self._clock.changed.is_set():
            left_ms = unix_ms - self._clock.now_ms()
            gone_ms = hal.ticks_diff(hal.ticks_ms(), began)
            if left_ms <= 0 or gone_ms > wanted_ms + wanted_ms // _DRIFT_SHARE + _LOOK_MS:
                return True
            if not self.allowed or left_ms < _SHORTEST_SLEEP_MS:
                return await self._clock.wait_ms(left_ms)
            if self._may_sleep():
                await asyncio.sleep_ms(0)  # whoever is due goes first
                sleep_ms = min(left_ms, self._next_task_ms(), _LONGEST_SLEEP_MS)
                if sleep_ms >= _SHORTEST_SLEEP_MS and self._may_sleep():  # somebody may have come meanwhile
                    if hal.light_sleep(sleep_ms):
                        self.stay_awake()
                    continue
            await asyncio.sleep_ms(min(left_ms, _LOOK_MS, max(1, self._next_task_ms())))
        return False
