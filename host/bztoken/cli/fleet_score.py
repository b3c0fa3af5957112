"""Holds what registry and logs say against what was true in a virtual world; they meet only here."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import select

from bztoken.errors import BztokenError, CaseError
from bztoken.home import Home
from bztoken.matching.rules import VERDICT_F1
from bztoken.registry.database import open_registry
from bztoken.registry.models import Case, Exposure, Log, Page, Token
from bztoken.report import fleet_files, fleet_score, heard, recall_chart
from bztoken.report.fleet_score import DISTANCES_M, LENGTHS_MIN, Bucket, FleetScore, band_name
from bztoken.report.heard import Corrected
from bzvirtual.fleet import open_manifest
from bzwire import registry_keys
from bzwire.bluezone import DAY_S

HEADINGS = ("who", "minutes", *(f"{band_name(metres)} m" for metres in DISTANCES_M))
LEGEND = "Recorded / true encounters; of two tokens: recorded by a, by b, by both / true encounters."
CHART = "score.svg"
TITLES = {
    "token and token": "Cả hai thiết bị đều ghi nhận · Recorded by both tokens",
    "token hears phone": "Thiết bị ghi nhận điện thoại · Token recorded the phone",
    "token hears iphone": "Thiết bị ghi nhận iPhone · Token recorded the iPhone",
    "token hears beacon": "Thiết bị ghi nhận người lạ · Token recorded the passer-by",
    "token hears token": "Thiết bị ghi nhận thiết bị · Token recorded the token",
    "phone hears token": "Điện thoại ghi nhận thiết bị · Phone recorded the token",
    "iphone hears token": "iPhone ghi nhận thiết bị · iPhone recorded the token",
}


class NoCaseOfFleet(CaseError):
    """The registry holds no case from a token of this fleet."""


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
    """Raises NoCaseOfFleet when no case of the registry belongs to this fleet."""
    manifest = open_manifest(folder)
    person_of = {member.label: member.person for member in manifest.members}
    label_of = {member.person: member.label for member in manifest.members}
    cases, heard, logs = _registry_side(home)
    cases = {name: label for name, label in cases.items() if label in person_of}
    if not cases:
        raise NoCaseOfFleet(
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


def compare_if_any(home: Home, folder: Path, minutes: int) -> Score | None:
    """`compare`, or None without a registry or a case of this fleet in it."""
    if not home.registry_path.exists():
        return None
    try:
        return compare(home, folder, minutes)
    except NoCaseOfFleet:
        return None


def score_logs(home: Home, folder: Path) -> FleetScore:
    """From the tokens' flash images, and from the registry what they deleted after a sync, by the times that the
    registry makes of what the tokens' clocks said.
    """
    files = fleet_files.read(folder)
    imported = _imported_pages(home, files.log_keys)
    raws = {name: [page.raw for page in pages] for name, pages in imported.items()}
    corrected = {name: dict(_corrected(pages)) for name, pages in imported.items()}
    return fleet_score.score(files, heard.read_logs(files, raws, corrected))


def _corrected(pages: Iterable[Page]) -> Iterator[tuple[heard.PageKey, Corrected]]:
    for page in pages:
        if page.shift_ms is not None and page.uncertainty_ms is not None:
            yield (page.boot_id, page.sequence), Corrected(page.shift_ms / 1000, page.uncertainty_ms / 1000)


def _imported_pages(home: Home, log_keys: dict[str, bytes]) -> dict[str, list[Page]]:
    """By carrier, the pages in the registry that are sealed with the keys of this fleet; a registry may well hold
    tokens of the same numbers from another one.
    """
    if not (home.registry_path.exists() and home.master_key_path.exists()):
        return {}
    carrier_of, master_key = {key: name for name, key in log_keys.items()}, home.master_key()
    found: dict[str, list[Page]] = {}
    with open_registry(home) as registry, registry.read() as session:
        for token_id, uid in session.execute(select(Token.id, Token.uid)):
            carrier = carrier_of.get(registry_keys.first_log_key(registry_keys.token_root(master_key, uid)))
            if carrier is not None:
                pages = select(Page).join(Log, Page.log_id == Log.id).where(Log.token_id == token_id)
                found[carrier] = list(session.scalars(pages))
    return found


def rows(scored: FleetScore) -> list[tuple[str, ...]]:
    """Of the table of recall: a line for each group and contact length, a column for each distance."""
    found = []
    for group, buckets in scored.groups.items():
        for length in sorted({length for length, _ in buckets}):
            cells = [_cell(group, buckets.get((length, distance))) for distance in range(len(DISTANCES_M))]
            found.append((group, band_name(LENGTHS_MIN[length]), *cells))
    return found


def _cell(group: str, bucket: Bucket | None) -> str:
    if bucket is None:
        return ""
    if group == fleet_score.BOTH:
        return f"{bucket.by_a}, {bucket.by_b}, {bucket.by_both} / {bucket.encounters}"
    return f"{bucket.by_a} / {bucket.encounters}"


def remarks(scored: FleetScore) -> list[str]:
    """Precision and what the sniffer found, in plain words."""
    found, air = scored.precision, scored.air
    judged = found.right + found.unknown + found.mistimed + found.far
    lines = [LEGEND] if scored.groups else []
    if found.share is not None:
        lines.append(
            f"{found.share:.2%} of {judged:,} records are of somebody who was near then: {found.unknown} of nobody, "
            f"{found.mistimed} at a wrong time, {found.far} from farther than {fleet_score.EARSHOT_M:.0f} m. "
            f"{found.stale} more were marked as replayed."
        )
    damaged = f", {scored.damaged_pages} more do not open" if scored.damaged_pages else ""
    lines.append(f"{scored.pages:,} log pages were read{damaged}.")
    lines.append(f"On the air: {air['rotations']:,} changes of ID, {len(air['linked'])} ways to link them.")
    lines += [f"  {one['rule']}: {one['carrier']}, {one['count']} times" for one in air["linked"]]
    if air["gap_ms"]:
        low, middle, high = (air["gap_ms"][key] for key in ("min", "median", "max"))
        lines.append(f"Silence at a change of ID: {low:g} to {high:g} ms, median {middle:g} ms.")
    return lines


def draw_chart(folder: Path, scored: FleetScore) -> Path:
    """Write the chart; its path."""
    group = fleet_score.chart_group(scored)
    lines = [
        recall_chart.Line(band_name(metres), _points(scored, group, distance))
        for distance, metres in enumerate(DISTANCES_M)
    ]
    path = folder / CHART
    path.write_text(recall_chart.draw(TITLES.get(group, ""), [band_name(length) for length in LENGTHS_MIN], lines))
    return path


def _points(scored: FleetScore, group: str, distance: int) -> list[tuple[int, int]]:
    buckets = [scored.groups.get(group, {}).get((length, distance)) for length in range(len(LENGTHS_MIN))]
    return [
        (0, 0) if bucket is None else (bucket.by_both if group == fleet_score.BOTH else bucket.by_a, bucket.encounters)
        for bucket in buckets
    ]
