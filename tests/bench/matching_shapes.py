"""How large the worlds of the matching benchmark are, and what an engine's answer is held against."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bztoken.matching.schemes import BLUEZONE, GAEN, Scheme
from bztoken.matching.tolerance import Int64s, Tolerance

FIRST_DAY = 20_757  # 2026-10-31: a day of made-up data like any other


@dataclass(frozen=True)
class Shape:
    """days x keys of a day, against so many records that tokens of so many clinics wrote; met_per_day: of the keys of a
    day, the first ones, which these tokens met: those of their own province among a country's.
    """

    name: str
    scheme: Scheme
    keys_per_day: int
    met_per_day: int
    records: int
    clinics: int
    tokens_per_clinic: int = 2000
    days: int = 14
    seed: int = 7

    @property
    def slots(self) -> int:
        """IDs of one key."""
        return 86_400 // self.scheme.slot_s

    @property
    def keys(self) -> int:
        """Each is on the air for one day."""
        return self.days * self.keys_per_day

    @property
    def ids(self) -> int:
        """Of all keys."""
        return self.keys * self.slots

    @property
    def tolerance(self) -> Tolerance:
        """What `bztoken match` takes by itself."""
        return self.scheme.tolerance(Tolerance())

    def scaled(self, scale: float) -> "Shape":
        """The same, with fewer keys and records."""
        if scale == 1:
            return self
        return replace(
            self,
            keys_per_day=max(1, round(self.keys_per_day * scale)),
            met_per_day=max(1, round(self.met_per_day * scale)),
            records=max(self.clinics * self.days, round(self.records * scale)),
        )

    def told(self) -> str:
        """In words, for tables."""
        name = "GAEN" if self.scheme is GAEN else "Bluezone"
        keys = f"{self.days} x {self.keys_per_day:,} keys ({_millions(self.ids)} IDs)"
        return f"{name}, {keys} x {_millions(self.records)} records"


def _millions(count: int) -> str:
    return f"{count / 1e6:.3g} M" if count >= 100_000 else f"{count:,}"


MILLION = 1_000_000
CLINIC = Shape("clinic", BLUEZONE, 20, 20, 7_400_000, 1)  # as many records as `make bench-clinic` has
PROVINCE = Shape("province", GAEN, 10_000, 10_000, 10 * MILLION, 10)
PROVINCE_BLUEZONE = replace(PROVINCE, name="province-bluezone", scheme=BLUEZONE)
NATIONAL = replace(PROVINCE, name="national", keys_per_day=100_000)
NATIONAL_LARGE = replace(NATIONAL, name="national-large", records=100 * MILLION)
SHAPES = {shape.name: shape for shape in (CLINIC, PROVINCE, PROVINCE_BLUEZONE, NATIONAL, NATIONAL_LARGE)}


class Answer(NamedTuple):
    """How many (record, key, slot) were found, and their sum as numbers that nobody can meet by chance: whatever the
    order, the same set has the same.
    """

    count: int
    checksum: int

    def __add__(self, other: object) -> "Answer":
        """Of two days that have no record in common."""
        if not isinstance(other, Answer):
            return NotImplemented
        return Answer(self.count + other.count, (self.checksum + other.checksum) % 2**64)


NOTHING = Answer(0, 0)


def answer_of(log: Int64s, first_s: Int64s, key: Int64s, slot_start_s: Int64s) -> Answer:
    """A record is told by the log that has it and its second: with key and slot that names one, since a token writes an
    ID once a window.
    """
    mixed = np.zeros(len(log), dtype=np.uint64)
    for column in (log, first_s, key, slot_start_s):
        mixed = _mixed(mixed ^ np.asarray(column).astype(np.int64).view(np.uint64))
    return Answer(len(mixed), int(np.add.reduce(mixed, dtype=np.uint64)))


def _mixed(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The finaliser of SplitMix64 (Steele, Lea, Flood 2014): each bit of the input turns half of all."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
