"""The wearer's page: one A4 side in large print, with the light's signs as pictures, for a token or for any of a board.

The type is as large as the page allows, and never smaller than SMALLEST_PT: a text that is too long is refused.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas

from bztoken.errors import PrintError
from bztoken.printing import fonts, leaflet_texts, light_pictures
from bztoken.printing.leaflet_texts import Row, Words
from bztoken.printing.qr_code import QUIET_MODULES, SMALLEST_MODULE_MM, draw_qr, modules_of
from bztoken.printing.text_blocks import INK, LEADING, Block, Typesetter

SMALLEST_PT, LARGEST_PT, STEP_PT = 16.0, 24.0, 0.25
WIDTH_PT, HEIGHT_PT = A4
MARGIN_PT = 8 * mm
TEXT_PT = WIDTH_PT - 2 * MARGIN_PT
TITLE_PT, SUBTITLE_PT, NUMBER_PT = 28.0, 20.0, 30.0
LEAST_GAP, MORE_GAP = 0.16, 0.4  # between two rows, of the size; of what the size has above the smallest
TITLE_SHARE = 0.5  # of the page's breadth; the number and its code have the rest
QR_MM = 20.0  # and more for a long label
OTHER_INK, RULE_INK = "#3d4650", "#0b6e4f"  # text of the second language; titles and lines


@dataclass(frozen=True)
class WearersToken:
    """Whose page it is. board: its board.json; profile: "continuous", "windowed"; label: None for a page to fill in."""

    board: Mapping[str, Any]
    profile: str
    label: str | None = None


@dataclass(frozen=True)
class Box:
    """What was drawn where ("text", "picture", "code"), in points from the lower left corner of the page."""

    what: str
    left: float
    bottom: float
    width: float
    height: float


def leaflets(tokens: Sequence[WearersToken], languages: Sequence[str], contact: str = "") -> bytes:
    """A PDF of one page a token. contact: whom to call; empty leaves a line to be filled in by pen.

    Raises PrintError: no such language, letters that the typeface lacks, more text than a page holds, no token.
    """
    if not tokens:
        raise PrintError("there is nothing to print: no token is named")
    words = leaflet_texts.words_of(languages)
    content = io.BytesIO()
    canvas = Canvas(content, pagesize=A4, invariant=True, lang=words[0].code)
    canvas.setTitle(words[0]("title"))
    for token in tokens:
        Page(canvas, token, words, contact).draw()
        canvas.showPage()
    canvas.save()
    return content.getvalue()


class Page:
    """One page, drawn from the top down."""

    def __init__(self, canvas: Canvas, token: WearersToken, words: Sequence[Words], contact: str) -> None:
        self._canvas = canvas
        self._label = token.label
        self._words = words
        self._contact = contact
        modules = len(modules_of(token.label)) + 2 * QUIET_MODULES if token.label is not None else 0
        self._qr_mm = max(QR_MM, modules * SMALLEST_MODULE_MM * 1.01)
        self._faces = fonts.register()
        self._type = Typesetter(self._faces)
        self._parts: list[list[Row]] = [
            leaflet_texts.beginning(token.board, token.profile, words),
            leaflet_texts.of_the_light(token.board, words),
            list(leaflet_texts.of_the_button(token.board, words)),
            leaflet_texts.end(words),
        ]
        self._top = HEIGHT_PT - MARGIN_PT
        self._gap = 0.0
        self.boxes: list[Box] = []

    def draw(self) -> list[Box]:
        """Draw it all, and return what is where. Raises PrintError."""
        if fonts.missing((self._label or "") + self._contact, self._faces.bold):
            raise PrintError(
                "the label or the contact has letters that the typeface lacks: use those of Vietnamese and English"
            )
        size, self._gap = self._fitting()
        self._header()
        for part in self._parts:
            self._rule()
            for row in part:
                self._row(row, size)
        self._call(size)
        return self.boxes

    def _fitting(self) -> tuple[float, float]:
        """The largest size at which everything fits, and the space between two rows that then remains. Points."""
        rows = [row for part in self._parts for row in part]
        gaps = len(rows) + len(self._parts) + 1
        room = HEIGHT_PT - 2 * MARGIN_PT - self._header_height()
        size = LARGEST_PT
        while size >= SMALLEST_PT:
            needed = sum(self._row_height(row, size) for row in rows) + self._call_height(size)
            least_gap = size * LEAST_GAP + (size - SMALLEST_PT) * MORE_GAP
            if needed + gaps * least_gap <= room:
                return size, min((room - needed) / gaps, size)
            size -= STEP_PT
        raise PrintError(
            "this is more text than one page holds in large print: leave a language out, or give a shorter contact"
        )

    # -- rows --------------------------------------------------------------------------------------------------------
    def _strip(self, size: float) -> tuple[float, float]:
        """Width and height of a light's picture."""
        return 5.8 * size, (1.4 if len(self._words) == 1 else 1.75) * size

    def _blocks(self, row: Row, size: float) -> list[Block]:
        width = TEXT_PT if row.sign is None else TEXT_PT - self._strip(size)[0] - size * 0.6
        return [
            self._type.block(text, size, width, INK if not number else OTHER_INK)
            for number, text in enumerate(row.texts)
        ]

    def _row_height(self, row: Row, size: float) -> float:
        least = self._strip(size)[1] if row.sign else 0.0
        return max(least, sum(block.height for block in self._blocks(row, size)))

    def _row(self, row: Row, size: float) -> None:
        height, left = self._row_height(row, size), MARGIN_PT
        if row.sign is not None:
            width, strip_height = self._strip(size)
            bottom = self._top - (height + strip_height) / 2
            light_pictures.draw(self._canvas, row.sign, left, bottom, width, strip_height, self._faces.bold)
            self.boxes.append(Box("picture", left, bottom, width, strip_height))
            left += width + size * 0.6
        blocks = self._blocks(row, size)
        self._stack(blocks, left, self._top - (height - sum(block.height for block in blocks)) / 2)
        self._top -= height + self._gap

    def _stack(self, blocks: Sequence[Block], left: float, top: float) -> None:
        """Blocks below each other."""
        for block in blocks:
            top -= block.height
            block.draw(self._canvas, left, top)
            self.boxes.append(Box("text", left, top, block.width, block.height))

    def _rule(self) -> None:
        self._canvas.setStrokeColor(RULE_INK)
        self._canvas.setLineWidth(1.2)
        self._canvas.line(MARGIN_PT, self._top, WIDTH_PT - MARGIN_PT, self._top)
        self._top -= self._gap

    # -- header ------------------------------------------------------------------------------------------------------
    def _titles(self) -> list[Block]:
        width = TEXT_PT * TITLE_SHARE
        return [
            self._type.block(words("title"), SUBTITLE_PT if number else TITLE_PT, width, RULE_INK, bold=True)
            for number, words in enumerate(self._words)
        ]

    def _number_blocks(self) -> list[Block]:
        """What stands beside the code: "number", and the label as large as it fits on a line, if need be on several."""
        width = TEXT_PT * (1 - TITLE_SHARE) - self._qr_mm * mm
        named = " · ".join(words("number") for words in self._words)
        blocks = [self._type.block(named, SMALLEST_PT, width, OTHER_INK)]
        if self._label is not None:
            size = self._type.largest(self._label, width, SMALLEST_PT, NUMBER_PT)
            blocks.append(self._type.plain(self._label, size, width))
        return blocks

    def _header_height(self) -> float:
        stacks = (self._titles(), self._number_blocks())
        return max(self._qr_mm * mm, *(sum(block.height for block in stack) for stack in stacks))

    def _header(self) -> None:
        """Titles on the left; on the right the number and its code, or a frame to put them in."""
        height = self._header_height()
        self._stack(self._titles(), MARGIN_PT, self._top)
        left, side = MARGIN_PT + TEXT_PT * TITLE_SHARE, self._qr_mm * mm
        blocks = self._number_blocks()
        if self._label is None:
            self._frame(left, self._top - height, TEXT_PT * (1 - TITLE_SHARE), height)
            self._stack(blocks, left + 4 * mm, self._top - 2 * mm)
        else:
            self._stack(blocks, left, self._top - (height - sum(block.height for block in blocks)) / 2)
            code_left, code_bottom = WIDTH_PT - MARGIN_PT - side, self._top - side
            draw_qr(self._canvas, self._label, code_left / mm, code_bottom / mm, self._qr_mm)
            self.boxes.append(Box("code", code_left, code_bottom, side, side))
        self._top -= height + self._gap

    def _frame(self, left: float, bottom: float, width: float, height: float) -> None:
        self._canvas.setStrokeColor(OTHER_INK)
        self._canvas.setLineWidth(1)
        self._canvas.roundRect(left, bottom, width, height, 6, stroke=1, fill=0)

    # -- whom to call ------------------------------------------------------------------------------------------------
    def _call_blocks(self, size: float) -> list[Block]:
        asked = " · ".join(words("call") for words in self._words) + ":"
        if not self._contact:
            return [self._type.plain(asked, size, TEXT_PT * 0.55)]
        together = self._type.plain(f"{asked} {self._contact}", size, TEXT_PT - size)
        if together.height <= size * LEADING:  # on one line; else a telephone number would be broken
            return [together]
        return [self._type.plain(text, size, TEXT_PT - size) for text in (asked, self._contact)]

    def _call_height(self, size: float) -> float:
        return sum(block.height for block in self._call_blocks(size)) + size

    def _call(self, size: float) -> None:
        """A frame with whom to call, or a line to write that on."""
        height = self._call_height(size)
        blocks = self._call_blocks(size)
        self._frame(MARGIN_PT, self._top - height, TEXT_PT, height)
        self._stack(blocks, MARGIN_PT + size * 0.5, self._top - size * 0.4)
        if not self._contact:
            base = self._top - height + size * 0.6
            self._canvas.line(MARGIN_PT + TEXT_PT * 0.57, base, WIDTH_PT - MARGIN_PT - size * 0.5, base)
