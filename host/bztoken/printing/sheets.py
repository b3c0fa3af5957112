"""Label sheets as data, in millimetres from the page's upper left corner.

Where the labels do not fill a page they lie in its middle, as makers cut them. 38.1 x 21.2: template LP65/38 of Label
Planet (edges 10.7 and 4.75 mm, 40.6 mm from label to label), the layout of Avery L7651 too; 70 x 37: three by eight of
them are 210 x 296 mm, the layout of Avery 3474. The roll is a label printer's, one label a page.
"""

from dataclasses import dataclass

A4_MM = (210.0, 297.0)


@dataclass(frozen=True)
class Sheet:
    """Columns and rows of equal labels. All pairs are across, down.

    step_mm: from the left (upper) edge of one label to that of the next; edge_mm: kept free inside each label, for
    cutters are off by a little, and office printers leave some 4 mm at the edges of the page blank.
    """

    page_mm: tuple[float, float]
    columns: int
    rows: int
    label_mm: tuple[float, float]
    first_mm: tuple[float, float]
    step_mm: tuple[float, float]
    edge_mm: tuple[float, float] = (1.5, 1.5)

    @property
    def places(self) -> int:
        """Labels on a page."""
        return self.columns * self.rows

    @property
    def qr_side_mm(self) -> float:
        """Of each label's QR code, with the white around it."""
        return min(self.label_mm[1] - 2 * self.edge_mm[1], self.label_mm[0] / 2)

    def corner_mm(self, place: int) -> tuple[float, float]:
        """Left and upper edge of a place, counted from 0, row by row."""
        row, column = divmod(place, self.columns)
        return self.first_mm[0] + column * self.step_mm[0], self.first_mm[1] + row * self.step_mm[1]


SHEETS = {
    "70x37": Sheet(A4_MM, 3, 8, (70.0, 37.0), (0.0, 0.5), (70.0, 37.0), (4.5, 4.0)),
    "38x21": Sheet(A4_MM, 5, 13, (38.1, 21.2), (4.75, 10.7), (40.6, 21.2)),
    "roll-40x20": Sheet((40.0, 20.0), 1, 1, (40.0, 20.0), (0.0, 0.0), (40.0, 20.0)),
}
DEFAULT_SHEET = "70x37"
