"""The part of CBOR (RFC 8949) that SMP messages need: integers, byte and text strings, arrays, maps, true/false/null.

Definite lengths only, nesting bounded: input comes from strangers. The host reads with cbor2; a test holds both
against each other.
"""

import struct

from .errors import Malformed, OutOfRange, Truncated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from typing_extensions import Buffer

MAX_DEPTH = 4
MAX_ITEMS = 64
_LONG_BYTES = 64  # from here on a copy costs more than a piece

_FALSE, _TRUE, _NULL = 0xF4, 0xF5, 0xF6
_UINT, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP = 0, 1, 2, 3, 4, 5


class Pieces:
    """A byte string in pieces, which is written without ever being joined."""

    def __init__(self, parts: "list[Buffer]") -> None:
        self.parts = parts
        self.length = sum([len(memoryview(part)) for part in parts])


def _head(major: int, value: int) -> bytes:
    major <<= 5
    if value < 24:
        return bytes([major | value])
    if value < 0x100:
        return struct.pack(">BB", major | 24, value)
    if value < 0x10000:
        return struct.pack(">BH", major | 25, value)
    if value < 0x100000000:
        return struct.pack(">BI", major | 26, value)
    if value < 0x10000000000000000:
        return struct.pack(">BQ", major | 27, value)
    raise OutOfRange("integer does not fit 64 bits")


def dumps(value: "Any") -> bytes:
    """Encode; map keys keep their order. Raises OutOfRange for a type or a size that CBOR here does not have."""
    return b"".join(dump_parts(value))


def dump_parts(value: "Any") -> "list[Buffer]":
    """`dumps` in pieces that are to be joined: a long byte string is a piece of its own and is not copied."""
    parts: "list[Buffer]" = []
    _end(_write(value, bytearray(), parts), parts)
    return parts


def _end(out: bytearray, parts: "list[Buffer]") -> bytearray:
    if out:
        parts.append(out)
    return bytearray()


def _write(value: "Any", out: bytearray, parts: "list[Buffer]") -> bytearray:
    """Append to `out`; what was full goes to `parts`. Returns the piece to go on with."""
    if value is None:
        out.append(_NULL)
    elif value is True or value is False:
        out.append(_TRUE if value else _FALSE)
    elif isinstance(value, int):
        out.extend(_head(_UINT, value) if value >= 0 else _head(_NEGATIVE, -1 - value))
    elif isinstance(value, str):
        encoded = value.encode()
        out.extend(_head(_TEXT, len(encoded)))
        out.extend(encoded)
    elif isinstance(value, (bytes, bytearray, memoryview)):
        out.extend(_head(_BYTES, len(value)))
        if len(value) < _LONG_BYTES:
            out.extend(value)
        else:
            out = _end(out, parts)
            parts.append(value)
    elif isinstance(value, Pieces):
        out.extend(_head(_BYTES, value.length))
        out = _end(out, parts)
        parts.extend(value.parts)
    elif isinstance(value, dict):
        out.extend(_head(_MAP, len(value)))
        for key, item in value.items():
            out = _write(item, _write(key, out, parts), parts)
    elif isinstance(value, (list, tuple)):
        out.extend(_head(_ARRAY, len(value)))
        for item in value:
            out = _write(item, out, parts)
    else:
        raise OutOfRange("this type is not sent")
    return out


def loads(data: "Buffer") -> "Any":
    """Decode one item that fills `data` exactly. Raises Truncated or Malformed."""
    view = memoryview(data)
    value, at = _read(view, 0, 0)
    if at != len(view):
        raise Malformed("bytes after the end of the CBOR item")
    return value


def _argument(view: memoryview, at: int) -> "tuple[int, int]":
    short = view[at] & 0x1F
    at += 1
    if short < 24:
        return short, at
    if short > 27:
        raise Malformed("CBOR of indefinite length")
    size = 1 << (short - 24)
    if at + size > len(view):
        raise Truncated("CBOR cut short")
    return int.from_bytes(view[at : at + size], "big"), at + size


def _read(view: memoryview, at: int, depth: int) -> "tuple[Any, int]":
    if at >= len(view):
        raise Truncated("CBOR cut short")
    if depth > MAX_DEPTH:
        raise Malformed("CBOR nested too deep")
    first = view[at]
    if first in (_FALSE, _TRUE):
        return first == _TRUE, at + 1
    if first == _NULL:
        return None, at + 1
    major = first >> 5
    if major > _MAP:
        raise Malformed("CBOR type not used here")
    argument, at = _argument(view, at)
    if major == _UINT:
        return argument, at
    if major == _NEGATIVE:
        return -1 - argument, at
    if major in (_BYTES, _TEXT):
        return _read_string(view, at, argument, major)
    return _read_container(view, at, argument, major, depth)


def _read_string(view: memoryview, at: int, length: int, major: int) -> "tuple[Any, int]":
    end = at + length
    if end > len(view):
        raise Truncated("CBOR string cut short")
    raw = bytes(view[at:end])
    if major == _BYTES:
        return raw, end
    try:
        return raw.decode(), end
    except UnicodeError:
        raise Malformed("CBOR text is not UTF-8")


def _read_container(view: memoryview, at: int, length: int, major: int, depth: int) -> "tuple[Any, int]":
    if length > MAX_ITEMS:
        raise Malformed("CBOR container too long")
    if major == _ARRAY:
        items = []
        for _ in range(length):
            item, at = _read(view, at, depth + 1)
            items.append(item)
        return items, at
    found = {}
    for _ in range(length):
        key, at = _read(view, at, depth + 1)
        # True is an int on CPython, but not on MicroPython
        if isinstance(key, bool) or not isinstance(key, (str, int)):
            raise Malformed("CBOR map key of a wrong type")
        if key in found:
            raise Malformed("CBOR map key given twice")
        found[key], at = _read(view, at, depth + 1)
    return found, at
