"""What is wrong with a board's folder: shape by `boards/board.schema.json`, sources, and what is unknown but not said.

The few words of JSON Schema that the schema uses are read here, so that no library is needed: type, enum, pattern,
items, required, properties, additionalProperties, $ref into $defs. Any other word is an error, not a check that
silently passes.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

UNSOURCED = {"name", "sources", "currents", "times", "image", "usb"}  # a name is ours; the others carry sources inside
_WORDS = {
    "$schema", "$defs", "title", "type", "enum", "pattern", "items", "required", "properties", "additionalProperties",
    "$ref",
}  # fmt: skip
_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


def _is(value: object, name: str) -> bool:
    if isinstance(value, bool):  # in Python a bool is an int
        return name == "boolean"
    return isinstance(value, _TYPES[name])


def misfits(value: Any, schema: dict[str, Any], whole: dict[str, Any], at: str = "") -> Iterator[str]:
    """One line for each place that does not fit. Raises ValueError for a word of JSON Schema not known here."""
    if "$ref" in schema:
        schema = whole["$defs"][schema["$ref"].rpartition("/")[2]]
    if set(schema) - _WORDS:
        raise ValueError(f"unknown words in the schema: {sorted(set(schema) - _WORDS)}")
    if "enum" in schema and value not in schema["enum"]:
        yield f"{at or 'file'}: {value!r} is none of {schema['enum']}"
    names = schema.get("type", [])
    names = [names] if isinstance(names, str) else names
    if names and not any(_is(value, name) for name in names):
        yield f"{at or 'file'}: {value!r} is no {' or '.join(names)}"
    elif isinstance(value, dict):
        yield from _misfits_inside(value, schema, whole, at)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from misfits(inner, schema.get("items", {}), whole, f"{at}[{number}]")
    elif isinstance(value, str) and not re.search(schema.get("pattern", ""), value):
        yield f"{at or 'file'}: {value!r} does not look like {schema['pattern']}"


def _misfits_inside(value: dict[str, Any], schema: dict[str, Any], whole: dict[str, Any], at: str) -> Iterator[str]:
    for name in schema.get("required", []):
        if name not in value:
            yield f"{at}.{name}: missing"
    others = schema.get("additionalProperties", True)
    for name, inner in value.items():
        if name in schema.get("properties", {}):
            yield from misfits(inner, schema["properties"][name], whole, f"{at}.{name}")
        elif others is False:
            yield f"{at}.{name}: no such key"
        elif isinstance(others, dict):
            yield from misfits(inner, others, whole, f"{at}.{name}")


def figures_of(board: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Everything with a value and a source, by its key."""
    found = {**board.get("currents", {}), **board.get("times", {})}
    if "image" in board:
        found["radio_sleeps"] = board["image"]["radio_sleeps"]
    return found


def unsourced(board: dict[str, Any]) -> Iterator[str]:
    """A value without a source, or a source without a value."""
    for name, figure in figures_of(board).items():
        if (figure["value"] is None) != (not (figure["source"] or "").strip()):
            yield f"{name}: value and source go together"
    for number, port in enumerate(board.get("usb", [])):
        if not port["source"].strip():
            yield f"usb[{number}]: no source"
    for name in board.keys() - UNSOURCED:
        source = board.get("sources", {}).get(name) or ""
        if (board[name] is None) != (not source.strip()):
            yield f"{name}: no source"
    yield from (f"{name}: a source for nothing" for name in board.get("sources", {}).keys() - board.keys())


def unsaid(board: dict[str, Any], notes: str) -> Iterator[str]:
    """Unknown figures and facts that the notes do not list."""
    unknown = [name for name, figure in figures_of(board).items() if figure["value"] is None]
    unknown += [name for name, value in board.items() if value is None]
    _, _, section = notes.partition("## Unknown")
    section = section.partition("\n## ")[0]
    yield from (f"{name}: unknown, and not in the notes" for name in unknown if f"`{name}`" not in section)


def faults(folder: Path, schema: dict[str, Any]) -> list[str]:
    """All of it for a real board's folder."""
    board = json.loads((folder / "board.json").read_text(encoding="utf-8"))
    shape = list(misfits(board, schema, schema))
    if shape:
        return shape
    notes = (folder / "notes.md").read_text(encoding="utf-8")
    named = [] if board["name"] == folder.name else [f"name: {board['name']} lies in {folder.name}"]
    return [*named, *unsourced(board), *unsaid(board, notes)]
