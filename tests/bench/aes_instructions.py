"""AES-128 of eight blocks at once, for compiled code, by the processor's own instructions (AES-NI of x86).

`cryptography` spends 10 us a key before the first block, and the 144 blocks of a key then take 0.3: here nothing goes
before. FIPS 197 has the key expansion. Ask `available` first: LLVM ends the process where there is no AES-NI.
"""

from functools import cache
from typing import Any

import llvmlite.binding as llvm
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.core import config

from bztoken.matching.derivation.compiling import address, compiled, instructions
from bztoken.matching.tolerance import Int64s

PARALLEL = 8  # an instruction takes four cycles, and two begin in each
ROUND_KEYS = 11
BLOCK_BYTES = 16
INTERVALS = 144  # of a TEK
_PLAIN = np.frombuffer(b"EN-RPI", dtype=np.uint8)
Bytes = npt.NDArray[np.uint8]
_ROUND_CONSTANTS = (0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0x1B, 0x36)
_BYTE, _INT32, _INT64, _INT128 = (ir.IntType(bits) for bits in (8, 32, 64, 128))
_BLOCK = ir.VectorType(_INT64, 2)
_WORDS = ir.VectorType(_INT32, 4)
_BLOCK_OF_BYTES = ir.VectorType(_BYTE, BLOCK_BYTES)


@cache
def available() -> bool:
    """True where the processor has the instructions and nobody told numba to compile for another processor."""
    told = vars(config)
    if told["CPU_NAME"] is not None or told["CPU_FEATURES"] is not None:
        return False
    if not llvm.get_process_triple().startswith(("x86_64", "i686")):
        return False
    features = llvm.get_host_cpu_features()
    return bool(features.get("aes") and features.get("sse2"))


def _instruction(builder: Any, name: str, *arguments: Any) -> Any:
    known = builder.module.globals
    full = f"llvm.x86.aesni.{name}"
    if full not in known:
        ir.Function(builder.module, ir.FunctionType(_BLOCK, [argument.type for argument in arguments]), full)
    return builder.call(known[full], arguments)


def _place(builder: Any, start: Any, at: int) -> Any:
    return builder.gep(start, [ir.Constant(_INT64, at)])


def _load(builder: Any, start: Any, at: int) -> Any:
    loaded = builder.load(_place(builder, start, at))
    loaded.align = 1
    return loaded


def _emit_expand_key(typing: Any, keys: Any, row: Any, round_keys: Any) -> Any:
    """For numba: the signature, and what makes the instructions."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        keys_at = _pointer(context, builder, signature, arguments, 0, _BLOCK)
        out_at = _pointer(context, builder, signature, arguments, 2, _BLOCK)
        round_key = _load(builder, builder.gep(keys_at, [arguments[1]]), 0)
        for number, constant in enumerate((*_ROUND_CONSTANTS, None)):
            builder.store(round_key, _place(builder, out_at, number)).align = 1
            if constant is not None:
                round_key = _next_round_key(builder, round_key, constant)
        return context.get_dummy_value()

    return types.void(keys, row, round_keys), emit


def _next_round_key(builder: Any, round_key: Any, constant: int) -> Any:
    assisted = _instruction(builder, "aeskeygenassist", round_key, ir.Constant(_BYTE, constant))
    words = builder.bitcast(assisted, _WORDS)
    mixed = builder.bitcast(builder.shuffle_vector(words, words, ir.Constant(_WORDS, [3] * 4)), _INT128)
    # each word is XORed with all words before it
    whole = builder.bitcast(round_key, _INT128)
    for bits in (0, 32, 64, 96):
        mixed = builder.xor(mixed, builder.shl(whole, ir.Constant(_INT128, bits)))
    return builder.bitcast(mixed, _BLOCK)


def _emit_encrypt_blocks(typing: Any, round_keys: Any, texts: Any, text: Any, hi: Any, lo: Any, at: Any) -> Any:
    """For numba: the signature, and what makes the instructions."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        keys_at = _pointer(context, builder, signature, arguments, 0, _BLOCK)
        in_at = builder.gep(_pointer(context, builder, signature, arguments, 1, _BLOCK), [arguments[2]])
        out_at = [
            builder.gep(_pointer(context, builder, signature, arguments, column, _INT64), [arguments[5]])
            for column in (3, 4)
        ]
        keys = [_load(builder, keys_at, number) for number in range(ROUND_KEYS)]
        blocks = [builder.xor(_load(builder, in_at, number), keys[0]) for number in range(PARALLEL)]
        for round_key in keys[1:-1]:
            blocks = [_instruction(builder, "aesenc", block, round_key) for block in blocks]
        for number, block in enumerate(blocks):
            halves = _big_endian(builder, _instruction(builder, "aesenclast", block, keys[-1]))
            for which, half_at in enumerate(out_at):
                half = builder.extract_element(halves, ir.Constant(_INT32, which))
                builder.store(half, _place(builder, half_at, number)).align = 8
        return context.get_dummy_value()

    return types.void(round_keys, texts, text, hi, lo, at), emit


def _big_endian(builder: Any, block: Any) -> Any:
    """Two numbers from 16 bytes in the order of the air; x86 is little endian."""
    order = [*range(7, -1, -1), *range(15, 7, -1)]
    of_bytes = builder.bitcast(block, _BLOCK_OF_BYTES)
    turned = builder.shuffle_vector(of_bytes, of_bytes, ir.Constant(ir.VectorType(_INT32, BLOCK_BYTES), order))
    return builder.bitcast(turned, _BLOCK)


def _pointer(context: Any, builder: Any, signature: Any, arguments: Any, at: int, item: Any) -> Any:
    """To the items of array `at` of the arguments."""
    return builder.bitcast(address(context, builder, signature.args[at], arguments[at]), item.as_pointer())


def _types_of_expand_key(keys: Bytes, row: int, round_keys: Bytes) -> None:
    """The 11 round keys (ROUND_KEYS, 16) of a row of the keys (n, 16)."""


def _types_of_encrypt_blocks(round_keys: Bytes, texts: Bytes, text: int, hi: Int64s, lo: Int64s, at: int) -> None:
    """Encrypts PARALLEL rows of the texts (n, 16), from row `text` on, into the halves of each, from `at` on."""


_expand_key = instructions(_emit_expand_key, _types_of_expand_key)
_encrypt_blocks = instructions(_emit_encrypt_blocks, _types_of_encrypt_blocks)


@compiled
def gaen_ids(keys: Bytes, interval: Int64s, slots: Int64s, first: Int64s, hi: Int64s, lo: Int64s) -> None:
    """RPI keys (n, 16), the first interval of each; hi and lo have PARALLEL places more, which are spoilt."""
    blocks = np.zeros((INTERVALS, BLOCK_BYTES), dtype=np.uint8)
    round_keys = np.empty((ROUND_KEYS, BLOCK_BYTES), dtype=np.uint8)
    written = -1
    for row in range(len(keys)):
        if interval[row] != written:  # keys of a day mostly begin together
            written = interval[row]
            for slot in range(INTERVALS):
                _write_block(blocks, slot, written + slot)
        _expand_key(keys, row, round_keys)
        # what a key has too many of, the next key overwrites
        for slot in range(0, slots[row], PARALLEL):
            _encrypt_blocks(round_keys, blocks, slot, hi, lo, first[row] + slot)


@compiled
def _write_block(blocks: Bytes, slot: int, interval: int) -> None:
    """What is encrypted: `bzwire.gaen.rpi`."""
    for at in range(len(_PLAIN)):
        blocks[slot, at] = _PLAIN[at]
    for at in range(4):
        blocks[slot, 12 + at] = (interval >> (8 * at)) & 0xFF
