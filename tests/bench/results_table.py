"""The tables of the benchmarks: what, target, measured, met or not, and the command that repeats it."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
_MARKS = {True: "met", False: "**missed**", None: ""}


@dataclass(frozen=True)
class Line:
    """One line of a table. met: None where the target is no number."""

    what: str
    target: str
    measured: str
    met: bool | None
    command: str


def table(lines: Iterable[Line]) -> str:
    """The lines as Markdown."""
    rows = [
        f"| {line.what} | {line.target} | {line.measured} | {_MARKS[line.met]} | {line.command} |" for line in lines
    ]
    return "\n".join(["| what | target | measured | | repeat with |", "|---|---|---|---|---|", *rows]) + "\n"


def save(name: str, head: str, order: Iterable[str], measured: dict[str, list[Line]]) -> None:
    """Put lines beside those of earlier measurements: `results/NAME.json` and, under `head`, `results/NAME.md`."""
    path = RESULTS / f"{name}.json"
    kept = json.loads(path.read_text()) if path.exists() else {}
    kept.update({group: [asdict(line) for line in lines] for group, lines in measured.items()})
    ordered = {group: kept[group] for group in order if group in kept}
    RESULTS.mkdir(exist_ok=True)
    path.write_text(json.dumps(ordered, indent=1) + "\n")
    text = table(Line(**line) for lines in ordered.values() for line in lines)
    (RESULTS / f"{name}.md").write_text(f"{head}\n\n{text}")
