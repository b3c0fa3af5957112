"""The IDs of keys for the benchmark: as the program derives them, and one by one as the wire formats say."""

import numpy as np
from matching_data import Keys
from matching_shapes import Shape

from bztoken.crypto import aes_ecb
from bztoken.matching.kernel import KeyIds, halves
from bztoken.matching.schemes import GAEN
from bztoken.matching.tolerance import Int64s
from bzwire import bluezone, gaen


class Deriving:
    """By `bztoken.matching.derivation`."""

    def __init__(self, shape: Shape) -> None:
        self._scheme = shape.scheme

    def __call__(self, keys: Keys, which: Int64s) -> KeyIds:
        """Key after key; key_index: of all keys."""
        from bztoken.matching.derivation import ids_of_days

        found = ids_of_days(self._scheme.name, keys.day_key[which], keys.start_s[which], keys.slots[which])
        key = which[found.key]
        return KeyIds(found.hi, found.lo, found.slot_start_s, key, keys.uncertainty_s[key])


class Reference:
    """By `bzwire`, one key after the other: slow, and written by others than the derivation that it checks."""

    def __init__(self, shape: Shape) -> None:
        self._scheme = shape.scheme

    def __call__(self, keys: Keys, which: Int64s) -> KeyIds:
        """Key after key; key_index: of all keys."""
        raw = [one for at in which for one in self._of_key(keys.day_key[at].tobytes(), int(keys.start_s[at]))]
        slots = int(keys.slots[0])
        start_s = np.repeat(keys.start_s[which], slots) + np.tile(np.arange(slots) * self._scheme.slot_s, len(which))
        return KeyIds(*halves(raw), start_s, np.repeat(which, slots), np.repeat(keys.uncertainty_s[which], slots))

    def _of_key(self, key: bytes, start_s: int) -> list[bytes]:
        if self._scheme is not GAEN:
            return list(bluezone.slot_ids(key))
        rpi_key = gaen.rpi_key(key)
        first = gaen.interval_of(start_s)
        return [gaen.rpi(rpi_key, first + at, aes_ecb) for at in range(gaen.INTERVALS_PER_DAY)]
