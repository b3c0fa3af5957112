"""The wearer's yes: while a station asks, the button held for 3 s within a minute releases the day keys. Only then.

Silence is no: nothing here can grant but a held button that was pressed after the question was asked.
"""

import asyncio

from bzwire.messages import RELEASE_GRANTED, RELEASE_NONE, RELEASE_TIMEOUT_S, RELEASE_WAITING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .hal import Hal

HOLD_MS = 3000


class Consent:
    """on_change is called when the question or the answer changes, so that the light follows."""

    def __init__(self, hal: "Hal") -> None:
        self._hal = hal
        self._state = RELEASE_NONE
        self._asked_ticks = 0
        self._session = b""
        self.first_day = 0
        self.last_day = 0
        self._granted = asyncio.Event()
        self.on_change: "Callable[[], None]" = lambda: None

    def ask(self, session: bytes, first_day: int, last_day: int) -> None:
        """A station asks for the keys of these days (inclusive); a new question replaces an older one."""
        self._session = session
        self.first_day = first_day
        self.last_day = last_day
        self._asked_ticks = self._hal.ticks_ms()
        self._state = RELEASE_WAITING
        self.on_change()

    def state(self, session: bytes) -> int:
        """RELEASE_NONE, RELEASE_WAITING or RELEASE_GRANTED, for the connection that asked; NONE for any other."""
        self._expire()
        return self._state if session == self._session else RELEASE_NONE

    def is_asking(self) -> bool:
        """True while the light has to ask."""
        self._expire()
        return self._state == RELEASE_WAITING

    def was_granted(self) -> bool:
        """True from the yes to the minute's end, or to the next connection."""
        self._expire()
        return self._state == RELEASE_GRANTED

    def withdraw(self) -> None:
        """Forget question and answer: the minute is over, or a new connection began."""
        if self._state != RELEASE_NONE:
            self._state = RELEASE_NONE
            self.on_change()

    def _expire(self) -> None:
        age_ms = self._hal.ticks_diff(self._hal.ticks_ms(), self._asked_ticks)
        if self._state != RELEASE_NONE and age_ms >= RELEASE_TIMEOUT_S * 1000:
            self.withdraw()

    async def run(self) -> None:
        """For ever: watch the button."""
        while True:
            pressed = await self._hal.button_change()
            if pressed and self.is_asking() and await self._held(self._asked_ticks):
                self._state = RELEASE_GRANTED
                self.on_change()

    async def _held(self, asked_ticks: int) -> bool:
        """True when the button stays down for HOLD_MS and the question at its press still stands, not a newer one."""
        try:
            await asyncio.wait_for_ms(self._hal.button_change(), HOLD_MS)
        except asyncio.TimeoutError:
            return self.is_asking() and self._asked_ticks == asked_ticks
        return False
