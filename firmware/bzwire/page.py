"""Log pages on the host: seal, check, open, split. Gives all of `page_format` too, which is what a token loads.

Layout: SPEC.md "Pages". Pages of version 1 and 2 are read; AES comes in as `ecb(key, blocks) -> blocks`.
"""
# ruff: noqa: F403, F405 - every name of the format belongs to this module too; nothing of it is said twice

import binascii
import struct

from .errors import BadChecksum, Malformed, Truncated
from .keys import hmac_sha256, page_keys, same
from .page_format import *

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from typing_extensions import Buffer


def seal(
    header: PageHeader, records: "Iterable[Record]", log_key: bytes, ecb: "Callable[[bytes, bytes], bytes]"
) -> bytes:
    """`seal_into` a buffer of its own; the bytes of the page."""
    page = bytearray(MAX_PAGE_BYTES)
    return bytes(page[: seal_into(page, header, records, log_key, ecb)])


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
    cipher_start = HEADER_BYTES if header.version == VERSION else V1_HEADER_BYTES
    cipher_end = header.length - CRC_BYTES - TAG_BYTES
    tag = bytes(view[cipher_end : cipher_end + TAG_BYTES])
    if not same(hmac_sha256(tag_key, view[:cipher_end])[:TAG_BYTES], tag):
        raise BadChecksum("page tag does not match this token's key")
    plain = bytearray(view[cipher_start:cipher_end])
    apply_keystream(plain, cipher_key, header.sequence, header.boot_id, ecb)
    return header, _unpack_records(plain, header)


def _unpack_records(plain: bytearray, header: PageHeader) -> "list[Record]":
    records = []
    at = 0
    for _ in range(header.count):
        if header.version == 1 and plain[at] != KIND_BLUEZONE:  # all that it had
            raise Malformed("record of an unknown kind")
        record = unpack_record(plain, at)
        at += _record_bytes(record.kind)
        records.append(record)
    if at != len(plain):
        raise Malformed("log page with a wrong length")
    return records


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


def pack_record(record: Record) -> bytes:
    """23 or 31 bytes. Raises OutOfRange rather than cut a value."""
    packed = bytearray(GAEN_RECORD_BYTES)
    return bytes(packed[: pack_record_into(packed, 0, record)])


def unpack_record(data: "Buffer", offset: int = 0) -> Record:
    """The record at `offset`. Raises Truncated, or Malformed for a kind or flag that this version does not know."""
    view = memoryview(data)
    if len(view) <= offset:
        raise Truncated("record cut short")
    kind, flags = view[offset] & KIND_MASK, view[offset] & ~KIND_MASK
    if kind not in (KIND_BLUEZONE, KIND_GAEN) or flags & ~(RECORD_STALE | RECORD_CONNECTED):
        raise Malformed("record of an unknown kind")
    if len(view) < offset + _record_bytes(kind):
        raise Truncated("record cut short")
    _, rotating_id, first_s, last_s, packets, scans, rssi_max, rssi_mean, tx = struct.unpack_from(
        GAEN_RECORD if kind == KIND_GAEN else RECORD, data, offset
    )
    return Record(bytes(rotating_id), first_s, last_s, packets, scans, rssi_max, rssi_mean, tx, kind, flags)


def _record_bytes(kind: int) -> int:
    return GAEN_RECORD_BYTES if kind == KIND_GAEN else RECORD_BYTES
