"""Phone numbers as they are stored and searched: digits alone, Vietnam's country code as the 0 that people dial."""

import re

from bztoken.errors import PersonError

MIN_DIGITS = 8  # our choice: shorter ones are mistypes, or numbers that reach nobody in particular
MAX_DIGITS = 15  # ITU-T E.164
_TYPED = re.compile(r"\+?[0-9][0-9 .()/-]*", re.ASCII)
_COUNTRY_CODES = ("+84", "0084")


def required(text: str) -> str:
    """As it is stored. Raises PersonError for what is no phone number."""
    number = normal(text)
    if not _TYPED.fullmatch(text.strip()) or not MIN_DIGITS <= len(number.lstrip("+")) <= MAX_DIGITS:
        raise PersonError(
            f"a phone number has {MIN_DIGITS} to {MAX_DIGITS} digits, and nothing else but spaces, dots and hyphens: "
            "nothing was changed, type it anew"
        )
    return number


def normal(text: str) -> str:
    """Digits, with a plus sign before a country code that is not Vietnam's; whatever else was typed is left out."""
    number = "".join(letter for letter in text.strip() if letter in "0123456789+")
    for code in _COUNTRY_CODES:
        if number.startswith(code):
            return "0" + number[len(code) :].lstrip("0")
    return number


def is_part_of_one(text: str) -> bool:
    """Whether somebody typed a part of a phone number."""
    return bool(_TYPED.fullmatch(text.strip())) and len(normal(text)) >= 3
