"""The one light. Patterns: SPEC.md "Light"."""

import asyncio

from micropython import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .hal import Hal

    Pattern = tuple[tuple[int, int, int], int, int, int, int]

# red, green, blue; a board without a colour shows what it has
DARK = (0, 0, 0)
GREEN = (0, 1, 0)
AMBER = (1, 1, 0)
RED = (1, 0, 0)
BLUE = (0, 0, 1)

# colour, blinks, ms lit, ms dark between them, ms dark after the last
WORKING = (GREEN, 1, 40, 0, 59960)
CHARGE_ME = (AMBER, 1, 40, 0, 9960)
EXPOSURE = (AMBER, 2, 200, 300, 9300)
BRING_ME = (RED, 1, 40, 0, 4960)
SAFE_MODE = (RED, 3, 40, 160, 4480)
ASKING = (BLUE, 1, 500, 0, 500)
THANKS = (GREEN, 1, 2000, 0, 0)
LOCATE = ((1, 1, 1), 2, 60, 120, 260)
SWITCHING_OFF = (RED, 5, 100, 100, 0)
_ANSWER_MS = const(2000)  # the state's colour, steady, after a short press


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
                pattern = (pattern[0], 1, _ANSWER_MS, 0, 500)
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
