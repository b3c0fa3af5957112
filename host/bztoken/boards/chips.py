"""Chips as data: what `boards/chips.json` says of each. Nothing here knows a chip by its name."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bztoken.desk.application_build import Arch
from bztoken.errors import BoardError

CHECKOUT = Path(__file__).resolve().parents[3] / "boards"
FILE = "chips.json"


@dataclass(frozen=True)
class Chip:
    """Pins are GPIO numbers. image_offset: where in flash an image begins, in bytes; cpu_mhz: what its processor can be
    set to.

    esptool_name: what esptool calls the chip, None for one that esptool cannot flash. adc_beside_radio: those of `adc`
    that can be relied on. wake: for each way in which a pin ends deep sleep (`ext0`, `ext1`, `gpio`) the pins that can.
    """

    name: str
    arch: Arch
    image_offset: int
    cpu_mhz: frozenset[int]
    esptool_name: str | None
    pins: frozenset[int]
    input_only: frozenset[int]
    flash_pins: frozenset[int]
    usb_pins: frozenset[int]
    adc: frozenset[int]
    adc_beside_radio: frozenset[int]
    wake: dict[str, frozenset[int]]


def known(folder: Path = CHECKOUT) -> dict[str, Chip]:
    """Chips by name, from the folder's `chips.json`, else from the one of this program. Raises BoardError."""
    own = folder / FILE
    path = own if own.exists() else CHECKOUT / FILE
    document = read_json(path)
    try:
        return {name: _chip(name, facts) for name, facts in document["chips"].items()}
    except (KeyError, TypeError, ValueError, AttributeError):
        raise BoardError(f"{path} does not describe chips as chips.schema.json says: put the file back.") from None


def _chip(name: str, facts: dict[str, Any]) -> Chip:
    def value(key: str) -> Any:
        return facts[key]["value"]

    return Chip(
        name=name,
        arch=Arch(value("arch")),
        image_offset=int(value("image_offset"), 16),
        cpu_mhz=frozenset(map(int, value("cpu_mhz").split(","))),
        esptool_name=value("esptool_name"),
        pins=pins_of(value("pins")),
        input_only=pins_of(value("input_only")),
        flash_pins=pins_of(value("flash_pins")),
        usb_pins=pins_of(value("usb_pins")),
        adc=pins_of(value("adc")),
        adc_beside_radio=pins_of(value("adc_beside_radio")),
        wake={way: pins_of(pins) for way, pins in value("deepsleep_wake").items()},
    )


def pins_of(text: str) -> frozenset[int]:
    """The numbers in a list like `0-5, 8`; an empty text is no pin. Raises ValueError."""
    found: set[int] = set()
    for part in filter(None, (part.strip() for part in text.split(","))):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return frozenset(found)


def read_json(path: Path) -> Any:
    """A JSON file. Raises BoardError when it is missing, unreadable or no JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
    except FileNotFoundError:
        raise BoardError(f"{path} is missing: put the file back, or name another folder in BZTOKEN_BOARDS.") from None
    except OSError as error:
        raise BoardError(f"{path} cannot be read: {(error.strerror or 'the system refused').lower()}.") from None
    except (ValueError, RecursionError) as error:
        place = f", line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise BoardError(f"{path}{place}: this is no JSON: mend it, or put the file back.") from None


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is no number of JSON's")
