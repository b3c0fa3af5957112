"""Draws how well windows within 2 m are told from others (SVG): a ROC curve for each way and length of window.

A colour and a thickness a way, dashes a length of window: it can be read printed in grey. Vietnamese and English.
"""

from collections.abc import Sequence
from typing import NamedTuple

from bztoken.calibration.quality import Roc
from bztoken.report.svg_parts import COLOURS, Frame, opening, percents_upwards, polyline, text

WIDTH, HEIGHT = 620, 760
FRAME = Frame(80, 70, 500, 500)
TITLE = "Nhận ra tiếp xúc trong 2 m · Telling contacts within 2 m"
X_LABEL = "Xa hơn 2 m mà coi là gần (%) · Beyond 2 m, taken for near (%)"
Y_LABEL = "Trong 2 m và nhận ra (%) · Within 2 m, taken for near (%)"
COIN = "tung đồng xu · a coin: AUC 0.50"
_DASHES = ("", "8 4", "2 4")
_THIN = 1.5
_MOST_POINTS = 400
_LINE = 22


class Curve(NamedTuple):
    """way and dash: places in what is told apart by colour and by dashes; label: with its AUC."""

    label: str
    way: int
    dash: int
    roc: Roc


def draw(subtitle: str, curves: Sequence[Curve]) -> str:
    """The picture as text."""
    height = max(HEIGHT, int(FRAME.y(0)) + 90 + _LINE * (len(curves) + 1))
    parts = [
        *opening(WIDTH, height),
        text(WIDTH / 2, 28, TITLE, 16),
        text(WIDTH / 2, 50, subtitle, 12),
        *percents_upwards(FRAME, Y_LABEL),
        *_percents_across(),
        polyline([(FRAME.x(0), FRAME.y(0)), (FRAME.x(1), FRAME.y(1))], "#999", ' stroke-dasharray="1 3"'),
    ]
    for at, curve in enumerate(curves):
        parts += _curve(curve, at)
    parts += _key(len(curves), COIN, "#999", ' stroke-dasharray="1 3"')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _percents_across() -> list[str]:
    numbers = [text(FRAME.x(percent / 100), FRAME.y(0) + 20, str(percent)) for percent in range(0, 101, 20)]
    return [*numbers, text(FRAME.x(0.5), FRAME.y(0) + 46, X_LABEL, 14)]


def _curve(curve: Curve, at: int) -> list[str]:
    colour, dashes = COLOURS[curve.way % len(COLOURS)], _DASHES[curve.dash % len(_DASHES)]
    more = f' style="stroke-width:{_THIN + curve.way}"' + (f' stroke-dasharray="{dashes}"' if dashes else "")
    places = [(FRAME.x(x), FRAME.y(y)) for x, y in _thinned(curve.roc)]
    return [polyline(places, colour, more), *_key(at, curve.label, colour, more)]


def _key(at: int, label: str, colour: str, more: str) -> list[str]:
    y = FRAME.y(0) + 74 + _LINE * at
    return [
        polyline([(FRAME.left, y), (FRAME.left + 44, y)], colour, more),
        text(FRAME.left + 54, y + 4, label, anchor="start"),
    ]


def _thinned(roc: Roc) -> list[tuple[float, float]]:
    """No more points than can be seen, both ends among them."""
    count = len(roc.within)
    step = max(1, -(-count // _MOST_POINTS))
    places = [*range(0, count - 1, step), count - 1]
    return [(float(roc.beyond[place]), float(roc.within[place])) for place in places]
