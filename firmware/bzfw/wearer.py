"""What the wearer does and sees: the one button and the one light. SPEC.md "Light", "Button".

Button, short: "am I working?". Held 3 s while a station asks: yes. Held 10 s, without the cable: off.
"""

import asyncio

from micropython import const

from bzwire.light_patterns import ANSWER_MS, CONSENT_MS, DARK, OFF_MS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from bzwire.light_patterns import Pattern

    from .device import Device
    from .hal import Hal

_BUZZ_MS = const(120)


class Button:
    """presses: since boot, for the self-test."""

    def __init__(self, device: "Device") -> None:
        self._device = device
        self._hal = device.hal
        self.presses = 0

    async def run(self) -> None:
        """For ever."""
        while True:
            if not await self._hal.button_change():
                continue
            self.presses += 1
            self._device.rest.stay_awake()
            asked = self._device.consent.question if self._device.consent.is_asking() else 0
            if await self._released_within(CONSENT_MS):
                if not asked:
                    self._device.tell_state()
                continue
            if asked:
                self._device.consent.held(asked)
                await self._buzz()
            elif not await self._released_within(OFF_MS - CONSENT_MS) and self._may_switch_off():
                await self._buzz()
                await self._device.switch_off()

    def _may_switch_off(self) -> bool:
        return not self._hal.cable_present() and not self._device.consent.is_asking()

    async def _released_within(self, limit_ms: int) -> bool:
        try:
            await asyncio.wait_for_ms(self._hal.button_change(), limit_ms)
        except asyncio.TimeoutError:
            return False
        return True

    async def _buzz(self) -> None:
        self._hal.buzz(True)
        await asyncio.sleep_ms(_BUZZ_MS)
        self._hal.buzz(False)


class Light:
    """Shows the pattern that `choose` gives; `look_again` makes it choose at once."""

    def __init__(self, hal: "Hal", choose: "Callable[[], Pattern]") -> None:
        self._hal = hal
        self._choose = choose
        self._changed = asyncio.Event()
        self._answer = False

    def look_again(self) -> None:
        """Something changed: choose the pattern anew."""
        self._changed.set()

    def answer(self) -> None:
        """Show the colour of the present state for two seconds: somebody asked."""
        self._answer = True
        self._changed.set()

    async def run(self) -> None:
        """For ever."""
        while True:
            self._changed.clear()
            pattern = self._choose()
            if self._answer:
                self._answer = False
                pattern = (pattern[0], 1, ANSWER_MS, 0, 500)
            await self.play(pattern)

    async def play(self, pattern: "Pattern") -> None:
        """Once through; what comes meanwhile cuts the dark after it short."""
        colour, blinks, lit_ms, between_ms, after_ms = pattern
        for blink in range(blinks):
            self._hal.show(colour)
            await asyncio.sleep_ms(lit_ms)
            if between_ms or after_ms:
                self._hal.show(DARK)
            if blink + 1 < blinks:
                await asyncio.sleep_ms(between_ms)
        if after_ms:
            try:
                await asyncio.wait_for_ms(self._changed.wait(), after_ms)
            except asyncio.TimeoutError:
                return
