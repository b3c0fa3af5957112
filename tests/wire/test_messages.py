"""Sealed messages: only the very bytes, direction, command, counter and session open them."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bzwire import cbor
from bzwire.errors import BadChecksum, Malformed, OutOfRange, WireError
from bzwire.messages import (
    CMD_READ,
    CMD_STATUS,
    MAX_COUNTER,
    REQUEST,
    RESPONSE,
    field_bytes,
    field_int,
    seal,
    unseal,
)

SESSION = bytes(range(32))
FIELDS = st.dictionaries(st.text("abcdefgh", max_size=4), st.integers(0, 2**32) | st.binary(max_size=50), max_size=6)


def accepted(envelope: dict[str, Any], direction: bytes = REQUEST, command: int = CMD_READ) -> bool:
    try:
        unseal(SESSION, direction, command, envelope)
    except WireError:
        return False
    return True


@given(FIELDS, st.integers(0, MAX_COUNTER))
def test_sealed_fields_survive_the_round_trip_over_cbor(fields: dict[str, Any], counter: int) -> None:
    sent = cbor.dumps(seal(SESSION, RESPONSE, CMD_READ, counter, fields))
    assert unseal(SESSION, RESPONSE, CMD_READ, cbor.loads(sent)) == (counter, fields)


def test_noise_with_a_right_crc_is_never_accepted() -> None:
    """CRC-16 lets 1 in 65,536 noisy packets through, and a forger all of them: the MAC is what refuses."""
    rng = random.Random(2)
    sealed = seal(SESSION, REQUEST, CMD_READ, 5, {"off": 1000, "n": 512})
    assert accepted(sealed)
    for _ in range(5_000):
        field = rng.choice(["b", "m"])
        noisy = bytearray(sealed[field])
        for at in rng.sample(range(len(noisy)), rng.randint(1, 8)):
            noisy[at] ^= rng.randint(1, 255)
        assert not accepted({**sealed, field: bytes(noisy)})


def test_every_flipped_bit_of_the_mac_is_noticed() -> None:
    sealed = seal(SESSION, REQUEST, CMD_READ, 5, {"n": 1})
    for bit in range(len(sealed["m"]) * 8):
        mac = bytearray(sealed["m"])
        mac[bit // 8] ^= 1 << bit % 8
        with pytest.raises(BadChecksum):
            unseal(SESSION, REQUEST, CMD_READ, {**sealed, "m": bytes(mac)})


def test_direction_command_counter_and_session_are_all_authenticated() -> None:
    sealed = seal(SESSION, REQUEST, CMD_READ, 5, {"n": 1})
    assert not accepted(sealed, direction=RESPONSE)
    assert not accepted(sealed, command=CMD_STATUS)
    assert not accepted({**sealed, "c": 6})
    with pytest.raises(BadChecksum):
        unseal(bytes(32), REQUEST, CMD_READ, sealed)


@pytest.mark.parametrize("length", [0, 1, 15, 17, 32])
def test_a_mac_of_another_length_is_refused(length: int) -> None:
    sealed = seal(SESSION, REQUEST, CMD_READ, 5, {})
    assert not accepted({**sealed, "m": (sealed["m"] * 2)[:length]})


@pytest.mark.parametrize("wrong", [{"c": None}, {"c": True}, {"c": "1"}, {"c": -1}, {"c": 2**32}, {"b": "x"}, {"m": 0}])
def test_an_envelope_of_a_wrong_shape_is_malformed(wrong: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        unseal(SESSION, REQUEST, CMD_READ, {**seal(SESSION, REQUEST, CMD_READ, 1, {}), **wrong})


def test_a_counter_that_does_not_fit_is_not_cut() -> None:
    with pytest.raises(OutOfRange):
        seal(SESSION, REQUEST, CMD_READ, MAX_COUNTER + 1, {})


@pytest.mark.parametrize("value", [None, True, "1", b"1", 0, 11])
def test_an_integer_field_outside_its_bounds_is_malformed(value: object) -> None:
    assert field_int({"n": 10}, "n", 1, 10) == 10
    with pytest.raises(Malformed):
        field_int({"n": value}, "n", 1, 10)


@pytest.mark.parametrize("value", [None, "abcd", b"abc", b"abcde"])
def test_a_byte_field_of_another_length_is_malformed(value: object) -> None:
    assert field_bytes({"n": b"abcd"}, "n", 4) == b"abcd"
    with pytest.raises(Malformed):
        field_bytes({"n": value}, "n", 4)
