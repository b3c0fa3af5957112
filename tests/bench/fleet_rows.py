"""Lines of the Token table that come from worlds: `bztoken fleet run`, then `bztoken fleet score`, as a user would."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Recall:
    """How many of so many encounters were recorded."""

    found: int
    of: int

    @property
    def percent(self) -> float:
        """Rounded down to a tenth, so that 100 means all."""
        return int(1000 * self.found / self.of) / 10 if self.of else 0.0

    def __str__(self) -> str:
        return f"{self.percent:g} % ({self.found} of {self.of})"


@dataclass(frozen=True)
class Lived:
    """A fleet that has lived: its score, and the two commands that repeat it."""

    score: dict[str, Any]
    command: str

    def both(self, minutes: str, names: tuple[str, ...] = ()) -> Recall:
        """Encounters of this length recorded by both tokens; names: of these pairs only (their first carrier)."""
        pairs = [
            pair
            for pair in self.score["pairs"]
            if "by_both" in pair and pair["minutes"] == minutes and (not names or pair["a"] in names)
        ]
        return Recall(sum(pair["by_both"] for pair in pairs), sum(pair["encounters"] for pair in pairs))

    def one_way(self, who: str, minutes: str, names: tuple[str, ...]) -> Recall:
        """Encounters of this length recorded by one side, e.g. "token hears phone"; names: of these tokens."""
        pairs = [
            pair
            for pair in self.score["pairs"]
            if pair["who"] == who and pair["minutes"] == minutes and {pair["a"], pair["b"]} & set(names)
        ]
        return Recall(sum(pair["by_a"] for pair in pairs), sum(pair["encounters"] for pair in pairs))

    @property
    def rotations(self) -> int:
        """Changes of ID that the sniffer saw."""
        return int(self.score["air"]["rotations"])

    @property
    def linked(self) -> int:
        """Of these, those that it could link."""
        return len(self.score["air"]["linked"])


def bztoken(*words: str) -> dict[str, Any]:
    """Run the program; its JSON answer."""
    command = [sys.executable, "-m", "bztoken", *words, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def live(folder: Path, world: str, days: float, *options: str) -> Lived:
    """Run a world and score it."""
    words = ["fleet", "run", "--world", world, "--days", f"{days:g}", "--seed", "7", *options]
    bztoken("--home", str(folder / "home"), *words, "--out", str(folder / "fleet"))
    score = bztoken("--home", str(folder / "home"), "fleet", "score", str(folder / "fleet"))
    return Lived(score["logs"], f"`bztoken {' '.join(words)} --out D; bztoken fleet score D`")
