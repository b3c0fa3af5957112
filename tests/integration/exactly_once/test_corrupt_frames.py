"""Thousands of spoiled answers and requests, with a CRC that does not fit and with one that does: the real link and a
real token take none of them for something else than was sent.
"""

import asyncio
import random
from collections.abc import Callable
from typing import Any

from tests.firmware.bench import START_S
from tests.integration.exactly_once.conftest import Pair
from tests.integration.exactly_once.spoiled import CHANGES

from bztoken.link.refusals import AnswerLost, TokenRefused
from bztoken.link.token_link import Question, TokenLink
from bzwire import cbor, messages, smp

ANSWERS = 16_000
REQUESTS = 6_000
SESSION = bytes(range(32))


def spoil_bytes(draw: random.Random, frame: bytes) -> bytes:
    """One to four bytes of the lines changed, lost, doubled, or with something before them."""
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(frame))
        frame = frame[:at] + draw.choice(CHANGES[:9])(frame[at]) + frame[at + 1 :]
    return frame


def spoil_message(draw: random.Random, message: bytes) -> bytes:
    """One to three bits of what lies behind the SMP header wrong, and a CRC that fits them: left to the MAC."""
    spoiled = bytearray(message)
    for _ in range(draw.randint(1, 3)):
        spoiled[draw.randrange(smp.HEADER_BYTES, len(message))] ^= 1 << draw.randrange(8)
    return lines_of(bytes(spoiled)) if bytes(spoiled) != message else spoil_message(draw, message)


def cut_and_joined(draw: random.Random, message: bytes) -> bytes:
    """The end of the message where its beginning ended a little before or behind, with a CRC that fits."""
    at = draw.randrange(smp.HEADER_BYTES, len(message))
    joined = message[:at] + message[max(smp.HEADER_BYTES, at + draw.choice([-3, -2, -1, 1, 2, 3])) :]
    length = (len(joined) - smp.HEADER_BYTES).to_bytes(2, "big")
    return lines_of(joined[:2] + length + joined[4:])


def lines_of(message: bytes) -> bytes:
    return b"".join(smp.encode_lines(message))


def spoil(draw: random.Random, message: bytes) -> bytes:
    how: Callable[[random.Random, bytes], bytes] = draw.choice([spoil_message, cut_and_joined])
    return spoil_bytes(draw, lines_of(message)) if draw.random() < 0.5 else how(draw, message)


class OneAnswer:
    """What TokenTransport reads from: some bytes, then silence."""

    def __init__(self) -> None:
        self.data = b""

    def read_all(self) -> bytes:
        found, self.data = self.data, b""
        if not found:
            raise TimeoutError
        return found


def test_no_spoiled_answer_is_taken_for_another() -> None:
    draw = random.Random(1)
    link, port = TokenLink("none"), OneAnswer()
    link._transport._conn = port  # type: ignore[misc, assignment]
    link._session = SESSION
    refused = 0

    async def taken(question: Question, data: bytes) -> dict[str, Any] | None:
        link._transport._reset_state()
        port.data = data
        try:
            return await link.answer(question)
        except (AnswerLost, TokenRefused):
            return None

    async def run() -> None:
        nonlocal refused
        for number in range(ANSWERS):
            question = link._question(messages.CMD_READ, {"s": number, "o": 0, "n": 2048})
            fields = {"s": number, "o": 0, "d": draw.randbytes(draw.choice([1, 60, 200]))}
            answer = answer_to(question, fields)
            if number % 500 == 0:
                assert await taken(question, lines_of(answer)) == fields
            found = await taken(question, spoil(draw, answer))
            assert found in (None, fields)
            refused += found is None

    asyncio.run(run())
    assert refused > 0.9 * ANSWERS  # some of what is inserted harms nothing
    print(f"{refused} of {ANSWERS} spoiled answers were not taken, none for another")


def answer_to(question: Question, fields: dict[str, Any]) -> bytes:
    envelope = messages.seal(SESSION, messages.RESPONSE, question.number, question.counter, fields)
    sequence = question.request.header.sequence
    return smp.Message(smp.OP_WRITE_RESPONSE, smp.GROUP_TOKEN, question.number, sequence, cbor.dumps(envelope)).pack()


def test_a_real_token_does_nothing_that_a_spoiled_request_asks(make_pair: Pair) -> None:
    """Each asks it to delete its log, under the right session and a counter of its own."""
    draw = random.Random(2)
    witness, _ = make_pair(START_S)
    wearer = witness.wearer
    witness.live(1300)
    wearer.open_session()
    wearer.set_clock(witness.bench.now_s)
    pages = witness.look()
    assert len(pages) > 3
    answered = sealed = 0
    counter = wearer.counter
    lockstep, process = witness.bench.lockstep, witness.token.process
    decoder = smp.LineDecoder()
    for _ in range(REQUESTS):
        counter += 1
        fields = {"s": messages.MAX_COUNTER}
        envelope = messages.seal(wearer.session, messages.REQUEST, messages.CMD_ACKNOWLEDGE, counter, fields)
        request = smp.Message(smp.OP_WRITE, smp.GROUP_TOKEN, messages.CMD_ACKNOWLEDGE, 5, cbor.dumps(envelope))
        lockstep.type_in(witness.token, _harmful(draw, request.pack()))
        for packet in decoder.feed(process.read_console()):
            answered += 1
            sealed += "m" in cbor.loads(smp.unpack_message(packet).body)
    lockstep.type_in(witness.token, b"\n")
    assert sealed == 0
    assert answered > REQUESTS / 5  # what has a right CRC is refused by its MAC
    wearer.counter = counter
    assert wearer.status()["a"] == 0  # and the session goes on
    assert witness.look() == pages
    print(f"{REQUESTS} spoiled requests, {answered} refused, the others not understood, none served")


def _harmful(draw: random.Random, message: bytes) -> bytes:
    """Spoiled so that the right message is not left whole in it."""
    while True:
        found = spoil(draw, message)
        if message not in smp.LineDecoder().feed(b"\n" + found):
            return found
