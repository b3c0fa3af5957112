"""Labels of tokens that were provisioned in a batch: prefix, running number, check digit, as in `YB-0017-4`.

The check digit is Damm's over the number's digits: one wrong digit, or two neighbours that changed places, is always
noticed. The prefix is not in it.
"""

import re

from stdnum import damm

from bztoken.errors import RegistryError

DEFAULT_PREFIX = "T-"
PERSON_PREFIX = "P-"  # of numbers of persons, which are made in the same way: no token has it
MAX_PREFIX_CHARACTERS = 6
MAX_NUMBER = 999_999  # prefix and number are short enough for the smallest QR code, and for the smallest label
_PREFIX = re.compile(r"[A-Z](?:[A-Z0-9-]*[A-Z-])?")
_LABEL = re.compile(rf"(?P<prefix>{_PREFIX.pattern})(?P<digits>[0-9]{{4,6}})-(?P<check>[0-9])")


def label_of(prefix: str, number: int) -> str:
    """What is printed on the token."""
    digits = f"{number:04d}"
    return f"{prefix}{digits}-{damm.calc_check_digit(digits)}"


def required_prefix(prefix: str) -> str:
    """Raises RegistryError for one that would make labels that are hard to read or to tell apart."""
    if len(prefix) > MAX_PREFIX_CHARACTERS or not _PREFIX.fullmatch(prefix):
        raise RegistryError(
            f"a prefix has at most {MAX_PREFIX_CHARACTERS} capital letters A to Z, digits and hyphens, begins with a "
            "letter and does not end with a digit: for example YB-"
        )
    if prefix == PERSON_PREFIX:
        raise RegistryError(f"{PERSON_PREFIX} is how numbers of people begin: choose another prefix, for example YB-")
    return prefix


def parts(label: str) -> list[str] | None:
    """Prefix, and number with check digit: where such a label may be broken; None for a label of another kind."""
    found = _LABEL.fullmatch(label)
    return None if found is None else [found["prefix"], f"{found['digits']}-{found['check']}"]


def has_wrong_digit(label: str) -> bool:
    """True for a text that looks like such a label, and is none."""
    found = _LABEL.fullmatch(label.strip())
    return found is not None and not damm.is_valid(found["digits"] + found["check"])
