"""Draws how time and memory of the matching grow with the records (SVG): both axes in powers of ten, engines named
beside their lines, told apart by colour and by the shape of their marks.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

from bztoken.report.svg_parts import Frame, opening, polyline, text

WIDTH, HEIGHT = 1150, 520
TIME, MEMORY = Frame(64, 80, 330, 340), Frame(630, 80, 330, 340)
# Told apart by colour-blind eyes too (after Okabe and Ito), and dark enough to be printed.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#C2609A", "#8A6D00", "#333333", "#5B3FA0")
LABEL_PX, MARK_PX = 17, 4.5
TITLES = ("Time (s)", "Memory (GiB)")
X_LABEL = "Records (millions)"


class Curve(NamedTuple):
    """An engine: (million records, seconds, GiB) of each of its runs; GiB 0: not to be drawn."""

    name: str
    points: Sequence[tuple[float, float, float]]


class _Axis(NamedTuple):
    """From a power of ten to another."""

    low: int
    high: int

    def share(self, value: float) -> float:
        return (math.log10(value) - self.low) / (self.high - self.low)

    def decades(self) -> list[int]:
        return list(range(self.low, self.high + 1))


def draw(title: str, under: str, curves: Sequence[Curve]) -> str:
    """The picture as text; under: a line below it. Curves that have no points are left out."""
    across = _axis([point[0] for curve in curves for point in curve.points])
    parts = [*opening(WIDTH, HEIGHT), text(WIDTH / 2, 34, title, 17)]
    for frame, place in ((TIME, 1), (MEMORY, 2)):
        parts += _panel(frame, place, across, curves)
    parts += [text(WIDTH / 2, HEIGHT - 16, under, 13), "</svg>"]
    return "\n".join(parts) + "\n"


def _panel(frame: Frame, place: int, across: _Axis, curves: Sequence[Curve]) -> list[str]:
    drawn = {at: curve for at, curve in enumerate(curves) if any(point[place] for point in curve.points)}
    upwards = _axis([point[place] for curve in drawn.values() for point in curve.points])
    parts = _axes(frame, across, upwards, TITLES[place - 1])
    ends = {}
    for at, curve in drawn.items():
        line = [(frame.x(across.share(one[0])), frame.y(upwards.share(one[place]))) for one in curve.points]
        parts += _curve(at, curve, line, place)
        ends[at] = line[-1]
    return parts + _labels(frame, curves, ends)


def _axis(values: Sequence[float]) -> _Axis:
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return _Axis(low, max(high, low + 1))


def _axes(frame: Frame, across: _Axis, upwards: _Axis, title: str) -> list[str]:
    parts = [text(frame.x(0.5), frame.top - 16, title, 15)]
    for decade in upwards.decades():
        y = frame.y(upwards.share(10.0**decade))
        parts.append(f'<line x1="{frame.left:g}" y1="{y:.1f}" x2="{frame.x(1):g}" y2="{y:.1f}" stroke="#bbb"/>')
        parts.append(text(frame.left - 8, y + 4, f"{10.0**decade:g}", anchor="end"))
    for decade in across.decades():
        x = frame.x(across.share(10.0**decade))
        parts.append(f'<line x1="{x:.1f}" y1="{frame.top:g}" x2="{x:.1f}" y2="{frame.y(0):g}" stroke="#bbb"/>')
        parts.append(text(x, frame.y(0) + 20, f"{10.0**decade:g}"))
    return [*parts, text(frame.x(0.5), frame.y(0) + 44, X_LABEL, 14)]


def _curve(at: int, curve: Curve, line: Sequence[tuple[float, float]], place: int) -> list[str]:
    colour = COLOURS[at % len(COLOURS)]
    parts = [polyline(line, colour)] if len(line) > 1 else []
    for (x, y), point in zip(line, curve.points, strict=True):
        told = f"{curve.name}: {point[0]:g} M records, {point[place]:.3g} {'s' if place == 1 else 'GiB'}"
        parts.append(_mark(x, y, at, colour, told))
    return parts


def _mark(x: float, y: float, shape: int, colour: str, told: str) -> str:
    r = MARK_PX
    shapes = (
        ("circle", f'cx="{x:.1f}" cy="{y:.1f}" r="{r}"'),
        ("rect", f'x="{x - r:.1f}" y="{y - r:.1f}" width="{2 * r}" height="{2 * r}"'),
        ("path", f'd="M{x:.1f} {y - r - 1:.1f}l{r + 1} {2 * r}h-{2 * r + 2}z"'),
        ("path", f'd="M{x:.1f} {y - r - 1:.1f}l{r + 1} {r + 1}l-{r + 1} {r + 1}l-{r + 1} -{r + 1}z"'),
        ("path", f'd="M{x:.1f} {y + r + 1:.1f}l{r + 1} -{2 * r}h-{2 * r + 2}z"'),
        ("rect", f'x="{x - r:.1f}" y="{y - r / 2:.1f}" width="{2 * r}" height="{r}"'),
        ("rect", f'x="{x - r / 2:.1f}" y="{y - r:.1f}" width="{r}" height="{2 * r}"'),
    )
    tag, where = shapes[shape % len(shapes)]
    return f'<{tag} {where} fill="{colour}"><title>{escape(told)}</title></{tag}>'


def _labels(frame: Frame, curves: Sequence[Curve], ends: Mapping[int, tuple[float, float]]) -> list[str]:
    """To the right of the frame, as near to the end of each line as its neighbours let it; a thin line leads there."""
    parts = []
    x, below = frame.x(1) + 26, -math.inf
    order = sorted(ends, key=lambda at: ends[at][1])
    for at, wanted in zip(order, _moved_up([ends[at][1] for at in order], frame.y(0)), strict=True):
        y = max(wanted, below + LABEL_PX)
        below = y
        colour, (end_x, end_y) = COLOURS[at % len(COLOURS)], ends[at]
        parts.append(
            f'<line x1="{end_x + 6:.1f}" y1="{end_y:.1f}" x2="{x - 4:.1f}" y2="{y:.1f}" stroke="{colour}" '
            'stroke-width="0.8" stroke-dasharray="2 2"/>'
        )
        parts.append(text(x, y + 4, curves[at].name, anchor="start", more=f' fill="{colour}"'))
    return parts


def _moved_up(wanted: Sequence[float], bottom: float) -> list[float]:
    """Those that others below them would push out of the frame."""
    placed, limit = list(wanted), bottom
    for at in reversed(range(len(placed))):
        placed[at] = min(placed[at], limit)
        limit = placed[at] - LABEL_PX
    return placed
