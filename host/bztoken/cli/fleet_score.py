"""Holds what the registry says against what was true in a virtual world; both meet only here."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import select

from bztoken.errors import BztokenError
from bztoken.home import Home
from bztoken.matching.rules import VERDICT_F1
from bztoken.registry.database import open_registry
from bztoken.registry.models import Case, Exposure, Log, Token
from bzvirtual.fleet import open_manifest
from bzwire.bluezone import DAY_S


@dataclass(frozen=True)
class Pair:
    """A case's wearer, another carrier, and a UTC day (days since 1970)."""

    case: str
    who: str
    day: int

    def iso_day(self) -> str:
        """As a date."""
        return datetime.fromtimestamp(self.day * DAY_S, UTC).date().isoformat()


@dataclass(frozen=True)
class Score:
    """Minutes are the true ones within 2 m."""

    minutes: int
    found: dict[Pair, int]
    missed: dict[Pair, int]
    false: dict[Pair, int]

    def document(self) -> dict[str, object]:
        """For --json."""
        lists = {"found": self.found, "missed": self.missed, "false": self.false}
        return {
            name: [
                {"case": pair.case, "who": pair.who, "day": pair.iso_day(), "true_minutes": true}
                for pair, true in pairs.items()
            ]
            for name, pairs in lists.items()
        }

    def sentence(self) -> str:
        """The sum in plain words."""
        real = len(self.found) + len(self.missed)
        return (
            f"In truth {real} were within 2 m for {self.minutes} minutes or more on a day: "
            f"{len(self.found)} found, {len(self.missed)} missed, {len(self.false)} false."
        )

    def lines(self) -> list[str]:
        """One line for each that was missed or false."""
        missed = [
            f"  missed: {pair.who} on {pair.iso_day()}, {true} true minutes" for pair, true in self.missed.items()
        ]
        false = [f"  false: {pair.who} on {pair.iso_day()}, {true} true minutes" for pair, true in self.false.items()]
        return missed + false


def compare(home: Home, folder: Path, minutes: int) -> Score:
    """Raises BztokenError when no case of the registry belongs to this fleet."""
    manifest = open_manifest(folder)
    person_of = {member.label: member.person for member in manifest.members}
    label_of = {member.person: member.label for member in manifest.members}
    cases, heard, logs = _registry_side(home)
    cases = {name: label for name, label in cases.items() if label in person_of}
    if not cases:
        raise BztokenError(
            "No case in the registry came from a token of this fleet: record one, then run the matching."
        )
    truth = _truth(folder)
    true_pairs = {
        Pair(name, label_of[other], day): spent
        for name, label in cases.items()
        for (person, other, day), spent in truth.items()
        if person == person_of[label] and label_of.get(other) in logs
    }
    close = {pair for pair, spent in true_pairs.items() if spent >= minutes}
    heard = {pair for pair in heard if pair.case in cases}
    return Score(
        minutes,
        {pair: true_pairs[pair] for pair in sorted(close & heard, key=str)},
        {pair: true_pairs[pair] for pair in sorted(close - heard, key=str)},
        {pair: true_pairs.get(pair, 0) for pair in sorted(heard - close, key=str)},
    )


def _registry_side(home: Home) -> tuple[dict[str, str], set[Pair], set[str]]:
    """(label of the token of each case, F1 pairs, labels that have a log)."""
    with open_registry(home) as registry, registry.read() as session:
        rows_of_cases = session.execute(select(Case.name, Token.label).join(Token, Case.token_id == Token.id))
        cases = {name: label for name, label in rows_of_cases}  # noqa: C416 - rows are no pairs to the type checker
        rows = session.execute(
            select(Case.name, Log.label, Exposure.first_s)
            .join(Exposure, Exposure.case_id == Case.id)
            .join(Log, Exposure.log_id == Log.id)
            .where(Exposure.verdict == VERDICT_F1)
        )
        heard = {Pair(name, label, first_s // DAY_S) for name, label, first_s in rows}
        return cases, heard, set(session.scalars(select(Log.label)))


def _truth(folder: Path) -> dict[tuple[str, str, int], int]:
    """True minutes by (person, other, day), both ways round."""
    try:
        contacts = json.loads((folder / "truth.json").read_text())["contacts"]
    except (OSError, ValueError, KeyError):
        raise BztokenError(f"{folder} holds no truth: make a fleet with `bztoken fleet run --out`.") from None
    found = {}
    for contact in contacts:
        a, b, day, spent = contact["a"], contact["b"], contact["day"], contact["minutes"]
        found[a, b, day] = found[b, a, day] = spent
    return found
