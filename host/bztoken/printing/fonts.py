"""The typeface of everything printed: Be Vietnam Pro, which has every letter of Vietnamese. Files, licence and origin
are in `fonts/`. Whoever prints calls `register` first and draws with the names that it gives.
"""

from dataclasses import dataclass
from pathlib import Path

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFError, TTFont

from bztoken.errors import PrintError

FOLDER = Path(__file__).parent / "fonts"
FILES = {"BeVietnamPro": "BeVietnamPro-Regular.ttf", "BeVietnamPro-Bold": "BeVietnamPro-Bold.ttf"}


@dataclass(frozen=True)
class Faces:
    """Names of the two faces, as reportlab's `setFont` and `stringWidth` take them."""

    regular: str
    bold: str


def register(folder: Path = FOLDER) -> Faces:
    """Make the faces known to reportlab; asked again it does nothing. Raises PrintError when a file is not there."""
    for name, file in FILES.items():
        if name not in pdfmetrics.getRegisteredFontNames():
            pdfmetrics.registerFont(_load(name, folder / file))
    regular, bold = FILES
    return Faces(regular, bold)


def _load(name: str, path: Path) -> TTFont:
    try:
        return TTFont(name, path)
    except (TTFError, OSError) as error:
        raise PrintError(f"the font file {path} is missing or damaged: install bztoken again") from error


def missing(text: str, face: str) -> str:
    """The characters of a text for which a registered face has no glyph, each once, in order; a PDF would lose them."""
    font = pdfmetrics.getFont(face)
    glyphs = font.face.charToGlyph if isinstance(font, TTFont) else {}
    return "".join(dict.fromkeys(character for character in text if ord(character) not in glyphs))
