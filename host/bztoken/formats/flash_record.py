"""The record of flashed boards: a text file, one JSON object a line, one line for each board that was flashed.

`bztoken flash --record FILE` appends to it; whoever counts stock reads it. Lines are never changed.
"""

import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from bztoken.errors import FormatError

HARDWARE_BYTES = 6
LATER = ("answered",)  # fields that old lines do not have


@dataclass(frozen=True)
class FlashRecord:
    """One board after it was flashed.

    hardware: the chip's own number, 12 hex digits (what `machine.unique_id()` gives); micropython: release, None when
    the image does not say; firmware: version of our application; build: production or development; at_s: Unix time;
    by: who did it; answered: whether it did when it was asked, None when it was not.
    """

    hardware: str
    board: str
    chip: str
    flash_bytes: int
    micropython: str | None
    image_sha256: str
    firmware: str
    build: str
    at_s: int
    by: str
    answered: bool | None = None

    @property
    def hardware_number(self) -> bytes:
        """The 6 bytes that STATUS tells as `h`."""
        return bytes.fromhex(self.hardware)


_TYPES: dict[str, tuple[type, ...]] = {
    **{
        field.name: (int if field.name.endswith(("_s", "_bytes")) else str,)
        for field in fields(FlashRecord)
        if field.name not in LATER
    },
    "micropython": (str, type(None)),
}


_WANTED = "name the record that `bztoken flash --record` wrote"


def line_of(record: FlashRecord) -> str:
    """As it stands in the file."""
    return json.dumps(asdict(record), ensure_ascii=False)


def append(path: Path, record: FlashRecord) -> None:
    """Add a line, whole and on the disk when this returns. Raises OSError."""
    line = line_of(record) + "\n"
    with path.open("a+b") as file:
        if file.tell() and _last_byte(file.fileno()) != b"\n":
            line = "\n" + line  # a line that a power cut left half written stays by itself
        file.write(line.encode())
        file.flush()
        os.fsync(file.fileno())


def _last_byte(descriptor: int) -> bytes:
    return os.pread(descriptor, 1, os.fstat(descriptor).st_size - 1)


def require_writable(path: Path) -> None:
    """Before a board is touched. Raises OSError."""
    is_new = not path.exists()
    with path.open("ab"):
        pass
    if is_new:
        path.unlink()


def read(path: Path) -> list[FlashRecord]:
    """Every line, in order. Raises FormatError with the number of the line that is none, and for a file without any."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise FormatError(path, None, f"there is no such file: {_WANTED}") from None
    except (OSError, UnicodeDecodeError):
        raise FormatError(path, None, "this record of flashed boards cannot be read as text") from None
    found = [_record(path, number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not found:
        raise FormatError(path, None, f"there is no board in this file: {_WANTED}")
    return found


def _record(path: Path, number: int, line: str) -> FlashRecord:
    try:
        found: Any = json.loads(line)
    except ValueError:
        raise FormatError(path, number, "this line is no JSON: delete it, or write it anew") from None
    if not isinstance(found, dict) or set(found) - set(LATER) != set(_TYPES):
        raise FormatError(
            path, number, f"a flashed board has exactly the fields {', '.join(_TYPES)}, and may have {', '.join(LATER)}"
        )
    for name, types in _TYPES.items():
        if not isinstance(found[name], types) or isinstance(found[name], bool):
            raise FormatError(path, number, f"{name} has a value of the wrong kind")
    if not isinstance(found.get("answered"), (bool, type(None))):
        raise FormatError(path, number, "answered is true, false or null")
    if not _is_hardware(found["hardware"]):
        raise FormatError(path, number, f"hardware is {2 * HARDWARE_BYTES} hex digits")
    return FlashRecord(**found)


def _is_hardware(text: str) -> bool:
    try:
        return len(text) == 2 * HARDWARE_BYTES and len(bytes.fromhex(text)) == HARDWARE_BYTES
    except ValueError:
        return False
