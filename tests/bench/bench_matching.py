"""Measures the matching against other ways to do it, as a clinic, a province and a country need it: time and memory.

Run by `make bench-matching`; prints the tables and writes them to tests/bench/results/matching.md, matching.json and
matching.svg. Every engine reads the same files in a process of its own with two threads, and must find the same; its
start is told apart. `--shape` and `--only` measure a part, `--scale` a smaller world, of which nothing is saved.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from matching_engines import ENGINES
from matching_growth import grow
from matching_rounds import Rounds
from matching_shapes import SHAPES
from matching_without import without
from results_table import Line, save, table

HEAD = """# Matching

Written by `make bench-matching`. Made-up worlds (tests/bench/matching_data.py): one record in a hundred is of a key, in
meetings of several windows, at the edges of the tolerance and beyond; the others are IDs of strangers, each heard some
four times. All engines read the same Parquet from a warm cache, two threads each, and found the same (record, key,
slot): number and checksum are compared. "bztoken" derives the IDs as it joins; the others are given them in files, and
what deriving and writing those took is told apart. Memory and CPU are those of the engine's process and all its
children, CPU with the start. Times are of one run on a shared machine, whose two cores others used too: compare those
of one shape with each other, not with another day's; CPU is what such neighbours disturb least."""
GROWTH, WITHOUT = "growth", "without"
GROUPS = ["clinic", "province", GROWTH, "province-bluezone", "national", "national-large", WITHOUT]


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", action="append", choices=GROUPS, help="this part only; may be repeated")
    parser.add_argument("--only", action="append", choices=list(ENGINES), help="this engine only; may be repeated")
    parser.add_argument("--scale", type=float, default=1.0, help="so many times the keys and records; saves nothing")
    parser.add_argument("--most-minutes", type=float, default=5.0, help="engines that would take longer are left out")
    chosen = parser.parse_args()
    measured: dict[str, list[Line]] = {}
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        rounds = Rounds(Path(folder), chosen.scale, chosen.only or list(ENGINES), chosen.most_minutes * 60)
        for group in chosen.shape or GROUPS:
            if group == GROWTH:
                measured[group] = grow(rounds)
            elif group == WITHOUT:
                measured[group] = without(rounds)
            else:
                measured[group] = rounds.measure(SHAPES[group].scaled(chosen.scale))
            print(table(measured[group]), flush=True)
            if rounds.is_whole:
                save("matching", HEAD, GROUPS, {group: measured[group]})
    print(f"{(time.monotonic() - began) / 60:.1f} minutes in all")
    return os.EX_OK


if __name__ == "__main__":
    sys.exit(main())
