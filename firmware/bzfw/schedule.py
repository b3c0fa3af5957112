"""The windowed profile: when the radio is on, and how tokens that sleep find each other. Times are unix ms.

In each window a token advertises and listens. A regular window a minute lies at the same phase of the UTC minute for
all tokens: those whose clocks are up to 2 s apart meet there. Short extra windows at random moments find the others,
and keep tokens in step from missing each other for ever; who hears somebody out of step looks there a minute later (a
check) and moves its own phase, never its clock.
"""

from micropython import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Plan = tuple[int, int, int]  # kind, start, length in ms

_MINUTE_MS = const(60000)
REGULAR, EXTRA, CHECK = 0, 1, 2
_FIRST_MS = const(2000)  # the start of a minute belongs to the flash
_REGULAR_MS = const(2000)
_JITTER_MS = const(400)  # drawn anew each time: a fixed phase would tell a token by its clock
_EXTRA_MS = const(200)
_APART_MS = const(100)  # between an extra window and the regular one
_EXTRAS_ALONE = const(3)
_EXTRAS_IN_COMPANY = const(2)
_ALIGNED_MS = const(1200)  # a neighbour closer than this is met in the regular windows
_ALONE_MINUTES = const(2)  # so long without company in the own phase: who is alone moves to the others
_RETURN_MINUTES = const(10)  # so long alone: back to the common phase
_COMPANY = const(16)  # neighbours remembered from the last regular window
_TAG_BYTES = const(4)


class Schedule:
    """phase_ms: by how much the regular window comes later than UTC says. random_ms(low, high) draws."""

    def __init__(self, random_ms: "Callable[[int, int], int]") -> None:
        self._random_ms = random_ms
        self.phase_ms = 0
        self._alone_minutes = _ALONE_MINUTES
        self._company: "list[bytes]" = []
        self._check_ms = 0  # middle of the window in which to look for a neighbour out of step; 0: none
        self._found = False

    def minute(self, start_ms: int) -> "list[Plan]":
        """The windows of the minute that begins then, in order."""
        self._alone_minutes += 1
        if self._alone_minutes > _RETURN_MINUTES:
            self.phase_ms = 0
        regular_ms = start_ms + _FIRST_MS + self.phase_ms + self._random_ms(0, _JITTER_MS)
        plans = [(REGULAR, regular_ms, _REGULAR_MS)]
        for _ in range(_EXTRAS_ALONE if self._alone_minutes > 1 else _EXTRAS_IN_COMPANY):
            at_ms = start_ms + self._random_ms(_FIRST_MS, _MINUTE_MS - _EXTRA_MS)
            while regular_ms - _EXTRA_MS - _APART_MS < at_ms < regular_ms + _REGULAR_MS + _APART_MS:
                at_ms = start_ms + self._random_ms(_FIRST_MS, _MINUTE_MS - _EXTRA_MS)
            plans.append((EXTRA, at_ms, _EXTRA_MS))
        if self._check_ms:
            check_ms = self._check_ms - _REGULAR_MS // 2
            if start_ms <= check_ms < start_ms + _MINUTE_MS:
                plans.append((CHECK, check_ms, _REGULAR_MS))
            elif not start_ms <= check_ms < start_ms + 2 * _MINUTE_MS:  # past, or of a clock that was set since
                self._check_ms = 0
        plans.sort(key=lambda plan: plan[1])
        return plans

    def heard(self, kind: int, now_ms: int, rotating_id: bytes) -> None:
        """A token was heard in a window of this kind."""
        tag = rotating_id[:_TAG_BYTES]
        if kind == REGULAR:
            self._alone_minutes = 0
            if tag not in self._company and len(self._company) < _COMPANY:
                self._company.append(tag)
        elif tag not in self._company:
            if kind == CHECK:
                self._found = True
            elif not self._check_ms and abs(self._off_ms(now_ms)) > _ALIGNED_MS:
                self._check_ms = now_ms + _MINUTE_MS

    def _off_ms(self, moment_ms: int) -> int:
        """How much later than the middle of the own regular window this is, -30 s to 30 s."""
        own_ms = _FIRST_MS + self.phase_ms + (_JITTER_MS + _REGULAR_MS) // 2
        return (moment_ms - own_ms + _MINUTE_MS // 2) % _MINUTE_MS - _MINUTE_MS // 2

    def begin(self, kind: int) -> None:
        """A window of this kind begins."""
        if kind == REGULAR:
            self._company.clear()

    def end(self, kind: int) -> None:
        """A window has ended: after a check, move to whoever was found there, or stay and let them move.

        Who is alone moves. Of two groups the one that is behind moves, so that they do not swap places.
        """
        if kind != CHECK:
            return
        off_ms = self._off_ms(self._check_ms)
        if self._found and (self._alone_minutes >= _ALONE_MINUTES or off_ms > 0):
            self.phase_ms = (self.phase_ms + off_ms) % _MINUTE_MS
            self._alone_minutes = 0
        self._found = False
        self._check_ms = 0
