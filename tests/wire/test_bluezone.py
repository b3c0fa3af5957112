"""Bluezone advertisements and slots: what we send, what phones may send, what strangers send."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bzwire import bluezone
from bzwire.errors import Malformed, OutOfRange

IDS = st.binary(min_size=12, max_size=12)
POWERS = st.none() | st.integers(-127, 126)
ID = bytes.fromhex("b9a665d754fe65e665d76a45")
MIDNIGHT_UNIX_S = 1_596_931_200  # 2020-08-09 00:00 UTC
FLAGS, UUIDS, MANUFACTURER, POWER = b"\x02\x01\x06", b"\x03\x03\x56\x4e", b"\x0f\xff\xb5\x22" + ID, b"\x02\x0a\xf9"
APPLE_BACKGROUND = bytes.fromhex("02011a14ff4c000100000000000000000000000000000000")
GAEN = bytes.fromhex("02011a03036ffd17166ffd") + bytes(range(20))


@given(IDS, POWERS)
def test_advertisements_survive_the_round_trip(rotating_id: bytes, tx_power_dbm: int | None) -> None:
    sent = bluezone.advertisement(rotating_id, tx_power_dbm)
    expected_dbm = bluezone.TX_POWER_UNKNOWN if tx_power_dbm is None else tx_power_dbm
    assert bluezone.parse_advertisement(sent) == (rotating_id, expected_dbm)
    assert bluezone.parse_advertisement(memoryview(bytearray(sent))) == (rotating_id, expected_dbm)
    assert len(sent) == (23 if tx_power_dbm is None else 26)


def test_an_advertisement_has_the_bytes_that_phones_filter_on() -> None:
    assert bluezone.advertisement(ID, -7) == FLAGS + UUIDS + MANUFACTURER + POWER
    assert (bluezone.SERVICE_UUID.to_bytes(2, "little"), bluezone.COMPANY_ID.to_bytes(2, "little")) == (
        b"VN",
        b"\xb5\x22",
    )


@given(st.permutations([FLAGS, UUIDS, MANUFACTURER, POWER]), st.integers(0, 5))
def test_fields_may_come_in_any_order_and_with_padding(fields: list[bytes], padding: int) -> None:
    assert bluezone.parse_advertisement(b"".join(fields) + bytes(padding)) == (ID, -7)


@given(st.permutations([FLAGS, b"\x05\x02\x0f\x18\x56\x4e", MANUFACTURER, b"\x04\x09tok"]))
def test_a_service_uuid_may_stand_among_others(fields: list[bytes]) -> None:
    assert bluezone.parse_advertisement(b"".join(fields)) == (ID, bluezone.TX_POWER_UNKNOWN)


@given(st.permutations([FLAGS, UUIDS, MANUFACTURER, POWER]))
def test_a_cut_advertisement_is_malformed_none_or_the_same_id(fields: list[bytes]) -> None:
    whole = b"".join(fields)
    for length in range(len(whole)):
        try:
            found = bluezone.parse_advertisement(whole[:length])
        except Malformed:
            continue
        assert found is None or found[0] == ID


def test_our_own_advertisement_cut_short_gives_no_id() -> None:
    whole = bluezone.advertisement(ID)
    for length in range(len(whole)):
        try:
            assert bluezone.parse_advertisement(whole[:length]) is None
        except Malformed:
            assert length > len(FLAGS + UUIDS)


@pytest.mark.parametrize("payload", [APPLE_BACKGROUND, GAEN, b"", FLAGS, FLAGS + UUIDS, FLAGS + MANUFACTURER])
def test_foreign_or_half_payloads_are_nobodys(payload: bytes) -> None:
    assert bluezone.parse_advertisement(payload) is None


def test_random_payloads_give_no_id_and_raise_nothing_but_malformed() -> None:
    rng = random.Random(3)
    found = 0
    for _ in range(20_000):
        try:
            found += bluezone.parse_advertisement(rng.randbytes(rng.randint(0, 31))) is not None
        except Malformed:
            continue
    assert found == 0


@given(st.binary(max_size=20), st.permutations([UUIDS, MANUFACTURER]))
def test_bytes_after_real_fields_raise_nothing_but_malformed(noise: bytes, fields: list[bytes]) -> None:
    try:
        bluezone.parse_advertisement(b"".join(fields) + noise)
    except Malformed:
        return


SERVICE_LE = bytes.fromhex(bluezone.SERVICE_UUID128.replace("-", ""))[::-1]
IN_FRONT, BEHIND = b"\x11\x07" + SERVICE_LE, b"\x14\xff\x4c\x00\x01" + bytes(16)


@pytest.mark.parametrize(
    "payload",
    [
        FLAGS + IN_FRONT,
        IN_FRONT + FLAGS,
        b"\x11\x06" + SERVICE_LE,
        FLAGS + b"\x21\x06" + bytes(16) + SERVICE_LE,
        FLAGS + BEHIND,
        BEHIND + b"\x02\x0a\x08",
        APPLE_BACKGROUND,
    ],
)
def test_an_iphone_that_may_carry_bluezone_is_known(payload: bytes) -> None:
    assert bluezone.is_iphone(payload)
    assert bluezone.is_iphone(memoryview(bytearray(payload)))


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        FLAGS,
        GAEN,
        b"\x11\x07" + SERVICE_LE[::-1],
        b"\x11\x15" + SERVICE_LE,
        b"\x13\xff\x4c\x00\x01" + bytes(15),
        b"\x14\xff\x4c\x00\x10" + bytes(16),
        b"\x14\xff\x4d\x00\x01" + bytes(16),
        bluezone.advertisement(ID, 0),
    ],
)
def test_others_are_not_taken_for_an_iphone(payload: bytes) -> None:
    assert not bluezone.is_iphone(payload)


@given(st.sampled_from([IN_FRONT, BEHIND]), st.integers(0, 17))
def test_a_cut_advertisement_of_an_iphone_is_nobodys(field: bytes, length: int) -> None:
    assert not bluezone.is_iphone(FLAGS + field[:length])


@given(st.binary(max_size=31))
def test_no_payload_makes_the_look_for_iphones_fail(payload: bytes) -> None:
    assert bluezone.is_iphone(payload) in (True, False)


@pytest.mark.parametrize("tx_power_dbm", [-129, -128, 127, 128, 300])
def test_a_power_that_does_not_fit_is_not_cut(tx_power_dbm: int) -> None:
    with pytest.raises(OutOfRange):
        bluezone.advertisement(ID, tx_power_dbm)


@pytest.mark.parametrize("length", [0, 11, 13])
def test_an_id_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(OutOfRange):
        bluezone.advertisement(bytes(length))


def test_slot_95_turns_to_slot_0_of_the_next_day_at_midnight() -> None:
    before, after = MIDNIGHT_UNIX_S - 1, MIDNIGHT_UNIX_S
    assert (bluezone.slot_of(before), bluezone.slot_of(after)) == (95, 0)
    assert bluezone.day_of(after) == bluezone.day_of(before) + 1


def test_the_phones_chain_joins_two_captured_days_over_midnight() -> None:
    today = bytes.fromhex("4c5224b397f8ab3896781d5aa0f3119f280513f1b592ca280ebded6357e21084")
    assert bluezone.slot_id(today, 95).hex() == "b0a3ca441eec82955e4e6252"
    assert bluezone.slot_id(bluezone.next_day_key(today), 0).hex() == "64c0d2707c49d2f0d5e3e348"


@given(st.integers(0, 2**32 - 1))
def test_day_and_slot_name_exactly_one_quarter_hour(unix_s: int) -> None:
    start = bluezone.day_of(unix_s) * bluezone.DAY_S + bluezone.slot_of(unix_s) * bluezone.SLOT_S
    assert start <= unix_s < start + bluezone.SLOT_S


@given(st.binary(min_size=32, max_size=32))
def test_the_ids_of_a_day_are_all_different_and_each_is_reached_alone(day_key: bytes) -> None:
    whole_day = list(bluezone.slot_ids(day_key))
    assert len(set(whole_day)) == bluezone.SLOTS_PER_DAY
    for slot in (0, 1, 47, 95):
        assert bluezone.slot_id(day_key, slot) == whole_day[slot]


@pytest.mark.parametrize("slot", [-1, 96])
def test_a_slot_outside_the_day_is_refused(slot: int) -> None:
    with pytest.raises(OutOfRange):
        bluezone.slot_id(bytes(32), slot)


@pytest.mark.parametrize(("length", "slots"), [(31, 96), (33, 96), (32, -1), (32, 97)])
def test_a_key_or_number_of_slots_out_of_range_is_refused(length: int, slots: int) -> None:
    with pytest.raises(OutOfRange):
        list(bluezone.slot_ids(bytes(length), slots))
