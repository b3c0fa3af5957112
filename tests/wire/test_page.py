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
UINT16, INT8 = st.integers(0, 65535), st.integers(-128, 127)
MEASURED = (UINT16, UINT16, UINT16, st.integers(0, 255), INT8, INT8, INT8)
FLAGS = st.sampled_from([0, page.RECORD_STALE, page.RECORD_CONNECTED, page.RECORD_STALE | page.RECORD_CONNECTED])
RECORDS = st.builds(
    Record, st.binary(min_size=12, max_size=12), *MEASURED, st.just(page.KIND_BLUEZONE), FLAGS
) | st.builds(Record, st.binary(min_size=20, max_size=20), *MEASURED, st.just(page.KIND_GAEN), FLAGS)
UINT32 = st.integers(0, 2**32 - 1)
HEADERS = st.builds(
    PageHeader,
    UINT32,
    UINT32,
    UINT32,
    UINT32,
    st.integers(0, 65535),
    st.integers(0, 255),
    st.integers(0, 3),
    UINT32,
    st.integers(0, 65535),
    st.booleans(),
    listened_ds=UINT16,
    state=st.integers(0, 255),
)
# The header of a page of version 1, and such a page, from tests/vectors/page_v1.json.
V1_PAGE = bytes.fromhex("425a01002c00000000000100000000000000000000002c013c00000000000000c8098c37a4752268acc44732")


def ecb(key: bytes, blocks: bytes) -> bytes:
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    return encryptor.update(blocks) + encryptor.finalize()


def header(sequence: int = 1, boot_id: int = 2) -> PageHeader:
    return PageHeader(sequence, boot_id, 3000, 1_596_844_800, 300, 60, page.CLOCK_SET, 0, 0, False)


def records(count: int) -> list[Record]:
    return [Record(bytes([n] * 12), n, n + 1, 2, 1, -60, -70, 127) for n in range(count)]


def gaen_records(count: int) -> list[Record]:
    return [Record(bytes([n] * 20), n, n + 1, 2, 1, -60, -70, 127, page.KIND_GAEN) for n in range(count)]


def sealed(count: int = 3, sequence: int = 1, boot_id: int = 2) -> bytes:
    return page.seal(header(sequence, boot_id), records(count), LOG_KEY, ecb)


@given(HEADERS, st.lists(RECORDS, max_size=page.MAX_RECORDS), st.binary(min_size=32, max_size=32))
def test_pages_survive_the_round_trip(head: PageHeader, written: list[Record], log_key: bytes) -> None:
    data = page.seal(head, written, log_key, ecb)
    gaen = sum(record.kind == page.KIND_GAEN for record in written)
    assert len(data) == head.length == page.OVERHEAD_BYTES + page.RECORD_BYTES * len(written) + 8 * gaen
    found, read = page.open_page(data, log_key, ecb)
    assert vars(found) == vars(head)
    assert [vars(record) for record in read] == [vars(record) for record in written]


def test_sizes_named_in_the_module_are_those_of_the_formats() -> None:
    assert struct.calcsize(page.HEADER) == page.HEADER_BYTES
    assert struct.calcsize(page.V1_HEADER) == page.V1_HEADER_BYTES
    assert struct.calcsize(page.RECORD) == page.RECORD_BYTES
    assert struct.calcsize(page.GAEN_RECORD) == page.GAEN_RECORD_BYTES
    assert len(page.seal(header(), gaen_records(page.MAX_RECORDS), LOG_KEY, ecb)) == page.MAX_PAGE_BYTES
    assert len(sealed(0)) == page.OVERHEAD_BYTES
    assert len(V1_PAGE) == page.MIN_PAGE_BYTES


def test_a_header_is_read_from_its_own_bytes_in_either_version() -> None:
    whole = sealed(3)
    assert vars(page.read_header(whole[: page.HEADER_BYTES])) == vars(page.read_header(whole))
    assert vars(page.read_header(V1_PAGE[: page.V1_HEADER_BYTES])) == vars(page.read_header(V1_PAGE))
    assert (page.read_header(whole).version, page.read_header(V1_PAGE).version) == (2, 1)
    for short in (whole[: page.HEADER_BYTES - 1], V1_PAGE[: page.V1_HEADER_BYTES - 1]):
        with pytest.raises(Truncated):
            page.read_header(short)


def test_a_header_whose_length_no_records_can_have_is_refused() -> None:
    """Three records take 69 to 93 bytes, in steps of 8."""
    whole = bytearray(sealed(3))
    taken = []
    for length in range(200):
        whole[4:6] = length.to_bytes(2, "little")
        try:
            taken.append(page.read_header(whole).length - page.OVERHEAD_BYTES)
        except Malformed:
            continue
    assert taken == [69, 77, 85, 93]


@pytest.mark.parametrize("version", [0, 3, 255])
def test_a_page_of_an_unknown_version_is_refused(version: int) -> None:
    for whole in (sealed(3), V1_PAGE):
        with pytest.raises(Malformed):
            page.read_header(whole[:2] + bytes([version]) + whole[3:])


def forged(head: bytes, count: int, plain: bytes) -> bytes:
    """A page with any content under a good tag, as only a holder of the key could make it."""
    body = bytearray(head)
    body[4:6] = (len(head) + len(plain) + page.TAG_BYTES + page.CRC_BYTES).to_bytes(2, "little")
    body[25] = count
    cipher_key, tag_key = keys.page_keys(LOG_KEY)
    first_block = b"BZpg" + struct.pack(">III", *struct.unpack_from("<II", head, 6), 0)
    body += Cipher(algorithms.AES(cipher_key), modes.CTR(first_block)).encryptor().update(plain)
    body += keys.hmac_sha256(tag_key, body)[: page.TAG_BYTES]
    return bytes(body + zlib.crc32(body).to_bytes(4, "little"))


V2_HEAD, V1_HEAD = sealed(0)[: page.HEADER_BYTES], V1_PAGE[: page.V1_HEADER_BYTES]
BLUEZONE_PLAIN, GAEN_PLAIN = page.pack_record(records(1)[0]), page.pack_record(gaen_records(1)[0])


@pytest.mark.parametrize("head", [V1_HEAD, V2_HEAD], ids=["version 1", "version 2"])
def test_the_forger_makes_pages_that_open(head: bytes) -> None:
    assert len(page.open_page(forged(head, 2, BLUEZONE_PLAIN * 2), LOG_KEY, ecb)[1]) == 2


@pytest.mark.parametrize(
    ("head", "plain"),
    [
        (V2_HEAD, GAEN_PLAIN[: page.RECORD_BYTES]),
        (V2_HEAD, BLUEZONE_PLAIN + bytes(8)),
        (V2_HEAD, bytes(page.RECORD_BYTES)),
        (V1_HEAD, GAEN_PLAIN[: page.RECORD_BYTES]),
        (V1_HEAD, b"\x81" + BLUEZONE_PLAIN[1:]),  # flags came with version 2
    ],
    ids=["wide record cut", "bytes left over", "kind 0", "GAEN in version 1", "flag in version 1"],
)
def test_records_that_do_not_fit_their_page_are_refused_behind_a_good_tag(head: bytes, plain: bytes) -> None:
    with pytest.raises((Truncated, Malformed)):
        page.open_page(forged(head, 1, plain), LOG_KEY, ecb)


def test_seconds_listened_stop_at_their_end() -> None:
    head = header()
    head.listened_ds = 70_000
    assert page.read_header(page.seal(head, [], LOG_KEY, ecb)).listened_ds == 65535


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
    "kind": (-1, 0, 3, 16, 129, 256),
    "flags": (-1, 1, 0x10, 0x20, 0x100),
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
    for record in (records(1)[0], gaen_records(1)[0]):
        setattr(record, field, value)
        with pytest.raises(OutOfRange):
            page.pack_record(record)


def test_an_id_of_the_other_kinds_length_is_refused() -> None:
    for record, kind in ((records(1)[0], page.KIND_GAEN), (gaen_records(1)[0], page.KIND_BLUEZONE)):
        record.kind = kind
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
    "state": 8,
}


@pytest.mark.parametrize("field", BITS)
def test_a_header_value_that_does_not_fit_is_not_cut(field: str) -> None:
    for value in (-1, 1 << BITS[field]):
        head = header()
        setattr(head, field, value)
        with pytest.raises(OutOfRange):
            head.pack()


def test_a_record_cut_short_or_of_an_unknown_kind_is_refused() -> None:
    for record, length in ((records(1)[0], page.RECORD_BYTES), (gaen_records(1)[0], page.GAEN_RECORD_BYTES)):
        packed = page.pack_record(record)
        assert len(packed) == length
        for cut in range(length):
            with pytest.raises(Truncated):
                page.unpack_record(packed[:cut])
        for unknown in (0, 3, 15, record.kind | 0x10, record.kind | 0x20):
            with pytest.raises(Malformed):
                page.unpack_record(bytes([unknown]) + packed[1:])


@given(st.binary(max_size=200))
def test_random_bytes_raise_only_wire_errors(data: bytes) -> None:
    for noise in (data, page.MAGIC + b"\x01" + data, page.MAGIC + b"\x02" + data):
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
