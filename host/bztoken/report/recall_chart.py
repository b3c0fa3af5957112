"""Draws recall over contact length as a picture (SVG): one line a distance band, told apart by colour and by the shape
of its marks. Labels in Vietnamese and English.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from bztoken.report.svg_parts import COLOURS, Frame, opening, percents_upwards, polyline, text

WIDTH, HEIGHT = 790, 470
LEFT, RIGHT, TOP, BOTTOM = 80, 180, 70, 90
PLOT_WIDTH, PLOT_HEIGHT = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
FRAME = Frame(LEFT, TOP, PLOT_WIDTH, PLOT_HEIGHT)
X_LABEL = "Thời gian tiếp xúc (phút) · Contact length (minutes)"
Y_LABEL = "Tỷ lệ được ghi nhận (%) · Recorded (%)"
LEGEND = "Khoảng cách · Distance"


@dataclass(frozen=True)
class Line:
    """One distance band: its name, and per contact length (encounters recorded, encounters); none there: (0, 0)."""

    name: str
    points: Sequence[tuple[int, int]]


def _x(index: int, count: int) -> float:
    return LEFT + PLOT_WIDTH * (index + 0.5) / count


def _axes(lengths: Sequence[str]) -> list[str]:
    parts = percents_upwards(FRAME, Y_LABEL)
    parts += [text(_x(at, len(lengths)), TOP + PLOT_HEIGHT + 20, name) for at, name in enumerate(lengths)]
    return [*parts, text(LEFT + PLOT_WIDTH / 2, HEIGHT - 40, X_LABEL, 14)]


def _mark(x: float, y: float, shape: int, colour: str, title: str) -> str:
    r = 5
    shapes = (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r}"',
        f'<rect x="{x - r:.1f}" y="{y - r:.1f}" width="{2 * r}" height="{2 * r}"',
        f'<path d="M{x:.1f} {y - r - 1:.1f}l{r + 1} {2 * r}h-{2 * r + 2}z"',
        f'<path d="M{x:.1f} {y - r - 1:.1f}l{r + 1} {r + 1}l-{r + 1} {r + 1}l-{r + 1} -{r + 1}z"',
    )
    tag = shapes[shape % len(shapes)].split(" ")[0][1:]
    return f'{shapes[shape % len(shapes)]} fill="{colour}"><title>{escape(title)}</title></{tag}>'


def _line(line: Line, at: int, lines: int) -> list[str]:
    """Marks a little apart from those of other lines, so that none hides another; each tells its figures."""
    colour, count = COLOURS[at % len(COLOURS)], len(line.points)
    shift = (at - (lines - 1) / 2) * 9
    marks = [
        (_x(index, count) + shift, FRAME.y(recorded / met), f"{line.name} m: {recorded} / {met}")
        for index, (recorded, met) in enumerate(line.points)
        if met
    ]
    parts = [polyline([(x, y) for x, y, _ in marks], colour)] if len(marks) > 1 else []
    parts += [_mark(x, y, at, colour, title) for x, y, title in marks]
    key_x, key_y = LEFT + PLOT_WIDTH + 24, TOP + 30 + at * 24
    parts.append(_mark(key_x, key_y, at, colour, line.name))
    parts.append(text(key_x + 14, key_y + 4, f"{line.name} m", anchor="start"))
    return parts


def draw(title: str, lengths: Sequence[str], lines: Sequence[Line]) -> str:
    """The picture as text. lengths: names of the contact lengths, as many as each line has points."""
    parts = [
        *opening(WIDTH, HEIGHT),
        text(WIDTH / 2, 32, title, 16),
        text(LEFT + PLOT_WIDTH + 14, TOP + 8, LEGEND, 12, anchor="start"),
        *_axes(lengths),
    ]
    for at, line in enumerate(lines):
        parts += _line(line, at, len(lines))
    if not any(met for line in lines for _, met in line.points):
        parts.append(text(LEFT + PLOT_WIDTH / 2, TOP + PLOT_HEIGHT / 2, "Không có tiếp xúc · No encounters", 14))
    parts.append("</svg>")
    return "\n".join(parts) + "\n"
