"""IDs of many keys by compiled code: half a second to import and, once on a machine, seconds to compile.

`plain` gives the same without numba.
"""

from collections.abc import Iterator

import numpy as np

from bztoken.matching.derivation import plain, sha256_lanes
from bztoken.matching.derivation.compiling import compiled
from bztoken.matching.derivation.plain import Bytes
from bztoken.matching.derivation.sha256_lanes import BLOCK_WORDS, LANES, START, STATE_WORDS, Words
from bztoken.matching.tolerance import Int64s


def _end(tail: bytes, message_bytes: int, words: int) -> Words:
    """The last words of a message, for every key: what is left of it, a bit, zero bits, its length in bits."""
    return np.frombuffer(
        (tail + b"\x80").ljust(4 * words - 8, b"\0") + (8 * message_bytes).to_bytes(8, "big"), dtype=">u4"
    ).astype(np.uint32)[None, :, None]


_KEYS = 1 << 12  # in lanes at a time: bounds their memory, and keeps it in the processor's cache
_START = np.array(START, dtype=np.uint32)[None, :, None]
_NO_SALT = np.zeros((1, STATE_WORDS, 1), dtype=np.uint32)
_AFTER_DAY_KEY = _end(b"bluzonesubkey", 45, 8)
_AFTER_32 = _end(b"", 32, 8)
# HMAC hashes a block of its key XOR 0x36.., then the text; a block of its key XOR 0x5C.., then the first hash
_INNER, _OUTER = np.uint32(0x36363636), np.uint32(0x5C5C5C5C)
_AFTER_TEK = _end(b"", 64 + 16, 12)
_AFTER_HASH = _end(b"", 64 + 32, 8)
_INFO = _end(b"EN-RPIK\x01", 64 + 8, 16)


def in_lanes(keys: Bytes) -> Words:
    """Keys (n, bytes) as words (groups, bytes / 4, LANES); lanes left over are zero."""
    words = keys.shape[1] // 4
    groups = -(-len(keys) // LANES)
    padded = np.zeros((groups * LANES, words), dtype=np.uint32)
    padded[: len(keys)] = np.ascontiguousarray(keys).view(">u4")
    return np.ascontiguousarray(padded.reshape(groups, LANES, words).transpose(0, 2, 1))


def out_of_lanes(words: Words, rows: int) -> Bytes:
    """The other way: (rows, bytes)."""
    flat = words.transpose(0, 2, 1).reshape(len(words) * LANES, words.shape[1])[:rows]
    return flat.astype(">u4", order="C").view(np.uint8)


def _after(state: Words, *parts: Words) -> Words:
    """The states of all groups after one more block, of the words of these parts. What all share has length 1."""
    (groups,) = np.broadcast_shapes(*[(len(array),) for array in (state, *parts)])
    states = np.empty((groups, STATE_WORDS, LANES), dtype=np.uint32)
    blocks = np.empty((groups, BLOCK_WORDS, LANES), dtype=np.uint32)
    states[:] = state
    at = 0
    for part in parts:
        blocks[:, at : at + part.shape[1]] = part
        at += part.shape[1]
    sha256_lanes.compress_all(states, blocks)
    return states


def _hmac(key: Words, *text: Words) -> Words:
    """HMAC-SHA256 (RFC 2104) of a text that ends its block, with keys of 32 bytes."""
    padded = np.concatenate((key, np.zeros_like(key)), axis=1)
    inner = _after(_after(_START, padded ^ _INNER), *text)
    return _after(_after(_START, padded ^ _OUTER), inner, _AFTER_HASH)


def bluezone_ids(day_keys: Bytes, slots: Int64s) -> tuple[Int64s, Int64s]:
    """Halves of the IDs of day keys (n, 32), as many slots of each as `slots` (n) says, key after key."""
    hi, lo, first = _room(slots)
    order = np.argsort(-slots, kind="stable")  # the lanes of a group go on until the last of them is done
    for portion in _portions(len(order)):
        rows = order[portion]
        sub_keys = _after(_START, in_lanes(day_keys[rows]), _AFTER_DAY_KEY)
        sha256_lanes.bluezone_ids(sub_keys, rows, slots, first, hi, lo)
    return hi, lo


def gaen_ids(teks: Bytes, first_interval: Int64s, slots: Int64s) -> tuple[Int64s, Int64s]:
    """Halves of the RPIs of TEKs (n, 16), as many intervals of each as `slots` (n) says, key after key.

    AES stays the library's, though its setting up a key costs most of the time (`tests/bench/aes_instructions.py`).
    """
    return plain.rpis(rpi_keys(teks), first_interval, slots)


def _portions(rows: int) -> Iterator[slice]:
    return (slice(at, at + _KEYS) for at in range(0, rows, _KEYS))


def _room(slots: Int64s) -> tuple[Int64s, Int64s, Int64s]:
    """Columns for the halves, and where those of each key begin."""
    until = np.cumsum(slots)
    ids = int(until[-1]) if len(slots) else 0
    return np.empty(ids, dtype=np.int64), np.empty(ids, dtype=np.int64), until - slots


def next_day_keys(day_keys: Bytes) -> Bytes:
    """SHA-256 of each of the keys (n, 32)."""
    found = np.empty_like(day_keys)
    for rows in _portions(len(day_keys)):
        found[rows] = out_of_lanes(_after(_START, in_lanes(day_keys[rows]), _AFTER_32), len(found[rows]))
    return found


def rpi_keys(teks: Bytes) -> Bytes:
    """HKDF-SHA256 (RFC 5869) without salt, "EN-RPIK", 16 bytes, of each of the TEKs (n, 16)."""
    found = np.empty_like(teks)
    for rows in _portions(len(teks)):
        extracted = _hmac(_NO_SALT, in_lanes(teks[rows]), _AFTER_TEK)
        found[rows] = out_of_lanes(_hmac(extracted, _INFO)[:, :4], len(found[rows]))
    return found


def lay_out(start_s: Int64s, slots: Int64s, slot_s: int) -> tuple[Int64s, Int64s]:
    """Start of the slot, and row of the key, of each ID."""
    slot_start_s, key, _ = _room(slots)
    _lay_out(start_s, slots, slot_s, slot_start_s, key)
    return slot_start_s, key


@compiled
def _lay_out(start_s: Int64s, slots: Int64s, slot_s: int, slot_start_s: Int64s, key: Int64s) -> None:
    """Start of the slot, and row of the key, of each ID."""
    at = 0
    for row in range(len(slots)):
        for slot in range(slots[row]):
            slot_start_s[at] = start_s[row] + slot * slot_s
            key[at] = row
            at += 1
