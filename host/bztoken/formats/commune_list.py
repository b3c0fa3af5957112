"""A list of communes: a CSV file with the column `name`, and `over60` (people of 60 and more) with its `source`."""

import re
from pathlib import Path
from typing import NamedTuple

from bztoken.errors import FormatError
from bztoken.formats.spreadsheet import Heading, Row, read_rows

COLUMNS = ("name", "over60", "source")
_HEADING = Heading(frozenset({"name"}), frozenset(), "`name`; `over60` and `source` may follow")
_FIGURE = re.compile("[0-9]{1,9}|[0-9]{1,3}([., ][0-9]{3}){1,2}")  # 1.234 is how Vietnam writes a thousand and more


class CommuneLine(NamedTuple):
    """One commune. number: of the line, 1-based; over60: None where the list gives no figure; source: empty: none."""

    number: int
    name: str
    over60: int | None
    source: str


def read_communes(path: Path) -> list[CommuneLine]:
    """Every commune of a list. Raises FormatError, or OSError."""
    return [_line(path, row) for row in read_rows(path, COLUMNS, _HEADING)]


def _line(path: Path, row: Row) -> CommuneLine:
    name, over60, source = (row.cells.get(column, "") for column in COLUMNS)
    if not name:
        raise FormatError(path, row.number, "this line has no name")
    if over60 and not _FIGURE.fullmatch(over60):
        raise FormatError(path, row.number, "the figure of this line is no whole number")
    figure = int(re.sub("[^0-9]", "", over60)) if over60 else None
    return CommuneLine(row.number, name, figure, source)
