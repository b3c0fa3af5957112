"""IDs of many keys at once against the protocol's own modules and the published vectors, by every way there is."""

import json
import os
import subprocess
import sys
import tracemalloc
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bztoken.crypto import aes_ecb
from bztoken.matching.derivation import DerivedIds, compiled, ids_by, ids_of_days, next_day_keys, plain
from bztoken.matching.derivation.choosing import Way
from bzwire import bluezone, gaen
from bzwire.errors import OutOfRange

VECTORS = Path(__file__).parent.parent / "vectors"
DAY_S = 86400
MIDNIGHT_S = 18_482 * DAY_S
WAYS = pytest.mark.parametrize("way", [plain, compiled], ids=["plain", "compiled"])
IMPORT_BLOCKER = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("numba", "llvmlite"):
            raise ModuleNotFoundError(f"No module named {name!r}")
sys.meta_path.insert(0, Blocker())
"""
MANY = """
import hashlib, sys
import numpy as np
from bztoken.matching.derivation import ids_of_days, next_day_keys
digest = hashlib.sha256()
for scheme, size, slots in (("bluezone", 32, 96), ("gaen", 16, 144)):
    keys = np.arange(CALLS * 200 * size, dtype=np.uint64).astype(np.uint8).reshape(CALLS, 200, size)
    for some in keys:
        for column in ids_of_days(scheme, some, np.zeros(200, np.int64), np.full(200, slots)):
            digest.update(column.tobytes())
digest.update(next_day_keys(keys[0].reshape(100, 32)).tobytes())
print("numba" in sys.modules, digest.hexdigest())
"""


def ints(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def rows(keys: list[bytes], size: int) -> np.ndarray:
    return np.frombuffer(b"".join(keys), dtype=np.uint8).reshape(-1, size)


def as_bytes(found: DerivedIds) -> list[bytes]:
    """The IDs, 16 bytes each."""
    together = np.stack((found.hi, found.lo), axis=1).astype(">i8").tobytes()
    return [together[at : at + 16] for at in range(0, len(together), 16)]


def slow_gaen(tek: bytes, interval: int, slots: int) -> list[bytes]:
    return [gaen.rpi(gaen.rpi_key(tek), interval + at, aes_ecb) for at in range(slots)]


# -- known answers -----------------------------------------------------------------------------------------------------
@WAYS
def test_ids_captured_from_phones_are_derived(way: Way) -> None:
    vectors = json.loads((VECTORS / "bluezone.json").read_text())
    checked = 0
    for vector in vectors["captured"] + vectors["computed"]:
        found = ids_by(
            way, "bluezone", rows([bytes.fromhex(vector["day_key"])], 32), ints(vector["day_start_unix_s"]), ints(96)
        )
        for slot, expected in vector["slots"].items():
            assert as_bytes(found)[int(slot)] == bytes.fromhex(expected) + bytes(4)
            assert found.slot_start_s[int(slot)] == vector["day_start_unix_s"] + 900 * int(slot)
            checked += 1
    assert checked >= 8


@WAYS
def test_rpis_of_googles_vectors_are_derived(way: Way) -> None:
    vector = json.loads((VECTORS / "gaen.json").read_text())
    start_s = 600 * vector["tek_rolling_start_interval"]
    found = ids_by(way, "gaen", rows([bytes.fromhex(vector["tek"])], 16), ints(start_s), ints(144))
    assert [rpi.hex() for rpi in as_bytes(found)] == [told["rpi"] for told in vector["advertised"]]
    assert found.slot_start_s.tolist() == [600 * told["interval"] for told in vector["advertised"]]
    assert len(found.hi) == 144


# -- against the protocol's own modules --------------------------------------------------------------------------------
@WAYS
@settings(max_examples=25, deadline=None)
@given(
    days=st.lists(
        st.tuples(st.binary(min_size=32, max_size=32), st.integers(0, 2**31), st.integers(0, 96)), max_size=20
    )
)
def test_bluezone_ids_are_those_of_the_protocol(way: Way, days: list[tuple[bytes, int, int]]) -> None:
    keys, starts_s, slots = [day[0] for day in days], [day[1] for day in days], [day[2] for day in days]
    found = ids_by(way, "bluezone", rows(keys, 32), ints(*starts_s), ints(*slots))
    assert as_bytes(found) == [one + bytes(4) for key, _, count in days for one in bluezone.slot_ids(key, count)]
    assert found.slot_start_s.tolist() == [start_s + 900 * at for _, start_s, count in days for at in range(count)]
    assert found.key.tolist() == [row for row, count in enumerate(slots) for _ in range(count)]


@WAYS
@settings(max_examples=25, deadline=None)
@given(
    days=st.lists(
        st.tuples(st.binary(min_size=16, max_size=16), st.integers(0, 2**22), st.integers(0, 144)), max_size=20
    )
)
def test_rpis_are_those_of_the_protocol(way: Way, days: list[tuple[bytes, int, int]]) -> None:
    keys, intervals, slots = [day[0] for day in days], [day[1] for day in days], [day[2] for day in days]
    found = ids_by(way, "gaen", rows(keys, 16), 600 * ints(*intervals), ints(*slots))
    assert as_bytes(found) == [one for day in days for one in slow_gaen(*day)]
    assert found.slot_start_s.tolist() == [600 * (first + at) for _, first, count in days for at in range(count)]
    assert found.key.tolist() == [row for row, count in enumerate(slots) for _ in range(count)]


@WAYS
@pytest.mark.parametrize("off_s", [-43_199, -1, 1, 599, 601, 43_199])
def test_a_gaen_key_of_a_token_whose_clock_was_put_right_began_at_the_nearest_midnight(way: Way, off_s: int) -> None:
    tek = bytes(range(16))
    found = ids_by(way, "gaen", rows([tek, tek], 16), ints(MIDNIGHT_S + off_s, MIDNIGHT_S + 1200), ints(3, 2))
    assert as_bytes(found) == slow_gaen(tek, MIDNIGHT_S // 600, 3) + slow_gaen(tek, MIDNIGHT_S // 600 + 2, 2)
    assert found.slot_start_s.tolist()[:3] == [MIDNIGHT_S + off_s + 600 * at for at in range(3)]


@WAYS
@pytest.mark.parametrize(("scheme", "size"), [("bluezone", 32), ("gaen", 16)])
@pytest.mark.parametrize("keys", [0, 1, 7, 8, 9, 300, 4097])
def test_any_number_of_keys_has_one_slot_each(way: Way, scheme: str, size: int, keys: int) -> None:
    some = [bytes([row % 256, row // 256]) * (size // 2) for row in range(keys)]
    found = ids_by(way, scheme, rows(some, size), np.full(keys, MIDNIGHT_S), np.ones(keys, dtype=np.int64))
    if scheme == "bluezone":
        assert as_bytes(found) == [next(bluezone.slot_ids(key, 1)) + bytes(4) for key in some]
    else:
        assert as_bytes(found) == [slow_gaen(key, MIDNIGHT_S // 600, 1)[0] for key in some]
    assert found.key.tolist() == list(range(keys))
    assert all(column.dtype == np.int64 for column in found)


@WAYS
@pytest.mark.parametrize("keys", [0, 1, 8, 13])
def test_the_next_day_keys_are_those_of_the_chain(way: Way, keys: int) -> None:
    some = [bytes([row]) * 32 for row in range(keys)]
    assert [key.tobytes() for key in way.next_day_keys(rows(some, 32))] == [bluezone.next_day_key(key) for key in some]


# -- columns as callers have them --------------------------------------------------------------------------------------
@WAYS
def test_columns_may_be_read_only_slices_of_others(way: Way) -> None:
    wide = np.arange(40 * 64, dtype=np.uint64).astype(np.uint8).reshape(40, 64)
    keys, numbers = wide[::2, 7:39], np.arange(40, dtype=np.int64)[::2]
    numbers.flags.writeable = False
    found = ids_by(way, "bluezone", keys, numbers, numbers)
    assert as_bytes(found) == [
        one + bytes(4)
        for key, count in zip(keys, numbers, strict=True)
        for one in bluezone.slot_ids(key.tobytes(), count)
    ]


def test_a_derivation_leaves_what_it_was_given_alone() -> None:
    keys, starts_s, slots = rows([bytes([row]) * 32 for row in range(9)], 32).copy(), ints(*[0] * 9), ints(*range(9))
    before = keys.tobytes(), starts_s.tobytes(), slots.tobytes()
    ids_by(compiled, "bluezone", keys, starts_s, slots)
    assert (keys.tobytes(), starts_s.tobytes(), slots.tobytes()) == before


@pytest.mark.parametrize(("scheme", "size"), [("bluezone", 32), ("gaen", 16)])
def test_a_million_ids_of_as_many_keys_need_little_memory_beside_the_answer(scheme: str, size: int) -> None:
    keys, ones = np.zeros((1 << 20, size), dtype=np.uint8), np.ones(1 << 20, dtype=np.int64)
    ids_by(compiled, scheme, keys[:1], ones[:1], ones[:1])
    tracemalloc.start()
    found = ids_by(compiled, scheme, keys, 600 * ones, ones)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(found.hi) == 1 << 20
    assert peak - sum(column.nbytes for column in found) < 100e6


# -- what cannot be ----------------------------------------------------------------------------------------------------
@WAYS
@pytest.mark.parametrize(("scheme", "size", "slots"), [("bluezone", 32, 97), ("bluezone", 32, -1), ("gaen", 16, 145)])
def test_more_slots_than_a_day_has_are_refused(way: Way, scheme: str, size: int, slots: int) -> None:
    with pytest.raises(OutOfRange, match="slots"):
        ids_by(way, scheme, rows([bytes(size)] * 2, size), ints(0, 0), ints(1, slots))


@WAYS
@pytest.mark.parametrize("start_s", [-600, 600 * (2**32 - 3)])
def test_intervals_that_the_protocol_cannot_say_are_refused(way: Way, start_s: int) -> None:
    with pytest.raises(OutOfRange, match="interval"):
        ids_by(way, "gaen", rows([bytes(16)], 16), ints(start_s), ints(4))


def test_the_last_interval_that_the_protocol_can_say_is_derived() -> None:
    for way in (plain, compiled):
        found = ids_by(way, "gaen", rows([bytes(16)], 16), ints(600 * (2**32 - 4)), ints(4))
        assert as_bytes(found) == slow_gaen(bytes(16), 2**32 - 4, 4)


@pytest.mark.parametrize(("scheme", "size"), [("bluezone", 16), ("gaen", 32)])
def test_keys_of_the_other_scheme_are_refused(scheme: str, size: int) -> None:
    with pytest.raises(OutOfRange, match="bytes"):
        ids_of_days(scheme, rows([bytes(size)], size), ints(0), ints(1))
    with pytest.raises(OutOfRange, match="bytes"):
        next_day_keys(np.zeros((1, 16), dtype=np.uint8))


# -- the choice of a way -----------------------------------------------------------------------------------------------
def run(program: str, **more: str) -> tuple[bool, str]:
    """Whether numba was imported, and a hash over all that was derived."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env={**os.environ, **more})
    assert done.returncode == 0, done.stderr
    imported, digest = done.stdout.split()
    return imported == "True", digest


@cache
def without_numba(calls: int) -> tuple[bool, str]:
    return run(IMPORT_BLOCKER + f"CALLS = {calls}" + MANY)


def test_few_keys_never_wait_for_numba() -> None:
    assert not run("CALLS = 1" + MANY)[0]


def test_many_calls_with_few_keys_each_end_with_numba_and_the_same_ids() -> None:
    imported, digest = run("CALLS = 60" + MANY)
    blocked, same = without_numba(60)
    assert imported
    assert not blocked
    assert digest == same


def test_a_numba_that_is_told_not_to_compile_is_passed_over() -> None:
    assert run("import numba\nCALLS = 25" + MANY, NUMBA_DISABLE_JIT="1") == (True, without_numba(25)[1])


def test_a_numba_that_compiles_for_another_processor_gives_the_same_ids() -> None:
    program = "import numba\nCALLS = 25" + MANY
    assert run(program, NUMBA_CPU_NAME="generic", NUMBA_CPU_FEATURES="") == (True, without_numba(25)[1])


def test_compiled_code_needs_no_place_to_be_kept() -> None:
    nowhere = """
from numba.core import caching
caching.CacheImpl._locator_classes = []
from bztoken.matching.derivation.compiling import compiled
def two(one): return one + 1
print(compiled(two)(1) == 2, compiled(two).stats.cache_path)
"""
    assert run(nowhere) == (True, "None")
