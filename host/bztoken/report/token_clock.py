"""Turns what a virtual token's clock said into true time, by the truth of its world. What a clinic makes of readings is
`registry.clock_line`, and is held against this.
"""

import bisect


class TokenClock:
    """Corrects the times of one token.

    points: (true Unix second, error) in order of time, at least one; error: clock minus true time in seconds, which
    runs in a straight line from point to point; a jump is two points at one time.
    """

    def __init__(self, points: list[tuple[float, float]]) -> None:
        self._true_s = [at_s for at_s, _ in points]
        self._clock_s = [at_s + error_s for at_s, error_s in points]
        self._ends_s = self._true_s[0], self._true_s[-1]
        self._errors_s = points[0][1], points[-1][1]
        self._monotonic = all(a < b for a, b in zip(self._clock_s, self._clock_s[1:], strict=False))

    def true_times(self, clock_s: float) -> list[float]:
        """Every true Unix second at which the clock may have said this: one, two when it was put back in between, and
        the moment of the jump for a time that the clock leapt over.
        """
        if clock_s <= self._clock_s[0] and self._monotonic:
            return [clock_s - self._errors_s[0]]
        if self._monotonic:
            after = bisect.bisect_left(self._clock_s, clock_s)
            return [self._between(after, clock_s)] if after < len(self._clock_s) else [clock_s - self._errors_s[1]]
        found = [
            self._between(after, clock_s)
            for after in range(1, len(self._clock_s))
            if self._clock_s[after - 1] <= clock_s <= self._clock_s[after]
        ]
        before, behind = clock_s - self._errors_s[0], clock_s - self._errors_s[1]
        if before < self._ends_s[0]:
            found.append(before)
        if behind > self._ends_s[1]:
            found.append(behind)
        return found or [behind]

    def _between(self, after: int, clock_s: float) -> float:
        """By the line that ends at the point `after`."""
        clock_a, clock_b = self._clock_s[after - 1], self._clock_s[after]
        true_a, true_b = self._true_s[after - 1], self._true_s[after]
        if clock_b == clock_a:
            return true_a
        return true_a + (true_b - true_a) * (clock_s - clock_a) / (clock_b - clock_a)
