"""Measures a clinic's registry: how large 2,000 tokens x 14 days are, and how long everything takes that reads them.

Run by `make bench-clinic`; prints the table and writes it to tests/bench/results/clinic.md and clinic.json. Counted is
the whole command, from its start to its end. `--tokens` and `--days` take other numbers; with fewer nothing is saved.
Filling the registry is told apart: it is not how pages come in (`make bench-sync`).
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from full_clinic import FullClinic, Maker
from full_tokens import environment
from results_table import Line, save, table

from bztoken.home import Home

HEAD = """# A clinic of 2,000 tokens

Written by `make bench-clinic`: a registry filled with rows of 2,000 tokens, 20 sites' tokens and 20 cases over 14 days
(tests/bench/full_clinic.py says who meets whom), then whole commands on it, one after the other."""
TOKENS, DAYS, CASES = 2000, 14, 20
DAY_S = 86400
SCRIPT = Path(sys.executable).parent / "bztoken"
COMMAND = "make bench-clinic"


class Ran(NamedTuple):
    """A command that ended well: how long it took, what it answered."""

    seconds: float
    answer: str


def run(home: Home, *words: str) -> Ran:
    """Raises AssertionError when the command fails."""
    line = [str(SCRIPT), "--home", str(home.path), *words]
    began = time.monotonic()
    ran = subprocess.run(line, capture_output=True, text=True, env=environment(), check=False)
    seconds = time.monotonic() - began
    assert ran.returncode == 0, ran.stderr
    return Ran(seconds, ran.stdout)


def fill(scratch: Path, count: int, days: int) -> tuple[FullClinic, Line]:
    """The registry, and what it weighs."""
    home = Home(scratch / "home")
    began = time.monotonic()
    made = Maker(home, count, days, min(CASES, count // 6), int(time.time()) // DAY_S).make()
    took_s = time.monotonic() - began
    size_mib = home.registry_path.stat().st_size / 1024 / 1024
    told = f"{made.pages:,} pages, {made.sightings:,} sightings: {size_mib:,.0f} MiB; filled in {took_s:.0f} s"
    return made, Line("rows", "-", told, None, COMMAND)


def measure(made: FullClinic, scratch: Path) -> list[Line]:
    """The commands of a day at the clinic, in the order in which they are typed."""
    home = made.home
    first, again = run(home, "match", "--json"), run(home, "match", "--json")
    found = json.loads(first.answer)
    lines = [
        Line(
            "match, first",
            "-",
            f"{_took(first)}: {found['sightings']:,} sightings of keys that are known, "
            f"{found['exposures']:,} exposures",
            None,
            COMMAND,
        ),
        Line("match again, nothing new", "-", _took(again), None, COMMAND),
    ]
    for what, words in {
        "exposures of one case": ("exposures", "list", "--case", "F0-1", "--json"),
        "work list": ("follow-up", "list", "--json"),
        "search for a name": ("person", "search", "nguoi 17", "--json"),
        "roll-out report, XLSX": ("report", "rollout", "--out", str(scratch / "report.xlsx")),
        "roll-out report, PDF": ("report", "rollout", "--out", str(scratch / "report.pdf")),
        "db backup": ("db", "backup", str(scratch / "backup.db")),
        "db check": ("db", "check"),
        "audit verify": ("audit", "verify"),
        "purge, nothing old": ("purge", "--json"),
    }.items():
        lines.append(Line(what, "-", _took(run(home, *words)), None, COMMAND))
    return lines


def _took(ran: Ran) -> str:
    return f"{ran.seconds:.1f} s"


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=TOKENS)
    parser.add_argument("--days", type=int, default=DAYS)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        made, rows = fill(scratch, chosen.tokens, chosen.days)
        print(table([rows]), flush=True)
        lines = [rows, *measure(made, scratch)]
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        lines.append(Line("memory of the largest of these programs", "-", f"{peak:,.0f} MiB", None, COMMAND))
    print(table(lines))
    if (chosen.tokens, chosen.days) == (TOKENS, DAYS):
        save("clinic", HEAD, ["clinic"], {"clinic": lines})
    return os.EX_OK


if __name__ == "__main__":
    sys.exit(main())
