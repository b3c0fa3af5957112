"""The roll-out report as A4 pages: the figures of all, the tables, charts, what each column means; page numbers."""

import io
from collections.abc import Sequence
from functools import partial
from xml.sax.saxutils import escape

from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4, landscape
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase.pdfmetrics import registerFontFamily
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    Flowable,
    KeepTogether,
    LongTable,
    PageBreak,
    Paragraph,
    SimpleDocTemplate,
    Spacer,
    Table,
)

from bztoken.errors import ReportError
from bztoken.printing import fonts
from bztoken.printing.fonts import Faces
from bztoken.report.rollout_charts import coverage_chart, state_chart
from bztoken.report.rollout_tables import Fact, Form, Tables, written
from bztoken.report.rollout_tables import Table as Units

PAGE = landscape(A4)
MARGIN_PT = 15 * mm
WIDTH_PT = PAGE[0] - 2 * MARGIN_PT
NAME_PT, LABEL_PT, VALUE_PT, BESIDE_PT = 52 * mm, 125 * mm, 28 * mm, 106 * mm
INK, RULE_INK, FILL, FOOT_INK = "#16211c", "#0B6E4F", "#E6F2EE", "#3d4650"
MOST_BARS = 20


def rollout_pdf(tables: Tables) -> bytes:
    """The whole file. Raises ReportError for a name with letters that the typeface lacks, PrintError without it."""
    faces = fonts.register()
    registerFontFamily(faces.regular, faces.regular, faces.bold, faces.regular, faces.bold)
    _require_letters(tables, faces)
    _, pages = _drawn(tables, faces, 0)
    content, _ = _drawn(tables, faces, pages)
    return content


def _drawn(tables: Tables, faces: Faces, pages: int) -> tuple[bytes, int]:
    """The file and how many pages it has. pages: how many to tell that there are."""
    content = io.BytesIO()
    document = SimpleDocTemplate(
        content,
        pagesize=PAGE,
        leftMargin=MARGIN_PT,
        rightMargin=MARGIN_PT,
        topMargin=MARGIN_PT,
        bottomMargin=MARGIN_PT + 5 * mm,
        title=tables.title,
        lang=tables.words.language.value,
        invariant=True,
    )

    def foot(canvas: Canvas, _: BaseDocTemplate) -> None:
        _foot(canvas, tables, faces, canvas.getPageNumber(), pages)

    document.build(_Story(tables, faces).everything(), onFirstPage=foot, onLaterPages=foot)
    return content.getvalue(), document.page


class _Story:
    """What stands on the pages, from the first to the last."""

    def __init__(self, tables: Tables, faces: Faces) -> None:
        self._tables, self._words, self._faces = tables, tables.words, faces
        style = partial(ParagraphStyle, fontName=faces.regular, textColor=HexColor(INK))
        self._text = style("text", fontSize=9, leading=12)
        self._small = style("small", fontSize=8, leading=10.5)
        self._number = style("number", fontSize=8, leading=10.5, alignment=2)
        self._heading = _white("heading", self._small, faces)
        self._number_heading = _white("number heading", self._number, faces)
        self._title = style("title", fontSize=18, leading=24, fontName=faces.bold)
        self._part = style("part", fontSize=12, leading=16, fontName=faces.bold, spaceBefore=10, spaceAfter=5)
        self._part.keepWithNext = 1

    def everything(self) -> list[Flowable]:
        """Of the whole report."""
        tables, names = self._tables, self._words.tables
        story: list[Flowable] = [self._line(tables.title, self._title)]
        story += [self._line(line, self._text) for line in tables.lines]
        states = state_chart(names["state_chart"], tables, self._faces, BESIDE_PT)
        beside = Table(
            [[self._facts(tables.summary), states]], colWidths=[LABEL_PT + VALUE_PT + 8, None], hAlign="LEFT"
        )
        beside.setStyle([("VALIGN", (0, 0), (-1, -1), "TOP"), ("LEFTPADDING", (0, 0), (0, 0), 0)])
        story += [self._line(names["summary"], self._part), beside, PageBreak()]
        for table in tables.units:
            story += [self._line(table.title, self._part), self._units(table)]
            if table.key == "commune":
                story += self._coverage(table)
        story += [PageBreak(), self._line(names["cases"], self._part), self._facts(tables.cases)]
        return [*story, PageBreak(), *self._meanings()]

    def _coverage(self, table: Units) -> list[Flowable]:
        """The communes with most tokens, as many as a page shows."""
        known = dict(self._tables.coverage)
        if not known:
            return [Spacer(1, 8), self._line(self._words.text["no_chart"], self._text)]
        rows = [row for row in table.rows if row[0] in known]
        largest = sorted(rows, key=lambda row: -int(row[1] or 0))[:MOST_BARS]
        shown = [(str(row[0]), known[str(row[0])]) for row in rows if row in largest]
        chart = coverage_chart(self._words.tables["coverage_chart"], shown, self._words, self._faces, WIDTH_PT)
        more = self._words.text["more_communes"].format(shown=len(shown), all=len(known))
        return [
            KeepTogether([Spacer(1, 10), chart, *([self._line(more, self._small)] if len(known) > len(shown) else [])])
        ]

    def _meanings(self) -> list[Flowable]:
        columns = {column.key: column for table in self._tables.units for column in table.columns}
        heading = [self._words.text["column"], self._words.text["meaning"]]
        rows = [[self._cell(column.heading), self._cell(column.meaning)] for column in columns.values()]
        table = self._table(heading, rows, [NAME_PT, WIDTH_PT - NAME_PT], are_numbers=False)
        notes = [self._line(note, self._text) for note in self._tables.notes]
        return [self._line(self._words.tables["meanings"], self._part), table, Spacer(1, 8), *notes]

    def _facts(self, facts: Sequence[Fact]) -> LongTable:
        rows = [[self._cell(fact.label), self._cell(self._written(fact.value, fact.form), True)] for fact in facts]
        return self._table([self._words.text["figure"], self._words.text["value"]], rows, [LABEL_PT, VALUE_PT])

    def _units(self, table: Units) -> LongTable:
        forms = [column.form for column in table.columns]
        rows = [
            [
                self._cell(self._written(cell, form), form is not Form.TEXT)
                for cell, form in zip(row, forms, strict=True)
            ]
            for row in [*table.rows, table.total]
        ]
        each = (WIDTH_PT - NAME_PT) / (len(forms) - 1)
        headings = [column.heading for column in table.columns]
        made = self._table(headings, rows, [NAME_PT, *[each] * (len(forms) - 1)])
        made.setStyle([("BACKGROUND", (0, -1), (-1, -1), HexColor(FILL))])
        return made

    def _table(
        self, headings: Sequence[str], rows: list[list[Paragraph]], widths: Sequence[float], are_numbers: bool = True
    ) -> LongTable:
        styles = [self._heading, *[self._number_heading if are_numbers else self._heading] * (len(headings) - 1)]
        first = [self._line(heading, style) for heading, style in zip(headings, styles, strict=True)]
        return LongTable(
            [first, *rows],
            colWidths=widths,
            repeatRows=1,
            hAlign="LEFT",
            style=[
                ("BACKGROUND", (0, 0), (-1, 0), HexColor(RULE_INK)),
                ("LINEBELOW", (0, 0), (-1, -1), 0.4, HexColor("#B8C4BE")),
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("TOPPADDING", (0, 0), (-1, -1), 2.2),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 2.8),
            ],
        )

    def _cell(self, text: str, is_number: bool = False) -> Paragraph:
        return self._line(text, self._number if is_number else self._small)

    def _line(self, text: str, style: ParagraphStyle) -> Paragraph:
        return Paragraph(escape(text), style)

    def _written(self, value: str | int | float | None, form: Form) -> str:
        return written(value, form, self._words)


def _white(name: str, like: ParagraphStyle, faces: Faces) -> ParagraphStyle:
    return ParagraphStyle(name, like, fontName=faces.bold, textColor=HexColor("#ffffff"))


def _require_letters(tables: Tables, faces: Faces) -> None:
    """A PDF would lose them."""
    names = "".join(str(row[0]) for table in tables.units for row in table.rows)
    if fonts.missing(names, faces.bold) or fonts.missing(names, faces.regular):
        raise ReportError(
            "the name of a commune or an agency has letters that the typeface lacks: nothing was written; use those of "
            "Vietnamese and English, or write an .xlsx"
        )


def _foot(canvas: Canvas, tables: Tables, faces: Faces, number: int, pages: int) -> None:
    canvas.setFont(faces.regular, 8)
    canvas.setFillColor(HexColor(FOOT_INK))
    canvas.drawString(MARGIN_PT, MARGIN_PT - 3, f"{tables.title}. {tables.lines[0]}")
    text = tables.words.text["page"].format(page=number, pages=pages)
    canvas.drawRightString(PAGE[0] - MARGIN_PT, MARGIN_PT - 3, text)
