"""The roll-out report as one CSV that Excel opens as UTF-8: a line a unit; the first column says a unit of what.

The last line is the whole registry, and the only one with cases and contacts. Every number is a whole one (percent,
hours), because spreadsheets in Vietnam read `0.5` as something else. What is not known is an empty cell.
"""

import csv
import io
from collections.abc import Iterator, Sequence

from bztoken.formats.spreadsheet import plain
from bztoken.report.rollout_tables import Cell, Form, Tables

_ENCODING = "utf-8-sig"  # with the mark by which Excel knows UTF-8


def rollout_csv(report: Tables) -> bytes:
    """The whole file."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    columns = {column.key: column for table in report.units for column in table.columns[1:]}
    words = report.words.text
    headings = [f"{column.heading} (%)" if column.form is Form.SHARE else column.heading for column in columns.values()]
    writer.writerow([words["level"], words["unit"], *headings, *(fact.label for fact in report.cases)])
    for table in report.units:
        for row in table.rows:
            writer.writerow(
                [table.title, plain(str(row[0])), *_cells(report, table.key, row), *[""] * len(report.cases)]
            )
    facts = [_whole(fact.value, fact.form) for fact in report.cases]
    writer.writerow([report.words.text["total"], "", *_total(report), *facts])
    return text.getvalue().encode(_ENCODING)


def _cells(report: Tables, key: str, row: Sequence[Cell]) -> Iterator[str]:
    """In the columns of all tables; empty where this one has no such column."""
    table = next(table for table in report.units if table.key == key)
    has = {column.key: _whole(cell, column.form) for column, cell in zip(table.columns, row, strict=True)}
    return (has.get(name, "") for name in _names(report))


def _total(report: Tables) -> Iterator[str]:
    """Of the commune's table, in which every token is; sites from the agencies'."""
    has: dict[str, str] = {}
    for table in reversed(report.units[:2]):
        has |= {column.key: _whole(cell, column.form) for column, cell in zip(table.columns, table.total, strict=True)}
    return (has.get(name, "") for name in _names(report))


def _names(report: Tables) -> list[str]:
    return list(dict.fromkeys(column.key for table in report.units for column in table.columns[1:]))


def _whole(cell: Cell, form: Form) -> str:
    if cell is None:
        return ""
    if isinstance(cell, str):
        return plain(cell)
    return str(round(cell * 100 if form is Form.SHARE else cell))
