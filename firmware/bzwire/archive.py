"""The application archive: the compiled files of one version in one stream, read piece by piece and never held whole.

Stream: MAGIC, format version (1 byte), header length (uint16 big endian), header (CBOR map: `v` version, `m` the
interpreter's `sys.implementation._mpy`, `n` number of files), then per file, in ascending order of names: name length
(1 byte), name, content length (uint32 big endian), content. A file that a host keeps ends with a seal, which no token
gets: see SPEC.md "Updates".
"""

import struct

from . import cbor
from .errors import Malformed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    from typing_extensions import Buffer

    class Sink(Protocol):
        """Who takes what a stream holds. raw: the bytes of the stream that say it."""

        def begin(self, raw: bytes, version: str, build: int) -> None: ...

        def begin_file(self, raw: bytes, name: str) -> None: ...

        def content(self, data: memoryview) -> None: ...


MAGIC = b"BZAP"
FORMAT = 1
PREFIX = ">4sBH"
PREFIX_BYTES = 7
MAX_HEADER_BYTES = 96
MAX_NAME_BYTES = 40
MAX_FILES = 96
MAX_FILE_BYTES = 65535
MAX_ARCHIVE_BYTES = 524288
FOLDERS = ("bzfw", "bzwire")
SUFFIX = ".mpy"
BUILD_MASK = 0xFFFF  # version and sub-version of compiled files, and the architecture of native code

_DIGITS = "0123456789"
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789_"
_HEADER, _FILES, _NAME, _LENGTH, _CONTENT, _END = 0, 1, 2, 3, 4, 5


def _is_of(text: str, allowed: str) -> bool:
    return all(letter in allowed for letter in text)


def parse_version(text: "Any") -> "tuple[int, ...]":
    """(0, 3, 0) of "0.3.0". Raises Malformed."""
    parts = text.split(".") if isinstance(text, str) and len(text) <= 20 else ()
    if len(parts) != 3 or not all(0 < len(part) <= 5 and _is_of(part, _DIGITS) for part in parts):
        raise Malformed("not a version of three numbers")
    return tuple([int(part) for part in parts])


def check_name(name: str) -> None:
    """Raises Malformed for a path that is not FOLDER/module.mpy in plain letters: nothing may leave the slot."""
    folder, slash, file = name.partition("/")
    if folder not in FOLDERS or not slash or not file.endswith(SUFFIX) or len(name) > MAX_NAME_BYTES:
        raise Malformed("not the name of an application's file")
    stem = file[: -len(SUFFIX)]
    if not stem or not _is_of(stem, _LETTERS):
        raise Malformed("not the name of an application's file")


class Reader:
    """Feed it a stream in pieces of any size; what it holds goes to `sink` as it comes. Raises WireError."""

    def __init__(self, sink: "Sink") -> None:
        self._sink = sink
        self._state = _HEADER
        self._head = bytearray()  # of what is collected before it can be understood
        self._wanted = PREFIX_BYTES
        self._left = 0  # bytes of the present file's content
        self._files_left = 0
        self._last_name = ""

    def is_done(self) -> bool:
        """True when the stream has ended where it says."""
        return self._state == _END

    def feed(self, data: "Buffer") -> None:
        """The next bytes."""
        view = memoryview(data)
        at = 0
        while at < len(view):
            if self._state == _END:
                raise Malformed("bytes after the end of the archive")
            if self._state == _CONTENT:
                piece = view[at : at + self._left]
                self._sink.content(piece)
                self._left -= len(piece)
                self._end_file_if_whole()
            else:
                piece = view[at : at + self._wanted - len(self._head)]
                self._head.extend(piece)
                if len(self._head) == self._wanted:
                    self._take_head()
            at += len(piece)

    def _want(self, state: int, count: int) -> None:
        self._state = state
        self._wanted = count

    def _end_file_if_whole(self) -> None:
        if self._left == 0:
            self._files_left -= 1
            self._head = bytearray()
            self._want(_NAME if self._files_left else _END, 1)

    def _take_head(self) -> None:
        head, state = self._head, self._state
        if state == _HEADER:
            magic, version, length = struct.unpack(PREFIX, head)
            if magic != MAGIC or version != FORMAT or not 0 < length <= MAX_HEADER_BYTES:
                raise Malformed("not an application archive")
            self._want(_FILES, PREFIX_BYTES + length)
        elif state == _FILES:
            self._take_header(bytes(head))
        elif state == _NAME:
            if not 0 < head[0] <= MAX_NAME_BYTES:
                raise Malformed("not the name of an application's file")
            self._want(_LENGTH, 1 + head[0] + 4)
        else:
            self._take_entry(bytes(head))

    def _take_header(self, raw: bytes) -> None:
        fields = cbor.loads(raw[PREFIX_BYTES:])
        if not isinstance(fields, dict):
            raise Malformed("not an application archive")
        build, files = fields.get("m"), fields.get("n")
        if not isinstance(build, int) or not isinstance(files, int) or not 0 < files <= MAX_FILES:
            raise Malformed("archive header out of range")
        parse_version(fields.get("v"))
        self._files_left = files
        self._sink.begin(raw, fields["v"], build)
        self._head = bytearray()
        self._want(_NAME, 1)

    def _take_entry(self, raw: bytes) -> None:
        try:
            name = raw[1:-4].decode()
        except UnicodeError:
            raise Malformed("not the name of an application's file")
        check_name(name)
        # Ascending, so that no name comes twice and nobody has to remember them.
        if name <= self._last_name:
            raise Malformed("files of an archive out of order")
        self._last_name = name
        self._left = struct.unpack(">I", raw[-4:])[0]
        if self._left > MAX_FILE_BYTES:
            raise Malformed("file too long for an archive")
        self._sink.begin_file(raw, name)
        self._state = _CONTENT
        self._end_file_if_whole()
