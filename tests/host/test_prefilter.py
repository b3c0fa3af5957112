"""The filter before the join: loses nothing, lets few strangers in, and chosen bytes do not change that."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bztoken.matching import join_loops
from bztoken.matching.prefilter import Bloom, ByteMap, Choice, filter_over, fresh_secret, keyed
from bztoken.matching.tolerance import Int64s

WAYS = {"numpy": None, "compiled": join_loops}
MANY = 1 << 16
COUNTING = np.arange(MANY, dtype=np.int64)
ZEROS = np.zeros(MANY, dtype=np.int64)
CHOSEN = {
    "one first half": (ZEROS, COUNTING),
    "one second half": (COUNTING, ZEROS - 1),
    "equal halves": (COUNTING, COUNTING),
    "halves that cancel out": (COUNTING, -COUNTING),
    "low bits zero": (COUNTING << 47, ZEROS),
    "high words only": (COUNTING << 32, COUNTING << 32),
    "few bits": (1 << (COUNTING & 63), (1 << ((COUNTING >> 6) & 31)) + (COUNTING >> 11 << 40)),
}
by_both_ways = pytest.mark.parametrize("way", WAYS)
integers = st.lists(
    st.tuples(*[st.one_of(st.sampled_from([0, 1, -1, 2**32, -(2**63)]), st.integers(-(2**63), 2**63 - 1))] * 2),
    max_size=40,
)


def strangers(count: int, seed: int) -> tuple[Int64s, Int64s]:
    """As a cipher makes them."""
    rng = np.random.default_rng(seed)
    return rng.integers(-(2**63), 2**63, count), rng.integers(-(2**63), 2**63, count)


def halves_of(pairs: list[tuple[int, int]]) -> tuple[Int64s, Int64s]:
    both = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return both[:, 0], both[:, 1]  # with gaps between the numbers


@by_both_ways
@settings(max_examples=100, deadline=None)
@given(inside=integers, asked=integers)
def test_what_is_in_always_passes(way: str, inside: list[tuple[int, int]], asked: list[tuple[int, int]]) -> None:
    passed = filter_over(*halves_of(inside), WAYS[way]).passing(*halves_of(asked + inside)).tolist()
    wanted = [at for at, pair in enumerate(asked + inside) if pair in inside]
    assert set(wanted) <= set(passed)
    assert passed == sorted(set(passed))


@by_both_ways
def test_many_blocks_pass_as_one(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hi, lo = strangers(5000, 1)
    for size in ("_BLOCK", "_LOOP_BLOCK"):
        monkeypatch.setattr(f"bztoken.matching.prefilter.{size}", 700)
    known = filter_over(hi[::2], lo[::2], WAYS[way])
    assert set(range(0, 5000, 2)) <= set(known.passing(hi, lo).tolist())
    assert len(known.passing(hi, lo)) < 3000


@by_both_ways
def test_an_empty_filter_lets_nothing_in(way: str) -> None:
    assert len(filter_over(ZEROS[:0], ZEROS[:0], WAYS[way]).passing(COUNTING, ZEROS)) == 0


@by_both_ways
def test_read_only_columns_are_taken(way: str) -> None:
    hi, lo = strangers(100, 2)
    hi.flags.writeable = lo.flags.writeable = False
    assert len(filter_over(hi, lo, WAYS[way]).passing(hi, lo)) == 100


@by_both_ways
@pytest.mark.parametrize("chosen", CHOSEN)
def test_a_log_of_chosen_bytes_does_not_open_the_filter_to_strangers(way: str, chosen: str) -> None:
    """Nor do chosen bytes pass a filter of honest IDs more often than others. Without a mixture, all of some of these
    would share one place.
    """
    log, honest = CHOSEN[chosen], strangers(MANY, 3)
    assert len(set(zip(*(half.tolist() for half in log), strict=True))) == MANY
    assert len(filter_over(*log, WAYS[way]).passing(*honest)) < MANY / 5
    assert len(filter_over(*honest, WAYS[way]).passing(*log)) < MANY / 5


@pytest.mark.parametrize("chosen", CHOSEN)
def test_chosen_bytes_fall_apart_under_the_hash(chosen: str) -> None:
    """Buckets of 2^16 by the top bits: as full as chance makes them."""
    codes = keyed(*CHOSEN[chosen], fresh_secret())
    assert len(np.unique(codes)) == MANY
    assert np.bincount((codes >> np.uint64(48)).astype(np.int64)).max() < 2000


def test_ids_chosen_to_collide_under_one_secret_do_not_under_the_next() -> None:
    """Whoever learns the secret of a run has learned nothing for the next."""
    hi, lo = strangers(1 << 20, 4)
    learned = keyed(hi, lo, fresh_secret()) >> np.uint64(54)
    together = learned == learned[0]
    again = keyed(hi[together], lo[together], fresh_secret()) >> np.uint64(54)
    assert np.count_nonzero(together) > 800
    assert len(np.unique(again)) > 400


def test_the_compiled_hash_is_that_of_numpy() -> None:
    hi, lo, secret = *strangers(3000, 5), fresh_secret()
    words = np.zeros(4096, dtype=np.uint64)
    join_loops.fill(words, hi, lo, secret)
    assert set(np.flatnonzero(words).tolist()) == set((keyed(hi, lo, secret) >> np.uint64(52)).tolist())


def test_a_compiled_filter_sets_at_most_three_bits_an_id() -> None:
    hi, lo = strangers(MANY, 6)
    set_bits = int(np.bitwise_count(Bloom(hi, lo, join_loops)._words).sum())
    assert 2 * MANY < set_bits <= 3 * MANY


def test_strangers_seldom_pass() -> None:
    """Of random IDs 0.8 % pass the one, 3 to 6 % the other, by the size of what is in."""
    inside, asked = strangers(100_000, 7), strangers(100_000, 8)
    assert 400 < len(Bloom(*inside, join_loops).passing(*asked)) < 1500
    assert 2000 < len(ByteMap(*inside).passing(*asked)) < 7000


def test_compiled_loops_are_loaded_once_as_much_has_gone_by_without_them() -> None:
    assert "numba" in sys.modules  # so half as much will do
    choice = Choice(pays=2000)
    assert [choice.loops_for(400), choice.loops_for(400)] == [None, None]
    assert choice.loops_for(400) is choice.loops_for(1) is join_loops


PROGRAM = """
import sys
{before}
import numpy as np
from bztoken.matching import kernel
from bztoken.matching.prefilter import Choice
from bztoken.matching.tolerance import Tolerance
if {many}:
    kernel.CHOICE = Choice(pays=0)
ids = np.arange(3)
keys = kernel.KeyIds(ids, ids, ids, ids, ids)
found = kernel.match([keys], 3, kernel.Sightings(ids, ids, ids, ids, ids), Tolerance(), 900)
print(found.row.tolist(), sys.modules.get("numba") is not None)
"""


@pytest.mark.parametrize(
    ("many", "before", "imported"), [(False, "", False), (True, "", True), (True, "sys.modules['numba'] = None", False)]
)
def test_numba_is_imported_for_many_ids_only_and_may_be_missing(many: bool, before: str, imported: bool) -> None:
    program = PROGRAM.format(many=many, before=before)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split("] ") == ["[0, 1, 2", f"{imported}\n"]
