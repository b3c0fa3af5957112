"""Adds what a run found to the board's record sheet, `boards/BOARD/record.md`: one row of the table under "Runs"."""

from dataclasses import astuple, dataclass
from pathlib import Path

from bztoken.boards.records import COLUMNS, HEADING
from bztoken.errors import FormatError


@dataclass(frozen=True)
class Run:
    """The cells of a row, in the order of `records.COLUMNS`."""

    date: str
    micropython: str
    firmware: str
    by: str
    passed: int
    failed: int
    skipped: int
    notes: str

    def row(self) -> str:
        """As Markdown."""
        return _row([" ".join(str(cell).replace("|", "/").split()) for cell in astuple(self)])


def add(sheet: Path, run: Run) -> None:
    """Append the row to the table. Raises FormatError for a sheet that is missing or has no such table."""
    lines = _lines(sheet)
    end = _end_of_table(sheet, lines)
    sheet.write_text("\n".join([*lines[:end], run.row(), *lines[end:]]) + "\n", encoding="utf-8")


def require_table(sheet: Path) -> None:
    """Before a run of which the result could not be kept. Raises FormatError, as `add`."""
    _end_of_table(sheet, _lines(sheet))


def _lines(sheet: Path) -> list[str]:
    try:
        return sheet.read_text(encoding="utf-8").splitlines()
    except OSError:
        raise FormatError(sheet, None, "there is no such record sheet: copy another board's and empty it") from None


def _end_of_table(sheet: Path, lines: list[str]) -> int:
    """Number of the line after the last row."""
    head = _row(list(COLUMNS))
    begin = lines.index(HEADING) if HEADING in lines else len(lines)
    for at in range(begin, len(lines)):
        if lines[at].strip() == head:
            while at < len(lines) and lines[at].startswith("|"):
                at += 1
            return at
    raise FormatError(sheet, None, f'this sheet has no table "{head}" under "{HEADING}": put it in, then record again')


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
