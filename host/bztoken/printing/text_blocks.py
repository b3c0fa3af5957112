"""Blocks of running text on a page: measured, then broken into lines and drawn. Sizes and places in points."""

from dataclasses import dataclass
from functools import lru_cache
from xml.sax.saxutils import escape

from reportlab.lib.colors import HexColor
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfbase.pdfmetrics import registerFontFamily, stringWidth
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Paragraph

from bztoken.printing.fonts import Faces

LEADING = 1.16  # of the size: a Vietnamese letter carries up to two marks
TALLEST_PT = 10_000.0
INK = "#000000"


@dataclass(frozen=True)
class Block:
    """Text in lines of at most `width`. marked: <b> makes bold, & and < stand as in XML."""

    marked: str
    face: str
    size: float
    width: float
    ink: str = INK

    @property
    def height(self) -> float:
        """Of all its lines."""
        return _height(self.marked, self.face, self.size, self.width)

    def draw(self, canvas: Canvas, left: float, bottom: float) -> None:
        """Put it with its lower left corner here."""
        paragraph = _paragraph(self.marked, self.face, self.size, self.ink)
        paragraph.wrap(self.width, TALLEST_PT)
        paragraph.drawOn(canvas, left, bottom)


class Typesetter:
    """Makes blocks in these faces."""

    def __init__(self, faces: Faces) -> None:
        self._faces = faces
        # All four, or reportlab takes the regular face for an italic one that cannot be bold.
        registerFontFamily(faces.regular, faces.regular, faces.bold, faces.regular, faces.bold)

    def block(self, marked: str, size: float, width: float, ink: str = INK, bold: bool = False) -> Block:
        """Text with markup."""
        return Block(marked, self._faces.bold if bold else self._faces.regular, size, width, ink)

    def plain(self, text: str, size: float, width: float) -> Block:
        """Bold text in which nothing is markup."""
        return self.block(escape(text), size, width, bold=True)

    def largest(self, text: str, width: float, smallest: float, largest: float) -> float:
        """The size at which bold text fits on one line, within these limits."""
        fits = largest * width / max(1.0, stringWidth(text, self._faces.bold, largest))
        return max(smallest, min(largest, fits * 0.99))


def _paragraph(marked: str, face: str, size: float, ink: str = INK) -> Paragraph:
    style = ParagraphStyle(face, fontName=face, fontSize=size, leading=size * LEADING, textColor=HexColor(ink))
    return Paragraph(marked, style)


@lru_cache(maxsize=8192)  # the pages of a batch differ by their labels only
def _height(marked: str, face: str, size: float, width: float) -> float:
    return float(_paragraph(marked, face, size).wrap(width, TALLEST_PT)[1])
