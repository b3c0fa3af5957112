"""CSV files as spreadsheets write them: UTF-8, with a mark of Excel's or not, by commas, semicolons or tabs.

The first line names the columns; other columns than the wanted ones are passed over. No error quotes a cell.
"""

import csv
import io
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

from bztoken.errors import FormatError

MAX_FILE_BYTES = 4 * 1024 * 1024
_SEPARATORS = ",;\t"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Row(NamedTuple):
    """A line that is not empty. number: 1-based, of its end in the file; cells: by the names of their columns."""

    number: int
    cells: dict[str, str]


class Heading(NamedTuple):
    """Which columns a first line must have: all of `needed`, one at least of `one_of` (empty: none); says: if not."""

    needed: frozenset[str]
    one_of: frozenset[str]
    says: str


def read_rows(path: Path, wanted: Collection[str], needs: Heading) -> list[Row]:
    """The cells of the wanted columns, without space around them, empty where a line has none.

    Raises FormatError for a file that is no such table, has a column twice, or no line below the heading; or OSError.
    """
    text = _text(path)
    first = text.partition("\n")[0]
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator_of(first), strict=True)
    try:
        heading = next(rows, [])
        columns = columns_of(path, heading, wanted, needs)
        found = []
        for row in rows:
            if any(cell.strip() for cell in row[len(heading) :]):
                raise FormatError(
                    path, rows.line_num, "this line has more cells than there are columns: quote what holds a comma"
                )
            if any(cell.strip() for cell in row):
                cells = {name: row[place].strip() if place < len(row) else "" for name, place in columns.items()}
                found.append(Row(rows.line_num, cells))
    except csv.Error:
        raise FormatError(
            path, rows.line_num, "the quotation marks of this line do not fit: save the file anew"
        ) from None
    if not found:
        raise FormatError(path, None, "the list is empty: it needs lines below the one that names the columns")
    return found


def _text(path: Path) -> str:
    with path.open("rb") as file:
        content = file.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise FormatError(
            path, None, f"the file is longer than {MAX_FILE_BYTES // 1024 // 1024} MiB: it is no such list"
        )
    try:
        return content.decode("utf-8-sig")  # as Excel marks it
    except UnicodeDecodeError:
        raise FormatError(path, None, "the file is not in UTF-8: save it as `CSV UTF-8`") from None


def separator_of(first_line: str) -> str:
    """Comma, semicolon or tab: what the first line has most of."""
    return max(_SEPARATORS, key=first_line.count)


def columns_of(path: Path, heading: Sequence[str], wanted: Collection[str], needs: Heading) -> dict[str, int]:
    """Where the wanted columns are. Raises FormatError for a first line without the needed ones, or with one twice."""
    names = [cell.strip().lower() for cell in heading]
    if not needs.needed <= set(names) or (needs.one_of and not needs.one_of & set(names)):
        raise FormatError(path, 1, f"the first line names the columns: it needs {needs.says}")
    if any(names.count(name) > 1 for name in wanted):
        raise FormatError(path, 1, "a column is there twice: delete one")
    return {name: names.index(name) for name in wanted if name in names}


def plain(cell: str) -> str:
    """For a cell that is written: one that a spreadsheet would take for a formula gets an apostrophe before it."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
