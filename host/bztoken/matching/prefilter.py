"""A filter over IDs: says of an ID "surely not in" or "perhaps in", in one look at memory. Never loses one that is in.

IDs are honest output of a cipher, but a log may hold chosen bytes. So where an ID falls depends on a secret drawn anew
for each filter, and nobody can choose many that fall together. It protects time and memory, never the answer.
Many IDs: a Bloom filter in compiled loops. Few, or numba is missing: a map of bytes in numpy. The join comes out alike.
"""

import os
import sys
from functools import cache
from types import ModuleType
from typing import Protocol

import numpy as np
import numpy.typing as npt

from bztoken.matching.tolerance import Int64s

UInt64s = npt.NDArray[np.uint64]

BITS_PER_ENTRY = 16  # three bits an ID in one word of 64: about 0.8 % of strangers pass
_WORD_BITS = 64
_BYTES_PER_ENTRY = 16  # of the byte map, rounded up to a power of two: 3 to 6 % of strangers pass
_MAP_BITS = 26  # at most 64 MiB
_BLOCK = 1 << 15  # entries mixed at a time in numpy: temporaries stay in the processor's cache
_LOOP_BLOCK = 1 << 20  # and in compiled loops: bounds the list of places
_SECRET_WORDS = 5
_HALF, _LOW = np.uint64(32), np.uint64(0xFFFFFFFF)
_PAYS = 1 << 24  # entries for which numpy takes half a second longer: as long as numba and the loops take to load


class Prefilter(Protocol):
    """What the join asks of a filter."""

    def passing(self, hi: Int64s, lo: Int64s) -> Int64s:
        """Places of the IDs that may be in, in order: of all that are, and of few others."""
        ...


def fresh_secret() -> UInt64s:
    """Drawn from the operating system; five words for `keyed`."""
    return np.frombuffer(os.urandom(8 * _SECRET_WORDS), dtype=np.uint64)


def keyed(hi: Int64s, lo: Int64s, secret: UInt64s) -> UInt64s:
    """A hash of each ID that nobody can foresee: two chosen IDs share it with a chance of at most 2^-33, and its top 32
    bits are strongly universal (multilinear hashing of words of 32 bits: Lemire and Kaser 2014, after Carter, Wegman).
    """
    high, low = hi.view(np.uint64), lo.view(np.uint64)
    mixed: UInt64s = (high >> _HALF) * secret[1]
    mixed += (high & _LOW) * secret[2]
    mixed += (low >> _HALF) * secret[3]
    mixed += (low & _LOW) * secret[4]
    mixed += secret[0]
    return mixed


def filter_over(hi: Int64s, lo: Int64s, loops: ModuleType | None) -> Prefilter:
    """A filter with these IDs in it. loops: of `Choice`."""
    return ByteMap(hi, lo) if loops is None else Bloom(hi, lo, loops)


class Choice:
    """Whether this process has enough to do for compiled loops. It counts what went by without them: nobody knows in
    advance how many days follow, and so at worst twice the best choice is paid.
    """

    def __init__(self, pays: int = _PAYS) -> None:
        self._pays = pays
        self._entries = 0

    def loops_for(self, entries: int) -> ModuleType | None:
        """The compiled loops; None where they do not pay or numba is missing, and then numba is not imported."""
        self._entries += entries
        pays = self._pays // 2 if "numba" in sys.modules else self._pays  # the derivation may have loaded it
        return _loops() if self._entries >= pays else None


CHOICE = Choice()


@cache
def _loops() -> ModuleType | None:
    try:
        from bztoken.matching import join_loops
    except ImportError:  # not installed, or not for this numpy: the other way gives the same answer
        return None
    return join_loops


class Bloom:
    """A blocked Bloom filter: an ID sets three bits of one word."""

    def __init__(self, hi: Int64s, lo: Int64s, loops: ModuleType, bits_per_entry: int = BITS_PER_ENTRY) -> None:
        self._loops = loops
        self._secret = fresh_secret()
        self._words = np.zeros(len(hi) * bits_per_entry // _WORD_BITS + 1, dtype=np.uint64)
        loops.fill(self._words, _column(hi), _column(lo), self._secret)

    def passing(self, hi: Int64s, lo: Int64s) -> Int64s:
        """See `Prefilter`."""
        places = np.empty(min(len(hi), _LOOP_BLOCK), dtype=np.int64)
        parts = [np.empty(0, dtype=np.int64)]
        for at in range(0, len(hi), _LOOP_BLOCK):
            block = slice(at, at + _LOOP_BLOCK)
            count = self._loops.passing(self._words, _column(hi[block]), _column(lo[block]), self._secret, places)
            parts.append(places[:count] + at)
        return np.concatenate(parts)


def _column(half: Int64s) -> Int64s:
    """As the loops are compiled for: read-only, as the columns of a Parquet file are, and without gaps."""
    column = np.ascontiguousarray(half).view()
    column.flags.writeable = False
    return column


class ByteMap:
    """One byte for each place where a hash can fall."""

    def __init__(self, hi: Int64s, lo: Int64s) -> None:
        self._secret = fresh_secret()
        bits = min(_MAP_BITS, max(1, (_BYTES_PER_ENTRY * len(hi)).bit_length()))
        self._shift = np.uint64(64 - bits)
        self._map = np.zeros(1 << bits, dtype=np.bool_)
        for at in range(0, len(hi), _BLOCK):
            self._map[self._where(hi[at : at + _BLOCK], lo[at : at + _BLOCK])] = True

    def passing(self, hi: Int64s, lo: Int64s) -> Int64s:
        """See `Prefilter`."""
        blocks = range(0, len(hi), _BLOCK)
        parts = [
            np.flatnonzero(self._map[self._where(hi[at : at + _BLOCK], lo[at : at + _BLOCK])]) + at for at in blocks
        ]
        return np.concatenate([np.empty(0, dtype=np.int64), *parts])

    def _where(self, hi: Int64s, lo: Int64s) -> Int64s:
        # as int64: numpy gathers by int64 without another copy
        return (keyed(hi, lo, self._secret) >> self._shift).view(np.int64)
