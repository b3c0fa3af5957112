"""The part of CBOR (RFC 8949) that SMP messages need: integers, byte and text strings, arrays, maps, true/false/null.

Definite lengths only, nesting bounded: input comes from strangers. The host reads with cbor2; a test holds both
against each other.
"""

from .errors import Malformed, OutOfRange, Truncated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from typing_extensions import Buffer

MAX_DEPTH = 4
MAX_ITEMS = 64
_LONG_BYTES = 64  # from here on a copy costs more than a piece; longer pieces find no room in a full heap

_FALSE, _TRUE, _NULL = 0xF4, 0xF5, 0xF6
_UINT, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP = 0, 1, 2, 3, 4, 5


class Pieces:
    """A byte string in pieces, which is written without ever being joined.

    Going through it gives buffers, each good until the next one. A part is bytes of any kind, or Pieces, which may be
    such as are made anew each time. `len` is the number of bytes.
    """

    def __init__(self, parts: "Sequence[Any]") -> None:
        self._parts = parts
        self._length = sum([len(part) for part in parts])

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> "Iterator[Buffer]":
        for part in self._parts:
            if isinstance(part, Pieces):
                yield from part
            else:
                yield part


def _head(major: int, value: int) -> bytes:
    major <<= 5
    if value < 24:
        return bytes([major | value])
    for short in (24, 25, 26, 27):
        size = 1 << (short - 24)
        if value >> 8 * size == 0:
            return bytes([major | short]) + value.to_bytes(size, "big")
    raise OutOfRange("integer does not fit 64 bits")


def dumps(value: "Any") -> bytes:
    """Encode; map keys keep their order. Raises OutOfRange for a type or a size that CBOR here does not have."""
    return b"".join(dump_pieces(value))


def dump_pieces(value: "Any") -> Pieces:
    """`dumps` without joining: a long byte string is a piece of its own and is not copied."""
    parts: "list[Buffer | Pieces]" = []
    _end(_write(value, bytearray(), parts), parts)
    return Pieces(parts)


def _end(out: bytearray, parts: "list[Buffer | Pieces]") -> bytearray:
    if out:
        parts.append(out)
    return bytearray()


def _write(value: "Any", out: bytearray, parts: "list[Buffer | Pieces]") -> bytearray:
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
        out.extend(_head(_BYTES, len(value)))
        out = _end(out, parts)
        parts.append(value)
    elif isinstance(value, dict):
        out.extend(_head(_MAP, len(value)))
        for key, item in value.items():
            if len(out) > _LONG_BYTES:
                out = _end(out, parts)
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
