"""The typeface has every letter of Vietnamese, is the one that its origin says, and goes with the program."""

import hashlib
import re
import tomllib
import unicodedata
from pathlib import Path

import pytest
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont

from bztoken.errors import PrintError
from bztoken.printing import fonts, leaflet_texts

VOWELS = "aăâeêioôơuưy"
TONES = ("", "\u0300", "\u0301", "\u0303", "\u0309", "\u0323")
BEYOND_ASCII = [
    letter
    for vowel in VOWELS
    for tone in TONES
    for letter in (unicodedata.normalize("NFC", vowel + tone), unicodedata.normalize("NFC", vowel.upper() + tone))
    if not letter.isascii()
] + ["đ", "Đ"]


def test_there_are_134_letters_that_ascii_lacks() -> None:
    assert len(set(BEYOND_ASCII)) == len(BEYOND_ASCII) == 134
    assert all(len(letter) == 1 for letter in BEYOND_ASCII)


@pytest.mark.parametrize("weight", ["regular", "bold"])
def test_every_letter_of_vietnamese_has_a_glyph(weight: str) -> None:
    face = getattr(fonts.register(), weight)
    printable = "".join(map(chr, range(32, 127)))
    assert fonts.missing("".join(BEYOND_ASCII) + printable + leaflet_texts.NO_BREAK + "·", face) == ""
    assert fonts.missing("ab☃a中☃", face) == "☃中"


def test_a_typeface_without_vietnamese_would_be_noticed() -> None:
    pdfmetrics.registerFont(TTFont("Vera", "Vera.ttf"))  # comes with reportlab
    assert len(fonts.missing("".join(BEYOND_ASCII), "Vera")) > 80


def test_the_files_are_those_of_the_origin_that_is_written_down() -> None:
    written = (fonts.FOLDER / "ORIGIN.txt").read_text(encoding="utf-8")
    digests = {name: digest for digest, name in re.findall(r"^([0-9a-f]{64})  (\S+)$", written, re.MULTILINE)}
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in fonts.FOLDER.glob("*.ttf")}
    assert found == digests
    assert found.keys() == set(fonts.FILES.values())
    assert "SIL OPEN FONT LICENSE Version 1.1" in (fonts.FOLDER / "OFL.txt").read_text(encoding="utf-8")


def test_everything_that_printing_reads_is_installed_with_the_program(repository: Path) -> None:
    patterns = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    package = repository / "host" / "bztoken"
    installed = {path for pattern in patterns["package-data"]["bztoken"] for path in package.glob(pattern)}
    needed = {path for path in (package / "printing").rglob("*") if path.suffix in (".ttf", ".txt", ".toml")}
    assert len(needed) == 5
    assert needed - installed == set()


def test_a_missing_or_damaged_font_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "FILES", {"NotThere": "not-there.ttf"})
    with pytest.raises(PrintError, match="missing or damaged: install bztoken again"):
        fonts.register(tmp_path)
    (tmp_path / "not-there.ttf").write_bytes((fonts.FOLDER / "OFL.txt").read_bytes())
    with pytest.raises(PrintError, match="missing or damaged"):
        fonts.register(tmp_path)
