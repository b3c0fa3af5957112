"""Pictures of light patterns, drawn from the table that the token plays (`bzwire.light_patterns`).

A picture is a dark strip on which time runs to the right: one mark for each blink, longer where it is lit for longer,
then a dotted line for the dark time and the seconds after which it begins again. Nobody has to know the colours: words
and numbers stand beside it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from reportlab.lib.colors import HexColor
from reportlab.pdfgen.canvas import Canvas

from bzwire import light_patterns

if TYPE_CHECKING:
    from bzwire.light_patterns import Colour, Pattern

PINS = ("red", "green", "blue")  # of board.json, in the order of a colour
UNCOLOURED = "mono"  # a board with one light of a colour that its file does not tell
COLOUR_NAMES: "dict[Colour, str]" = {
    light_patterns.RED: "red",
    light_patterns.GREEN: "green",
    light_patterns.BLUE: "blue",
    light_patterns.AMBER: "amber",
    (1, 0, 1): "purple",
    (0, 1, 1): "cyan",
    (1, 1, 1): "white",
}
# Bright enough to stand out from the strip on a printer without colours too.
INKS = {
    "red": "#ff5a4d",
    "green": "#3ddc5b",
    "blue": "#5aa9ff",
    "amber": "#ffbf1f",
    "purple": "#e07bff",
    "cyan": "#4fe0e0",
    "white": "#ffffff",
    UNCOLOURED: "#fff3c4",
}
STRIP_INK, PAUSE_INK = "#262b33", "#aab2bd"
# (lit for at most so many ms, breadth of the mark as a share of the strip's height)
BREADTHS = ((150, 0.34), (300, 0.5), (1000, 0.85))
GAP, EDGE = 0.22, 0.3  # between two marks and before the first, as shares of the height


@dataclass(frozen=True)
class Sign:
    """A pattern as one board shows it. colour: a key of INKS; times in ms."""

    colour: str
    blinks: int
    lit_ms: int
    between_ms: int
    after_ms: int

    @property
    def period_ms(self) -> int:
        """From the first blink to the first blink of the next time."""
        return self.blinks * self.lit_ms + (self.blinks - 1) * self.between_ms + self.after_ms

    @property
    def is_steady(self) -> bool:
        """Lit without a pause, for as long as it is shown."""
        return self.blinks == 1 and not self.after_ms

    @property
    def is_fast(self) -> bool:
        """Too fast for anybody to count by the second."""
        return bool(self.after_ms) and self.period_ms < 1000

    @property
    def period_s(self) -> int:
        """In whole seconds, as one counts."""
        return max(1, round(self.period_ms / 1000))


@dataclass(frozen=True)
class Mark:
    """One blink on the strip, in points from its left end."""

    left: float
    breadth: float


def sign_of(pattern: "Pattern", light: Mapping[str, Any] | None) -> Sign | None:
    """What a board with this `light` (board.json) shows of a pattern; None: nothing, it has no such light."""
    colour, *times = pattern
    pins = light or {}
    red, green, blue = (int(lit and pins.get(name) is not None) for name, lit in zip(PINS, colour, strict=True))
    if red or green or blue:
        return Sign(COLOUR_NAMES[red, green, blue], *times)
    if any(colour) and pins.get("mono") is not None:
        return Sign(UNCOLOURED, *times)
    return None


def marks_of(sign: Sign, width: float, height: float) -> list[Mark]:
    """The blinks from left to right, in a strip of this size in points."""
    if sign.is_steady:
        return [Mark(EDGE * height, width - 2 * EDGE * height)]
    breadth = height * next((share for most_ms, share in BREADTHS if sign.lit_ms <= most_ms), BREADTHS[-1][1])
    step = min(breadth + GAP * height, (width - 2 * EDGE * height) / sign.blinks)
    return [Mark(EDGE * height + number * step, min(breadth, step * 0.8)) for number in range(sign.blinks)]


def draw(page: Canvas, sign: Sign, left: float, bottom: float, width: float, height: float, face: str) -> list[Mark]:
    """Draw the strip and return its marks. Points; face: of the seconds, which are as tall as the marks allow."""
    page.saveState()
    page.setFillColor(HexColor(STRIP_INK))
    page.roundRect(left, bottom, width, height, height * 0.25, stroke=0, fill=1)
    marks = marks_of(sign, width, height)
    page.setFillColor(HexColor(INKS[sign.colour]))
    tall = height * 0.62
    for mark in marks:
        radius = min(mark.breadth, tall) / 2
        page.roundRect(left + mark.left, bottom + (height - tall) / 2, mark.breadth, tall, radius, stroke=0, fill=1)
    if sign.after_ms:
        _draw_pause(page, sign, left + marks[-1].left + marks[-1].breadth, left + width, bottom, height, face)
    page.restoreState()
    return marks


def _draw_pause(page: Canvas, sign: Sign, start: float, end: float, bottom: float, height: float, face: str) -> None:
    """The dotted line of the dark time, and after how long it begins again where one can count that."""
    end -= EDGE * height
    if not sign.is_fast:
        text, size = f"{sign.period_s} s", max(16.0, height * 0.5)
        page.setFillColor(HexColor("#ffffff"))
        page.setFont(face, size)
        page.drawRightString(end, bottom + height / 2 - size * 0.36, text)
        end -= page.stringWidth(text, face, size) + GAP * height
    page.setFillColor(HexColor(PAUSE_INK))
    dots = [start + GAP * height * (number + 1) for number in range(12)]
    for here, after in pairwise(dots):
        if after < end:
            page.circle(here + height * 0.06, bottom + height / 2, height * 0.05, stroke=0, fill=1)
