"""Ways to derive the IDs of many keys, the program's own and those that lost against it: M IDs/s on one core.

Run it for the table. Seconds are of the processor, the best of some rounds; imports and compiling are told apart. Every
way must give the same IDs before it is timed. "limit": no way to derive, only what the hardest part of it would allow.
"""

import argparse
import hashlib
import hmac
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import aes_instructions
import derivation_lanes
import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from bztoken.crypto import aes_ecb
from bztoken.matching.derivation import DerivedIds, compiled, ids_by, plain
from bztoken.matching.derivation.plain import Bytes
from bztoken.matching.derivation.sha256_lanes import LANES, compress_all
from bztoken.matching.kernel import halves
from bztoken.matching.tolerance import Int64s
from bzwire import bluezone, gaen

Variant = Callable[[str, Bytes, Int64s, Int64s], DerivedIds]
Halves = tuple[Int64s, Int64s]
START_S = 19_000 * 86_400


class Replaced:
    """`plain` with another function for one scheme."""

    def __init__(self, **functions: Callable[..., Halves]) -> None:
        self.__dict__.update(functions)

    def __getattr__(self, name: str) -> Any:
        return getattr(plain, name)


# -- Bluezone ----------------------------------------------------------------------------------------------------------
def bluezone_by_protocol(day_keys: Bytes, slots: Int64s) -> Halves:
    """`bzwire.bluezone`, ID by ID: what phones and tokens do."""
    pairs = zip(day_keys, slots.tolist(), strict=True)
    return halves([one for key, count in pairs for one in bluezone.slot_ids(key.tobytes(), count)])


def bluezone_by_blocks(make: Callable[[], derivation_lanes.Compress], day_keys: Bytes, slots: Int64s) -> Halves:
    """By a compression function over blocks (16, n)."""
    n = -(-len(day_keys) // 32) * 32
    first = np.zeros((16, n), dtype=np.uint32)
    first[:8, : len(day_keys)] = day_keys.view(">u4").T
    first[8:] = np.frombuffer((bluezone.SALT + b"\x80").ljust(30, b"\0") + b"\1\x68", dtype=">u4")[:, None]
    hashes = derivation_lanes.chains(make(), first, int(slots.max()))[:, :, : len(day_keys)]
    as_bytes = np.ascontiguousarray(hashes.transpose(2, 0, 1)).astype(">u4").view(np.uint8)
    padded = np.zeros((*as_bytes.shape[:2], 16), dtype=np.uint8)
    padded[:, :, : bluezone.ID_BYTES] = as_bytes[:, :, bluezone.SELECTED_BYTES]
    wanted = np.arange(padded.shape[1]) < slots[:, None]
    both = padded.view(">i8")[wanted].astype(np.int64)
    return np.ascontiguousarray(both[:, 0]), np.ascontiguousarray(both[:, 1])


def once(make: Callable[[], derivation_lanes.Compress]) -> Callable[[], derivation_lanes.Compress]:
    """Made when it is first asked for: making compiles."""
    made: list[derivation_lanes.Compress] = []

    def get() -> derivation_lanes.Compress:
        if not made:
            made.append(make())
        return made[0]

    return get


# -- GAEN --------------------------------------------------------------------------------------------------------------
def gaen_by_protocol(teks: Bytes, first: Int64s, slots: Int64s) -> Halves:
    """`bzwire.gaen`, ID by ID, each a call of AES."""
    rows = zip(teks, first.tolist(), slots.tolist(), strict=True)
    return halves([one for tek, start, count in rows for one in _rpis(gaen.rpi_key(tek.tobytes()), start, count)])


def _rpis(rpi_key: bytes, first: int, slots: int) -> list[bytes]:
    return [gaen.rpi(rpi_key, first + at, aes_ecb) for at in range(slots)]


def gaen_by_block(teks: Bytes, first: Int64s, slots: Int64s) -> Halves:
    """One object of AES a key, a call for each ID."""
    found = []
    for key, start, count in zip(plain.rpi_keys(teks), first.tolist(), slots.tolist(), strict=True):
        encrypt = Cipher(algorithms.AES(key.tobytes()), modes.ECB()).encryptor().update
        whole = plain._intervals(start, count)
        found += [encrypt(whole[at : at + 16]) for at in range(0, len(whole), 16)]
    return halves(found)


def gaen_without_shared_text(teks: Bytes, first: Int64s, slots: Int64s) -> Halves:
    """As `plain`, but what is encrypted is made for each key anew."""
    keys = plain.rpi_keys(teks)
    parts = []
    for row in range(len(keys)):
        plain._intervals.cache_clear()
        parts.append(plain._encrypted(keys[row : row + 1], first[row : row + 1], slots[row : row + 1]))
    return plain._halves(parts, int(slots.sum()))


def gaen_by_hmac(teks: Bytes, first: Int64s, slots: Int64s) -> Halves:
    """HKDF by the standard library."""
    extracted = [hmac.digest(bytes(32), tek.tobytes(), hashlib.sha256) for tek in teks]
    keys = b"".join([hmac.digest(key, b"EN-RPIK\x01", hashlib.sha256)[:16] for key in extracted])
    return plain.rpis(np.frombuffer(keys, dtype=np.uint8).reshape(-1, 16), first, slots)


def gaen_by_instructions(teks: Bytes, first: Int64s, slots: Int64s) -> Halves:
    """HKDF in lanes, AES of our own by the processor's instructions: how far the library is from what there is."""
    until, more = np.cumsum(slots), aes_instructions.PARALLEL
    hi, lo = (np.empty(int(until[-1]) + more, dtype=np.int64) for _ in range(2))
    aes_instructions.gaen_ids(compiled.rpi_keys(teks), first, slots, until - slots, hi, lo)
    return hi[:-more], lo[:-more]


_BLOCKS = {
    "numpy, all keys at once": lambda: derivation_lanes.by_numpy,
    "numba, a key at a time": lambda: derivation_lanes.by_numba(1),
    "numba, arrays of 8 lanes": lambda: derivation_lanes.by_numba(8),
    "numba, arrays of 32 lanes": lambda: derivation_lanes.by_numba(32),
    "numba, 64 rounds written out": derivation_lanes.unrolled,
}
_WAYS: dict[str, dict[str, Any]] = {
    "bluezone": {
        "protocol's own module": Replaced(bluezone_ids=bluezone_by_protocol),
        "hashlib (plain)": plain,
        **{name: Replaced(bluezone_ids=partial(bluezone_by_blocks, once(make))) for name, make in _BLOCKS.items()},
        "LLVM, vectors of 8 lanes (compiled)": compiled,
    },
    "gaen": {
        "protocol's own module": Replaced(gaen_ids=gaen_by_protocol),
        "cryptography, a call an ID": Replaced(gaen_ids=gaen_by_block),
        "hmac, cryptography, a call a key": Replaced(gaen_ids=gaen_by_hmac),
        "cryptography, text made for each key": Replaced(gaen_ids=gaen_without_shared_text),
        "cryptography, a call a key (plain)": plain,
        "HKDF in lanes, cryptography (compiled)": compiled,
        **(
            {"HKDF in lanes, AES of our own by instructions": Replaced(gaen_ids=gaen_by_instructions)}
            if aes_instructions.available()
            else {}
        ),
    },
}
VARIANTS: dict[str, dict[str, Variant]] = {
    scheme: {name: partial(ids_by, way) for name, way in ways.items()} for scheme, ways in _WAYS.items()
}


# -- the table ---------------------------------------------------------------------------------------------------------
def world(scheme: str, keys: int) -> tuple[str, Bytes, Int64s, Int64s]:
    """Arguments of a variant: whole days."""
    size, slots = (32, 96) if scheme == "bluezone" else (16, 144)
    day_keys = np.random.default_rng(7).integers(0, 256, (keys, size), dtype=np.uint8)
    return scheme, day_keys, np.full(keys, START_S), np.full(keys, slots)


def processor_s(work: Callable[[], object], rounds: int = 3) -> float:
    """The best of some rounds."""
    best = float("inf")
    for _ in range(rounds):
        start_s = time.process_time()
        work()
        best = min(best, time.process_time() - start_s)
    return best


def measured(scheme: str, keys: int) -> dict[str, float]:
    """M IDs/s. Ends the program where a way disagrees with the protocol."""
    found = {}
    few = world(scheme, 1024)
    expected = VARIANTS[scheme]["protocol's own module"](*few)
    for name, variant in VARIANTS[scheme].items():
        if not all(np.array_equal(*columns) for columns in zip(expected, variant(*few), strict=True)):
            sys.exit(f"{scheme}, {name}: other IDs than the protocol's")
        # slow ways get fewer keys
        fitting = int(1024 / processor_s(partial(variant, *few), rounds=1))
        many = world(scheme, max(1024, min(keys, fitting)))
        found[name] = int(many[3].sum()) / processor_s(partial(variant, *many)) / 1e6
    return found


def limits() -> dict[str, dict[str, float]]:
    """Millions a second of what an ID needs at least, without a key's beginning and without writing the ID down."""
    data = bytes(1 << 18)  # stays in the processor's cache
    states, blocks = np.zeros((512, 8, LANES), dtype=np.uint32), np.zeros((512, 16, LANES), dtype=np.uint32)
    encrypt = Cipher(algorithms.AES(bytes(16)), modes.ECB()).encryptor().update
    return {
        "bluezone": {
            "limit: blocks of SHA-256 in lanes": 512 * LANES / processor_s(partial(compress_all, states, blocks)) / 1e6,
            "limit: blocks of one long message, hashlib": len(data)
            / 64
            / processor_s(partial(hashlib.sha256, data))
            / 1e6,
        },
        "gaen": {
            "limit: blocks of AES with one key, cryptography": len(data)
            / 16
            / processor_s(partial(encrypt, data))
            / 1e6
        },
    }


_START_UP = """
import time
from functools import partial
import numpy as np
since = time.process_time()
def lap(what):
    global since
    print(f"| {what} | {time.process_time() - since:.2f} |")
    since = time.process_time()
import numba
lap("import of numba")
from bztoken.matching.derivation import compiled, ids_by
n = np.ones(9, np.int64)
lap("import of the compiled way")
for scheme, size in (("bluezone", 32), ("gaen", 16)):
    ids_by(compiled, scheme, np.zeros((9, size), np.uint8), 0 * n, n)
    lap(f"{scheme}: first call, STATE")
"""


def start_up() -> None:
    """What a process pays before its first ID."""
    with tempfile.TemporaryDirectory() as kept:
        for state in ("compiling", "compiled before"):
            program = _START_UP.replace("STATE", state)
            subprocess.run([sys.executable, "-c", program], check=True, env={**os.environ, "NUMBA_CACHE_DIR": kept})


def main() -> None:
    """The tables on standard output."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=7281, help="at most so many at a time (7281: a million RPIs)")
    keys = parser.parse_args().keys
    floor = limits()
    for scheme in VARIANTS:
        print(f"\n| {scheme} | M IDs/s on one core |\n|---|---|")
        for name, speed in (measured(scheme, keys) | floor[scheme]).items():
            print(f"| {name} | {speed:.2f} |", flush=True)
    print("\n| start | s of the processor |\n|---|---|", flush=True)
    start_up()


if __name__ == "__main__":
    main()
