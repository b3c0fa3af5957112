"""The file that makes a computer a courier's: its number and signing key, and a key of its own for every token.

JSON, readable by its owner only. It holds no key from which a token's other keys follow, and no label: tokens go by a
short number. Whoever has the file can read the encrypted logs of these tokens until its last day, and sign bundles.
"""

import json
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from bztoken.errors import FormatError
from bztoken.home import private_file
from bzwire.keys import KEY_BYTES, UID_BYTES
from bzwire.messages import COURIER_ID_BYTES

FORMAT = "bluezone courier pass"
VERSION = 1
SIGNING_KEY_BYTES = 32  # Ed25519 seed
MAX_FILE_BYTES = 16 * 1024 * 1024
MAX_NAME_CHARACTERS = 200
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class PassToken:
    """number: what people call it on the way; key: serves this courier only, until its last day."""

    number: int
    uid: bytes = field(repr=False)
    key: bytes = field(repr=False)


@dataclass(frozen=True)
class CourierPass:
    """number: what the courier says of itself to a token; last_day: the last UTC day on which tokens let it read."""

    number: bytes
    name: str = field(repr=False)
    last_day: date
    signing_key: bytes = field(repr=False)
    tokens: tuple[PassToken, ...] = field(repr=False)


def day_number(day: date) -> int:
    """UTC days since 1970-01-01, as tokens count."""
    return (day - _EPOCH).days


def day_of_number(number: int) -> date:
    """The day with this number. Raises OverflowError past the year 9999."""
    return _EPOCH + timedelta(days=number)


def write_pass(path: Path, courier: CourierPass) -> None:
    """Write the file for its owner only, whole or not at all. Raises OSError."""
    with private_file(path) as file:
        file.write(pass_bytes(courier))


def pass_bytes(courier: CourierPass) -> bytes:
    """The content of the file."""
    document = {
        "format": FORMAT,
        "version": VERSION,
        "number": courier.number.hex(),
        "name": courier.name,
        "last_day": courier.last_day.isoformat(),
        "signing_key": courier.signing_key.hex(),
        "tokens": [
            {"number": token.number, "uid": token.uid.hex(), "key": token.key.hex()} for token in courier.tokens
        ],
    }
    return (json.dumps(document, ensure_ascii=False, indent=1) + "\n").encode()


def read_pass(path: Path) -> CourierPass:
    """Raises FormatError, which quotes nothing of the file, or OSError."""
    with path.open("rb") as file:
        raw = file.read(MAX_FILE_BYTES + 1)
    return parse_pass(path, raw)


def parse_pass(path: Path, raw: bytes) -> CourierPass:
    """`read_pass` for content that is there already; path: what an error names."""
    try:
        document = json.loads(raw[:MAX_FILE_BYTES].decode())
        if document["format"] != FORMAT:
            raise ValueError
        if document["version"] != VERSION:
            raise FormatError(path, None, "the pass was made by a newer version: update this program")
        return _courier(document)
    except (ValueError, KeyError, TypeError, RecursionError, AttributeError):
        raise FormatError(
            path, None, "not a whole courier's pass: let the clinic write it anew with `bztoken courier add`"
        ) from None


def _courier(document: dict[str, Any]) -> CourierPass:
    name, tokens = document["name"], document["tokens"]
    if not isinstance(name, str) or len(name) > MAX_NAME_CHARACTERS or not isinstance(tokens, list):
        raise ValueError
    name.encode()  # JSON can spell what is no text
    return CourierPass(
        _bytes(document["number"], COURIER_ID_BYTES),
        name,
        date.fromisoformat(document["last_day"]),
        _bytes(document["signing_key"], SIGNING_KEY_BYTES),
        tuple(_token(token) for token in tokens),
    )


def _token(entry: dict[str, Any]) -> PassToken:
    number = entry["number"]
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise ValueError
    return PassToken(number, _bytes(entry["uid"], UID_BYTES), _bytes(entry["key"], KEY_BYTES))


def _bytes(value: str, length: int) -> bytes:
    found = bytes.fromhex(value)
    if len(found) != length:
        raise ValueError
    return found
