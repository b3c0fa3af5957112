"""The loops of the prefilter, compiled. Import this only where numba is there and pays.

Kept apart so that a clinic's laptop never waits for numba. Nothing here draws secrets or knows about time. IDs are
taken a few at a time, first hashed and then looked up: so the processor waits for many words at once, not for each.
"""

import numpy as np
import numpy.typing as npt

from bztoken.matching.derivation.compiling import compiled
from bztoken.matching.tolerance import Int64s

_Words = npt.NDArray[np.uint64]

_AT_ONCE = 1024  # hashes that stay in the first-level cache
# all uint64: numba takes a mixture with int64 for a float
_HALF = np.uint64(32)
_LOW = np.uint64(0xFFFFFFFF)
_ONE = np.uint64(1)
_FOLD = np.uint64(29)
_ODD = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: spreads what was folded over the top bits
_TOP, _NEXT, _LAST, _SIX_BITS = np.uint64(58), np.uint64(52), np.uint64(46), np.uint64(63)


@compiled
def mixed(
    hi: np.int64, lo: np.int64, s0: np.uint64, s1: np.uint64, s2: np.uint64, s3: np.uint64, s4: np.uint64
) -> np.uint64:
    """As `prefilter.keyed`."""
    high, low = np.uint64(hi), np.uint64(lo)
    return s0 + s1 * (high >> _HALF) + s2 * (high & _LOW) + s3 * (low >> _HALF) + s4 * (low & _LOW)


@compiled
def bits_of(code: np.uint64) -> np.uint64:
    """Three bits of a word, from other bits of the hash than those that choose the word."""
    spread = (code ^ (code >> _FOLD)) * _ODD
    return (
        (_ONE << (spread >> _TOP))
        | (_ONE << ((spread >> _NEXT) & _SIX_BITS))
        | (_ONE << ((spread >> _LAST) & _SIX_BITS))
    )


@compiled
def _hash(hi: Int64s, lo: Int64s, secret: _Words, words: int, place: _Words, bits: _Words) -> None:
    """For each ID its word in the filter, of so many, and the bits in that."""
    s0, s1, s2, s3, s4 = secret[0], secret[1], secret[2], secret[3], secret[4]
    count = np.uint64(words)
    for at in range(len(hi)):
        code = mixed(hi[at], lo[at], s0, s1, s2, s3, s4)
        place[at] = ((code >> _HALF) * count) >> _HALF
        bits[at] = bits_of(code)


@compiled
def fill(words: _Words, hi: Int64s, lo: Int64s, secret: _Words) -> None:
    """Put IDs into the filter."""
    place, bits = np.empty(_AT_ONCE, np.uint64), np.empty(_AT_ONCE, np.uint64)
    for start in range(0, len(hi), _AT_ONCE):
        end = min(start + _AT_ONCE, len(hi))
        _hash(hi[start:end], lo[start:end], secret, len(words), place, bits)
        for at in range(end - start):
            words[place[at]] |= bits[at]


@compiled
def passing(words: _Words, hi: Int64s, lo: Int64s, secret: _Words, out: Int64s) -> int:
    """Write the places of IDs that may be in the filter to `out`, in order; how many. out: as long as hi and lo."""
    place, bits = np.empty(_AT_ONCE, np.uint64), np.empty(_AT_ONCE, np.uint64)
    found = 0
    for start in range(0, len(hi), _AT_ONCE):
        end = min(start + _AT_ONCE, len(hi))
        _hash(hi[start:end], lo[start:end], secret, len(words), place, bits)
        for at in range(end - start):
            place[at] = words[place[at]]
        for at in range(end - start):
            out[found] = start + at  # written always: a branch taken at random costs more
            found += (place[at] & bits[at]) == bits[at]
    return found
