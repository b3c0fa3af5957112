"""A JSON document of others, read part by part: whatever does not fit is told with its place ("case 3, window 2")."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bztoken.errors import FormatError

LARGEST_NUMBER = 1e9
_NO_OBJECT = "not a case file: there is no object at the top"
LARGEST_BYTES = 32 << 20  # the published file of 29 cases has 60 KB


@dataclass(frozen=True)
class Part:
    """A value of the document at `path`, and where in it that is; place is empty for the whole."""

    path: Path
    place: str
    value: Any

    def has(self, name: str) -> bool:
        """Whether this group of keys has that one, and not as null."""
        return self._group().get(name) is not None

    def part(self, name: str) -> "Part":
        """The value of a key. Raises FormatError when it is not there, as all of these do."""
        group = self._group()
        if name not in group:
            raise self.misfit(f"{name} is missing")
        return Part(self.path, self._inside(name), group[name])

    def items(self, name: str, called: str) -> Iterator["Part"]:
        """The entries of a list, each with a place of its own ("window 2")."""
        found = self.part(name)
        if not isinstance(found.value, list):
            raise self.misfit(f"{name} is no list")
        for number, value in enumerate(found.value, 1):
            yield Part(self.path, f"{self.place}, {called} {number}" if self.place else f"{called} {number}", value)

    def text(self, name: str) -> str:
        """A text."""
        value = self.part(name).value
        if not isinstance(value, str):
            raise self.misfit(f"{name} is no text")
        return value

    def number(self, name: str) -> float:
        """A number, whole or not."""
        value = self.part(name).value
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.misfit(f"{name} is no number")
        if not -LARGEST_NUMBER <= value <= LARGEST_NUMBER:  # nor is NaN
            raise self.misfit(f"{name} is no number that anybody measures")
        return value

    def whole(self, name: str, low: int | None = None, high: int | None = None) -> int:
        """A whole number within these bounds."""
        value = self.number(name)
        if value != int(value):
            raise self.misfit(f"{name} is no whole number")
        if low is not None and value < low:
            raise self.misfit(f"{name} is {int(value)}, and is at least {low}")
        if high is not None and value > high:
            raise self.misfit(f"{name} is {int(value)}, and is at most {high}")
        return int(value)

    def flag(self, name: str) -> bool:
        """True or false; false where it is not given."""
        value = self._group().get(name, False)
        if not isinstance(value, bool):
            raise self.misfit(f"{name} is neither true nor false")
        return value

    def misfit(self, problem: str) -> FormatError:
        """The error for what is wrong here."""
        return FormatError(self.path, None, f"{self.place}: {problem}" if self.place else problem)

    def _inside(self, name: str) -> str:
        return f"{self.place}, {name}" if self.place else name

    def _group(self) -> dict[str, Any]:
        if not isinstance(self.value, dict):
            raise self.misfit("this is no group of keys" if self.place else _NO_OBJECT)
        return self.value


def read_document(path: Path) -> Part:
    """The whole of a JSON file. Raises FormatError or OSError."""
    with path.open("rb") as file:
        content = file.read(LARGEST_BYTES + 1)
    if len(content) > LARGEST_BYTES:
        raise FormatError(path, None, f"larger than {LARGEST_BYTES >> 20} MiB, so it is not a file of cases")
    try:
        return Part(path, "", json.loads(content.decode("utf-8-sig")))
    except UnicodeDecodeError:
        raise FormatError(path, None, "not UTF-8 text, so it is not a file of cases") from None
    except json.JSONDecodeError as error:
        raise FormatError(path, error.lineno, f"no JSON: {error.msg.lower()}") from None
    except (RecursionError, ValueError):
        raise FormatError(path, None, "nested too deeply, or with numbers too long: not a file of cases") from None
