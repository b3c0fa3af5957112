"""What differs between Bluezone and GAEN when IDs are derived from a key: slots, algorithm, tolerance. Nothing else of
the matching knows of it.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from bztoken.crypto import aes_ecb
from bztoken.formats.case_list import CaseKey, KeyDay, expand_days
from bztoken.formats.tracing_key import SCHEME_BLUEZONE, SCHEME_GAEN, TracingKey
from bztoken.matching.kernel import halves
from bztoken.matching.tolerance import GAEN_MAX_S, Int64s, Tolerance
from bzwire import bluezone, gaen
from bzwire.errors import WireError

TX_POWER_MIN_DBM, TX_POWER_MAX_DBM = -50, 20  # what Google's own matcher takes for true in the metadata


class Scheme(NamedTuple):
    """slot_s: how long an ID is on the air; spans: the days of a key; ids: the halves of a day's IDs."""

    name: str
    slot_s: int
    spans: Callable[[TracingKey], Iterator[KeyDay]]
    ids: Callable[[KeyDay], tuple[Int64s, Int64s]]
    max_tolerance_s: int | None

    def tolerance(self, wanted: Tolerance) -> Tolerance:
        """As wanted, but never more than the scheme itself grants."""
        return wanted if self.max_tolerance_s is None else wanted.at_most(self.max_tolerance_s)


def _bluezone_spans(key: TracingKey) -> Iterator[KeyDay]:
    return expand_days(CaseKey(key.key, key.time_start_s, key.slots_per_day, key.time_end_s))


def _bluezone_ids(day: KeyDay) -> tuple[Int64s, Int64s]:
    return halves(list(bluezone.slot_ids(day.day_key, day.slots)))


def _gaen_spans(key: TracingKey) -> Iterator[KeyDay]:
    """One: a TEK has no chain. slots_per_day is its rolling period, of which time_end_s may leave less."""
    slots = min(key.slots_per_day, (key.time_end_s - key.time_start_s) // gaen.INTERVAL_S + 1)
    if slots > 0:
        yield KeyDay(key.key, key.time_start_s, slots)


def _gaen_ids(day: KeyDay) -> tuple[Int64s, Int64s]:
    """The RPIs of all intervals of a TEK in one call of AES (`bzwire.gaen.rpi` says what is encrypted)."""
    first = _first_interval(day.start_s)
    blocks = b"".join(struct.pack("<6s6xI", b"EN-RPI", first + at) for at in range(day.slots))
    both = np.frombuffer(aes_ecb(gaen.rpi_key(day.day_key), blocks), dtype=">i8").astype(np.int64).reshape(-1, 2)
    return np.ascontiguousarray(both[:, 0]), np.ascontiguousarray(both[:, 1])


def _first_interval(start_s: int) -> int:
    """Keys of exports begin with an interval. One that does not is of a token: there it began at midnight by a clock
    that `registry/key_times` has put right since, so the nearest midnight tells which interval that was.
    """
    if start_s % gaen.INTERVAL_S == 0:
        return gaen.interval_of(start_s)
    return gaen.day_start_interval(start_s + bluezone.DAY_S // 2)


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


BLUEZONE = Scheme(SCHEME_BLUEZONE, bluezone.SLOT_S, _bluezone_spans, _bluezone_ids, None)
GAEN = Scheme(SCHEME_GAEN, gaen.INTERVAL_S, _gaen_spans, _gaen_ids, GAEN_MAX_S)
SCHEMES = (BLUEZONE, GAEN)
