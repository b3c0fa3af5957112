"""The texts that people agree to, from `consent_texts.toml`: versions, each in Vietnamese and English.

A version's words never change once people heard them; the digest in a consent says which words these were.
"""

import hashlib
import tomllib
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path

from bztoken.errors import PersonError

FILE = Path(__file__).with_suffix(".toml")
PURPOSE_TRACING = "tracing"
LANGUAGES = ("vi", "en")


@dataclass(frozen=True)
class ConsentText:
    """One version in one language. valid_from: the first day on which somebody may have agreed to it."""

    version: str
    language: str
    purpose: str
    valid_from: date
    title: str
    paragraphs: tuple[str, ...]

    @property
    def digest(self) -> bytes:
        """SHA-256 of the words, title first, with a line break between paragraphs."""
        return hashlib.sha256("\n".join((self.title, *self.paragraphs)).encode()).digest()


def text_of(version: str | None, language: str) -> ConsentText:
    """A version, None for the newest, in a language. Raises PersonError for one that does not exist."""
    known = _texts()
    version = versions()[-1] if version is None else version.strip()
    if (version, language) not in known:
        raise PersonError(
            f"there is no consent text of this version: nothing was changed; the versions are {', '.join(versions())}, "
            f"each in {' and '.join(LANGUAGES)}"
        )
    return known[version, language]


def versions() -> list[str]:
    """Every version, the newest last."""
    return list(dict.fromkeys(version for version, _ in _texts()))


@cache
def _texts() -> dict[tuple[str, str], ConsentText]:
    document = tomllib.loads(FILE.read_text(encoding="utf-8"))
    return {
        (version, language): ConsentText(
            version,
            language,
            found["purpose"],
            found["valid_from"],
            found[language]["title"],
            tuple(found[language]["paragraphs"]),
        )
        for version, found in document["versions"].items()
        for language in LANGUAGES
    }
