"""A list of who gets which token: a CSV file with the columns `label` and `person` or `site`, as spreadsheets write it.

Other columns are passed over, so the list of a batch may be filled in. Separated by commas, semicolons or tabs.
"""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from bztoken.errors import FormatError

MAX_FILE_BYTES = 4 * 1024 * 1024
LABEL = "label"
KINDS = ("person", "site")
_SEPARATORS = ",;\t"


class IssueLine(NamedTuple):
    """One token and who gets it. number: of the line, 1-based; kind: one of KINDS; holder: empty where nobody does."""

    number: int
    label: str
    kind: str
    holder: str


def read_issues(path: Path) -> list[IssueLine]:
    """Every line with a label. Raises FormatError, which never quotes a name, or OSError."""
    text = _text(path)
    first = text.partition("\n")[0]
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=max(_SEPARATORS, key=first.count), strict=True)
    lines = []
    try:
        columns = _columns(path, next(rows, []))
        for row in rows:
            if any(cell.strip() for cell in row):
                lines.append(_line(path, rows.line_num, columns, row))
    except csv.Error:
        raise FormatError(
            path, rows.line_num, "the quotation marks of this line do not fit: save the file anew"
        ) from None
    if not lines:
        raise FormatError(path, None, "the list is empty: it needs a line for each token")
    return lines


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


def _columns(path: Path, heading: Sequence[str]) -> dict[str, int]:
    """Where the columns are that matter."""
    names = [cell.strip().lower() for cell in heading]
    if LABEL not in names or not set(KINDS) & set(names):
        raise FormatError(path, 1, "the first line names the columns: it needs `label`, and `person` or `site`")
    wanted = (LABEL, *KINDS)
    if any(names.count(name) > 1 for name in wanted):
        raise FormatError(path, 1, "a column is there twice: delete one")
    return {name: names.index(name) for name in wanted if name in names}


def _line(path: Path, number: int, columns: dict[str, int], row: Sequence[str]) -> IssueLine:
    cells = {name: row[place].strip() if place < len(row) else "" for name, place in columns.items()}
    if not cells[LABEL]:
        raise FormatError(path, number, "this line has no label")
    named = [(kind, cells[kind]) for kind in KINDS if cells.get(kind)]
    if len(named) > 1:
        raise FormatError(path, number, "this line names a person and a site: a token is either's")
    kind, holder = named[0] if named else (KINDS[0], "")
    return IssueLine(number, cells[LABEL], kind, holder)
