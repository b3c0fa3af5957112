"""A folder of boards of the test's own: copies of real ones, with whatever the test changes."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bztoken import boards
from bztoken.boards import records
from bztoken.boards.chips import CHECKOUT

Change = Callable[[dict[str, Any]], object]


def unchanged(_description: dict[str, Any]) -> None:
    """For a copy that is only to be there."""


def put(folder: Path, original: str, name: str | None = None, change: Change = unchanged) -> Path:
    """Copy a board into a folder, under another name if one is given; the copy's file."""
    name = name or original
    shutil.copytree(CHECKOUT / original, folder / name, ignore=shutil.ignore_patterns("bzvirtual"))
    path = folder / name / boards.FILE
    description = json.loads(path.read_text(encoding="utf-8"))
    description["name"] = name
    change(description)
    path.write_text(json.dumps(description, indent=2), encoding="utf-8")
    sheet = path.with_name(records.FILE)
    if sheet.exists():
        sheet.write_text(sheet.read_text(encoding="utf-8").replace(original, name), encoding="utf-8")
    return path


def change_at(place: str, value: object) -> Change:
    """Set `image.url`, or take it out with `...`."""

    def change(description: dict[str, Any]) -> None:
        *way, last = place.split(".")
        inside: Any = description
        for key in way:
            inside = inside[int(key) if isinstance(inside, list) else key]
        if value is ...:
            del inside[last]
        else:
            inside[int(last) if isinstance(inside, list) else last] = value

    return change
