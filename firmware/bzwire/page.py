"""Log records and pages: one page holds the encounters of one window, encrypted and authenticated.

Layout: SPEC.md "Pages". `seal_into` is run by the token, `read_header` and `open_page` by the host; AES comes in as
`ecb(key, blocks) -> blocks` because the stock ESP32 build has ECB but no CTR.
"""

import binascii
import struct

from .errors import BadChecksum, Malformed, OutOfRange, Truncated
from .keys import hmac_sha256, page_keys, same

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from typing_extensions import Buffer

MAGIC = b"BZ"
VERSION = 1
HEADER = "<2sBBHIIIIHBBHI"
HEADER_BYTES = 32
TAG_BYTES = 8
CRC_BYTES = 4
OVERHEAD_BYTES = HEADER_BYTES + TAG_BYTES + CRC_BYTES

KIND_BLUEZONE = 1
RECORD = "<B12sHHHBbbb"
RECORD_BYTES = 23
MAX_RECORDS = 64
MAX_PAGE_BYTES = OVERHEAD_BYTES + MAX_RECORDS * RECORD_BYTES

CLOCK_UNSET = 0
CLOCK_SET = 1  # by a station since this boot
CLOCK_KEPT = 2  # set earlier, kept over a reset
FLAG_CLOCK_MASK = 0x03
FLAG_CROWDED = 0x04  # more than MAX_RECORDS IDs were heard; the weakest are missing

_BLOCK_BYTES = 16
_BLOCKS_AT_ONCE = 16


class Record:
    """One ID in one window.

    rotating_id: 12 bytes; first_s, last_s: seconds after the window's start of the first and last packet;
    packets: how many; scans: in how many scans of the window it was heard; rssi_max_dbm, rssi_mean_dbm as received;
    tx_power_dbm as announced (127: not announced).
    """

    def __init__(
        self,
        rotating_id: bytes,
        first_s: int,
        last_s: int,
        packets: int,
        scans: int,
        rssi_max_dbm: int,
        rssi_mean_dbm: int,
        tx_power_dbm: int,
        kind: int = KIND_BLUEZONE,
    ) -> None:
        self.kind = kind
        self.rotating_id = rotating_id
        self.first_s = first_s
        self.last_s = last_s
        self.packets = packets
        self.scans = scans
        self.rssi_max_dbm = rssi_max_dbm
        self.rssi_mean_dbm = rssi_mean_dbm
        self.tx_power_dbm = tx_power_dbm

    def fields(self) -> "tuple[int, bytes, int, int, int, int, int, int, int]":
        """The values in the order of RECORD."""
        return (
            self.kind,
            self.rotating_id,
            self.first_s,
            self.last_s,
            self.packets,
            self.scans,
            self.rssi_max_dbm,
            self.rssi_mean_dbm,
            self.tx_power_dbm,
        )


class PageHeader:
    """The part of a page that is not encrypted: when and how it was written, nothing about who was near.

    uptime_ms is the token's tick count since boot `boot_id` at the window's end: with it the host can correct
    window_start_s when the clock was off. log_key_number says under which step of the ratchet the page is sealed.
    lost_results counts scan results that did not fit the token's buffer.
    """

    def __init__(
        self,
        sequence: int,
        boot_id: int,
        uptime_ms: int,
        window_start_s: int,
        window_s: int,
        scan_period_s: int,
        clock_state: int,
        log_key_number: int,
        lost_results: int = 0,
        crowded: bool = False,
        count: int = 0,
        length: int = OVERHEAD_BYTES,
    ) -> None:
        self.sequence = sequence
        self.boot_id = boot_id
        self.uptime_ms = uptime_ms
        self.window_start_s = window_start_s
        self.window_s = window_s
        self.scan_period_s = scan_period_s
        self.clock_state = clock_state
        self.log_key_number = log_key_number
        self.lost_results = lost_results
        self.crowded = crowded
        self.count = count
        self.length = length

    def pack(self) -> bytes:
        """32 bytes. Raises OutOfRange rather than cut a value."""
        flags = self.clock_state | (FLAG_CROWDED if self.crowded else 0)
        for value, bits in (
            (self.sequence, 32),
            (self.boot_id, 32),
            (self.uptime_ms, 32),
            (self.window_start_s, 32),
            (self.window_s, 16),
            (self.scan_period_s, 8),
            (self.count, 8),
            (self.length, 16),
            (self.lost_results, 16),
            (self.log_key_number, 32),
            (self.clock_state, 2),
        ):
            if not 0 <= value < 1 << bits:
                raise OutOfRange("page header value out of range")
        return struct.pack(
            HEADER,
            MAGIC,
            VERSION,
            flags,
            self.length,
            self.sequence,
            self.boot_id,
            self.uptime_ms,
            self.window_start_s,
            self.window_s,
            self.scan_period_s,
            self.count,
            self.lost_results,
            self.log_key_number,
        )


def pack_record_into(page: bytearray, offset: int, record: Record) -> None:
    """Write 23 bytes at `offset`. Raises OutOfRange rather than cut a value."""
    kind, rotating_id, first_s, last_s, packets, scans, rssi_max, rssi_mean, tx = record.fields()
    unsigned_ok = 0 <= kind < 256 and 0 <= first_s < 65536 and 0 <= last_s < 65536 and 0 <= packets < 65536
    signed_ok = -128 <= rssi_max < 128 and -128 <= rssi_mean < 128 and -128 <= tx < 128
    if len(rotating_id) != 12 or not unsigned_ok or not signed_ok or not 0 <= scans < 256:
        raise OutOfRange("record value out of range")
    struct.pack_into(RECORD, page, offset, kind, rotating_id, first_s, last_s, packets, scans, rssi_max, rssi_mean, tx)


def pack_record(record: Record) -> bytes:
    """23 bytes. Raises OutOfRange rather than cut a value."""
    packed = bytearray(RECORD_BYTES)
    pack_record_into(packed, 0, record)
    return bytes(packed)


def unpack_record(data: "Buffer", offset: int = 0) -> Record:
    """The record at `offset`. Raises Truncated, or Malformed for a kind this version does not know."""
    if len(memoryview(data)) < offset + RECORD_BYTES:
        raise Truncated("record cut short")
    kind, rotating_id, first_s, last_s, packets, scans, rssi_max, rssi_mean, tx = struct.unpack_from(
        RECORD, data, offset
    )
    if kind != KIND_BLUEZONE:
        raise Malformed("record of an unknown kind")
    return Record(bytes(rotating_id), first_s, last_s, packets, scans, rssi_max, rssi_mean, tx, kind)


def _apply_keystream(
    data: "bytearray | memoryview", key: bytes, sequence: int, boot_id: int, ecb: "Callable[[bytes, bytes], bytes]"
) -> None:
    """AES-CTR in place: counter block = "BZpg" || sequence || boot id || block number (uint32, big endian).

    A few blocks at a time: a token has no contiguous room for the key stream of a whole page.
    """
    blocks = (len(data) + _BLOCK_BYTES - 1) // _BLOCK_BYTES
    for first in range(0, blocks, _BLOCKS_AT_ONCE):
        numbers = range(first, min(first + _BLOCKS_AT_ONCE, blocks))
        counters = b"".join([struct.pack(">4sIII", b"BZpg", sequence, boot_id, n) for n in numbers])
        at = first * _BLOCK_BYTES
        for byte in ecb(key, counters)[: len(data) - at]:
            data[at] ^= byte
            at += 1


def seal_into(
    page: bytearray,
    header: PageHeader,
    records: "Iterable[Record]",
    log_key: bytes,
    ecb: "Callable[[bytes, bytes], bytes]",
) -> int:
    """Make a page in a buffer of MAX_PAGE_BYTES: header, encrypted records, tag, CRC-32; the page's length.

    Takes the records one by one and needs no other large piece of memory, so that a token whose heap is in crumbs
    still writes its log. Fills header.count and header.length. Raises OutOfRange for more than MAX_RECORDS records or
    a value that does not fit.
    """
    at = HEADER_BYTES
    for record in records:
        if at == HEADER_BYTES + MAX_RECORDS * RECORD_BYTES:
            raise OutOfRange("a page holds at most 64 records")
        pack_record_into(page, at, record)
        at += RECORD_BYTES
    header.count = (at - HEADER_BYTES) // RECORD_BYTES
    header.length = at + TAG_BYTES + CRC_BYTES
    page[:HEADER_BYTES] = header.pack()
    view = memoryview(page)
    cipher_key, tag_key = page_keys(log_key)
    _apply_keystream(view[HEADER_BYTES:at], cipher_key, header.sequence, header.boot_id, ecb)
    page[at : at + TAG_BYTES] = hmac_sha256(tag_key, view[:at])[:TAG_BYTES]
    at += TAG_BYTES
    struct.pack_into("<I", page, at, binascii.crc32(view[:at]) & 0xFFFFFFFF)
    return header.length


def seal(
    header: PageHeader, records: "Iterable[Record]", log_key: bytes, ecb: "Callable[[bytes, bytes], bytes]"
) -> bytes:
    """`seal_into` a buffer of its own; the bytes of the page."""
    page = bytearray(MAX_PAGE_BYTES)
    return bytes(page[: seal_into(page, header, records, log_key, ecb)])


def read_header(data: "Buffer") -> PageHeader:
    """Header of the page at the start of data; nothing is verified but the shape.

    Raises Truncated for fewer than 32 bytes, Malformed for a wrong magic, version or length.
    """
    if len(memoryview(data)) < HEADER_BYTES:
        raise Truncated("page header cut short")
    (magic, version, flags, length, sequence, boot_id, uptime_ms, start_s, window_s, period_s, count, lost, number) = (
        struct.unpack_from(HEADER, data, 0)
    )
    if magic != MAGIC:
        raise Malformed("not a log page")
    if version != VERSION:
        raise Malformed("log page of an unknown version")
    if count > MAX_RECORDS or length != OVERHEAD_BYTES + RECORD_BYTES * count:
        raise Malformed("log page with a wrong length")
    return PageHeader(
        sequence,
        boot_id,
        uptime_ms,
        start_s,
        window_s,
        period_s,
        flags & FLAG_CLOCK_MASK,
        number,
        lost,
        bool(flags & FLAG_CROWDED),
        count,
        length,
    )


def check_page(data: "Buffer") -> PageHeader:
    """Header of a whole page whose CRC-32 fits. Raises Truncated, Malformed or BadChecksum."""
    header = read_header(data)
    view = memoryview(data)
    if len(view) < header.length:
        raise Truncated("page cut short")
    body_bytes = header.length - CRC_BYTES
    (crc,) = struct.unpack_from("<I", data, body_bytes)
    if binascii.crc32(view[:body_bytes]) & 0xFFFFFFFF != crc:
        raise BadChecksum("page CRC does not match")
    return header


def open_page(
    data: "Buffer", log_key: bytes, ecb: "Callable[[bytes, bytes], bytes]"
) -> "tuple[PageHeader, list[Record]]":
    """Check CRC and tag, decrypt, decode. `log_key` is the one of the header's log_key_number.

    Raises Truncated, Malformed or BadChecksum (CRC: damaged; tag: wrong key or forged).
    """
    header = check_page(data)
    view = memoryview(data)
    cipher_key, tag_key = page_keys(log_key)
    cipher_end = header.length - CRC_BYTES - TAG_BYTES
    tag = bytes(view[cipher_end : cipher_end + TAG_BYTES])
    if not same(hmac_sha256(tag_key, view[:cipher_end])[:TAG_BYTES], tag):
        raise BadChecksum("page tag does not match this token's key")
    plain = bytearray(view[HEADER_BYTES:cipher_end])
    _apply_keystream(plain, cipher_key, header.sequence, header.boot_id, ecb)
    return header, [unpack_record(plain, at) for at in range(0, len(plain), RECORD_BYTES)]


def split_pages(data: "Buffer") -> "Iterator[memoryview]":
    """The pages of a run of bytes, in order; each is checked by CRC before it is given out.

    Raises Truncated when the last page is not complete, Malformed or BadChecksum when one is damaged.
    """
    view = memoryview(data)
    at = 0
    while at < len(view):
        header = check_page(view[at:])
        yield view[at : at + header.length]
        at += header.length
