"""The shape of the files of boards and chips: JSON Schema, each misfit told in words of the file, not the schema's."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bztoken.boards.chips import CHECKOUT, read_json

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import ValidationError

BOARD_SCHEMA = CHECKOUT / "board.schema.json"
CHIPS_SCHEMA = CHECKOUT / "chips.schema.json"
_KINDS = {
    "object": "group of keys",
    "array": "list",
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "null": "null",
}
_SHOWN_CHARACTERS = 60


@cache
def _validator(schema: Path) -> "Draft202012Validator":
    from jsonschema import Draft202012Validator  # 0.1 s that commands without boards need not wait

    return Draft202012Validator(read_json(schema))


def problems(document: Any, schema: Path = BOARD_SCHEMA) -> Iterator[str]:
    """One clause a misfit, in the order of the file. Raises BoardError when the schema itself is missing."""
    found = sorted(_validator(schema).iter_errors(document), key=lambda error: [str(part) for part in error.path])
    yield from dict.fromkeys(clause for error in found for clause in _in_words(error))  # "required" comes once a key


def _in_words(error: "ValidationError") -> Iterator[str]:
    at, value = _place(error), _shown(error.instance)
    inside: Any = error.instance
    wanted: Any = error.validator_value
    schema: Any = error.schema
    match error.validator:
        case "required":
            yield from (f"{_inside(at, name)}: it is missing: add it" for name in wanted if name not in inside)
        case "additionalProperties":
            for name in sorted(inside.keys() - schema.get("properties", {}).keys()):
                yield f"{_inside(at, name)}: nobody reads this key: mend its name, or remove it"
        case "type":
            kinds = [wanted] if isinstance(wanted, str) else wanted
            yield f"{at}: {value} is no {' or '.join(_KINDS[kind] for kind in kinds)}: mend it"
        case "enum":
            yield f"{at}: {value} is none of {', '.join(map(str, wanted))}: give one of these"
        case "pattern":
            yield f"{at}: {value} does not look like {schema.get('description', wanted)}: mend it"
        case "minimum":
            yield f"{at}: {value} is below {wanted}: mend it"
        case "maximum":
            yield f"{at}: {value} is above {wanted}: mend it"
        case _:
            yield f"{at}: {value} is not what the schema wants ({error.validator} {wanted}): mend it"


def _place(error: "ValidationError") -> str:
    place = ""
    for part in error.absolute_path:
        place = f"{place}[{part}]" if isinstance(part, int) else _inside(place, part)
    return place or "file"


def _inside(at: str, name: object) -> str:
    shown = str(name) if str(name).isprintable() and name else json.dumps(str(name))  # a key may be any text
    return shown if at in ("", "file") else f"{at}.{shown}"


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}.."
