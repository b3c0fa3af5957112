"""SHA-256's compression function of many messages at once, by the ways that lost against `sha256_lanes`.

Each takes blocks of words (16, n) of uint32 and gives hashes (8, n). `hashes_of` makes chains of them.
"""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from bztoken.matching.derivation.sha256_lanes import AFTER_32_BYTES, ROUND_CONSTANTS, START

Words = npt.NDArray[np.uint32]
Compress = Callable[[Words], Words]
_K = np.array(ROUND_CONSTANTS, dtype=np.uint32)
_START = np.array(START, dtype=np.uint32)


def chains(compress: Compress, first: Words, slots: int) -> Words:
    """Of blocks (16, n) the hash, its hash, and so on: (slots, 8, n)."""
    found = np.empty((slots, 8, first.shape[1]), dtype=np.uint32)
    block = np.empty_like(first)
    block[8:] = np.array(AFTER_32_BYTES, dtype=np.uint32)[:, None]
    for slot in range(slots):
        found[slot] = compress(block if slot else first)
        block[:8] = found[slot]
    return found


# -- numpy: an operation on all keys, then the next --------------------------------------------------------------------
def by_numpy(block: Words) -> Words:
    """About 2,500 calls, each over a row of all keys."""
    w = list(block)
    state = [np.full(block.shape[1], word, dtype=np.uint32) for word in START]
    a, b, c, d, e, f, g, h = state
    for t in range(64):
        if t >= 16:
            early = _rotated(w[t - 15], 7) ^ _rotated(w[t - 15], 18) ^ (w[t - 15] >> np.uint32(3))
            late = _rotated(w[t - 2], 17) ^ _rotated(w[t - 2], 19) ^ (w[t - 2] >> np.uint32(10))
            w.append(w[t - 16] + early + w[t - 7] + late)
        first = h + (_rotated(e, 6) ^ _rotated(e, 11) ^ _rotated(e, 25)) + (g ^ (e & (f ^ g))) + _K[t] + w[t]
        second = (_rotated(a, 2) ^ _rotated(a, 13) ^ _rotated(a, 22)) + (b ^ ((a ^ b) & (c ^ b)))
        h, g, f, e, d, c, b, a = g, f, e, d + first, c, b, a, first + second
    return np.array([old + new for old, new in zip(state, (a, b, c, d, e, f, g, h), strict=True)])


def _rotated(word: Any, bits: int) -> Any:
    return (word >> np.uint32(bits)) | (word << np.uint32(32 - bits))


# -- numba: loops over the lanes of arrays -----------------------------------------------------------------------------
def by_numba(lanes: int) -> Compress:
    """So many keys in arrays, each step of SHA-256 a loop over them that LLVM may make a vector of."""
    rotated = numba.njit(_rotated_word)

    @numba.njit(nogil=True, error_model="numpy")
    def compress(block: Words) -> Words:
        out = np.empty((8, block.shape[1]), dtype=np.uint32)
        w, s = np.empty((64, lanes), dtype=np.uint32), np.empty((8, lanes), dtype=np.uint32)
        for at in range(0, block.shape[1], lanes):
            for lane in range(lanes):
                for word in range(16):
                    w[word, lane] = block[word, at + lane]
                for word in range(8):
                    s[word, lane] = _START[word]
            for t in range(16, 64):
                for lane in range(lanes):
                    x, y = w[t - 15, lane], w[t - 2, lane]
                    early = rotated(x, 7) ^ rotated(x, 18) ^ (x >> np.uint32(3))
                    late = rotated(y, 17) ^ rotated(y, 19) ^ (y >> np.uint32(10))
                    w[t, lane] = w[t - 16, lane] + early + w[t - 7, lane] + late
            for t in range(64):
                # rows of the state change places instead of their values
                a, b, c, d = -t % 8, (1 - t) % 8, (2 - t) % 8, (3 - t) % 8
                e, f, g, h = (4 - t) % 8, (5 - t) % 8, (6 - t) % 8, (7 - t) % 8
                for lane in range(lanes):
                    x, y = s[e, lane], s[a, lane]
                    first = s[h, lane] + (rotated(x, 6) ^ rotated(x, 11) ^ rotated(x, 25))
                    first = first + (s[g, lane] ^ (x & (s[f, lane] ^ s[g, lane]))) + _K[t] + w[t, lane]
                    second = rotated(y, 2) ^ rotated(y, 13) ^ rotated(y, 22)
                    second = second + (s[b, lane] ^ ((y ^ s[b, lane]) & (s[c, lane] ^ s[b, lane])))
                    s[d, lane] = np.uint32(s[d, lane] + first)
                    s[h, lane] = np.uint32(first + second)
            for word in range(8):
                for lane in range(lanes):
                    out[word, at + lane] = _START[word] + s[word, lane]
        return out

    return compress


def _rotated_word(word: Any, bits: int) -> Any:
    return np.uint32((word >> np.uint32(bits)) | (word << np.uint32(32 - bits)))


# -- numba: all 64 rounds written out ----------------------------------------------------------------------------------
def unrolled() -> Compress:
    """A loop over the keys without a loop or an array in its body, for LLVM to make vectors of: it does not."""
    names = {"uint32": numba.uint32, "rotated": numba.njit(_rotated_word), "empty": np.empty, "words": np.uint32}
    exec(_unrolled_source(), names)
    return numba.njit(nogil=True, error_model="numpy")(names["compress"])


def _unrolled_source() -> str:
    lines = [
        "def compress(block):",
        " out = empty((8, block.shape[1]), dtype=words)",
        " for i in range(block.shape[1]):",
    ]
    lines += [f"  w{word} = block[{word}, i]" for word in range(16)]
    s = list("abcdefgh")
    lines += [f"  {name} = uint32({word})" for name, word in zip(s, START, strict=True)]
    for t in range(64):
        if t >= 16:
            x, y, z = f"w{(t - 15) % 16}", f"w{(t - 2) % 16}", f"w{(t - 7) % 16}"
            early = f"(rotated({x}, 7) ^ rotated({x}, 18) ^ ({x} >> uint32(3)))"
            late = f"(rotated({y}, 17) ^ rotated({y}, 19) ^ ({y} >> uint32(10)))"
            lines.append(f"  w{t % 16} = uint32(w{t % 16} + {early} + {z} + {late})")
        a, b, c, d, e, f, g, h = s
        big = f"(rotated({e}, 6) ^ rotated({e}, 11) ^ rotated({e}, 25))"
        lines.append(
            f"  {h} = uint32({h} + {big} + ({g} ^ ({e} & ({f} ^ {g}))) + uint32({ROUND_CONSTANTS[t]}) + w{t % 16})"
        )
        lines.append(f"  {d} = uint32({d} + {h})")
        big = f"(rotated({a}, 2) ^ rotated({a}, 13) ^ rotated({a}, 22))"
        lines.append(f"  {h} = uint32({h} + {big} + ({b} ^ (({a} ^ {b}) & ({c} ^ {b}))))")
        s = s[-1:] + s[:-1]
    lines += [f"  out[{at}, i] = uint32({name} + uint32({START[at]}))" for at, name in enumerate(s)]
    return "\n".join([*lines, " return out"])
