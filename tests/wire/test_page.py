"""Log pages: what was sealed opens under its key, and nothing else opens at all."""

import struct
import zlib

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st

from bzwire import keys, page
from bzwire.errors import BadChecksum, Malformed, OutOfRange, Truncated, WireError
from bzwire.page import PageHeader, Record

LOG_KEY = bytes(range(32))
RECORDS = st.builds(
    Record,
    st.binary(min_size=12, max_size=12),
    st.integers(0, 65535),
    st.integers(0, 65535),
    st.integers(0, 65535),
    st.integers(0, 255),
    st.integers(-128, 127),
    st.integers(-128, 127),
    st.integers(-128, 127),
)
UINT32 = st.integers(0, 2**32 - 1)
HEADERS = st.builds(
    PageHeader,
    UINT32,
    UINT32,
    UINT32,
    UINT32,
    st.integers(0, 65535),
    st.integers(0, 255),
    st.integers(0, 2),
    UINT32,
    st.integers(0, 65535),
    st.booleans(),
)


def ecb(key: bytes, blocks: bytes) -> bytes:
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    return encryptor.update(blocks) + encryptor.finalize()


def header(sequence: int = 1, boot_id: int = 2) -> PageHeader:
    return PageHeader(sequence, boot_id, 3000, 1_596_844_800, 300, 60, page.CLOCK_SET, 0, 0, False)


def records(count: int) -> list[Record]:
    return [Record(bytes([n] * 12), n, n + 1, 2, 1, -60, -70, 127) for n in range(count)]


def sealed(count: int = 3, sequence: int = 1, boot_id: int = 2) -> bytes:
    return page.seal(header(sequence, boot_id), records(count), LOG_KEY, ecb)


@given(HEADERS, st.lists(RECORDS, max_size=page.MAX_RECORDS), st.binary(min_size=32, max_size=32))
def test_pages_survive_the_round_trip(head: PageHeader, written: list[Record], log_key: bytes) -> None:
    data = page.seal(head, written, log_key, ecb)
    assert len(data) == head.length == page.OVERHEAD_BYTES + page.RECORD_BYTES * len(written)
    found, read = page.open_page(data, log_key, ecb)
    assert vars(found) == vars(head)
    assert [vars(record) for record in read] == [vars(record) for record in written]


def test_sizes_named_in_the_module_are_those_of_the_formats() -> None:
    assert struct.calcsize(page.HEADER) == page.HEADER_BYTES
    assert struct.calcsize(page.RECORD) == page.RECORD_BYTES
    assert len(sealed(page.MAX_RECORDS)) == page.MAX_PAGE_BYTES


@pytest.mark.parametrize("count", [0, 1, 5])
def test_every_flipped_bit_of_a_page_is_refused(count: int) -> None:
    data = sealed(count)
    for bit in range(len(data) * 8):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(WireError):
            page.open_page(damaged, LOG_KEY, ecb)


def test_a_forged_bit_with_a_fitting_crc_is_refused_by_the_tag() -> None:
    data = sealed()
    for bit in range((len(data) - page.CRC_BYTES) * 8):
        forged = bytearray(data)
        forged[bit // 8] ^= 1 << bit % 8
        forged[-page.CRC_BYTES :] = zlib.crc32(forged[: -page.CRC_BYTES]).to_bytes(4, "little")
        with pytest.raises(WireError):
            page.open_page(forged, LOG_KEY, ecb)


@pytest.mark.parametrize("count", [0, 3, page.MAX_RECORDS])
def test_truncated_at_every_length_is_refused(count: int) -> None:
    data = sealed(count)
    for length in range(len(data)):
        with pytest.raises(Truncated):
            page.open_page(data[:length], LOG_KEY, ecb)


@pytest.mark.parametrize("steps", [1, 2])
def test_the_log_key_of_another_day_does_not_open_a_page(steps: int) -> None:
    with pytest.raises(BadChecksum):
        page.open_page(sealed(), keys.next_log_key(LOG_KEY, steps), ecb)


def test_check_page_needs_no_key() -> None:
    assert page.check_page(sealed(4)).count == 4


def test_pages_of_another_sequence_or_boot_share_no_keystream() -> None:
    bodies = [sealed(3, *numbers)[page.HEADER_BYTES :] for numbers in ((1, 2), (2, 2), (1, 3), (2, 1))]
    blocks = [body[at : at + 16] for body in bodies for at in range(0, 3 * page.RECORD_BYTES - 15, 16)]
    assert len(set(blocks)) == len(blocks)


def test_counter_blocks_never_repeat_within_a_page_or_between_two() -> None:
    asked: list[bytes] = []

    def remembering(key: bytes, blocks: bytes) -> bytes:
        asked.extend(blocks[at : at + 16] for at in range(0, len(blocks), 16))
        return ecb(key, blocks)

    for sequence in (1, 2):
        page.seal(header(sequence), records(page.MAX_RECORDS), LOG_KEY, remembering)
    assert len(asked) == 2 * 92
    assert len(set(asked)) == len(asked)


def test_ciphertext_is_aes_ctr_of_the_library() -> None:
    data = sealed(20)
    plain = b"".join(page.pack_record(record) for record in records(20))
    first_block = struct.pack(">4sIII", b"BZpg", 1, 2, 0)
    cipher = Cipher(algorithms.AES(keys.page_keys(LOG_KEY)[0]), modes.CTR(first_block)).encryptor()
    assert data[page.HEADER_BYTES : page.HEADER_BYTES + len(plain)] == cipher.update(plain)


def test_more_records_than_a_page_holds_are_refused() -> None:
    with pytest.raises(OutOfRange):
        sealed(page.MAX_RECORDS + 1)


LIMITS = {
    "kind": (-1, 256),
    "first_s": (-1, 65536),
    "last_s": (-1, 65536),
    "packets": (-1, 65536),
    "scans": (-1, 256),
    "rssi_max_dbm": (-129, 128),
    "rssi_mean_dbm": (-129, 128),
    "tx_power_dbm": (-129, 128),
    "rotating_id": (bytes(11), bytes(13)),
}


@pytest.mark.parametrize(("field", "value"), [(field, value) for field in LIMITS for value in LIMITS[field]])
def test_a_record_value_that_does_not_fit_is_not_cut(field: str, value: object) -> None:
    record = records(1)[0]
    setattr(record, field, value)
    with pytest.raises(OutOfRange):
        page.pack_record(record)


BITS = {
    "sequence": 32,
    "boot_id": 32,
    "uptime_ms": 32,
    "window_start_s": 32,
    "window_s": 16,
    "scan_period_s": 8,
    "count": 8,
    "length": 16,
    "lost_results": 16,
    "log_key_number": 32,
    "clock_state": 2,
}


@pytest.mark.parametrize("field", BITS)
def test_a_header_value_that_does_not_fit_is_not_cut(field: str) -> None:
    for value in (-1, 1 << BITS[field]):
        head = header()
        setattr(head, field, value)
        with pytest.raises(OutOfRange):
            head.pack()


def test_a_record_cut_short_or_of_an_unknown_kind_is_refused() -> None:
    packed = page.pack_record(records(1)[0])
    for length in range(page.RECORD_BYTES):
        with pytest.raises(Truncated):
            page.unpack_record(packed[:length])
    with pytest.raises(Malformed):
        page.unpack_record(b"\x02" + packed[1:])


@given(st.binary(max_size=200))
def test_random_bytes_raise_only_wire_errors(data: bytes) -> None:
    for noise in (data, page.MAGIC + bytes([page.VERSION]) + data):
        with pytest.raises(WireError):
            page.open_page(noise, LOG_KEY, ecb)


@given(st.lists(st.integers(0, 6), max_size=6))
def test_a_run_of_pages_splits_into_the_same_pages(counts: list[int]) -> None:
    written = [sealed(count, sequence) for sequence, count in enumerate(counts)]
    assert [bytes(part) for part in page.split_pages(b"".join(written))] == written


def test_a_run_cut_anywhere_gives_its_whole_pages_and_then_truncated() -> None:
    first, second = sealed(2, 1), sealed(1, 2)
    for length in range(1, len(second)):
        parts = page.split_pages(first + second[:length])
        assert bytes(next(parts)) == first
        with pytest.raises(Truncated):
            next(parts)
