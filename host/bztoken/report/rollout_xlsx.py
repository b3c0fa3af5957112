"""The roll-out report as a workbook: a sheet a table, numbers as numbers, charts that follow the cells.

Names are written as texts, whatever they begin with: nothing that somebody typed becomes a formula.
"""

import io
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import xlsxwriter
from xlsxwriter.format import Format
from xlsxwriter.workbook import Workbook
from xlsxwriter.worksheet import Worksheet

from bztoken.report.rollout import Rollout
from bztoken.report.rollout_tables import Cell, Fact, Form, Table, Tables

NUMBER_FORMATS = {Form.TEXT: "@", Form.COUNT: "#,##0", Form.SHARE: "0.0%", Form.HOURS: "#,##0.0"}
HEADING_FILL, TOTAL_FILL = "#0B6E4F", "#E6F2EE"
COLOURS = ("#0072B2", "#E69F00", "#D55E00")  # told apart by colour-blind eyes too (Okabe and Ito)
NAME_WIDTH, LABEL_WIDTH, COLUMN_WIDTH, TEXT_WIDTH = 30, 72, 13, 90  # characters
HEADING_HEIGHT, LINE_HEIGHT = 48, 15  # points
CHART_WIDTH, CHART_HEIGHT, CHART_PER_UNIT = 620, 300, 22  # pixels


def rollout_xlsx(report: Rollout, tables: Tables) -> bytes:
    """The whole file."""
    content = io.BytesIO()
    book = xlsxwriter.Workbook(content, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    book.set_properties({"title": tables.title, "created": datetime.fromtimestamp(report.made_at_s, UTC)})
    writer = _Writer(book, tables)
    writer.summary()
    for table in tables.units:
        writer.units(table)
    writer.cases()
    writer.meanings()
    book.close()
    return content.getvalue()


class _Writer:
    """Writes the sheets one after the other."""

    def __init__(self, book: Workbook, tables: Tables) -> None:
        self._book, self._tables, self._words = book, tables, tables.words
        border = {"border": 1, "border_color": "#B8C4BE", "valign": "top"}
        self._title = book.add_format({"bold": True, "font_size": 15})
        self._note = book.add_format({"text_wrap": True, "valign": "top"})
        self._heading = book.add_format(
            {**border, "bold": True, "bg_color": HEADING_FILL, "font_color": "#FFFFFF", "text_wrap": True}
        )
        self._cell = {form: book.add_format({**border, "num_format": NUMBER_FORMATS[form]}) for form in Form}
        self._unknown = book.add_format({**border, "italic": True, "font_color": "#5A6660", "align": "right"})
        total = {**border, "bold": True, "bg_color": TOTAL_FILL}
        self._total = {form: book.add_format({**total, "num_format": NUMBER_FORMATS[form]}) for form in Form}

    def summary(self) -> None:
        """What the report is about, the figures of all, tokens by state as a picture."""
        sheet = self._sheet(self._words.tables["summary"])
        sheet.write_string(0, 0, self._tables.title, self._title)
        for place, line in enumerate(self._tables.lines, start=1):
            sheet.write_string(place, 0, line)
        top = len(self._tables.lines) + 2
        self._facts(sheet, top, self._tables.summary)
        self._state_chart(sheet, top)

    def cases(self) -> None:
        """Cases and contacts of the whole registry."""
        sheet = self._sheet(self._words.tables["cases"])
        self._facts(sheet, 0, self._tables.cases)

    def units(self, table: Table) -> None:
        """A line a unit, the total below."""
        sheet = self._sheet(table.title)
        self._headings(sheet, 0, [column.heading for column in table.columns])
        sheet.set_column(0, 0, NAME_WIDTH)
        sheet.set_column(1, len(table.columns) - 1, COLUMN_WIDTH)
        forms = [column.form for column in table.columns]
        for place, row in enumerate(table.rows, start=1):
            self._row(sheet, place, row, forms, self._cell)
        self._row(sheet, len(table.rows) + 1, table.total, forms, self._total)
        sheet.freeze_panes(1, 1)
        if table.rows:
            sheet.autofilter(0, 0, len(table.rows), len(table.columns) - 1)
        if table.key == "commune":
            self._coverage_chart(sheet, table)

    def meanings(self) -> None:
        """What each column means, and what a reader must know."""
        sheet = self._sheet(self._words.tables["meanings"])
        self._headings(sheet, 0, [self._words.text["column"], self._words.text["meaning"]])
        sheet.set_column(0, 0, NAME_WIDTH)
        sheet.set_column(1, 1, TEXT_WIDTH)
        columns = {column.key: column for table in self._tables.units for column in table.columns}
        for place, column in enumerate(columns.values(), start=1):
            sheet.write_string(place, 0, column.heading, self._note)
            sheet.write_string(place, 1, column.meaning, self._note)
        for place, note in enumerate(self._tables.notes, start=len(columns) + 2):
            sheet.write_string(place, 1, note, self._note)
        sheet.freeze_panes(1, 0)

    def _sheet(self, name: str) -> Worksheet:
        sheet = self._book.add_worksheet(name)
        sheet.set_landscape()
        sheet.set_paper(9)  # A4
        sheet.fit_to_pages(1, 0)
        sheet.set_footer("&C&P / &N")
        return sheet

    def _headings(self, sheet: Worksheet, top: int, headings: Sequence[str]) -> None:
        sheet.set_row(top, HEADING_HEIGHT if len(headings) > 2 else LINE_HEIGHT)
        sheet.repeat_rows(top)
        for place, heading in enumerate(headings):
            sheet.write_string(top, place, heading, self._heading)

    def _facts(self, sheet: Worksheet, top: int, facts: Sequence[Fact]) -> None:
        self._headings(sheet, top, [self._words.text["figure"], self._words.text["value"]])
        sheet.set_column(0, 0, LABEL_WIDTH)
        sheet.set_column(1, 1, COLUMN_WIDTH + 4)
        for place, fact in enumerate(facts, start=top + 1):
            self._row(sheet, place, (fact.label, fact.value), (Form.TEXT, fact.form), self._cell)
        sheet.freeze_panes(top + 1, 1)

    def _row(
        self, sheet: Worksheet, place: int, row: Iterable[Cell], forms: Sequence[Form], formats: dict[Form, Format]
    ) -> None:
        for column, (cell, form) in enumerate(zip(row, forms, strict=True)):
            if cell is None:
                sheet.write_string(place, column, self._words.text["unknown"], self._unknown)
            elif isinstance(cell, str):
                sheet.write_string(place, column, cell, formats[Form.TEXT] if column == 0 else self._unknown)
            else:
                sheet.write_number(place, column, cell, formats[form])

    def _state_chart(self, sheet: Worksheet, top: int) -> None:
        """Of the figures in this sheet: the names of the states are their labels."""
        places = [
            top + 1 + [fact.key for fact in self._tables.summary].index(key) for key in ("active", "silent", "lost")
        ]
        chart = self._book.add_chart({"type": "column"})
        for place, (name, _), colour in zip(places, self._tables.states, COLOURS, strict=True):
            chart.add_series(
                {
                    "name": name,
                    "values": [sheet.get_name(), place, 1, place, 1],
                    "fill": {"color": colour},
                    "data_labels": {"value": True},
                    "gap": 80,
                }
            )
        chart.set_title({"name": self._words.tables["state_chart"], "name_font": {"size": 12}})
        chart.set_x_axis({"visible": False})
        chart.set_y_axis({"min": 0, "num_format": "#,##0", "major_gridlines": {"visible": True}})
        chart.set_size({"width": CHART_WIDTH, "height": CHART_HEIGHT})
        sheet.insert_chart(top, 3, chart)

    def _coverage_chart(self, sheet: Worksheet, table: Table) -> None:
        """Below the table; none while no commune has a figure."""
        below = len(table.rows) + 3
        if not self._tables.coverage:
            sheet.write_string(below, 0, self._words.text["no_chart"])
            return
        column = [column.key for column in table.columns].index("coverage")
        chart = self._book.add_chart({"type": "bar"})
        chart.add_series(
            {
                "categories": [sheet.get_name(), 1, 0, len(table.rows), 0],
                "values": [sheet.get_name(), 1, column, len(table.rows), column],
                "fill": {"color": COLOURS[0]},
                "data_labels": {"value": True},
                "gap": 60,
            }
        )
        chart.set_title({"name": self._words.tables["coverage_chart"], "name_font": {"size": 12}})
        chart.set_legend({"none": True})
        chart.set_x_axis({"min": 0, "num_format": "0%"})
        chart.set_y_axis({"reverse": True})
        chart.set_size({"width": CHART_WIDTH * 1.4, "height": 130 + CHART_PER_UNIT * len(table.rows)})
        sheet.insert_chart(below, 0, chart)
