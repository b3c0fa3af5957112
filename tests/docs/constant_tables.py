"""Reads the tables of constants out of a Markdown file and holds them against the modules they name.

A table belongs to a module when `<!-- constants: bzwire.smp -->` stands directly before it. `some constants` may leave
some out, and may be the firmware's private ones, without their underscore. The first column is the name of a
constant, the second its value: decimal, 0x hexadecimal, `b"bytes"`, a "string" or a (1, 2) tuple.
"""

import ast
import importlib
import re
import sys
import types
from collections.abc import Iterator

_MARK = re.compile(r"^<!-- (?P<some>some )?constants: (?P<module>[a-z_][a-z0-9_.]*) -->$")
_RULE = re.compile(r"^\|[\s:|-]+\|$")

# What the firmware's modules need to be read on CPython, where they never run.
if "micropython" not in sys.modules:
    _shim = types.ModuleType("micropython")
    _shim.const = lambda value: value  # type: ignore[attr-defined]
    sys.modules["micropython"] = _shim


def cells_of(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def table_after(lines: list[str], start: int) -> Iterator[tuple[str, str]]:
    """(name, value) of each row of the table that begins within the line after `start`, blank lines skipped."""
    rows = lines[start + 1 :]
    while rows and not rows[0].strip():
        rows = rows[1:]
    for number, line in enumerate(rows):
        if not line.strip().startswith("|"):
            return
        if number == 0 or _RULE.match(line.strip()):  # heading and rule
            continue
        name, value, *_ = [*cells_of(line), ""]
        yield name.strip("`"), value.strip("`")


def tables_in(markdown: str, some: bool = False) -> dict[str, list[tuple[str, str]]]:
    """The rows of every table marked `constants`, or `some constants`, by module; those of one module together."""
    tables: dict[str, list[tuple[str, str]]] = {}
    lines = markdown.splitlines()
    for number, line in enumerate(lines):
        mark = _MARK.match(line.strip())
        if mark and bool(mark["some"]) == some:
            tables.setdefault(mark["module"], []).extend(table_after(lines, number))
    return tables


def public_constants(module_name: str) -> dict[str, object]:
    """Names in UPPER_CASE that the module itself defines, with their values; types and mappings are left out."""
    module = importlib.import_module(module_name)
    with open(str(module.__file__), encoding="utf-8") as file:
        tree = ast.parse(file.read())
    names = [
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        for top in node.targets
        for target in ast.walk(top)
        if isinstance(target, ast.Name) and target.id.isupper() and not target.id.startswith("_")
    ]
    values = {name: getattr(module, name) for name in names if name != "TYPE_CHECKING"}
    return {name: value for name, value in values.items() if isinstance(value, int | bytes | str | tuple)}


def disagreements(module_name: str, rows: list[tuple[str, str]]) -> list[str]:
    """One sentence for each row that is wrong and each constant that has no row."""
    constants = public_constants(module_name)
    said = []
    for name, written in rows:
        if name not in constants:
            said.append(f"{module_name} has no constant {name}")
            continue
        try:
            value = ast.literal_eval(written)
        except (ValueError, SyntaxError):
            said.append(f"{module_name}.{name}: {written} is not a value")
            continue
        if value != constants[name] or type(value) is not type(constants[name]):
            said.append(f"{module_name}.{name} is {constants[name]!r}, the table says {written}")
    given = [name for name, _ in rows]
    said += [f"{module_name}.{name} is in no table" for name in constants if name not in given]
    said += [f"{module_name}.{name} is given twice" for name in sorted(set(given)) if given.count(name) > 1]
    return said


def firmware_disagreements(module_name: str, rows: list[tuple[str, str]]) -> list[str]:
    """One sentence for each row that does not say what the firmware's module says."""
    module = importlib.import_module(module_name)
    said = []
    for name, written in rows:
        value = getattr(module, name, getattr(module, f"_{name}", None))
        if value is None or ast.literal_eval(written) != value:
            said.append(f"{module_name}.{name} is {value!r}, the table says {written}")
    return said
