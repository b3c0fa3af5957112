"""What must lie beside a board's file, and be of this board: its notes, and the record sheet of one that is flashed."""

import re
from collections.abc import Iterator
from pathlib import Path

from bztoken.boards import records

NOTES = "notes.md"
_NAMED = re.compile(r"--board[ =]([A-Za-z0-9_.-]+)|with board `([^`]+)`")


def problems(folder: Path, wants_record: bool) -> Iterator[str]:
    """Each in one clause, as those of a board's file. wants_record: False for a board that nobody can flash."""
    if not (folder / NOTES).is_file():
        yield f"{NOTES}: it is missing: write what is special about the board, and what is not certain"
    if wants_record:
        yield from _sheet(folder)


def _sheet(folder: Path) -> Iterator[str]:
    try:
        text = (folder / records.FILE).read_text(encoding="utf-8")
    except FileNotFoundError:
        yield f"{records.FILE}: it is missing: copy that of the nearest board and fit it to this one"
        return
    except (OSError, UnicodeDecodeError):
        yield f"{records.FILE}: it cannot be read as text: write it anew"
        return
    named = {command or told for command, told in _NAMED.findall(text)}
    for other in sorted(named - {folder.name}):
        yield f"{records.FILE}: it names the board {other!r}, and this is {folder.name!r}: mend it"
    if not named:
        yield f"{records.FILE}: it does not say how {folder.name!r} is flashed (--board): add that, by hand"
