"""Reads a leaflet back out of its PDF: what is written where, how large, and what a camera sees."""

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, groupby
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium
import zxingcpp

from bztoken.printing.leaflet import Box
from bztoken.printing.light_pictures import INKS

A4_PT = (595.28, 841.89)
SCALE = 4  # pixels a point
NEAR = 12  # how far a pixel's red, green or blue may be from the ink's: edges are smoothed


@dataclass(frozen=True)
class Letter:
    """One visible character: its size and its box in points from the lower left corner."""

    character: str
    size_pt: float
    left: float
    right: float
    bottom: float
    top: float


class Sheet:
    """One page of a PDF."""

    def __init__(self, pdf: bytes, number: int = 0) -> None:
        self._document = pypdfium2.PdfDocument(pdf)
        self.pages = len(self._document)
        self._page = self._document[number]
        self._text = self._page.get_textpage()

    @property
    def size_pt(self) -> tuple[float, float]:
        width, height = self._page.get_size()
        return round(width, 2), round(height, 2)

    def text(self) -> str:
        """Everything that is written, lines joined by a space, spaces all of one kind."""
        return " ".join(self._text.get_text_bounded().replace("\u00a0", " ").split())

    def letters(self) -> Iterator[Letter]:
        for index in range(self._text.count_chars()):
            character = chr(pdfium.FPDFText_GetUnicode(self._text.raw, index))
            if character.isspace():
                continue
            edges = [ctypes.c_double() for _ in range(4)]  # left, right, bottom, top
            assert pdfium.FPDFText_GetCharBox(self._text.raw, index, *edges)
            size = pdfium.FPDFText_GetFontSize(self._text.raw, index)
            yield Letter(character, size, *(edge.value for edge in edges))

    def pixels(self) -> Any:
        """Rows of pixels, from the top, as red, green and blue."""
        return self._page.render(scale=SCALE, rev_byteorder=True).to_numpy()[:, :, :3]

    def codes(self) -> list[str]:
        """What a camera reads."""
        return [found.text for found in zxingcpp.read_barcodes(self.pixels())]


def runs_of_ink(pixels: Any, box: Box, colour: str) -> int:
    """How many marks of a colour stand side by side in a picture; on a line above its dotted one."""
    ink = [int(INKS[colour][at : at + 2], 16) for at in (1, 3, 5)]
    row = round((A4_PT[1] - box.bottom - box.height * 0.68) * SCALE)
    line = pixels[row, round(box.left * SCALE) : round((box.left + box.width) * SCALE)]
    lit = (abs(line.astype(int) - ink).max(axis=1) < NEAR).tolist()
    return sum(1 for is_lit, _ in groupby(lit) if is_lit)


def overlaps(boxes: list[Box]) -> list[tuple[str, str]]:
    """Pairs of boxes that lie on each other by more than the rounding of a tenth of a point."""
    return [(one.what, other.what) for one, other in combinations(boxes, 2) if _share(one, other) > 0.1]


def _share(one: Box, other: Box) -> float:
    across = min(one.left + one.width, other.left + other.width) - max(one.left, other.left)
    up = min(one.bottom + one.height, other.bottom + other.height) - max(one.bottom, other.bottom)
    return min(across, up)


def outside(boxes: list[Box], margin_pt: float) -> list[str]:
    """What lies nearer to the page's edge than the margin, or beyond it."""
    return [
        box.what
        for box in boxes
        if min(box.left, box.bottom, A4_PT[0] - box.left - box.width, A4_PT[1] - box.bottom - box.height)
        < margin_pt - 0.1
    ]
