"""What is held about a person, on A4 pages that they can read or have read to them: Vietnamese, English in grey."""

import io
from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.platypus import Flowable, LongTable, Paragraph, SimpleDocTemplate, Spacer, TableStyle

from bztoken.printing import fonts
from bztoken.printing.fonts import Faces
from bztoken.printing.text_blocks import LEADING

MARGIN_PT = 16 * mm
TEXT_PT = 11.0
TITLE_PT = 20.0
GREY = "#5f6368"
MOST_ROWS = 400  # of a table on paper; the JSON has all
_NOTE = (
    "Tệp JSON kèm theo có mọi chi tiết. Trong đó không có tên những người ông/bà đã gặp, không có mã ngẫu nhiên nào, "
    "và không có các số đo đồng hồ và bộ nhớ của thẻ. "
    "Ông/bà có thể yêu cầu ngừng hoặc xóa bất cứ lúc nào tại trạm y tế."
)
_NOTE_EN = (
    "The JSON file beside this has every detail. It names nobody whom you met, has no random ID, and no readings of "
    "the token's clock and memory. You may ask the health station at any time to stop, or to erase everything."
)
# Of the document: key, title in Vietnamese, in English.
SECTIONS = (
    ("consents", "Sự đồng ý", "Consent"),
    ("tokens", "Thẻ đã nhận", "Tokens"),
    ("token_events", "Những việc đã làm với thẻ", "What was done with the tokens"),
    ("logs", "Nhật ký của thẻ hoặc điện thoại", "Logs of token or phone"),
    ("syncs", "Những lần đọc thẻ", "When the token was read"),
    ("exposures", "Những ngày ở gần ca bệnh", "Days near a case"),
    ("visits", "Nơi đã đến", "Places visited"),
    ("follow_ups", "Các lần liên hệ", "Follow-up"),
    ("cases", "Nếu là ca bệnh", "As a case"),
    ("encounters", "Các lần gặp (không biết là ai)", "Encounters (with whom is not known)"),
    ("audit", "Ai đã xem hoặc thay đổi", "Who looked or changed"),
)
PERSON = (
    ("number", "Số", "Number"),
    ("name", "Họ và tên", "Name"),
    ("birth_year", "Năm sinh", "Year of birth"),
    ("commune", "Xã/phường", "Commune"),
    ("phone", "Điện thoại", "Phone"),
    ("carer", "Người chăm sóc", "Carer"),
    ("agency", "Đơn vị", "Agency"),
    ("state", "Tình trạng", "State"),
    ("added_at", "Ghi vào sổ lúc", "Registered"),
)


def person_pages(document: Mapping[str, Any]) -> bytes:
    """A PDF of a document of `person_export`. Letters that the typeface lacks become question marks."""
    paper = _Paper(fonts.register())
    content = io.BytesIO()
    template = SimpleDocTemplate(
        content,
        pagesize=A4,
        leftMargin=MARGIN_PT,
        rightMargin=MARGIN_PT,
        topMargin=MARGIN_PT,
        bottomMargin=MARGIN_PT,
        title=str(document["person"]["number"]),
        invariant=True,
    )
    template.build(paper.story(document))
    return content.getvalue()


class _Paper:
    def __init__(self, faces: Faces) -> None:
        self._faces = faces

    def story(self, document: Mapping[str, Any]) -> list[Flowable]:
        story = [
            self._text("Những gì chúng tôi lưu về ông/bà", TITLE_PT, bold=True),
            self._text("What we hold about you", TEXT_PT, GREY),
            Spacer(1, TEXT_PT),
            self._table([(f"{vi} / {en}", document["person"][key]) for key, vi, en in PERSON]),
            self._text(_NOTE, TEXT_PT),
            self._text(_NOTE_EN, TEXT_PT - 2, GREY),
        ]
        for key, vi, en in SECTIONS:
            story += self._section(document[key], vi, en)
        return story

    def _section(self, rows: Sequence[Mapping[str, Any]], vi: str, en: str) -> list[Flowable]:
        head = [Spacer(1, TEXT_PT), self._text(f"{vi} ({len(rows)})", TEXT_PT + 3, bold=True), self._text(en, 9, GREY)]
        if not rows:
            return [*head, self._text("Không có / none", TEXT_PT)]
        shown = [[_cell(row[name]) for name in row] for row in rows[:MOST_ROWS]]
        names = [name.replace("_", " ") for name in rows[0]]
        more = len(rows) - len(shown)
        rest = [self._text(f"+ {more}: JSON", TEXT_PT)] if more else []
        return [*head, self._table([names, *shown]), *rest]

    def _table(self, rows: Sequence[Sequence[Any]]) -> LongTable:
        cells = [[self._text(_cell(cell), 8) for cell in row] for row in rows]
        width = (A4[0] - 2 * MARGIN_PT) / len(cells[0])
        style = TableStyle([("GRID", (0, 0), (-1, -1), 0.3, HexColor(GREY)), ("VALIGN", (0, 0), (-1, -1), "TOP")])
        return LongTable(cells, colWidths=[width] * len(cells[0]), style=style, repeatRows=0)

    def _text(self, text: str, size: float, ink: str = "#000000", bold: bool = False) -> Paragraph:
        face = self._faces.bold if bold else self._faces.regular
        for letter in fonts.missing(text, face):
            text = text.replace(letter, "?")
        style = ParagraphStyle(
            face, fontName=face, fontSize=size, leading=size * LEADING, textColor=HexColor(ink), splitLongWords=True
        )
        return Paragraph(escape(text), style)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, list):
        return "; ".join(", ".join(str(part) for part in one.values()) for one in value)
    return str(value)
