"""The page format as a token needs it: one page holds the encounters of one window, encrypted and authenticated.

Layout: SPEC.md "Pages". Version 2 is written, version 1 is read for ever. What only the host needs is in `page`, which
gives all of this too: a token has no memory for it. AES comes in as `ecb(key, blocks) -> blocks` because the stock
ESP32 build has ECB but no CTR.
"""

import binascii
import struct

from .errors import Malformed, OutOfRange, Truncated
from .keys import hmac_sha256, page_keys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from typing_extensions import Buffer

MAGIC = b"BZ"
VERSION = 2
HEADER = "<2sBBHIIIIHBBHIHBB"
HEADER_BYTES = 36
V1_HEADER = "<2sBBHIIIIHBBHI"  # how every version begins
V1_HEADER_BYTES = 32
TAG_BYTES = 8
CRC_BYTES = 4
OVERHEAD_BYTES = HEADER_BYTES + TAG_BYTES + CRC_BYTES  # a page of VERSION without records
MIN_PAGE_BYTES = V1_HEADER_BYTES + TAG_BYTES + CRC_BYTES  # the smallest page of any version

KIND_BLUEZONE = 1
KIND_GAEN = 2
KIND_MASK = 0x0F
RECORD_STALE = 0x80  # heard for longer than an ID lives: somebody replays it
RECORD_CONNECTED = 0x40  # read over a connection, from an iPhone
RECORD = "<B12sHHHBbbb"
RECORD_BYTES = 23
GAEN_RECORD = "<B20sHHHBbbb"
GAEN_RECORD_BYTES = 31
MAX_RECORDS = 64
MAX_PAGE_BYTES = OVERHEAD_BYTES + MAX_RECORDS * GAEN_RECORD_BYTES

CLOCK_UNSET = 0
CLOCK_SET = 1  # by a station since this boot
CLOCK_KEPT = 2  # set earlier, kept over a reset
CLOCK_RTC = 3  # from the board's clock chip
FLAG_CLOCK_MASK = 0x03
FLAG_CROWDED = 0x04  # more than MAX_RECORDS IDs were heard; the weakest are missing

STATE_WINDOWED = 0x01  # profile `windowed`; else `continuous`
STATE_SAVING = 0x02  # did not listen, to save the battery
STATE_CLOCK_REPAIRED = 0x04  # the clock was put right in this window
STATE_SITE = 0x08  # the token of a place, not of a person

_BLOCK_BYTES = 16
_BLOCKS_AT_ONCE = 16


class Record:
    """One ID in one window.

    rotating_id: 12 bytes, or RPI and AEM (20 bytes) when kind is KIND_GAEN; first_s, last_s: seconds after the window's
    start of the first and last packet; packets: how many; scans: in how many scans of the window it was heard;
    rssi_max_dbm, rssi_mean_dbm as received; tx_power_dbm as announced (127: not announced); flags: RECORD_STALE and
    RECORD_CONNECTED.
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
        flags: int = 0,
    ) -> None:
        self.kind = kind
        self.flags = flags
        self.rotating_id = rotating_id
        self.first_s = first_s
        self.last_s = last_s
        self.packets = packets
        self.scans = scans
        self.rssi_max_dbm = rssi_max_dbm
        self.rssi_mean_dbm = rssi_mean_dbm
        self.tx_power_dbm = tx_power_dbm


class PageHeader:
    """The part of a page that is not encrypted: when and how it was written, nothing about who was near.

    uptime_ms is the token's tick count since boot `boot_id` at the window's end: with it the host can correct
    window_start_s when the clock was off. log_key_number says under which step of the ratchet the page is sealed.
    lost_results counts scan results that did not fit the token's buffer. listened_ds: tenths of a second for which the
    radio listened (65535: that long or longer); state: STATE_ bits; both 0 in version 1, which did not tell them.
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
        listened_ds: int = 0,
        state: int = 0,
        version: int = VERSION,
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
        self.listened_ds = listened_ds
        self.state = state
        self.version = version

    def pack(self) -> bytes:
        """36 bytes, as version 2 whatever it was read as. Raises OutOfRange rather than cut a value, only listened_ds
        stops at its end.
        """
        listened_ds = min(self.listened_ds, 65535)
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
            (listened_ds, 16),
            (self.state, 8),
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
            listened_ds,
            self.state,
            0,
        )


def pack_record_into(page: bytearray, offset: int, record: Record) -> int:
    """Write a record at `offset`; its length, 23 or 31 bytes. Raises OutOfRange rather than cut a value."""
    r = record
    gaen = r.kind == KIND_GAEN
    known = (gaen or r.kind == KIND_BLUEZONE) and not r.flags & ~(RECORD_STALE | RECORD_CONNECTED)
    unsigned_ok = 0 <= r.first_s < 65536 and 0 <= r.last_s < 65536 and 0 <= r.packets < 65536 and 0 <= r.scans < 256
    signed_ok = -128 <= r.rssi_max_dbm < 128 and -128 <= r.rssi_mean_dbm < 128 and -128 <= r.tx_power_dbm < 128
    if not known or len(r.rotating_id) != (20 if gaen else 12) or not unsigned_ok or not signed_ok:
        raise OutOfRange("record value out of range")
    struct.pack_into(
        GAEN_RECORD if gaen else RECORD,
        page,
        offset,
        r.kind | r.flags,
        r.rotating_id,
        r.first_s,
        r.last_s,
        r.packets,
        r.scans,
        r.rssi_max_dbm,
        r.rssi_mean_dbm,
        r.tx_power_dbm,
    )
    return GAEN_RECORD_BYTES if gaen else RECORD_BYTES


def apply_keystream(
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
    still writes its log. Fills header.count, length and version. Raises OutOfRange for more than MAX_RECORDS records or
    a value that does not fit.
    """
    at = HEADER_BYTES
    header.count = 0
    for record in records:
        if header.count == MAX_RECORDS:
            raise OutOfRange("a page holds at most 64 records")
        at += pack_record_into(page, at, record)
        header.count += 1
    header.length = at + TAG_BYTES + CRC_BYTES
    header.version = VERSION
    page[:HEADER_BYTES] = header.pack()
    view = memoryview(page)
    cipher_key, tag_key = page_keys(log_key)
    apply_keystream(view[HEADER_BYTES:at], cipher_key, header.sequence, header.boot_id, ecb)
    page[at : at + TAG_BYTES] = hmac_sha256(tag_key, view[:at])[:TAG_BYTES]
    at += TAG_BYTES
    struct.pack_into("<I", page, at, binascii.crc32(view[:at]) & 0xFFFFFFFF)
    return header.length


def read_header(data: "Buffer") -> PageHeader:
    """Header of the page at the start of data, of either version; nothing is verified but the shape.

    HEADER_BYTES of a page are enough. Raises Truncated for fewer bytes than its version's header has, Malformed for a
    wrong magic, version or length.
    """
    view = memoryview(data)
    if len(view) < V1_HEADER_BYTES:
        raise Truncated("page header cut short")
    (magic, version, flags, length, sequence, boot_id, uptime_ms, start_s, window_s, period_s, count, lost, number) = (
        struct.unpack_from(V1_HEADER, data, 0)
    )
    if magic != MAGIC:
        raise Malformed("not a log page")
    listened_ds = state = 0
    if version == VERSION:
        if len(view) < HEADER_BYTES:
            raise Truncated("page header cut short")
        listened_ds, state = struct.unpack_from("<HB", data, V1_HEADER_BYTES)
        wide_bytes = length - OVERHEAD_BYTES - RECORD_BYTES * count  # what GAEN records take beyond Bluezone ones
        fits = wide_bytes % 8 == 0 and 0 <= wide_bytes <= (GAEN_RECORD_BYTES - RECORD_BYTES) * count
    elif version == 1:
        fits = length == MIN_PAGE_BYTES + RECORD_BYTES * count
    else:
        raise Malformed("log page of an unknown version")
    if count > MAX_RECORDS or not fits:
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
        listened_ds,
        state,
        version,
    )
