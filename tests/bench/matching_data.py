"""Makes the worlds of the matching benchmark: keys, and what the tokens of a clinic heard. Seeded: the same every time.

One record in a hundred is of a key: meetings of several windows of five minutes by clocks that are off, some of them at
the very edge of the tolerance and one second beyond it, some replayed hours later. The others are IDs of strangers,
each heard some four times.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from matching_shapes import FIRST_DAY, Shape

from bztoken.formats.tracing_key import SCHEME_GAEN
from bztoken.matching.day import TX_POWER_UNTOLD, DayColumns
from bztoken.matching.kernel import KeyIds
from bztoken.matching.key_columns import KEY_SIZES
from bztoken.matching.schemes import GAEN
from bztoken.matching.tolerance import UNKNOWN, Int64s
from bzwire.bluezone import DAY_S

WINDOW_S = 300
PLANTED, AT_THE_EDGE, REPLAYED = 0.01, 0.05, 0.03  # of all records; of the planted ones
HEARD_EACH = 4  # records of one stranger's ID
LOG_SHIFT = 32  # a log's number: clinic << 32 | its number there
_KEYS, _MEETINGS, _STRANGERS = range(3)  # streams of random numbers


class Keys(NamedTuple):
    """One row a key, each for a day of its own; uncertainty_s: of the clock that broadcast it."""

    day_key: npt.NDArray[np.uint8]
    start_s: Int64s
    slots: Int64s
    uncertainty_s: Int64s


Derive = Callable[[Keys, Int64s], KeyIds]  # IDs of these keys, key after key; key_index: of all keys


class Heard(NamedTuple):
    """What names a record, in order of time; the rest of its columns matters to no join."""

    hi: Int64s
    lo: Int64s
    first_s: Int64s
    last_s: Int64s
    log: Int64s


class Lot(NamedTuple):
    """What one clinic brings of one day; page: the number of the page of its log."""

    day: int
    columns: DayColumns
    page: Int64s


def keys_of(shape: Shape) -> Keys:
    """Day by day; the first keys of a day are the same however many there are. Of every other device's clock nothing is
    known.
    """
    size = shape.keys_per_day, KEY_SIZES[shape.scheme.name]
    day = np.repeat(np.arange(shape.days, dtype=np.int64), shape.keys_per_day)
    raw = [
        np.random.default_rng((shape.seed, _KEYS, day)).integers(0, 256, size, dtype=np.uint8)
        for day in range(shape.days)
    ]
    number = np.tile(np.arange(shape.keys_per_day, dtype=np.int64), shape.days)
    uncertainty_s = np.where(number % 2 == 0, UNKNOWN, 10 + number % 200)
    slots = np.full(shape.keys, shape.slots, dtype=np.int64)
    return Keys(np.concatenate(raw), (FIRST_DAY + day) * DAY_S, slots, uncertainty_s)


def lots(shape: Shape, keys: Keys, clinic: int, derive: Derive) -> Iterator[Lot]:
    """Day by day what the tokens of clinic 1, 2, .. heard, in order of time."""
    met = _met(shape, keys, clinic, derive)
    wanted = shape.records // shape.clinics // shape.days
    rng = np.random.default_rng((shape.seed, _STRANGERS, clinic))
    for day in range(FIRST_DAY, FIRST_DAY + shape.days):
        first, end = np.searchsorted(met.first_s, (day * DAY_S, (day + 1) * DAY_S))
        of_keys = Heard(*(column[first:end] for column in met))
        strangers = _strangers(rng, shape, clinic, day, max(0, wanted - len(of_keys.hi)))
        yield _lot(rng, shape, day, _in_order(of_keys, strangers))


def log_uncertainty_s(log: Int64s) -> Int64s:
    """How well a log's clock is known: of one in five nothing is."""
    number = log % (1 << LOG_SHIFT)
    return np.where(number % 5 == 0, UNKNOWN, 5 + number % 240)


def _met(shape: Shape, keys: Keys, clinic: int, derive: Derive) -> Heard:
    rng = np.random.default_rng((shape.seed, _MEETINGS, clinic))
    meetings = max(1, round(shape.records / shape.clinics * PLANTED / HEARD_EACH))
    windows = rng.integers(1, 2 * HEARD_EACH, meetings)
    meeting = np.repeat(np.arange(meetings), windows)
    within = np.arange(len(meeting)) - np.repeat(np.cumsum(windows) - windows, windows)
    day, of_day = rng.integers(shape.days, size=meetings), rng.integers(shape.met_per_day, size=meetings)
    key = (day * shape.keys_per_day + of_day)[meeting]
    log = _logs(rng, shape, clinic, meetings)[meeting]
    true_s = keys.start_s[key] + rng.integers(0, DAY_S, meetings)[meeting] + WINDOW_S * within
    on_the_air = true_s < keys.start_s[key] + DAY_S
    key, log, true_s = key[on_the_air], log[on_the_air], true_s[on_the_air]
    slot_start_s = true_s - (true_s - keys.start_s[key]) % shape.scheme.slot_s
    first_s, last_s = _times(rng, shape, true_s, slot_start_s, log_uncertainty_s(log), keys.uncertainty_s[key])
    return _in_order(Heard(*_ids(keys, key, slot_start_s, shape, derive), first_s, last_s, log))


def _times(
    rng: np.random.Generator, shape: Shape, true_s: Int64s, slot_start_s: Int64s, seen_off_s: Int64s, key_off_s: Int64s
) -> tuple[Int64s, Int64s]:
    """First and last second, as the clocks of those tokens have it."""
    tolerance_s = shape.tolerance.of_pairs(seen_off_s, key_off_s)
    lasts_s = rng.integers(0, 200, len(true_s))
    first_s = true_s + (rng.uniform(-0.5, 0.5, len(true_s)) * tolerance_s).astype(np.int64)
    replayed = rng.random(len(true_s)) < REPLAYED
    first_s = np.where(replayed, first_s + rng.integers(5, 9, len(true_s)) * 3600, first_s)
    begins_s = slot_start_s - tolerance_s - lasts_s  # the earliest that counts, and the first that comes too late
    too_late_s = slot_start_s + shape.scheme.slot_s + tolerance_s
    edge = np.where(rng.random(len(true_s)) < AT_THE_EDGE, rng.integers(0, 4, len(true_s)), 4)
    first_s = np.choose(edge, (begins_s, begins_s - 1, too_late_s - 1, too_late_s, first_s))
    return first_s, first_s + lasts_s


def _ids(keys: Keys, key: Int64s, slot_start_s: Int64s, shape: Shape, derive: Derive) -> tuple[Int64s, Int64s]:
    """Halves of the ID of each key in each slot; only keys that were met are derived."""
    met, place = np.unique(key, return_inverse=True)
    ids = derive(keys, met)
    at = place * shape.slots + (slot_start_s - keys.start_s[key]) // shape.scheme.slot_s
    return ids.hi[at], ids.lo[at]


def _strangers(rng: np.random.Generator, shape: Shape, clinic: int, day: int, count: int) -> Heard:
    devices = max(1, count // HEARD_EACH)
    hi, lo = rng.integers(-(2**63), 2**63, (2, devices), dtype=np.int64)
    if shape.scheme is not GAEN:
        lo &= ~0xFFFFFFFF  # 12 bytes, padded
    slot_s = shape.scheme.slot_s
    slot_start_s = day * DAY_S + slot_s * rng.integers(0, shape.slots, devices)
    device = rng.integers(devices, size=count)
    first_s = slot_start_s[device] + rng.integers(0, slot_s, count)
    last_s = first_s + rng.integers(0, 200, count)
    return Heard(hi[device], lo[device], first_s, last_s, _logs(rng, shape, clinic, count))


def _logs(rng: np.random.Generator, shape: Shape, clinic: int, count: int) -> Int64s:
    return (clinic << LOG_SHIFT) + rng.integers(1, shape.tokens_per_clinic + 1, count)


def _in_order(*parts: Heard) -> Heard:
    together = Heard(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
    order = np.argsort(together.first_s, kind="stable")
    return Heard(*(column[order] for column in together))


def _lot(rng: np.random.Generator, shape: Shape, day: int, heard: Heard) -> Lot:
    """The whole records, and their pages: a token's page is five minutes of its."""
    count = len(heard.hi)
    rssi_dbm = rng.integers(-95, -45, count)
    gaen = shape.scheme.name == SCHEME_GAEN
    columns = DayColumns(
        hi=heard.hi,
        lo=heard.lo,
        first_s=heard.first_s,
        last_s=heard.last_s,
        log_id=heard.log,
        window_start_s=heard.first_s - heard.first_s % WINDOW_S,
        packets=rng.integers(1, 40, count),
        scans=rng.integers(1, 6, count),
        scan_period_s=np.full(count, 60, dtype=np.int64),
        rssi_max_dbm=rssi_dbm,
        rssi_mean_dbm=rssi_dbm - rng.integers(0, 8, count),
        stale=np.zeros(count, dtype=np.int64),
        tx_power_dbm=np.full(count, TX_POWER_UNTOLD if gaen else 0, dtype=np.int64),
        uncertainty_s=log_uncertainty_s(heard.log),
        gaen=np.full(count, gaen, dtype=np.int64),
        aem=rng.integers(0, 2**32, count) if gaen else np.full(count, -1, dtype=np.int64),
        rssi_offset_db=np.zeros(count, dtype=np.int64),
    )
    page = (1 << LOG_SHIFT) + (heard.first_s - FIRST_DAY * DAY_S) // WINDOW_S
    return Lot(day, columns, page)
