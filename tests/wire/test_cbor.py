"""Our CBOR against the cbor2 library, and against input from strangers."""

import struct

import cbor2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bzwire import cbor
from bzwire.errors import Malformed, OutOfRange, Truncated, WireError

INT64 = st.integers(-(2**64), 2**64 - 1)
# Lone surrogates have no UTF-8.
TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=40)
SCALARS = st.none() | st.booleans() | INT64 | st.binary(max_size=300) | TEXT


def nested(levels: int) -> st.SearchStrategy[object]:
    values: st.SearchStrategy[object] = SCALARS
    for _ in range(levels):
        maps = st.dictionaries(TEXT | st.integers(0, 300), values, max_size=6)
        values = SCALARS | st.lists(values, max_size=6) | maps
    return values


@given(nested(cbor.MAX_DEPTH))
def test_cbor2_reads_what_we_write(value: object) -> None:
    assert cbor2.loads(cbor.dumps(value)) == value


@given(nested(cbor.MAX_DEPTH))
def test_we_read_what_cbor2_writes(value: object) -> None:
    assert cbor.loads(cbor2.dumps(value)) == value


@given(INT64)
def test_integers_are_as_short_as_those_of_cbor2(value: int) -> None:
    assert cbor.dumps(value) == cbor2.dumps(value)


@given(nested(3))
def test_truncated_at_every_length_raises_wire_error(value: object) -> None:
    whole = cbor.dumps(value)
    for length in range(len(whole)):
        with pytest.raises(WireError):
            cbor.loads(whole[:length])


@given(st.binary(max_size=80))
@example(b"\xa1\x80\x00")  # a list as a key
@example(b"\xa1\xa0\x00")
@example(b"\x9f\xff")
@example(b"\xbf\xff")
@example(b"\xf9\x3c\x00")
@example(b"\xc0\x00")
@example(b"")
def test_random_bytes_decode_as_cbor2_says_or_raise_wire_error(data: bytes) -> None:
    try:
        value = cbor.loads(data)
    except WireError:
        return
    assert cbor2.loads(data) == value


@given(nested(2), st.binary(min_size=1, max_size=4))
def test_bytes_after_the_item_are_refused(value: object, rest: bytes) -> None:
    with pytest.raises(Malformed):
        cbor.loads(cbor.dumps(value) + rest)


@pytest.mark.parametrize("first", [0x5B, 0x7B])
@pytest.mark.parametrize("length", [2**63 - 1, 2**63, 2**64 - 1])
def test_huge_strings_are_refused_without_memory(first: int, length: int) -> None:
    with pytest.raises(Truncated):
        cbor.loads(bytes([first]) + struct.pack(">Q", length) + b"few")


@pytest.mark.parametrize("first", [0x9B, 0xBB])
def test_huge_containers_are_refused_before_they_are_read(first: int) -> None:
    with pytest.raises(Malformed):
        cbor.loads(bytes([first]) + struct.pack(">Q", 2**64 - 1))


@pytest.mark.parametrize("opening", [b"\x81", b"\xa1\x00"])
def test_nesting_is_bounded(opening: bytes) -> None:
    assert cbor.loads(opening * cbor.MAX_DEPTH + b"\x00") is not None
    with pytest.raises(Malformed):
        cbor.loads(opening * (cbor.MAX_DEPTH + 1) + b"\x00")
    with pytest.raises(Malformed):
        cbor.loads(opening * 100_000)


def test_container_length_is_bounded() -> None:
    assert len(cbor.loads(cbor2.dumps([0] * cbor.MAX_ITEMS))) == cbor.MAX_ITEMS
    with pytest.raises(Malformed):
        cbor.loads(cbor2.dumps([0] * (cbor.MAX_ITEMS + 1)))


@pytest.mark.parametrize("data", ["a20001000a", "a2616101616102", "a1f500", "a1f600", "a14000"])
def test_keys_given_twice_or_of_a_wrong_type_are_refused(data: str) -> None:
    with pytest.raises(Malformed):
        cbor.loads(bytes.fromhex(data))


@pytest.mark.parametrize("value", [1.5, {1, 2}, object(), 2**64, -(2**64) - 1, [1, {"a": 2.5}]])
def test_what_we_do_not_send_raises_out_of_range(value: object) -> None:
    with pytest.raises(OutOfRange):
        cbor.dumps(value)
