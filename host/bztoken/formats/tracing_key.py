"""A key by which sightings of a device are found, of whichever scheme: what every source becomes before it is stored.

Nothing here prints a key.
"""

from dataclasses import dataclass, field

SCHEME_BLUEZONE = "bluezone"
SCHEME_GAEN = "gaen"
SCHEMES = (SCHEME_BLUEZONE, SCHEME_GAEN)


@dataclass(frozen=True)
class TracingKey:
    """scheme "bluezone": `key` is the first day key (32 bytes) of a chain, slots_per_day its slots of 900 s until it is
    hashed. scheme "gaen": a TEK (16 bytes), slots_per_day its rolling period, slots of 600 s; it is never hashed on.

    time_start_s, time_end_s: the first and the last second in which it was on the air, so far as is known.
    uncertainty_s: how far these may be off for the broadcasting clock; None: nothing is known. report_type: as in GAEN
    exports, 0 to 5; days_since_onset: of symptoms, until the day of the key; both None where nobody said.
    """

    scheme: str
    key: bytes = field(repr=False)
    time_start_s: int
    slots_per_day: int
    time_end_s: int
    tx_power_dbm: int | None = None
    uncertainty_s: int | None = None
    report_type: int | None = None
    days_since_onset: int | None = None
