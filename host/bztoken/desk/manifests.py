"""Manifests of the firmware (`firmware/*.toml`): which of its files go onto a board, as they are or compiled."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bztoken.errors import FormatError

FIRMWARE = Path(__file__).resolve().parents[3] / "firmware"
PRODUCTION = "production"
_KEYS = ("include", "source", "compiled", "left_out", "empty")


@dataclass(frozen=True)
class Manifest:
    """source: files that go as they are; compiled: files to compile; empty: names of files without content."""

    folder: Path
    source: list[Path]
    compiled: list[Path]
    empty: list[str]


def read(name: str, folder: Path = FIRMWARE) -> Manifest:
    """The manifest of this name, with what it includes. Raises FormatError for one that is missing or wrong."""
    found = _load(folder / f"{name}.toml")
    unwanted = _left_out(folder, found)
    compiled = [path for path in _fitting(folder, found.get("compiled", [])) if path not in unwanted]
    return Manifest(folder, [folder / file for file in found.get("source", [])], compiled, found.get("empty", []))


def left_out(name: str, folder: Path) -> set[Path]:
    """What no board loads; nothing, where the folder has no such manifest. Raises FormatError for a wrong one."""
    path = folder / f"{name}.toml"
    return _left_out(folder, _load(path)) if path.exists() else set()


def _left_out(folder: Path, found: dict[str, Any]) -> set[Path]:
    return {folder / file for file in found.get("left_out", [])}


def _load(path: Path) -> dict[str, Any]:
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise FormatError(path, None, "this file is missing: run from a source checkout") from None
    except ValueError as error:
        raise FormatError(path, None, f"this is no TOML ({error})") from None
    unknown = sorted(set(found) - set(_KEYS))
    if unknown:
        raise FormatError(path, None, f"nobody knows what {unknown[0]} means: {', '.join(_KEYS)} are known")
    included = found.pop("include", None)
    return {**_load(path.parent / included), **found} if included else found


def _fitting(folder: Path, patterns: list[str]) -> list[Path]:
    found: list[Path] = []
    for pattern in patterns:
        fitting = sorted(folder.glob(pattern))
        if not fitting:
            raise FormatError(folder, None, f"no file fits {pattern}: name the folder that holds bzfw and bzwire")
        found += fitting
    return found
