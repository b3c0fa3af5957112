"""What is handed to a rule and what it answers: one case, one log, one UTC day. The rules themselves are presets
(`bztoken.scoring`); nothing here knows a threshold.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

NEAR, MIDDLE, FAR = "near", "middle", "far"
VERDICT_F1, VERDICT_NOTED = "F1", "noted"


class Heard(NamedTuple):
    """One matched sighting: what a device heard of one ID in a window of 5 minutes.

    scan_period_s is 0 for a line of a phone; tx_power_dbm None when nobody told it; stale: the token marked it as
    replayed. report_type (of a GAEN export, 1 to 5) and days_since_onset (of this key's day; before it: negative) are
    None when nobody told them; key_index tells apart the keys of one case.
    """

    window_start_s: int
    first_s: int
    last_s: int
    packets: int
    scans: int
    scan_period_s: int
    rssi_max_dbm: int
    rssi_mean_dbm: int
    tx_power_dbm: int | None
    stale: bool = False
    report_type: int | None = None
    days_since_onset: int | None = None
    key_index: int = 0


class Score(NamedTuple):
    """What a rule says about one case, one log, one day.

    minutes: for which it was heard at all. close_minutes: those that the rule counts, weighted where it weighs, so
    that they may exceed minutes; both rounded half up. windows: of 5 minutes, in which it was heard.
    attenuation_db and band are those of what counts as close if there is any, else of all: a day at the same market
    must not hide half an hour on the same bench. attenuation_off_db: its uncertainty, one sigma; nearest and farthest:
    the bands at both ends of it.
    """

    minutes: int
    close_minutes: int
    windows: int
    first_s: int
    last_s: int
    rssi_max_dbm: int
    rssi_mean_dbm: float
    attenuation_db: float
    band: str
    verdict: str
    attenuation_off_db: float
    nearest: str
    farthest: str


class Preset(Protocol):
    """A rule with its numbers; `bztoken.scoring.load` makes one of a data file."""

    @property
    def name(self) -> str:
        """As `bztoken scoring choose` takes it."""

    @property
    def version(self) -> int:
        """Another one whenever it may answer differently."""

    @property
    def window_s(self) -> int:
        """Length of the windows of `Heard.window_start_s`."""

    def score(self, heard: Sequence[Heard]) -> Score:
        """Score at least one sighting; the order does not matter. Stale ones count only if there are no others, and
        then for no time.
        """
