"""SMP messages and console lines: against the `smp` library both ways, and against a noisy cable."""

import random

import pytest
import smp.packet
from hypothesis import given
from hypothesis import strategies as st

from bzwire.errors import Malformed, OutOfRange, Truncated, WireError
from bzwire.smp import (
    HEADER_BYTES,
    LINE_BYTES,
    LINE_PAYLOAD_BYTES,
    LineDecoder,
    Message,
    crc16,
    encode_lines,
    unpack_message,
)

PACKED = st.binary(min_size=HEADER_BYTES, max_size=600)
MESSAGES = st.builds(
    Message,
    st.integers(0, 7),
    st.integers(0, 65535),
    st.integers(0, 255),
    st.integers(0, 255),
    st.binary(max_size=300),
    st.integers(0, 3),
)
# Neither delimiter can arise in it or at its end.
GARBAGE = st.binary(max_size=300).map(lambda data: data.replace(b"\x06", b"?").replace(b"\x04", b"?"))


def lines_of(message: bytes) -> bytes:
    return b"".join(encode_lines(message))


def fed_in_pieces(decoder: LineDecoder, data: bytes, sizes: list[int]) -> list[bytes]:
    found, at = [], 0
    for size in sizes:
        found += decoder.feed(data[at : at + size])
        at += size
    return found + decoder.feed(data[at:])


def decoded_by_library(lines: list[bytes]) -> bytes:
    decoder = smp.packet.decode()
    next(decoder)
    for line in lines:
        try:
            decoder.send(line)
        except StopIteration as done:
            return bytes(done.value)
    raise AssertionError("the library wants more lines")


@given(PACKED)
def test_the_smp_library_reads_our_lines(message: bytes) -> None:
    assert decoded_by_library(list(encode_lines(message))) == message


@given(PACKED, st.integers(8, LINE_BYTES), st.lists(st.integers(0, 90), max_size=12))
def test_we_read_lines_of_the_smp_library_in_pieces(message: bytes, line_length: int, sizes: list[int]) -> None:
    sent = b"".join(smp.packet.encode(message, line_length=line_length))
    decoder = LineDecoder()
    assert fed_in_pieces(decoder, sent, sizes) == [message]
    assert decoder.bad_packets == 0


@given(st.lists(PACKED, max_size=4), st.lists(st.integers(0, 90), max_size=12))
def test_many_messages_in_pieces_come_out_in_order(sent: list[bytes], sizes: list[int]) -> None:
    assert fed_in_pieces(LineDecoder(), b"".join(map(lines_of, sent)), sizes) == sent


@given(PACKED)
def test_no_line_is_too_long_or_holds_ctrl_c(message: bytes) -> None:
    for line in encode_lines(message):
        assert len(line) <= LINE_BYTES
        assert b"\x03" not in line
        assert line.endswith(b"\n")


@given(MESSAGES)
def test_headers_survive_the_round_trip(message: Message) -> None:
    assert vars(unpack_message(message.pack())) == vars(message)


@given(st.binary(max_size=40))
def test_random_bytes_are_a_message_or_a_wire_error(data: bytes) -> None:
    try:
        assert unpack_message(data).body == data[HEADER_BYTES:]
    except WireError:
        assert len(data) < HEADER_BYTES or int.from_bytes(data[2:4], "big") != len(data) - HEADER_BYTES


def test_truncated_messages_are_refused() -> None:
    whole = Message(0, 64, 1, 2, b"body").pack()
    for length in range(len(whole)):
        with pytest.raises(Truncated if length < HEADER_BYTES else Malformed):
            unpack_message(whole[:length])


@pytest.mark.parametrize(
    ("field", "value"),
    [("op", 8), ("op", -1), ("group", 65536), ("command", 256), ("sequence", 256), ("sequence", -1), ("version", 4)],
)
def test_a_header_value_that_does_not_fit_is_not_cut(field: str, value: int) -> None:
    message = Message(0, 0, 0, 0, b"")
    setattr(message, field, value)
    with pytest.raises(OutOfRange):
        message.pack()


def test_crc_has_the_published_check_value() -> None:
    assert crc16(b"123456789") == 0x31C3


@given(GARBAGE, PACKED)
def test_decoder_resyncs_after_garbage(garbage: bytes, message: bytes) -> None:
    assert LineDecoder().feed(garbage + lines_of(message)) == [message]


@given(PACKED, PACKED, st.data())
def test_a_start_line_in_the_middle_of_a_packet_wins(first: bytes, second: bytes, data: st.DataObject) -> None:
    sent = lines_of(first)
    cut = data.draw(st.integers(0, len(sent) - 1))
    decoder = LineDecoder()
    assert decoder.feed(sent[:cut] + lines_of(second)) == [second]


def test_a_packet_cut_off_is_counted_once() -> None:
    decoder = LineDecoder()
    whole = lines_of(bytes(200))
    decoder.feed(whole[: LINE_BYTES + 10])
    assert decoder.feed(whole) == [bytes(200)]
    assert decoder.bad_packets == 1


@given(PACKED, st.integers(0, 400))
def test_over_long_lines_are_dropped_and_the_next_is_read(message: bytes, extra: int) -> None:
    decoder = LineDecoder()
    assert decoder.feed(b"\x06\x09" + b"A" * (LINE_BYTES + extra) + b"\n") == []
    assert decoder.feed(lines_of(message)) == [message]


def test_a_length_beyond_the_limit_is_refused_at_the_first_line() -> None:
    decoder = LineDecoder(max_message_bytes=100)
    assert decoder.feed(lines_of(bytes(101))) == []
    assert decoder.bad_packets == 1
    assert decoder.feed(lines_of(bytes(100))) == [bytes(100)]


def test_next_lines_alone_are_nothing() -> None:
    lines = list(encode_lines(bytes(range(256))))
    assert LineDecoder().feed(b"".join(lines[1:])) == []


def test_lines_in_the_wrong_order_are_refused() -> None:
    lines = list(encode_lines(bytes(range(250))))
    assert len(lines) == 3
    assert LineDecoder().feed(lines[0] + lines[2] + lines[1]) == []


def test_every_single_flip_of_a_line_is_caught() -> None:
    message = bytes(range(120))
    sent = lines_of(message)
    for bit in range(len(sent) * 8):
        damaged = bytearray(sent)
        damaged[bit // 8] ^= 1 << bit % 8
        # Nothing at all, or the message itself where the flip hit a byte that carries nothing.
        assert LineDecoder().feed(damaged + lines_of(b"followed")) in ([b"followed"], [message, b"followed"])


def framed(packet: bytes) -> bytes:
    """Lines of a packet whose CRC need not fit."""
    pieces = [packet[at : at + LINE_PAYLOAD_BYTES] for at in range(0, len(packet), LINE_PAYLOAD_BYTES)]
    encoded = [smp.packet.b64encode(piece) + b"\n" for piece in pieces]
    return b"\x06\x09" + b"\x04\x14".join(encoded)


def packet_of(message: bytes) -> bytes:
    return (len(message) + 2).to_bytes(2, "big") + message + crc16(message).to_bytes(2, "big")


def test_no_one_or_two_flipped_bits_pass_the_crc() -> None:
    """CRC-16/XMODEM finds every 1- and 2-bit error of packets shorter than 4,095 bytes, so none of 20,000 may pass."""
    rng = random.Random(1)
    decoder, tried = LineDecoder(), 20_000
    for _ in range(tried):
        packet = bytearray(packet_of(rng.randbytes(rng.randint(HEADER_BYTES, 40))))
        for bit in rng.sample(range(16, len(packet) * 8), rng.randint(1, 2)):  # after the length
            packet[bit // 8] ^= 1 << bit % 8
        assert decoder.feed(framed(bytes(packet))) == []
    assert decoder.bad_packets == tried


@pytest.mark.parametrize("message_bytes", [93 - 4, 93 - 3, 200])
def test_a_packet_on_one_line_is_read_up_to_the_limit_only(message_bytes: int) -> None:
    packet = packet_of(bytes(message_bytes))
    line = b"\x06\x09" + smp.packet.b64encode(packet) + b"\n"
    fits = len(line) <= LINE_BYTES
    assert LineDecoder().feed(line) == ([bytes(message_bytes)] if fits else [])
    assert fits == (message_bytes == 93 - 4)


def test_a_packet_longer_than_it_says_is_refused_though_its_crc_fits() -> None:
    decoder = LineDecoder()
    packet = packet_of(bytes(range(40)))
    assert decoder.feed(framed((30).to_bytes(2, "big") + packet[2:])) == []
    assert decoder.bad_packets == 1
