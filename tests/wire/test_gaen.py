"""GAEN keys, identifiers and advertisements: what a library computes, what phones may send, what strangers send."""

import random
import struct

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from bzwire import bluezone, gaen
from bzwire.errors import Malformed, OutOfRange

KEYS = st.binary(min_size=16, max_size=16)
METADATA = st.binary(min_size=4, max_size=4)
POWERS = st.integers(-128, 127)
ID = bytes(range(20))
FLAGS, UUIDS, SERVICE_DATA = b"\x02\x01\x1a", b"\x03\x03\x6f\xfd", b"\x17\x16\x6f\xfd" + ID
FOREIGN = [b"", FLAGS, FLAGS + b"\x03\x03\x0f\x18", bluezone.advertisement(bytes(12), 0), b"\x17\x16\x0f\x18" + ID]
DAMAGED = [
    FLAGS + UUIDS,
    UUIDS + SERVICE_DATA[:-1],
    b"\x16\x16\x6f\xfd" + ID[:-1],
    b"\x18\x16\x6f\xfd" + ID + b"\0",
    UUIDS + SERVICE_DATA + b"\x05\x09tok",
]


def ecb(key: bytes, blocks: bytes) -> bytes:
    return Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(blocks)


def hkdf(tek: bytes, info: bytes) -> bytes:
    return HKDF(SHA256(), 16, None, info).derive(tek)


@given(KEYS)
def test_both_keys_of_a_day_are_hkdf_of_the_library(tek: bytes) -> None:
    assert (gaen.rpi_key(tek), gaen.aem_key(tek)) == (hkdf(tek, b"EN-RPIK"), hkdf(tek, b"EN-AEMK"))


@given(KEYS, st.integers(0, 2**32 - 1))
def test_an_identifier_is_one_aes_block_of_the_library(rpik: bytes, interval: int) -> None:
    block = b"EN-RPI" + bytes(6) + struct.pack("<I", interval)
    assert gaen.rpi(rpik, interval, ecb) == ecb(rpik, block)


@given(KEYS, KEYS, POWERS)
def test_metadata_is_aes_ctr_of_the_library_and_opens_again(aemk: bytes, rpi: bytes, tx_power_dbm: int) -> None:
    hidden = gaen.aem(aemk, rpi, tx_power_dbm, ecb)
    plain = struct.pack("Bbxx", 0x40, tx_power_dbm)
    assert hidden == Cipher(algorithms.AES(aemk), modes.CTR(rpi)).encryptor().update(plain)
    assert gaen.open_aem(aemk, rpi, hidden, ecb) == tx_power_dbm


def test_metadata_of_another_version_or_length_is_refused() -> None:
    hidden = gaen.aem(bytes(16), bytes(16), -7, ecb)
    for other in (hidden[:3], hidden + b"\0", bytes([hidden[0] ^ 0xC0]) + hidden[1:]):
        with pytest.raises(Malformed):
            gaen.open_aem(bytes(16), bytes(16), other, ecb)
    minor_version = bytes([hidden[0] ^ 0x10]) + hidden[1:]  # 1.1 keeps the meaning of the first two bytes
    assert gaen.open_aem(bytes(16), bytes(16), minor_version, ecb) == -7


@given(st.integers(0, 2**32 - 1))
def test_a_day_has_144_intervals_from_midnight(unix_s: int) -> None:
    within = gaen.interval_of(unix_s) - gaen.day_start_interval(unix_s)
    assert 0 <= within < gaen.INTERVALS_PER_DAY
    assert within == unix_s % 86400 // gaen.INTERVAL_S
    assert gaen.day_start_interval(unix_s) * gaen.INTERVAL_S == unix_s // 86400 * 86400


@given(KEYS, METADATA)
def test_advertisements_survive_the_round_trip(rpi: bytes, metadata: bytes) -> None:
    sent = gaen.advertisement(rpi, metadata)
    assert len(sent) == 31
    assert gaen.parse_advertisement(sent) == (rpi + metadata, gaen.TX_POWER_UNKNOWN)
    assert gaen.parse_advertisement(memoryview(bytearray(sent))) == (rpi + metadata, 127)
    assert bluezone.parse_advertisement(sent) is None


def test_an_advertisement_has_the_published_bytes() -> None:
    assert gaen.advertisement(ID[:16], ID[16:]) == FLAGS + UUIDS + SERVICE_DATA
    assert gaen.SERVICE_UUID.to_bytes(2, "little") == UUIDS[2:]


@given(
    st.permutations([FLAGS, b"\x03\x02\x6f\xfd", b"\x05\x03\x0f\x18\x6f\xfd", SERVICE_DATA, b"\x04\x09tok"]),
    st.integers(0, 5),
)
def test_fields_may_come_in_any_order_with_others_and_padding(fields: list[bytes], padding: int) -> None:
    assert gaen.parse_advertisement(b"".join(fields) + bytes(padding)) == (ID, gaen.TX_POWER_UNKNOWN)


@pytest.mark.parametrize("payload", FOREIGN)
def test_foreign_payloads_are_nobodys(payload: bytes) -> None:
    assert gaen.parse_advertisement(payload) is None


@pytest.mark.parametrize("payload", DAMAGED)
def test_what_claims_to_be_gaen_but_does_not_add_up_is_malformed(payload: bytes) -> None:
    with pytest.raises(Malformed):
        gaen.parse_advertisement(payload)


@given(st.permutations([FLAGS, UUIDS, SERVICE_DATA]))
def test_a_cut_advertisement_is_malformed_none_or_the_same_id(fields: list[bytes]) -> None:
    whole = b"".join(fields)
    for length in range(len(whole)):
        try:
            found = gaen.parse_advertisement(whole[:length])
        except Malformed:
            continue
        assert found is None or (found[0] == ID and SERVICE_DATA in whole[:length])


def test_random_payloads_give_no_id_and_raise_nothing_but_malformed() -> None:
    rng = random.Random(3)
    found = 0
    for _ in range(20_000):
        try:
            found += gaen.parse_advertisement(rng.randbytes(rng.randint(0, 31))) is not None
        except Malformed:
            continue
    assert found == 0


@given(st.binary(max_size=20), st.permutations([UUIDS, SERVICE_DATA]))
def test_bytes_after_real_fields_raise_nothing_but_malformed(noise: bytes, fields: list[bytes]) -> None:
    try:
        found = gaen.parse_advertisement(b"".join(fields) + noise)
    except Malformed:
        return
    assert found is not None


@pytest.mark.parametrize("length", [0, 15, 17, 32])
def test_keys_and_identifiers_of_another_length_are_refused(length: int) -> None:
    for act in (gaen.rpi_key, gaen.aem_key, lambda wrong: gaen.advertisement(wrong, bytes(4))):
        with pytest.raises(OutOfRange):
            act(bytes(length))


def test_metadata_of_another_length_is_not_sent() -> None:
    for length in (0, 3, 5):
        with pytest.raises(OutOfRange):
            gaen.advertisement(bytes(16), bytes(length))


@pytest.mark.parametrize("interval", [-1, 2**32])
def test_an_interval_that_does_not_fit_is_not_cut(interval: int) -> None:
    with pytest.raises(OutOfRange):
        gaen.rpi(bytes(16), interval, ecb)


@pytest.mark.parametrize("tx_power_dbm", [-129, 128, 300])
def test_a_power_that_does_not_fit_is_not_cut(tx_power_dbm: int) -> None:
    with pytest.raises(OutOfRange):
        gaen.aem(bytes(16), bytes(16), tx_power_dbm, ecb)
