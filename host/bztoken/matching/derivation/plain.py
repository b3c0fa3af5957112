"""IDs of keys by hashlib and `cryptography`, key by key: for few keys, and where numba is missing.

`compiled` gives the same for many; `bzwire.bluezone` and `bzwire.gaen` are the reference for both.
"""

import hashlib
import struct
from collections.abc import Iterable, Iterator
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from bztoken.matching.tolerance import Int64s
from bzwire import bluezone, gaen

Bytes = npt.NDArray[np.uint8]
_BLOCK_BYTES = 16  # of AES, and of the two numbers of an ID
_HASH_BYTES = 32
_KEYS = 256  # whose IDs become numbers at a time: bounds the bytes beside the columns


def bluezone_ids(day_keys: Bytes, slots: Int64s) -> tuple[Int64s, Int64s]:
    """Halves of the IDs of day keys (n, 32), as many slots of each as `slots` (n) says, key after key."""
    parts = (_selected(_chains(day_keys[rows], slots[rows])) for rows in _portions(day_keys))
    return _halves(parts, int(slots.sum()))


def _chains(day_keys: Bytes, slots: Int64s) -> bytes:
    """The hashes of which the IDs are bytes: what `bluezone.slot_ids` does, without looking at each."""
    found = []
    sha256 = hashlib.sha256
    for day_key, count in zip(day_keys, slots.tolist(), strict=True):
        sub_key = day_key.tobytes() + bluezone.SALT
        for _ in range(count):
            sub_key = sha256(sub_key).digest()
            found.append(sub_key)
    return b"".join(found)


def _selected(hashes: bytes) -> bytes:
    """Of each hash the bytes of the ID, and zero bytes behind them."""
    rows = np.frombuffer(hashes, dtype=np.uint8).reshape(-1, _HASH_BYTES)
    padded = np.zeros((len(rows), _BLOCK_BYTES), dtype=np.uint8)
    padded[:, : bluezone.ID_BYTES] = rows[:, bluezone.SELECTED_BYTES]
    return padded.tobytes()


def gaen_ids(teks: Bytes, first_interval: Int64s, slots: Int64s) -> tuple[Int64s, Int64s]:
    """Halves of the RPIs of TEKs (n, 16), as many intervals of each as `slots` (n) says, key after key."""
    return rpis(rpi_keys(teks), first_interval, slots)


def rpi_keys(teks: Bytes) -> Bytes:
    """The keys (n, 16) of the RPIs (`gaen.rpi_key`)."""
    sha256 = SHA256()
    keys = [HKDF(sha256, gaen.KEY_BYTES, None, b"EN-RPIK").derive(tek.tobytes()) for tek in teks]
    return np.frombuffer(b"".join(keys), dtype=np.uint8).reshape(-1, gaen.KEY_BYTES)


def rpis(rpi_keys: Bytes, first_interval: Int64s, slots: Int64s) -> tuple[Int64s, Int64s]:
    """As `gaen_ids`, the keys of the RPIs being known: one call of AES for each."""
    parts = (_encrypted(rpi_keys[rows], first_interval[rows], slots[rows]) for rows in _portions(rpi_keys))
    return _halves(parts, int(slots.sum()))


def _encrypted(rpi_keys: Bytes, first_interval: Int64s, slots: Int64s) -> bytes:
    ecb = modes.ECB()  # of one block each: an RPI is a block of AES
    found = []
    for key, first, count in zip(rpi_keys, first_interval.tolist(), slots.tolist(), strict=True):
        encryptor = Cipher(algorithms.AES(key.tobytes()), ecb).encryptor()
        found.append(encryptor.update(_intervals(first, count)))
    return b"".join(found)


@lru_cache(maxsize=64)
def _intervals(first: int, count: int) -> bytes:
    """What is encrypted (`gaen.rpi`). Keys of a day mostly begin together, so this is made once for all of them."""
    return b"".join(struct.pack("<6s6xI", b"EN-RPI", first + at) for at in range(count))


def next_day_keys(day_keys: Bytes) -> Bytes:
    """SHA-256 of each of the keys (n, 32)."""
    keys = [hashlib.sha256(key.tobytes()).digest() for key in day_keys]
    return np.frombuffer(b"".join(keys), dtype=np.uint8).reshape(-1, bluezone.KEY_BYTES)


def lay_out(start_s: Int64s, slots: Int64s, slot_s: int) -> tuple[Int64s, Int64s]:
    """Start of the slot, and row of the key, of each ID."""
    key = np.repeat(np.arange(len(slots), dtype=np.int64), slots)
    slot = np.arange(len(key), dtype=np.int64) - np.repeat(np.cumsum(slots) - slots, slots)
    return start_s[key] + slot * slot_s, key


def _portions(keys: Bytes) -> Iterator[slice]:
    return (slice(at, at + _KEYS) for at in range(0, len(keys), _KEYS))


def _halves(parts: Iterable[bytes], ids: int) -> tuple[Int64s, Int64s]:
    """The two columns of so many IDs of 16 bytes."""
    hi, lo = np.empty(ids, dtype=np.int64), np.empty(ids, dtype=np.int64)
    at = 0
    for part in parts:
        both = np.frombuffer(part, dtype=">i8").reshape(-1, 2)
        hi[at : at + len(both)], lo[at : at + len(both)] = both[:, 0], both[:, 1]
        at += len(both)
    return hi, lo
