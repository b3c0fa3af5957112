"""The words of the roll-out report (`rollout_words.toml`), and how days and numbers are written in each language."""

import tomllib
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_suffix(".toml")


class Language(StrEnum):
    """Those that there are words in."""

    VIETNAMESE = "vi"
    ENGLISH = "en"


@dataclass(frozen=True)
class Words:
    """Of one language; see the file for what each is for."""

    language: Language
    text: dict[str, str]
    tables: dict[str, str]
    notes: dict[str, str]
    columns: dict[str, dict[str, str]]
    facts: dict[str, str]
    meanings: dict[str, str]

    def day(self, day: date) -> str:
        """As it is written in this language."""
        return self.text["date"].format(day=day.day, month=day.month, year=day.year)

    def count(self, number: int) -> str:
        """With a mark between the thousands."""
        return f"{number:,}".replace(",", self.text["thousands"])

    def decimal(self, number: float) -> str:
        """With one digit after the comma."""
        whole, _, tenths = f"{number:.1f}".partition(".")
        return self.count(int(whole)) + self.text["decimal"] + tenths

    def share(self, share: float) -> str:
        """In percent, with one digit after the comma."""
        return f"{self.decimal(share * 100)}%"


def words_in(language: Language) -> Words:
    """The words of a language."""
    found = _file()[language]
    text = {key: value for key, value in found.items() if isinstance(value, str)}
    parts = (found[part] for part in ("tables", "notes", "columns", "facts", "meanings"))
    return Words(language, text, *parts)


@cache
def _file() -> dict[str, Any]:
    return tomllib.loads(FILE.read_text(encoding="utf-8"))
