"""How far apart the clocks of two devices may be for a sighting and a slot to be one moment.

Both known: `base_s` + both uncertainties, so that a good clock narrows and a bad one widens. The base is for what no
clock explains: whole seconds in a record, an ID that may change a minute late, 15 s that 5 % of drift make in a window.
One or both unknown (phones, logs from before clocks were read): `unknown_s`, or more if the known one needs more. Never
above `cap_s`: for so long an ID that somebody recorded and replays is taken for a meeting.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Int64s = npt.NDArray[np.int64]

UNKNOWN = -1  # an uncertainty of which nothing is known
DEFAULT_TOLERANCE_S = 1800
BASE_S = 60
CAP_S = 4 * 3600
GAEN_MAX_S = 2 * 3600  # 12 intervals: what the protocol's own matching grants, and no reader of its keys more


class Tolerance(NamedTuple):
    """unknown_s: for clocks of which nothing is known; the cap never goes below it."""

    unknown_s: int = DEFAULT_TOLERANCE_S
    base_s: int = BASE_S
    cap_s: int = CAP_S

    def of_pairs(self, seen_s: Int64s, key_s: Int64s) -> Int64s:
        """For each pair of uncertainties, of the sighting and of the key."""
        known = (seen_s >= 0) & (key_s >= 0)
        nothing = (seen_s < 0) & (key_s < 0)
        together = self.base_s + np.maximum(seen_s, 0) + np.maximum(key_s, 0)
        wanted = np.where(known, together, np.where(nothing, self.unknown_s, np.maximum(together, self.unknown_s)))
        return np.minimum(wanted, self.largest_s)

    def at_most(self, max_s: int) -> "Tolerance":
        """The same, but for no pair more than this."""
        return self._replace(unknown_s=min(self.unknown_s, max_s), cap_s=min(self.cap_s, max_s))

    @property
    def largest_s(self) -> int:
        """No pair has more."""
        return max(self.cap_s, self.unknown_s)
