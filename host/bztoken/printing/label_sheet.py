"""The label sheet: for each token its label as a QR code and in large print, nothing else that tells tokens apart."""

import io
from collections.abc import Sequence

from reportlab.lib.units import mm
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfgen.canvas import Canvas

from bztoken.errors import PrintError
from bztoken.printing import fonts
from bztoken.printing.qr_code import draw_qr
from bztoken.printing.sheets import DEFAULT_SHEET, SHEETS, Sheet
from bztoken.registry import batch_labels

LARGEST_PT = 30.0
SMALLEST_PT = 6.0
PROGRAMME_PT = 6.0
STEP_PT = 0.5
LINE_HEIGHT = 1.15  # of the type's size
GAP_MM = 1.0  # between code and text
MAX_PROGRAMME_LINES = 3


def sheet_named(name: str) -> Sheet:
    """Raises PrintError for a name that no sheet has."""
    if name not in SHEETS:
        raise PrintError(f"there is no sheet {name}: choose one of {', '.join(SHEETS)}")
    return SHEETS[name]


def label_sheet(
    labels: Sequence[str], sheet: Sheet = SHEETS[DEFAULT_SHEET], skip: int = 0, programme: str = ""
) -> bytes:
    """The PDF. skip: places at the beginning that were used before; programme: a name that is printed small on each.

    Raises PrintError for a label that does not fit, or that the typeface has no letters for.
    """
    if not labels:
        raise PrintError("there is nothing to print: no token has a label yet")
    if not 0 <= skip < sheet.places:
        raise PrintError(f"this sheet has {sheet.places} places: skip fewer of them")
    faces = fonts.register()
    content = io.BytesIO()
    width_mm, height_mm = sheet.page_mm
    page = Canvas(content, pagesize=(width_mm * mm, height_mm * mm), invariant=True)
    for index, label in enumerate(labels):
        place = (skip + index) % sheet.places
        if index and not place:
            page.showPage()
        left_mm, upper_mm = sheet.corner_mm(place)
        _Label(page, faces, sheet, left_mm, height_mm - upper_mm - sheet.label_mm[1]).draw(label, programme)
    page.save()
    return content.getvalue()


class _Label:
    """One label: the code on the left, text on the right. Positions of its lower left corner in mm."""

    def __init__(self, page: Canvas, faces: fonts.Faces, sheet: Sheet, left_mm: float, bottom_mm: float) -> None:
        self._page = page
        self._faces = faces
        self._side_mm = sheet.qr_side_mm
        self._left_mm = left_mm + sheet.edge_mm[0]
        self._qr_bottom_mm = bottom_mm + (sheet.label_mm[1] - self._side_mm) / 2
        self._text_mm = self._left_mm + self._side_mm + GAP_MM
        self._text_width_pt = (left_mm + sheet.label_mm[0] - sheet.edge_mm[0] - self._text_mm) * mm
        self._text_bottom_pt = (bottom_mm + sheet.edge_mm[1]) * mm
        self._text_height_pt = (sheet.label_mm[1] - 2 * sheet.edge_mm[1]) * mm

    def draw(self, label: str, programme: str) -> None:
        """Raises PrintError."""
        self._require_letters(label + programme)
        draw_qr(self._page, label, self._left_mm, self._qr_bottom_mm, self._side_mm)
        small = _lines(programme.split(), " ", self._faces.regular, PROGRAMME_PT, self._text_width_pt)
        if small is None or len(small) > MAX_PROGRAMME_LINES:
            raise PrintError("the programme's name is too long for these labels: give a shorter one")
        small_pt = len(small) * PROGRAMME_PT * LINE_HEIGHT
        free_pt = self._text_height_pt - small_pt
        large, size_pt = self._largest(label, free_pt)
        block_pt = len(large) * size_pt * LINE_HEIGHT
        above_pt = self._text_bottom_pt + small_pt
        self._write(large, self._faces.bold, size_pt, above_pt + (free_pt + block_pt) / 2)
        self._write(small, self._faces.regular, PROGRAMME_PT, above_pt)

    def _require_letters(self, text: str) -> None:
        if fonts.missing(text.replace(" ", ""), self._faces.bold) or fonts.missing(text, self._faces.regular):
            raise PrintError("a label or the programme's name has letters that the typeface lacks: choose other words")

    def _largest(self, label: str, free_pt: float) -> tuple[list[str], float]:
        """Lines and the largest size at which they fit."""
        pieces, between = batch_labels.parts(label), ""
        if pieces is None:
            pieces, between = label.split(), " "
        size_pt = LARGEST_PT
        while size_pt >= SMALLEST_PT:
            lines = _lines(pieces, between, self._faces.bold, size_pt, self._text_width_pt)
            if lines is not None and len(lines) * size_pt * LINE_HEIGHT <= free_pt:
                return lines, size_pt
            size_pt -= STEP_PT
        raise PrintError("a label is too long to be printed on this sheet: choose a larger one, or a shorter label")

    def _write(self, lines: list[str], face: str, size_pt: float, top_pt: float) -> None:
        """Below each other from `top_pt`, whose letters stand on 0.9 of each line's size."""
        self._page.setFont(face, size_pt)
        self._page.setFillGray(0)
        for number, line in enumerate(lines):
            baseline_pt = top_pt - (number * LINE_HEIGHT + 0.9) * size_pt
            self._page.drawString(self._text_mm * mm, baseline_pt, line)


def _lines(pieces: Sequence[str], between: str, face: str, size_pt: float, width_pt: float) -> list[str] | None:
    """As many pieces on each line as fit; None when one is wider than a line."""
    lines: list[str] = []
    for piece in pieces:
        longer = f"{lines[-1]}{between}{piece}" if lines else piece
        if stringWidth(longer, face, size_pt) <= width_pt:
            lines[-1:] = [longer]
        elif stringWidth(piece, face, size_pt) <= width_pt:
            lines.append(piece)
        else:
            return None
    return lines
