"""SHA-256 of eight messages at once, for compiled code: an LLVM vector holds the same word of all eight.

Written as LLVM instructions because nothing else got near (`tests/bench/derivation_variants.py`): numba widens uint32
to uint64 and compiles 2,000 statements for five seconds, and LLVM does not turn that loop into vectors by itself. Eight
lanes are one AVX2 register; on other processors LLVM splits a vector into what there is. FIPS 180-4 has the names.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types

from bztoken.matching.derivation.compiling import address, compiled, instructions
from bztoken.matching.tolerance import Int64s

LANES = 8
STATE_WORDS, BLOCK_WORDS = 8, 16
Words = npt.NDArray[np.uint32]
# fmt: off
START = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
AFTER_32_BYTES = (0x80000000, 0, 0, 0, 0, 0, 0, 32 * 8)  # the other half of the block of a message of 32 bytes
ROUND_CONSTANTS = (
    0x428A2F98, 0x71374491, 0xB5C0FBCF, 0xE9B5DBA5, 0x3956C25B, 0x59F111F1, 0x923F82A4, 0xAB1C5ED5,
    0xD807AA98, 0x12835B01, 0x243185BE, 0x550C7DC3, 0x72BE5D74, 0x80DEB1FE, 0x9BDC06A7, 0xC19BF174,
    0xE49B69C1, 0xEFBE4786, 0x0FC19DC6, 0x240CA1CC, 0x2DE92C6F, 0x4A7484AA, 0x5CB0A9DC, 0x76F988DA,
    0x983E5152, 0xA831C66D, 0xB00327C8, 0xBF597FC7, 0xC6E00BF3, 0xD5A79147, 0x06CA6351, 0x14292967,
    0x27B70A85, 0x2E1B2138, 0x4D2C6DFC, 0x53380D13, 0x650A7354, 0x766A0ABB, 0x81C2C92E, 0x92722C85,
    0xA2BFE8A1, 0xA81A664B, 0xC24B8B70, 0xC76C51A3, 0xD192E819, 0xD6990624, 0xF40E3585, 0x106AA070,
    0x19A4C116, 0x1E376C08, 0x2748774C, 0x34B0BCB5, 0x391C0CB3, 0x4ED8AA4A, 0x5B9CCA4F, 0x682E6FF3,
    0x748F82EE, 0x78A5636F, 0x84C87814, 0x8CC70208, 0x90BEFFFA, 0xA4506CEB, 0xBEF9A3F7, 0xC67178F2,
)
# fmt: on
_ALIGNMENT_BYTES = 4  # of an array of words: numpy promises no more
_VECTOR = ir.VectorType(ir.IntType(32), LANES)
# all uint64: numba takes a mixture with int64 for a float
_ONE_BYTE, _TWO_BYTES, _THREE_BYTES, _FOUR_BYTES = np.uint64(8), np.uint64(16), np.uint64(24), np.uint64(32)
_BYTE = np.uint64(0xFF)


class _Words:
    """The operations of FIPS 180-4 as instructions on vectors of words."""

    def __init__(self, builder: Any) -> None:
        self._builder = builder

    def add(self, first: Any, *others: Any) -> Any:
        for other in others:
            first = self._builder.add(first, other)
        return first

    def xor(self, first: Any, *others: Any) -> Any:
        for other in others:
            first = self._builder.xor(first, other)
        return first

    def shift(self, word: Any, bits: int) -> Any:
        return self._builder.lshr(word, _constant(bits))

    def rotate(self, word: Any, bits: int) -> Any:
        return self._builder.or_(self.shift(word, bits), self._builder.shl(word, _constant(32 - bits)))

    def rotations(self, word: Any, *bits: int) -> Any:
        return self.xor(*[self.rotate(word, count) for count in bits])

    def choice(self, e: Any, f: Any, g: Any) -> Any:
        return self.xor(g, self._builder.and_(e, self.xor(f, g)))

    def majority(self, a: Any, b: Any, c: Any) -> Any:
        return self.xor(b, self._builder.and_(self.xor(a, b), self.xor(c, b)))


def _constant(word: int) -> Any:
    """The same word in every lane."""
    return ir.Constant(_VECTOR, [word] * LANES)


def _rounds(builder: Any, state: Sequence[Any], block: Sequence[Any]) -> list[Any]:
    """The state (8 words) after a block (16): the whole of the compression function, without a branch."""
    do = _Words(builder)
    w = list(block)
    a, b, c, d, e, f, g, h = state
    for t in range(64):
        if t >= 16:
            early = do.xor(do.rotations(w[t - 15], 7, 18), do.shift(w[t - 15], 3))
            late = do.xor(do.rotations(w[t - 2], 17, 19), do.shift(w[t - 2], 10))
            w.append(do.add(w[t - 16], early, w[t - 7], late))
        first = do.add(h, do.rotations(e, 6, 11, 25), do.choice(e, f, g), _constant(ROUND_CONSTANTS[t]), w[t])
        second = do.add(do.rotations(a, 2, 13, 22), do.majority(a, b, c))
        h, g, f, e, d, c, b, a = g, f, e, do.add(d, first), c, b, a, do.add(first, second)
    return [do.add(old, new) for old, new in zip(state, (a, b, c, d, e, f, g, h), strict=True)]


def _emit_compress(typing: Any, states: Any, blocks: Any, group: Any) -> Any:
    """For numba: the signature, and what makes the instructions."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        state_at = _group(context, builder, signature, arguments, 0, STATE_WORDS)
        block_at = _group(context, builder, signature, arguments, 1, BLOCK_WORDS)
        state = [_load(builder, state_at, word) for word in range(STATE_WORDS)]
        block = [_load(builder, block_at, word) for word in range(BLOCK_WORDS)]
        _store(builder, state_at, _rounds(builder, state, block))
        return context.get_dummy_value()

    return types.void(states, blocks, group), emit


def _emit_hash_again(typing: Any, states: Any, group: Any) -> Any:
    """For numba: the signature, and what makes the instructions. Half of the block is known: LLVM reckons with it."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        state_at = _group(context, builder, signature, arguments, 0, STATE_WORDS)
        hashed = [_load(builder, state_at, word) for word in range(STATE_WORDS)]
        block = hashed + [_constant(word) for word in AFTER_32_BYTES]
        _store(builder, state_at, _rounds(builder, [_constant(word) for word in START], block))
        return context.get_dummy_value()

    return types.void(states, group), emit


def _group(context: Any, builder: Any, signature: Any, arguments: Any, at: int, words: int) -> Any:
    """Where the words of the group are that the last argument says, in array `at` of the arguments."""
    start = builder.bitcast(address(context, builder, signature.args[at], arguments[at]), _VECTOR.as_pointer())
    return builder.gep(start, [builder.mul(arguments[-1], ir.Constant(arguments[-1].type, words))])


def _place(builder: Any, start: Any, word: int) -> Any:
    return builder.gep(start, [ir.Constant(ir.IntType(32), word)])


def _load(builder: Any, start: Any, word: int) -> Any:
    loaded = builder.load(_place(builder, start, word))
    loaded.align = _ALIGNMENT_BYTES
    return loaded


def _store(builder: Any, start: Any, vectors: Sequence[Any]) -> None:
    for word, vector in enumerate(vectors):
        builder.store(vector, _place(builder, start, word)).align = _ALIGNMENT_BYTES


def _types_of_compress(states: Words, blocks: Words, group: int) -> None:
    """SHA-256's compression function: the states of a group become those after its blocks.

    states (groups, 8, LANES), blocks (groups, 16, LANES), both C-contiguous.
    """


def _types_of_hash_again(states: Words, group: int) -> None:
    """The hashes (groups, 8, LANES) of a group become SHA-256 of themselves."""


_compress = instructions(_emit_compress, _types_of_compress)
_hash_again = instructions(_emit_hash_again, _types_of_hash_again)


@compiled
def compress_all(states: Words, blocks: Words) -> None:
    """SHA-256's compression function: states (groups, 8, LANES), which change, and blocks (groups, 16, LANES)."""
    for group in range(len(states)):
        _compress(states, blocks, group)


@compiled
def bluezone_ids(sub_keys: Words, order: Int64s, slots: Int64s, first: Int64s, hi: Int64s, lo: Int64s) -> None:
    """IDs of the chains that begin with sub_keys (groups, 8, LANES), which change; order: which row each lane is of."""
    for group in range(len(sub_keys)):
        begin, end = group * LANES, min(group * LANES + LANES, len(order))
        longest = 0
        for at in range(begin, end):
            longest = max(longest, slots[order[at]])
        for slot in range(longest):
            if slot:
                _hash_again(sub_keys, group)
            for at in range(begin, end):
                row = order[at]
                if slot < slots[row]:
                    hi[first[row] + slot] = _id_hi(sub_keys, group, at - begin)
                    lo[first[row] + slot] = _id_lo(sub_keys, group, at - begin)


@compiled
def _id_hi(sub_keys: Words, group: int, lane: int) -> np.int64:
    """Bytes 0, 4, 8, 12, 16, 18, 20, 22 of a hash as a number."""
    number = np.uint64(0)
    for word in range(4):
        number = (number << _ONE_BYTE) | (np.uint64(sub_keys[group, word, lane]) >> _THREE_BYTES)
    for word in range(4, 6):
        number = (number << _TWO_BYTES) | _bytes_0_and_2(sub_keys[group, word, lane])
    return np.int64(number)


@compiled
def _id_lo(sub_keys: Words, group: int, lane: int) -> np.int64:
    """Bytes 24, 26, 28, 30 of a hash, and four zero bytes, as a number."""
    number = (_bytes_0_and_2(sub_keys[group, 6, lane]) << _TWO_BYTES) | _bytes_0_and_2(sub_keys[group, 7, lane])
    return np.int64(number << _FOUR_BYTES)


@compiled
def _bytes_0_and_2(word: np.uint32) -> np.uint64:
    wide = np.uint64(word)
    return ((wide >> _THREE_BYTES) << _ONE_BYTE) | ((wide >> _ONE_BYTE) & _BYTE)
