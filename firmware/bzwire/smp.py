"""SMP (MCUmgr) over a serial console: the 8-byte header, and the text lines that carry a packet.

A line is 0x06 0x09 (first) or 0x04 0x14 (next), base64 of at most 93 bytes, and a line feed: at most 127 bytes, none of
which is 0x03, so a line can never be taken for Ctrl-C. The packet inside is: length (uint16 big endian, counts what
follows), SMP message, CRC-16/XMODEM of the message.
"""

import binascii
import struct

from .cbor import Pieces
from .errors import BadChecksum, Malformed, OutOfRange, Truncated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from typing_extensions import Buffer

_crc16: "Any" = getattr(binascii, "crc_hqx", None)
if _crc16 is None:  # MicroPython
    from .crc16 import crc16 as _crc16

OP_READ, OP_READ_RESPONSE, OP_WRITE, OP_WRITE_RESPONSE = 0, 1, 2, 3
VERSION_1, VERSION_2 = 0, 1
GROUP_OS = 0
GROUP_TOKEN = 0x4E56  # ours, in the range for users (64 and up)
OS_ECHO, OS_DATETIME, OS_RESET, OS_PARAMETERS = 0, 4, 5, 6

HEADER = ">BBHHBB"
HEADER_BYTES = 8
LINE_BYTES = 127
LINE_START = b"\x06\x09"
LINE_NEXT = b"\x04\x14"
LINE_PAYLOAD_BYTES = 93  # 124 base64 characters
FRAME_OVERHEAD_BYTES = 4
MAX_MESSAGE_BYTES = 4096  # of anything this decoder accepts; a server may tell less
# Two whole lines, 254 bytes: what fits into the 260 bytes that a UART without flow control keeps for a busy token.
MAX_REQUEST_BYTES = 182


def crc16(data: "Buffer", crc: int = 0) -> int:
    """CRC-16/XMODEM (polynomial 0x1021, start 0); `crc` of what came before, to go on with."""
    return int(_crc16(data, crc))


class Message:
    """One SMP message: operation, version, group, sequence, command, and the CBOR bytes."""

    def __init__(self, op: int, group: int, command: int, sequence: int, body: bytes, version: int = VERSION_2) -> None:
        self.op = op
        self.version = version
        self.group = group
        self.command = command
        self.sequence = sequence
        self.body = body

    def pack(self) -> bytes:
        """Header and body. Raises OutOfRange when a value does not fit its field."""
        return self.header(len(self.body)) + self.body

    def header(self, body_bytes: int) -> bytes:
        """The 8 bytes before a body of this length. Raises OutOfRange when a value does not fit its field."""
        fits = 0 <= self.group < 65536 and 0 <= self.command < 256 and 0 <= self.sequence < 256
        if not fits or not 0 <= self.op < 8 or not 0 <= self.version < 4:
            raise OutOfRange("SMP header value out of range")
        if body_bytes > MAX_MESSAGE_BYTES - HEADER_BYTES:
            raise OutOfRange("SMP message too long")
        first = (self.version << 3) | self.op
        return struct.pack(HEADER, first, 0, body_bytes, self.group, self.sequence, self.command)


def unpack_message(data: "Buffer") -> Message:
    """Raises Truncated or Malformed."""
    view = memoryview(data)
    if len(view) < HEADER_BYTES:
        raise Truncated("SMP header cut short")
    first, _flags, length, group, sequence, command = struct.unpack_from(HEADER, data, 0)
    if length != len(view) - HEADER_BYTES:
        raise Malformed("SMP length does not match")
    return Message(first & 0x07, group, command, sequence, bytes(view[HEADER_BYTES:]), (first >> 3) & 0x03)


def encode_lines(message: "Buffer") -> "Iterator[bytes]":
    """The console lines of one packed SMP message, each with its line feed, at most 127 bytes."""
    return encode_pieces(Pieces([message]))


def encode_pieces(message: Pieces) -> "Iterator[bytes]":
    """The lines of a message in pieces, gone through once and never joined: a token has no room for a copy."""
    if len(message) > MAX_MESSAGE_BYTES:
        raise OutOfRange("SMP message too long")
    prefix = LINE_START
    line = bytearray(LINE_PAYLOAD_BYTES)
    used = 0
    for piece in _packet(message):
        view = memoryview(piece)
        at = 0
        while at < len(view):
            count = min(len(view) - at, LINE_PAYLOAD_BYTES - used)
            line[used : used + count] = view[at : at + count]
            at += count
            used += count
            if used == LINE_PAYLOAD_BYTES:
                yield _line(prefix, line)
                prefix = LINE_NEXT
                used = 0
    if used:
        yield _line(prefix, memoryview(line)[:used])


def _line(prefix: bytes, payload: "Any") -> bytes:
    return prefix + binascii.b2a_base64(payload)  # ends with the line feed


def _packet(message: Pieces) -> "Iterator[Buffer]":
    """What the lines of a message carry."""
    yield struct.pack(">H", len(message) + 2)
    crc = 0
    for piece in message:
        crc = crc16(piece, crc)
        yield piece
    yield struct.pack(">H", crc)


class LineDecoder:
    """Collects console bytes into SMP messages; whatever is not an SMP line is dropped without a word.

    Feed bytes in pieces of any size. Damaged packets are counted in `bad_packets` and never given out; after one, the
    next start line is taken as usual. Holds at most one line and one packet in memory.
    """

    def __init__(self, max_message_bytes: int = MAX_MESSAGE_BYTES) -> None:
        self._max_packet = max_message_bytes + 2
        self._rest = b""  # a line that has no end yet, or what may be the first half of a line's mark
        self._packet = bytearray()
        self._expected = -1
        self.bad_packets = 0

    def feed(self, data: "Buffer") -> "list[bytes]":
        """Messages completed by these bytes (usually none or one)."""
        found: "list[bytes]" = []
        text = self._rest + bytes(data)
        at = 0
        while True:
            end = text.find(b"\n", at)
            if end < 0:
                self._rest = self._unfinished(text[at:])
                return found
            line = self._last_line(text[at:end])
            message = self._take_line(line) if line else None
            if message is not None:
                found.append(message)
            at = end + 1

    def _last_line(self, text: bytes) -> bytes:
        """The line that began last in a text without a line feed; empty for none, or one that is too long."""
        first, following = text.rfind(LINE_START), text.rfind(LINE_NEXT)
        begin = max(first, following)
        if begin < 0:
            return b""
        if min(first, following) >= 0 or text.find(text[begin : begin + 2]) < begin:
            self._drop_packet()  # a new line began before the last one ended
        line = text[begin:]
        if len(line) < LINE_BYTES:
            return line
        self._drop_packet()
        return b""

    def _unfinished(self, text: bytes) -> bytes:
        """What of a text without a line feed must be kept until more comes."""
        line = self._last_line(text)
        return line or (text[-1:] if text[-1:] in (LINE_START[:1], LINE_NEXT[:1]) else b"")

    def _drop_packet(self) -> None:
        if self._expected >= 0:
            self.bad_packets += 1
        self._expected = -1

    def _take_line(self, line: bytes) -> "bytes | None":
        try:
            return self._take_payload(line[0] == LINE_START[0], binascii.a2b_base64(line[2:]))
        except ValueError:  # not base64; WireError is a ValueError too
            self.bad_packets += 1
            self._expected = -1
            return None

    def _take_payload(self, first: bool, payload: bytes) -> "bytes | None":
        if first:
            self._drop_packet()
            if len(payload) < 2:
                raise Truncated("SMP packet cut short")
            self._expected = payload[0] << 8 | payload[1]
            if self._expected > self._max_packet or self._expected < 2 + HEADER_BYTES:
                raise Malformed("SMP packet length out of range")
            self._packet = bytearray(payload[2:])
        elif self._expected < 0:
            return None
        else:
            self._packet.extend(payload)
        if len(self._packet) < self._expected:
            return None
        return self._finish()

    def _finish(self) -> bytes:
        packet, expected = self._packet, self._expected
        self._expected = -1
        self._packet = bytearray()
        if len(packet) != expected:
            raise Malformed("SMP packet longer than it says")
        if crc16(packet):  # over itself and its own CRC it is 0
            raise BadChecksum("SMP CRC does not match")
        return bytes(memoryview(packet)[:-2])
