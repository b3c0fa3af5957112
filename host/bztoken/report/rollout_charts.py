"""Charts of the roll-out report for its pages: bars with their values written beside them."""

from collections.abc import Sequence

from reportlab.graphics.charts.barcharts import HorizontalBarChart
from reportlab.graphics.shapes import Drawing, String
from reportlab.lib.colors import Color, HexColor

from bztoken.printing.fonts import Faces
from bztoken.report.rollout_tables import Tables
from bztoken.report.rollout_words import Words

COLOURS = ("#0072B2", "#E69F00", "#D55E00")  # told apart by colour-blind eyes too (Okabe and Ito)
VALUES_PT, TITLE_PT, BAR_PT, AXIS_PT = 40, 24, 17, 18
LETTER_PT, MOST_LETTERS = 4.8, 28
INK = "#16211c"


def state_chart(title: str, tables: Tables, faces: Faces, width: float) -> Drawing:
    """How many tokens are active, silent and lost."""
    names = [name for name, _ in tables.states]
    counts = [float(count) for _, count in tables.states]
    written = [tables.words.count(int(count)) for count in counts]
    return _bars(title, names, counts, written, COLOURS, faces, width)


def coverage_chart(
    title: str, shares: Sequence[tuple[str, float]], words: Words, faces: Faces, width: float
) -> Drawing:
    """(commune, share of those of 60 and more who have a token)."""
    names = [name for name, _ in shares]
    percents = [share * 100 for _, share in shares]
    written = [words.share(share) for _, share in shares]
    return _bars(title, names, percents, written, [COLOURS[0]] * len(names), faces, width, least_top=100.0, unit="%d%%")


def _bars(
    title: str,
    names: Sequence[str],
    values: Sequence[float],
    written: Sequence[str],
    colours: Sequence[str],
    faces: Faces,
    width: float,
    least_top: float = 1.0,
    unit: str = "%d",
) -> Drawing:
    """The first one on top. least_top: what the axis reaches at least; unit: how its numbers are written."""
    height = BAR_PT * len(names) + TITLE_PT + AXIS_PT
    drawing = Drawing(width, height)
    ink = HexColor(INK)
    drawing.add(String(0, height - 14, title, fontName=faces.bold, fontSize=11, fillColor=ink))
    chart = HorizontalBarChart()
    labels = int(LETTER_PT * max(len(_short(name)) for name in names)) + 10
    chart.x, chart.y = labels, AXIS_PT
    chart.width, chart.height = int(width) - labels - VALUES_PT, BAR_PT * len(names)
    chart.data = [list(reversed(values))]
    chart.categoryAxis.categoryNames = [_short(name) for name in reversed(names)]
    chart.barWidth, chart.groupSpacing = 7, 4
    for place, colour in enumerate(reversed(colours)):
        chart.bars[0, place].fillColor = HexColor(colour)
    chart.bars.strokeColor = None
    chart.barLabels.nudge = 4
    chart.barLabelFormat = "values"
    chart.barLabelArray = [list(reversed(written))]
    chart.valueAxis.valueMin, chart.valueAxis.valueMax = 0, max(least_top, *values)
    chart.valueAxis.labelTextFormat = unit
    _set_faces(chart, faces, ink)
    drawing.add(chart)
    return drawing


def _set_faces(chart: HorizontalBarChart, faces: Faces, ink: Color) -> None:
    for labels in (chart.categoryAxis.labels, chart.valueAxis.labels, chart.barLabels):
        labels.fontName, labels.fontSize, labels.fillColor = faces.regular, 8, ink
    chart.barLabels.boxAnchor = "w"


def _short(name: str) -> str:
    """As much as there is room for."""
    return name if len(name) <= MOST_LETTERS else f"{name[: MOST_LETTERS - 1]}…"
