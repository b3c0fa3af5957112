"""Parts that our pictures (SVG) share: colours, text, the beginning of a file, an axis of percents."""

from collections.abc import Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

# Told apart by colour-blind eyes too (Okabe and Ito's palette), and dark enough to be printed.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")


class Frame(NamedTuple):
    """Where the curves of a picture lie in it."""

    left: float
    top: float
    width: float
    height: float

    def x(self, share: float) -> float:
        """0 is on the left."""
        return self.left + self.width * share

    def y(self, share: float) -> float:
        """0 is at the bottom."""
        return self.top + self.height * (1 - share)


def opening(width: int, height: int) -> list[str]:
    """The first lines of a picture on white; `</svg>` ends it."""
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="sans-serif" fill="#222">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]


def text(x: float, y: float, written: str, size: int = 13, anchor: str = "middle", more: str = "") -> str:
    """A line of text; more: attributes."""
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}"{more}>{escape(written)}</text>'


def percents_upwards(frame: Frame, label: str) -> list[str]:
    """Lines at each 20 %, their numbers, and what they are, along the left side."""
    parts = []
    for percent in range(0, 101, 20):
        y, right = frame.y(percent / 100), frame.x(1)
        parts.append(f'<line x1="{frame.left:g}" y1="{y:.1f}" x2="{right:g}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(text(frame.left - 8, y + 4, str(percent), anchor="end"))
    middle = frame.y(0.5)
    return [*parts, text(24, middle, label, 14, more=f' transform="rotate(-90 24 {middle:.1f})"')]


def polyline(points: Sequence[tuple[float, float]], colour: str, more: str = "") -> str:
    """A line through places of the picture; more: attributes."""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{more}/>'
