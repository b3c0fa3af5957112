"""A QR code on a page: dark modules as whole bars, so that no printer leaves hairlines between them."""

from reportlab.graphics.barcode.qrencoder import QRCode, QRErrorCorrectLevel
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas

from bztoken.errors import PrintError

QUIET_MODULES = 4  # white on each side, as ISO/IEC 18004 asks
SMALLEST_MODULE_MM = 0.4  # almost five dots of a printer with 300 dpi
LEVEL = QRErrorCorrectLevel.M  # some 15 % of it may be scratched


def modules_of(text: str) -> list[list[bool]]:
    """Rows of modules, True where dark, without the quiet zone. Raises PrintError for a text that fits in none."""
    code = QRCode(None, LEVEL)
    code.addData(text)
    try:
        code.make()
    except ValueError as error:
        raise PrintError("a label is too long for a QR code: give it a shorter one") from error
    return [[bool(module) for module in row] for row in code.modules]


def draw_qr(page: Canvas, text: str, left_mm: float, bottom_mm: float, side_mm: float) -> None:
    """side_mm: with the quiet zone. Raises PrintError when its modules would be too small to be read."""
    rows = modules_of(text)
    module_mm = side_mm / (len(rows) + 2 * QUIET_MODULES)
    if module_mm < SMALLEST_MODULE_MM:
        raise PrintError("a label is too long for a QR code of this size: choose a larger sheet, or a shorter label")
    left, top = left_mm + QUIET_MODULES * module_mm, bottom_mm + side_mm - QUIET_MODULES * module_mm
    page.setFillGray(0)
    for row, modules in enumerate(rows):
        for first, last in _runs(modules):
            x_mm, y_mm = left + first * module_mm, top - (row + 1) * module_mm
            page.rect(x_mm * mm, y_mm * mm, (last - first) * module_mm * mm, module_mm * mm, stroke=0, fill=1)


def _runs(modules: list[bool]) -> list[tuple[int, int]]:
    """First dark module and the one after the last, of each run."""
    edges = [n for n in range(len(modules) + 1) if (n < len(modules) and modules[n]) != (n > 0 and modules[n - 1])]
    return list(zip(edges[::2], edges[1::2], strict=True))
