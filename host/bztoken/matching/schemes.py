"""What differs between Bluezone and GAEN where keys are matched: slots, chains, tolerance, TX power. How an ID comes
from a key is told by `derivation`.
"""

from dataclasses import replace
from typing import NamedTuple

from bztoken.crypto import aes_ecb
from bztoken.formats.tracing_key import SCHEME_BLUEZONE, SCHEME_GAEN, TracingKey
from bztoken.matching.tolerance import GAEN_MAX_S, Tolerance
from bzwire import bluezone, gaen
from bzwire.errors import WireError

TX_POWER_MIN_DBM, TX_POWER_MAX_DBM = -50, 20  # what Google's own matcher takes for true in the metadata


class Scheme(NamedTuple):
    """slot_s: how long an ID is on the air; chained: whether a key is hashed on to the next day's."""

    name: str
    slot_s: int
    chained: bool
    max_tolerance_s: int | None

    def tolerance(self, wanted: Tolerance) -> Tolerance:
        """As wanted, but never more than the scheme itself grants."""
        return wanted if self.max_tolerance_s is None else wanted.at_most(self.max_tolerance_s)


def token_key(key: TracingKey) -> TracingKey:
    """A key that came from a token: never at the start of an interval unless at midnight, by a second if need be."""
    if key.scheme != SCHEME_GAEN or key.time_start_s % gaen.INTERVAL_S or key.time_start_s % bluezone.DAY_S == 0:
        return key
    return replace(key, time_start_s=key.time_start_s + 1)


def metadata_power_dbm(tek: bytes, rpi: bytes, aem: bytes) -> int | None:
    """The TX power that came encrypted beside an RPI of this TEK; None where it says none that can be true."""
    try:
        power_dbm = gaen.open_aem(gaen.aem_key(tek), rpi, aem, aes_ecb)
    except WireError:
        return None
    return power_dbm if TX_POWER_MIN_DBM <= power_dbm <= TX_POWER_MAX_DBM else None


BLUEZONE = Scheme(SCHEME_BLUEZONE, bluezone.SLOT_S, chained=True, max_tolerance_s=None)
GAEN = Scheme(SCHEME_GAEN, gaen.INTERVAL_S, chained=False, max_tolerance_s=GAEN_MAX_S)
SCHEMES = (BLUEZONE, GAEN)
