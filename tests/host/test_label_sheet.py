"""Label sheets, read back: each QR code by a reader of others, each position against the table, each number as text."""

from typing import NamedTuple

import pypdfium2
import pytest
import zxingcpp
from PIL import Image

from bztoken.errors import PrintError
from bztoken.printing.label_sheet import label_sheet, sheet_named
from bztoken.printing.qr_code import QUIET_MODULES, SMALLEST_MODULE_MM, modules_of
from bztoken.printing.sheets import SHEETS, Sheet
from bztoken.registry.batch_labels import label_of

DPI = 300
MM_INCH = 25.4
POINTS_INCH = 72
NEAR_MM = 0.2  # two dots of the picture
ROW_MM = 5.0  # codes whose upper edges differ by less lie side by side
HUNDRED = [label_of("YB-", number) for number in range(1, 101)]
LONGEST = label_of("WWWWW-", 999_999)
NAMES = ["Chợ Yên Bái", "Bà Nguyễn Thị Lan Hương", "T-001", LONGEST]
PROGRAMME = "Trạm Y tế Yên Bái"

Box = tuple[float, float, float, float]  # left, upper, right, lower edge, in mm from the page's upper left corner


class Found(NamedTuple):
    """A QR code of a page; box: of its dark part."""

    text: str
    level: str
    box: Box


def pictures(pdf: bytes) -> list[Image.Image]:
    return [page.render(scale=DPI / POINTS_INCH).to_pil() for page in pypdfium2.PdfDocument(pdf)]


def codes(picture: Image.Image) -> list[Found]:
    """Row by row."""
    found = []
    for code in zxingcpp.read_barcodes(picture, formats=zxingcpp.BarcodeFormat.QRCode):
        at = code.position
        corners = (at.top_left, at.top_right, at.bottom_right, at.bottom_left)
        xs, ys = ([getattr(corner, axis) / DPI * MM_INCH for corner in corners] for axis in "xy")
        found.append(Found(code.text, code.ec_level, (min(xs), min(ys), max(xs), max(ys))))
    rows: list[list[Found]] = []
    for code in sorted(found, key=lambda code: code.box[1]):
        if not rows or code.box[1] - rows[-1][0].box[1] > ROW_MM:
            rows.append([])
        rows[-1].append(code)
    return [code for row in rows for code in sorted(row, key=lambda code: code.box[0])]


def texts(pdf: bytes) -> list[tuple[str, Box]]:
    """What is printed as letters on the first page; a line that ends with a hyphen has a mark of its own there."""
    page = pypdfium2.PdfDocument(pdf)[0]
    height, read = page.get_height(), page.get_textpage()
    boxes = [read.get_rect(number) for number in range(read.count_rects())]
    to_mm = MM_INCH / POINTS_INCH
    return [
        (
            read.get_text_bounded(*box).replace("\ufffe", "-").replace("\x02", "-"),
            (box[0] * to_mm, (height - box[3]) * to_mm, box[2] * to_mm, (height - box[1]) * to_mm),
        )
        for box in boxes
    ]


def place_of(sheet: Sheet, place: int) -> Box:
    """Of a label, by the table alone."""
    row, column = divmod(place, sheet.columns)
    left = sheet.first_mm[0] + column * sheet.step_mm[0]
    upper = sheet.first_mm[1] + row * sheet.step_mm[1]
    return left, upper, left + sheet.label_mm[0], upper + sheet.label_mm[1]


def is_within(inner: Box, outer: Box) -> bool:
    return (
        inner[0] > outer[0] - NEAR_MM
        and inner[1] > outer[1] - NEAR_MM
        and inner[2] < outer[2] + NEAR_MM
        and inner[3] < outer[3] + NEAR_MM
    )


@pytest.mark.parametrize("name", SHEETS)
def test_every_code_is_read_and_lies_on_its_label(name: str) -> None:
    sheet = SHEETS[name]
    labels = HUNDRED[: 2 * sheet.places + 1]
    pages = pictures(label_sheet(labels, sheet, programme="Bluezone"))
    assert len(pages) == -(-len(labels) // sheet.places)
    read = [codes(page) for page in pages]
    assert [code.text for page in read for code in page] == labels
    for page in read:
        for place, code in enumerate(page):
            assert is_within(code.box, place_of(sheet, place)), (place, code)
            assert min(code.box[2] - code.box[0], code.box[3] - code.box[1]) >= 12 - NEAR_MM
            assert code.level == "M"


@pytest.mark.parametrize("name", SHEETS)
def test_a_page_has_the_size_of_its_sheet_and_no_label_leaves_it(name: str) -> None:
    sheet = SHEETS[name]
    page = pypdfium2.PdfDocument(label_sheet(HUNDRED[:1], sheet))[0]
    size_mm = [side / POINTS_INCH * MM_INCH for side in page.get_size()]
    assert size_mm == pytest.approx(sheet.page_mm, abs=0.01)
    boxes = [place_of(sheet, place) for place in range(sheet.places)]
    assert all(is_within(box, (0, 0, *sheet.page_mm)) for box in boxes)
    for one in boxes:  # and none lies on another
        overlaps = [
            other for other in boxes if one[0] < other[2] - 0.01 and other[0] < one[2] - 0.01
            and one[1] < other[3] - 0.01 and other[1] < one[3] - 0.01
        ]  # fmt: skip
        assert overlaps == [one]


@pytest.mark.parametrize("name", SHEETS)
def test_the_number_stands_large_beside_its_code(name: str) -> None:
    sheet = SHEETS[name]
    labels = HUNDRED[: sheet.places]
    pdf = label_sheet(labels, sheet, programme=PROGRAMME)
    found = codes(pictures(pdf)[0])
    printed = texts(pdf)
    for place, label in enumerate(labels):
        on_label = [(text, box) for text, box in printed if is_within(box, place_of(sheet, place))]
        assert "".join(text for text, _ in on_label).replace(" ", "").startswith(label), on_label
        assert PROGRAMME.split()[0] in " ".join(text for text, _ in on_label)
        assert all(box[0] > found[place].box[2] for _, box in on_label)
        tallest_mm = max(box[3] - box[1] for _, box in on_label)
        assert tallest_mm > 2.0
    assert all(any(is_within(box, place_of(sheet, n)) for n in range(len(labels))) for _, box in printed)


def test_a_code_has_white_around_it() -> None:
    for sheet in SHEETS.values():
        (page,) = pictures(label_sheet(HUNDRED[:1], sheet, programme="Bluezone"))
        (code,) = codes(page)
        module_mm = (code.box[2] - code.box[0]) / len(modules_of(code.text))
        assert module_mm >= SMALLEST_MODULE_MM
        quiet_mm = (QUIET_MODULES - 0.5) * module_mm
        left, upper, right, lower = code.box
        around = (left - quiet_mm, upper - quiet_mm, right + quiet_mm, lower + quiet_mm)
        dots = [max(0, round(edge / MM_INCH * DPI)) for edge in around]
        inside = [round(edge / MM_INCH * DPI) for edge in (left - 0.2, upper - 0.2, right + 0.2, lower + 0.2)]
        ring = page.convert("L").crop((dots[0], dots[1], dots[2], dots[3]))
        ring.paste(255, (inside[0] - dots[0], inside[1] - dots[1], inside[2] - dots[0], inside[3] - dots[1]))
        assert ring.getextrema() == (255, 255)


def test_places_that_are_used_up_stay_empty() -> None:
    sheet = SHEETS["38x21"]
    pages = pictures(label_sheet(HUNDRED[:70], sheet, skip=7))
    read = [codes(page) for page in pages]
    assert [len(page) for page in read] == [58, 12]
    assert [code.text for page in read for code in page] == HUNDRED[:70]
    assert all(is_within(code.box, place_of(sheet, 7 + n)) for n, code in enumerate(read[0]))
    assert is_within(read[1][0].box, place_of(sheet, 0))


@pytest.mark.parametrize("name", ["70x37", "38x21"])
def test_names_with_every_mark_are_printed_and_read(name: str) -> None:
    pdf = label_sheet(NAMES, SHEETS[name])
    assert [code.text for code in codes(pictures(pdf)[0])] == NAMES
    said = " ".join(text for text, _ in texts(pdf))
    assert all(word in said for label in NAMES[:3] for word in label.split())


def test_a_code_holds_the_label_and_a_sheet_nothing_else() -> None:
    """No number of ours and no key: what is not given cannot be printed, so this is about the file's own remarks."""
    pdf = label_sheet(HUNDRED[:2])
    assert pdf == label_sheet(HUNDRED[:2])  # no time, no computer's name
    assert {key for key, value in pypdfium2.PdfDocument(pdf).get_metadata_dict().items() if "bztoken" in value} == set()


@pytest.mark.parametrize(
    ("labels", "skip", "programme", "said"),
    [
        ([], 0, "", "nothing to print"),
        (HUNDRED, 24, "", "has 24 places"),
        (HUNDRED, -1, "", "has 24 places"),
        (["ă" * 200], 0, "", "too long"),
        (["中文"], 0, "", "letters that the typeface lacks"),
        (HUNDRED, 0, "中文", "letters that the typeface lacks"),
        (HUNDRED, 0, "Y tế " * 40, "programme's name is too long"),
    ],
)
def test_what_cannot_be_printed_is_told(labels: list[str], skip: int, programme: str, said: str) -> None:
    with pytest.raises(PrintError, match=said):
        label_sheet(labels, SHEETS["70x37"], skip, programme)


def test_a_sheet_that_nobody_knows_is_told() -> None:
    with pytest.raises(PrintError, match="choose one of 70x37, 38x21"):
        sheet_named("A4")


def test_a_spoiled_code_is_not_read() -> None:
    """The reader is no yes-man: without its corner a code is not read."""
    (page,) = pictures(label_sheet(HUNDRED[:1], SHEETS["roll-40x20"]))
    (code,) = codes(page)
    corner = [round(edge / MM_INCH * DPI) for edge in (*code.box[:2], code.box[0] + 4.5, code.box[1] + 4.5)]
    page.paste((255, 255, 255), (corner[0], corner[1], corner[2], corner[3]))
    assert codes(page) == []
