"""The one light. Patterns: SPEC.md "Light"."""

import asyncio

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .hal import Hal

# red, green, blue; a board without a colour shows what it has
DARK = (0, 0, 0)
GREEN = (0, 1, 0)
RED = (1, 0, 0)
BLUE = (0, 0, 1)

# name: (colour, ms lit, ms dark)
WORKING = ("working", GREEN, 40, 59960)
BRING_ME = ("bring me to the clinic", RED, 40, 4960)
ASKING = ("asking for consent", BLUE, 500, 500)
THANKS = ("consent given", GREEN, 2000, 0)


class Light:
    """Shows the pattern that `choose` gives; `look_again` makes it choose at once."""

    def __init__(self, hal: "Hal", choose: "Callable[[], tuple[str, tuple[int, int, int], int, int]]") -> None:
        self._hal = hal
        self._choose = choose
        self._changed = asyncio.Event()

    def look_again(self) -> None:
        """Something changed: choose the pattern anew."""
        self._changed.set()

    async def run(self) -> None:
        """For ever."""
        while True:
            self._changed.clear()
            _name, colour, lit_ms, dark_ms = self._choose()
            self._hal.show(colour)
            await asyncio.sleep_ms(lit_ms)
            if dark_ms:
                self._hal.show(DARK)
                await self._pause(dark_ms)

    async def _pause(self, pause_ms: int) -> None:
        try:
            await asyncio.wait_for_ms(self._changed.wait(), pause_ms)
        except asyncio.TimeoutError:
            return
