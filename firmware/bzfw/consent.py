"""The wearer's yes: while a station asks, the button held for 3 s within a minute releases the day keys. Only then.

Silence is no: nothing here can grant but a held button that was pressed after the question was asked.
"""

from bzwire.messages import RELEASE_GRANTED, RELEASE_NONE, RELEASE_TIMEOUT_S, RELEASE_WAITING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .hal import Hal


class Consent:
    """on_change is called when the question or the answer changes, so that the light follows.

    question: number of the last question asked; a press counts for the question that stood when it began.
    """

    def __init__(self, hal: "Hal") -> None:
        self._hal = hal
        self._state = RELEASE_NONE
        self._asked_ticks = 0
        self._session = b""
        self.question = 0
        self.first_day = 0
        self.last_day = 0
        self.on_change: "Callable[[], None]" = lambda: None

    def ask(self, session: bytes, first_day: int, last_day: int) -> None:
        """A station asks for the keys of these days (inclusive); a new question replaces an older one."""
        self._session = session
        self.question += 1
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

    def held(self, question: int) -> None:
        """The button was held for 3 s; `question` is the one that stood when it was pressed."""
        if self.is_asking() and question == self.question:
            self._state = RELEASE_GRANTED
            self.on_change()

    def withdraw(self) -> None:
        """Forget question and answer: the minute is over, or a new connection began."""
        if self._state != RELEASE_NONE:
            self._state = RELEASE_NONE
            self.on_change()

    def _expire(self) -> None:
        age_ms = self._hal.ticks_diff(self._hal.ticks_ms(), self._asked_ticks)
        if self._state != RELEASE_NONE and age_ms >= RELEASE_TIMEOUT_S * 1000:
            self.withdraw()
