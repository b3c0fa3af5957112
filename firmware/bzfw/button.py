"""The one button. Short: "am I working?". Held 3 s while a station asks: yes. Held 10 s, without the cable: off."""

import asyncio

from micropython import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .device import Device

_CONSENT_MS = const(3000)
_OFF_MS = const(10000)
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
            if await self._released_within(_CONSENT_MS):
                if not asked:
                    self._device.tell_state()
                continue
            if asked:
                self._device.consent.held(asked)
                await self._buzz()
            elif not await self._released_within(_OFF_MS - _CONSENT_MS) and self._may_switch_off():
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
