"""How labels of tokens and phones, and names of couriers and cases, are spelled: one way, one line, as screens show it.

"Bà" typed on two computers may be different letters (composed or not): stored is the composed form (NFC).
"""

import unicodedata

from bztoken.errors import RegistryError

MAX_CHARACTERS = 200


def required(text: str, if_empty: str) -> str:
    """A new label as it is stored. Raises RegistryError for one that is empty (if_empty: the sentence), too long, or
    holds what no screen shows: line breaks, control characters, marks that turn the direction of writing.
    """
    label = spelled(text)
    if not label:
        raise RegistryError(if_empty)
    if len(label) > MAX_CHARACTERS:
        raise RegistryError(f"a label or name has at most {MAX_CHARACTERS} characters: choose a shorter one")
    label.encode()  # bytes of an argument that are no text: the command line has a sentence of its own for that
    if any(unicodedata.category(character).startswith("C") for character in label):
        raise RegistryError("a label or name is one line of plain text, without control characters: type it anew")
    return label


def spelled(text: str) -> str:
    """Composed, and without space around it."""
    return unicodedata.normalize("NFC", text).strip()


def spellings(text: str) -> tuple[str, str]:
    """What to look a label up by: as it is stored now, and as it was typed, which older versions stored."""
    return spelled(text), text
