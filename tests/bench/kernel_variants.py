"""What could stand before the exact join, each over the sightings of one day, with that day's IDs streamed against it.

Run it: a table of times for a clinic and a province (`--days peak`: sorting takes minutes). The program uses the first
two; all find the same.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from results_table import RESULTS

from bztoken.matching import join_loops
from bztoken.matching.derivation.compiling import compiled
from bztoken.matching.join_loops import bits_of, mixed
from bztoken.matching.prefilter import Bloom, ByteMap, Prefilter, UInt64s, fresh_secret
from bztoken.matching.tolerance import Int64s

BLOCK_IDS = 1 << 20
DAYS = {"clinic": (20_000, 14_400), "province": (714_000, 1_440_000), "peak": (7_140_000, 14_400_000)}  # rows, IDs
MET = 1000  # IDs that were really heard
_HALF = np.uint64(32)


class Sorted:
    """No filter: sorted first halves and binary search, then the second half is compared."""

    def __init__(self, hi: Int64s, lo: Int64s) -> None:
        order = np.argsort(hi)
        self._hi, self._lo = hi[order], lo[order]

    def passing(self, hi: Int64s, lo: Int64s) -> Int64s:
        """Exact as long as no two sightings share a first half; here none do."""
        at = np.minimum(np.searchsorted(self._hi, hi), len(self._hi) - 1)
        return np.flatnonzero((self._hi[at] == hi) & (self._lo[at] == lo))


class Table:
    """No filter: a hash table with chains, compiled."""

    def __init__(self, hi: Int64s, lo: Int64s) -> None:
        self._hi, self._lo, self._secret = hi, lo, fresh_secret()
        self._bits = np.uint64(64 - (2 * len(hi)).bit_length())
        self._head = np.full(1 << (64 - int(self._bits)), -1, dtype=np.int32)
        self._next = np.empty(len(hi), dtype=np.int32)
        _link(self._head, self._next, self._bits, hi, lo, self._secret)

    def passing(self, hi: Int64s, lo: Int64s) -> Int64s:
        """Exact."""
        out = np.empty(len(hi), dtype=np.int64)
        known = (self._head, self._next, self._bits, self._hi, self._lo)
        return out[: _linked(known, hi, lo, self._secret, out)]


class OneLoop:
    """The Bloom filter, each ID hashed and looked up in one go."""

    def __init__(self, hi: Int64s, lo: Int64s) -> None:
        self._secret = fresh_secret()
        self._words = np.zeros(len(hi) // 4 + 1, dtype=np.uint64)
        join_loops.fill(self._words, hi, lo, self._secret)

    def passing(self, hi: Int64s, lo: Int64s) -> Int64s:
        """See `Prefilter`."""
        out = np.empty(len(hi), dtype=np.int64)
        return out[: _passing(self._words, hi, lo, self._secret, out)]


@compiled
def _link(head, following, shift, hi, lo, secret):  # noqa: ANN001, ANN202 - numba finds the types
    for at in range(len(hi)):
        code = mixed(hi[at], lo[at], secret[0], secret[1], secret[2], secret[3], secret[4]) >> shift
        following[at] = head[code]
        head[code] = at


@compiled
def _linked(known, hi, lo, secret, out):  # noqa: ANN001, ANN202
    head, following, shift, known_hi, known_lo = known
    found = 0
    for at in range(len(hi)):
        entry = head[mixed(hi[at], lo[at], secret[0], secret[1], secret[2], secret[3], secret[4]) >> shift]
        while entry >= 0 and (known_hi[entry] != hi[at] or known_lo[entry] != lo[at]):
            entry = following[entry]
        out[found] = at
        found += entry >= 0
    return found


@compiled
def _passing(words: UInt64s, hi: Int64s, lo: Int64s, secret: UInt64s, out: Int64s) -> int:
    count = np.uint64(len(words))
    found = 0
    for at in range(len(hi)):
        code = mixed(hi[at], lo[at], secret[0], secret[1], secret[2], secret[3], secret[4])
        bits = bits_of(code)
        out[found] = at
        found += (words[((code >> _HALF) * count) >> _HALF] & bits) == bits
    return found


VARIANTS: dict[str, Callable[[Int64s, Int64s], Prefilter]] = {
    "Bloom filter, 16 bits an entry, numba": partial(Bloom, loops=join_loops),
    "map of bytes, numpy": ByteMap,
    "Bloom filter, 8 bits an entry, numba": partial(Bloom, loops=join_loops, bits_per_entry=8),
    "Bloom filter, 16 bits, in one loop": OneLoop,
    "no filter: hash table, numba": Table,
    "no filter: sorted, numpy": Sorted,
}


class Timed(NamedTuple):
    row_ns: float
    id_ns: float
    passed: Int64s


def timed(
    variant: Callable[[Int64s, Int64s], Prefilter], seen: tuple[Int64s, Int64s], ids: tuple[Int64s, Int64s]
) -> Timed:
    """Build it, then stream the IDs block by block; time of the one core, which others may share."""
    rows, count = len(seen[0]), len(ids[0])
    began = time.process_time()
    known = variant(*seen)
    built = time.process_time()
    blocks = range(0, count, BLOCK_IDS)
    passed = [known.passing(ids[0][at : at + BLOCK_IDS], ids[1][at : at + BLOCK_IDS]) + at for at in blocks]
    done = time.process_time()
    return Timed((built - began) / rows * 1e9, (done - built) / count * 1e9, np.concatenate(passed))


def best_of(times: int, variant: Callable[[Int64s, Int64s], Prefilter], seen, ids) -> Timed:  # noqa: ANN001
    """The least of each time."""
    runs = [timed(variant, seen, ids) for _ in range(times)]
    return Timed(min(run.row_ns for run in runs), min(run.id_ns for run in runs), runs[-1].passed)


def lines(day: str, times: int) -> list[str]:
    """One for each variant. Raises AssertionError where one loses an ID."""
    rows, ids = DAYS[day]
    rng = np.random.default_rng(7)
    seen_hi, seen_lo, hi, lo = (rng.integers(-(2**63), 2**63, count) for count in (rows, rows, ids, ids))
    met = np.sort(rng.choice(ids, MET, replace=False))
    heard = rng.choice(rows, MET, replace=False)
    seen_hi[heard], seen_lo[heard] = hi[met], lo[met]
    found = []
    for name, variant in VARIANTS.items():
        run = best_of(times, variant, (seen_hi, seen_lo), (hi, lo))
        assert np.isin(met, run.passed).all(), f"{name} lost an ID"
        total_ms = (run.row_ns * rows + run.id_ns * ids) / 1e6
        strangers = (len(run.passed) - MET) / ids
        found.append(f"| {day} | {name} | {run.row_ns:.1f} | {run.id_ns:.1f} | {strangers:.2%} | {total_ms:.1f} |")
    return found


def table(days: list[str], times: int) -> str:
    """As Markdown."""
    head = ["| a day of | before the join | ns a row, building | ns an ID, asking | strangers that pass | ms in all |"]
    return "\n".join([*head, "|---|---|---|---|---|---|", *(line for day in days for line in lines(day, times))]) + "\n"


def main() -> None:
    """Print the table; with --save put it beside the other results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", nargs="+", choices=DAYS, default=["clinic", "province"])
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--save", action="store_true")
    chosen = parser.parse_args()
    text = table(chosen.days, chosen.times)
    print(text, end="")
    if chosen.save:
        (RESULTS / "kernel_variants.md").write_text("# The filter before the join\n\n" + text)


if __name__ == "__main__":
    main()
