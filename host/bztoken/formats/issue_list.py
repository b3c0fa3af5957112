"""A list of who gets which token: a CSV file with the columns `label` and `person` or `site`, as spreadsheets write it.

`person` holds a name or a number (P-0012-7). Columns about the person may follow: who is not registered yet is, with
them. Other columns are passed over, so the list of a batch may be filled in.
"""

from pathlib import Path
from typing import NamedTuple

from bztoken.errors import FormatError
from bztoken.formats.spreadsheet import Heading, Row, read_rows

LABEL = "label"
KINDS = ("person", "site")
PERSON_COLUMNS = (
    "birth_year",
    "commune",
    "phone",
    "phone_of",
    "carer",
    "agency",
    "consent",
    "consent_date",
    "witness",
    "language",
)
_HEADING = Heading(frozenset({LABEL}), frozenset(KINDS), "`label`, and `person` or `site`")


class IssueLine(NamedTuple):
    """One token and who gets it. number: of the line, 1-based; kind: one of KINDS; holder: empty where nobody does;
    facts: what the line says of a person, by PERSON_COLUMNS, empty cells left out.
    """

    number: int
    label: str
    kind: str
    holder: str
    facts: dict[str, str]


def read_issues(path: Path) -> list[IssueLine]:
    """Every line with a label. Raises FormatError, which never quotes a name, or OSError."""
    return [_line(path, row) for row in read_rows(path, (LABEL, *KINDS, *PERSON_COLUMNS), _HEADING)]


def _line(path: Path, row: Row) -> IssueLine:
    if not row.cells[LABEL]:
        raise FormatError(path, row.number, "this line has no label")
    named = [(kind, row.cells[kind]) for kind in KINDS if row.cells.get(kind)]
    if len(named) > 1:
        raise FormatError(path, row.number, "this line names a person and a site: a token is either's")
    kind, holder = named[0] if named else (KINDS[0], "")
    facts = {name: row.cells[name] for name in PERSON_COLUMNS if row.cells.get(name)}
    return IssueLine(row.number, row.cells[LABEL], kind, holder, facts)
