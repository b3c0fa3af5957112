"""The wearer's page: one A4 side for every board and language, legible, whole, and true to the firmware's table."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from reportlab.pdfgen.canvas import Canvas
from tests.host.leaflet_pages import A4_PT, Sheet, outside, overlaps, runs_of_ink

from bztoken.errors import PrintError
from bztoken.printing import leaflet_texts
from bztoken.printing.leaflet import MARGIN_PT, SMALLEST_PT, Box, Page, WearersToken, leaflets
from bztoken.printing.light_pictures import COLOUR_NAMES, UNCOLOURED, sign_of
from bzwire import light_patterns

BOARDS = sorted(path.parent.name for path in Path(__file__).parents[2].glob("boards/*/board.json"))
LANGUAGES = (("vi", "en"), ("vi",), ("en",))
LABEL = "YB-0017-4"
CONTACT = "Trạm y tế xã Yên Bình · 0293 000 000"
EVERYTHING = {
    "light": {"red": 1, "green": 2, "blue": 3},
    "button": {"pin": 4},
    "battery": {"adc_pin": 5, "divider": 2.0, "low_mv": 3600, "empty_mv": 3300},
}
TABLE = {
    name: value
    for name, value in vars(light_patterns).items()
    if isinstance(value, tuple) and isinstance(value[0], tuple)
}


def board(name: str) -> Any:
    return json.loads((Path(__file__).parents[2] / "boards" / name / "board.json").read_text(encoding="utf-8"))


def drawn(token: WearersToken, languages: tuple[str, ...], contact: str = "") -> tuple[Sheet, list[Box]]:
    """The page, and what was put where."""
    canvas = Canvas(io.BytesIO(), pagesize=A4_PT)
    boxes = Page(canvas, token, leaflet_texts.words_of(languages), contact).draw()
    return Sheet(leaflets([token], languages, contact)), boxes


def said(token: WearersToken, languages: tuple[str, ...]) -> str:
    return Sheet(leaflets([token], languages)).text()


@pytest.mark.parametrize("languages", LANGUAGES, ids=",".join)
@pytest.mark.parametrize(
    ("name", "profile"),
    [*((name, "windowed") for name in BOARDS), ("everything", "continuous"), ("everything", "windowed")],
)
def test_a_page_is_one_side_of_large_print_on_which_nothing_lies_on_something_else(
    name: str, profile: str, languages: tuple[str, ...]
) -> None:
    described = EVERYTHING if name == "everything" else board(name)
    sheet, boxes = drawn(WearersToken(described, profile, LABEL), languages, CONTACT)
    assert (sheet.pages, sheet.size_pt) == (1, A4_PT)
    assert (overlaps(boxes), outside(boxes, MARGIN_PT)) == ([], [])
    letters = list(sheet.letters())
    assert len(letters) > 300
    assert min(letter.size_pt for letter in letters) >= SMALLEST_PT >= 16
    assert min(min(each.left, each.bottom) for each in letters) > MARGIN_PT - 2
    assert max(each.right for each in letters) < A4_PT[0] - MARGIN_PT + 2
    assert max(each.top for each in letters) < A4_PT[1] - MARGIN_PT + 2


def test_boxes_that_lie_on_each_other_or_outside_are_noticed() -> None:
    boxes = [Box("text", 30, 30, 100, 20), Box("picture", 120, 45, 100, 20), Box("code", 500, 30, 96, 20)]
    assert overlaps(boxes) == [("text", "picture")]
    assert outside(boxes, 20) == ["code"]


@pytest.mark.parametrize("code", ["vi", "en"])
def test_every_sentence_is_in_the_file_letter_by_letter(code: str) -> None:
    text = said(WearersToken(EVERYTHING, "windowed", LABEL), (code,))
    words = leaflet_texts.words_of([code])[0]
    rows = [
        *leaflet_texts.beginning(EVERYTHING, "windowed", [words]),
        *leaflet_texts.of_the_light(EVERYTHING, [words]),
        *leaflet_texts.of_the_button(EVERYTHING, [words]),
        *leaflet_texts.end([words]),
    ]
    assert len(rows) == 3 + len(TABLE) + 1 + 1 + 1
    for row in rows:
        plain = row.texts[0].replace("<b>", "").replace("</b>", "").replace("\u00a0", " ")
        assert plain in text


def test_what_it_says_in_both_languages() -> None:
    text = said(WearersToken(EVERYTHING, "continuous", LABEL), ("vi", "en"))
    assert "Xanh lá cây, mỗi phút chớp 1 lần: thẻ đang chạy tốt. Green, once a minute: all is well." in text
    assert "Vàng, 10 giây chớp 2 lần: có tin, xin ông bà gọi trạm y tế. Amber, twice every 10 s: news, please" in text
    assert "Giữ nút 3 giây: đồng ý. Không giữ là không đồng ý. Blue, once a second:" in text
    assert "Bấm nút: đèn xanh lá cây là tốt. Giữ 10 giây: tắt. Giữ 2 giây: bật." in text
    assert "Press the button: green means all is well. Hold 10 s: off. Hold 2 s: on." in text
    assert text.endswith("Cần giúp, xin gọi · For help, call:")


# -- texts -----------------------------------------------------------------------------------------------------------
def keys_of(table: Any, prefix: str = "") -> set[str]:
    found = set()
    for key, value in table.items():
        found |= keys_of(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}"}
    return found


def test_every_language_says_the_same_things() -> None:
    vietnamese, *others = (keys_of(table) for table in leaflet_texts.tables().values())
    assert len(vietnamese) > 40
    assert [other for other in others if other != vietnamese] == []


def test_every_pattern_of_the_firmware_has_words_in_every_language() -> None:
    assert len(TABLE) == 9
    assert set(leaflet_texts.PATTERNS) == TABLE.keys()
    assert [table["lights"].keys() for table in leaflet_texts.tables().values()] == [TABLE.keys(), TABLE.keys()]
    colours = set(COLOUR_NAMES.values())
    assert [table["colours"].keys() for table in leaflet_texts.tables().values()] == [colours, colours]


def test_no_two_signs_of_a_light_look_alike_in_words() -> None:
    for light in ({"red": 1, "green": 2, "blue": 3}, {"mono": 1}):
        for words in leaflet_texts.words_of(["vi", "en"]):
            signs = leaflet_texts.signs_of({**EVERYTHING, "light": light})
            assert len({words.looks(sign) for sign in signs.values()}) == len(TABLE)


# -- pictures --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("light", [EVERYTHING["light"], {"mono": 7}, {"red": 1, "green": 2}], ids=["rgb", "one", "two"])
@pytest.mark.parametrize("languages", LANGUAGES, ids=",".join)
def test_each_picture_has_the_colour_and_the_blinks_of_the_table(light: Any, languages: tuple[str, ...]) -> None:
    described = {**EVERYTHING, "light": light}
    sheet, boxes = drawn(WearersToken(described, "continuous", LABEL), languages)
    pictures, pixels = [box for box in boxes if box.what == "picture"], sheet.pixels()
    signs = leaflet_texts.signs_of(described)
    assert len(pictures) == len(signs) >= 8
    for (name, sign), picture in zip(signs.items(), pictures, strict=True):
        assert runs_of_ink(pixels, picture, sign.colour) == sign.blinks == TABLE[name][1], name
    assert runs_of_ink(pixels, pictures[0], "purple") == 0


def test_a_board_shows_what_its_light_can() -> None:
    whole = {"red": 1, "green": 2, "blue": 3}
    colours = {name: sign.colour for name, pattern in TABLE.items() if (sign := sign_of(pattern, whole))}
    assert colours == {
        "WORKING": "green", "CHARGE_ME": "amber", "EXPOSURE": "amber", "BRING_ME": "red", "SAFE_MODE": "red",
        "ASKING": "blue", "THANKS": "green", "LOCATE": "white", "SWITCHING_OFF": "red",
    }  # fmt: skip
    amber = sign_of(light_patterns.EXPOSURE, {"red": 1, "active_low": True})
    assert amber is not None and (amber.colour, amber.blinks) == ("red", 2)
    alone = sign_of(light_patterns.EXPOSURE, {"mono": 1})
    assert alone is not None and alone.colour == UNCOLOURED
    assert sign_of(light_patterns.ASKING, {"red": 1}) is None
    assert sign_of(light_patterns.ASKING, None) is None


# -- boards that lack something --------------------------------------------------------------------------------------
def test_a_board_without_a_light_says_so_and_draws_none() -> None:
    described = {"button": {"pin": 1}}
    sheet, boxes = drawn(WearersToken(described, "windowed", None), ("vi", "en"))
    assert [box for box in boxes if box.what == "picture"] == []
    assert "không có đèn" in sheet.text() and "no light" in sheet.text()
    assert "Giữ nút 3 giây khi cán bộ y tế hỏi" in sheet.text()
    assert "Bấm nút" not in sheet.text() and "Giữ 10 giây: tắt." in sheet.text()


def test_a_light_that_cannot_ask_leaves_the_question_to_the_health_worker() -> None:
    described = {**EVERYTHING, "light": {"red": 1, "green": 2}}
    assert "ASKING" not in leaflet_texts.signs_of(described)
    assert "when a health worker asks" in said(WearersToken(described, "continuous"), ("en",))
    assert "when a health worker asks" not in said(WearersToken(EVERYTHING, "continuous"), ("en",))


def test_a_board_without_a_button_asks_nobody_to_press() -> None:
    without = {key: value for key, value in EVERYTHING.items() if key != "button"}
    text = said(WearersToken(without, "continuous"), ("en",))
    assert "no button" in text
    assert "Hold" not in text and "Press" not in text and "you said yes" not in text


def test_a_board_that_does_not_know_its_battery_never_asks_for_the_charger() -> None:
    known = said(WearersToken(EVERYTHING, "continuous"), ("en",))
    assert "charge it." in known and "does not say when it is low" not in known
    unmarked = {**EVERYTHING, "battery": {"adc_pin": 5, "divider": 2.0}}
    text = said(WearersToken(unmarked, "continuous"), ("en",))
    assert "Amber, once" not in text and "does not say when it is low" in text


def test_one_light_is_told_apart_by_its_rhythm_only() -> None:
    text = said(WearersToken({**EVERYTHING, "light": {"mono": 1}}, "windowed"), ("vi", "en"))
    assert "10 giây chớp 2 lần: có tin" in text and "Blinks twice every 10 s: news" in text
    assert "Vàng" not in text and "Amber" not in text and "green" not in text
    assert "đèn sáng là thẻ đang bật" in text
    assert "pin đầy chỉ dùng được vài ngày" in text


# -- number and contact ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("label", [LABEL, "Bà Lan", "x" * 60, "Nhà văn hoá thôn Đông " * 9])
def test_the_code_holds_the_label_and_so_does_the_page(label: str) -> None:
    label = label.strip()
    sheet, boxes = drawn(WearersToken(EVERYTHING, "continuous", label), ("vi",))
    assert sheet.codes() == [label]
    assert label.replace(" ", "") in sheet.text().replace(" ", "")
    assert overlaps(boxes) == []


def test_without_a_label_there_is_a_frame_and_no_code() -> None:
    sheet, boxes = drawn(WearersToken(EVERYTHING, "continuous"), ("vi", "en"))
    assert sheet.codes() == [] and "code" not in {box.what for box in boxes}
    assert "Số thẻ · Token" in sheet.text()


def test_markup_in_a_label_or_contact_is_printed_as_it_is() -> None:
    sheet = Sheet(leaflets([WearersToken(EVERYTHING, "continuous", "A<b>&amp;")], ["vi"], "<i>B</i> & C"))
    assert "A<b>&amp;" in sheet.text() and "<i>B</i> & C" in sheet.text()


def test_a_batch_is_one_page_a_token_in_its_order() -> None:
    pdf = leaflets([WearersToken(EVERYTHING, "continuous", f"T-000{n}") for n in (3, 1, 2)], ["vi", "en"])
    assert Sheet(pdf).pages == 3
    assert [Sheet(pdf, number).codes() for number in range(3)] == [["T-0003"], ["T-0001"], ["T-0002"]]


def test_the_same_page_is_the_same_file() -> None:
    token = WearersToken(EVERYTHING, "continuous", LABEL)
    assert leaflets([token], ["vi"]) == leaflets([token], ["vi"])


@pytest.mark.parametrize(
    ("languages", "contact", "sentence"),
    [
        (["vi", "fr"], "", "no page in the language fr: give one or more of vi, en"),
        ([], "", "no language is named"),
        (["vi"], "☎ 1", "letters that the typeface lacks"),
        (["vi", "en"], "a long way to say it " * 30, "more text than one page holds"),
    ],
)
def test_what_cannot_be_printed_is_told(languages: list[str], contact: str, sentence: str) -> None:
    with pytest.raises(PrintError, match=sentence):
        leaflets([WearersToken(EVERYTHING, "continuous")], languages, contact)
    with pytest.raises(PrintError, match="nothing to print"):
        leaflets([], ["vi"])
