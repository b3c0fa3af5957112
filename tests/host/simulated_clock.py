"""A token's clock and ticks in plain arithmetic, step by step as the firmware keeps them: drift, nights, jumps, power.

Rates and events are the test's; true times are kept beside the windows, so that corrections can be held against them.
"""

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from math import pi, sin

from bztoken.crypto import aes_ecb
from bztoken.registry.clock_line import Anchor, Window
from bztoken.registry.clock_points import ClockReading
from bzwire.page import CLOCK_KEPT, CLOCK_RTC, STATE_WINDOWED, PageHeader, Record, seal

START_MS = 1_796_083_200_000  # 2026-12-01 00:00 UTC
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
WINDOW_S = 300
LATE_MS = 1200
BOUND_PPM = 50_000


def swinging(mean_ppm: float, swing_ppm: float, phase: float = 0.0) -> Callable[[int], float]:
    """A rate that swings with day and night about its mean."""
    return lambda true_ms: mean_ppm + swing_ppm * sin(2 * pi * true_ms / DAY_MS + phase)


@dataclass
class SimulatedToken:
    """Lives in minutes of true time. rate_ppm: of the slow clock; ticks_ppm: of the crystal; windowed: it sleeps.

    found: (window, true ms at which the clock showed its start), readings: anchors with the number of the first window
    behind each; course: (true ms, what the clock said) every minute.
    """

    rate_ppm: Callable[[int], float]
    windowed: bool = False
    ticks_ppm: float = 0.0
    true_ms: int = START_MS
    clock_ms: float = START_MS
    uptime_ms: float = 0.0
    boot_id: int = 1
    by_chip: bool = False
    start_s: int = START_MS // 1000
    begun_true_ms: float = START_MS
    found: list[tuple[Window, float]] = field(default_factory=list)
    readings: list[tuple[Anchor, int]] = field(default_factory=list)
    course: list[tuple[int, float]] = field(default_factory=list)

    def live(self, ms: int) -> None:
        """From window to window; each is turned a moment late."""
        until_ms = self.true_ms + ms
        while self.true_ms < until_ms:
            rate = 1 + self.rate_ppm(self.true_ms) / 1e6
            left_ms = ((self.start_s // WINDOW_S + 1) * WINDOW_S * 1000 - self.clock_ms) / rate
            step_ms = min(MINUTE_MS, until_ms - self.true_ms, max(1, int(left_ms) + LATE_MS))
            self._pass(step_ms, self.rate_ppm(self.true_ms) if self.windowed else self.ticks_ppm)
            if self.clock_ms // 1000 // WINDOW_S != self.start_s // WINDOW_S:
                self.close()
                self._begin(int(self.clock_ms // 1000) // WINDOW_S * WINDOW_S)

    def clock_at_s(self, true_s: float) -> float:
        """What the clock said then, before anybody set it."""
        after = min(bisect_right(self.course, (round(true_s * 1000), 0.0)), len(self.course) - 1)
        (from_ms, from_clock_ms), (to_ms, to_clock_ms) = self.course[max(after - 1, 0)], self.course[after]
        rate = (to_clock_ms - from_clock_ms) / max(1, to_ms - from_ms)
        return (from_clock_ms + (true_s * 1000 - from_ms) * rate) / 1000

    def _pass(self, ms: int, ticks_ppm: float) -> None:
        self.course.append((self.true_ms, self.clock_ms))
        self.clock_ms += ms * (1 + self.rate_ppm(self.true_ms) / 1e6)
        self.uptime_ms += ms * (1 + ticks_ppm / 1e6)
        self.true_ms += ms

    def _begin(self, start_s: int) -> None:
        self.start_s = start_s
        rate = 1 + self.rate_ppm(self.true_ms) / 1e6
        self.begun_true_ms = self.true_ms - (self.clock_ms - start_s * 1000) / rate

    def close(self) -> None:
        """The present window becomes a page."""
        sequence = self.found[-1][0].sequence + 1 if self.found else 1
        window = Window(self.boot_id, sequence, self.start_s, int(self.uptime_ms) % 2**32, self.windowed, self.by_chip)
        self.found.append((window, self.begun_true_ms))

    def visit(self, sets: bool = True, round_trip_ms: int = 20, unset: bool = False) -> None:
        """A station reads the clock, and sets it unless told otherwise. unset: the clock has lost its time."""
        clock_ms = None if unset else int(self.clock_ms)
        if sets and not unset:
            self.close()
        reading = Anchor(self.true_ms, round_trip_ms, clock_ms, self.boot_id, int(self.uptime_ms), sets, BOUND_PPM)
        self.readings.append((reading, len(self.found)))
        if sets:
            self.clock_ms = self.true_ms
            self._begin(self.true_ms // 1000)

    def restart(self, off_ms: int = 5000) -> None:
        """The night's: the clock goes on, the ticks begin anew; the window's start is a multiple of 300 again."""
        self.close()
        self._pass(off_ms, 0)
        self.boot_id += 1
        self.uptime_ms, self.by_chip = 0.0, False
        self._begin(int(self.clock_ms // 1000) // WINDOW_S * WINDOW_S)

    def lose_power(self, off_ms: int, chip_error_ms: int) -> None:
        """Off for a while; then the clock is what the clock chip says."""
        self.restart(off_ms)
        self.clock_ms = self.true_ms + chip_error_ms
        self.by_chip = True
        self._begin(int(self.clock_ms // 1000) // WINDOW_S * WINDOW_S)

    def jump(self, by_ms: int) -> None:
        """The clock leaps while the ticks go on, and is not put back: the window goes on until the clock turns it."""
        self.clock_ms += by_ms

    # -- as a registry gets it ----------------------------------------------------------------------------------------
    def pages(self, log_key: bytes, heard: Callable[[Window], list[Record]]) -> list[bytes]:
        """Every window as a sealed page, with what was heard in it."""
        return [_page(window, log_key, heard(window)) for window, _ in self.found]

    def told(self) -> list[ClockReading]:
        """Every reading as a station would record it."""
        return [
            ClockReading(
                anchor.at_ms,
                anchor.uncertainty_ms,
                anchor.clock_ms,
                anchor.boot_id,
                anchor.uptime_ms,
                first + 1,
                anchor.was_set,
                anchor.drift_bound_ppm,
            )
            for anchor, first in self.readings
        ]


def _page(window: Window, log_key: bytes, records: list[Record]) -> bytes:
    state = CLOCK_RTC if window.by_chip else CLOCK_KEPT
    header = PageHeader(window.sequence, window.boot_id, window.uptime_ms, window.start_s, WINDOW_S, 60, state, 0)
    header.state = STATE_WINDOWED if window.asleep else 0
    return seal(header, records, log_key, aes_ecb)
