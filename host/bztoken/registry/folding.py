"""How names are compared: without capitals, accents and the stroke of đ, so that "nguyen van a" is "Nguyễn Văn A".

Stored beside each name (`folded`), since a database folds Vietnamese letters in no way that two databases share.
"""

import unicodedata


def folded(text: str) -> str:
    """As names are searched: casefolded, đ as d, no combining marks, single spaces. Migration 0005 does the same."""
    plain = text.casefold().replace("đ", "d")
    letters = (letter for letter in unicodedata.normalize("NFD", plain) if not unicodedata.combining(letter))
    return " ".join("".join(letters).split())


def with_accents(text: str) -> str:
    """As somebody who typed accents means it: casefolded and composed, single spaces."""
    return " ".join(unicodedata.normalize("NFC", text.casefold()).split())


def has_accents(text: str) -> bool:
    """Whether anything was typed that folding takes away: then it means one spelling among several."""
    return with_accents(text) != folded(text)


def like_part(word: str) -> str:
    """A pattern of SQL's LIKE for texts that hold this word, with backslash as its escape."""
    escaped = word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"
