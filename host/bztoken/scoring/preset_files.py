"""Reads presets: TOML files in `presets/`, each checked when it is read: nothing is scored with a wrong number."""

import tomllib
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from bztoken.errors import FormatError, ScoringError
from bztoken.matching.rules import VERDICT_F1
from bztoken.scoring import bluezone, cwa, weighted
from bztoken.scoring.about import Described

DEFAULT = "bluezone"
FOLDER = Path(__file__).parent / "presets"
SCHEMAS = Path(__file__).parent / "schemas"
KINDS = (bluezone.KIND, weighted.KIND, cwa.KIND)


def names() -> list[str]:
    """Every preset of this program, the default first."""
    found = sorted(path.stem for path in FOLDER.glob("*.toml"))
    return sorted(found, key=lambda name: name != DEFAULT)


@cache
def load(name: str) -> Described:
    """The preset of this name. Raises ScoringError when there is none; FormatError when its file is wrong."""
    if name not in names():
        raise ScoringError(f"There is no preset {name!r}: give one of {', '.join(names())}.")
    return read(FOLDER / f"{name}.toml")


def read(path: Path) -> Described:
    """The preset of a file. Raises FormatError with the first thing that is wrong, or OSError."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FormatError(path, None, f"no TOML: {error}") from None
    _check(path, document)
    match document["kind"]:
        case bluezone.KIND:
            return bluezone.Bluezone.of(document)
        case weighted.KIND:
            return weighted.WeightedWindows.of(document)
        case _:
            return cwa.Cwa.of(document, path)


def _check(path: Path, document: dict[str, Any]) -> None:
    from bztoken.boards import shape  # loads jsonschema, for which commands without presets need not wait

    if document.get("kind") not in KINDS:
        raise FormatError(path, None, f"kind: it is none of {', '.join(KINDS)}: give one of these")
    found = [*shape.problems(document, SCHEMAS / f"{document['kind']}.schema.json")]
    if not found:
        found = _contradictions(document)
    if not found and document["name"] != path.stem:
        found = ["name: it is not the name of the file: give both the same"]
    if found:
        raise FormatError(path, None, found[0])


def _contradictions(document: dict[str, Any]) -> list[str]:
    """What a schema cannot say."""
    match document["kind"]:
        case bluezone.KIND:
            bounds = [document["near_max_db"], document["middle_max_db"]]
            return [] if bounds[0] < bounds[1] else ["middle_max_db: it is not above near_max_db: mend it"]
        case weighted.KIND:
            return _weighted_contradictions(document)
        case _:
            return []


def _weighted_contradictions(document: dict[str, Any]) -> list[str]:
    found = []
    if not all(low < high for low, high in pairwise(document["bounds_db"])):
        found.append("bounds_db: they do not rise: put them in order")
    if len(document["weights"]) != len(document["bounds_db"]) + 1:
        found.append("weights: there is one for each bound, and one for what is beyond the last: mend them")
    if document["weights"][0] <= 0 or document["weights"][-1] != 0:
        found.append("weights: the nearest counts something and the farthest nothing: mend them")
    minutes = [level["from_minutes"] for level in document["levels"]]
    if not all(low < high for low, high in pairwise(minutes)):
        found.append("levels: from_minutes does not rise: put them in order")
    if all(level["verdict"] != VERDICT_F1 for level in document["levels"]):
        found.append("levels: none of them makes an F1: add one")
    days = document.get("infectiousness", {"standard_days": [], "high_days": []})
    if set(days["standard_days"]) & set(days["high_days"]):
        found.append("infectiousness: a day is both standard and high: mend it")
    return found
