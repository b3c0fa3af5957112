"""How the token answers: in order when two requests are on their way, and with 2 KiB that it never holds in memory."""

from collections.abc import Callable, Iterator

import pytest
from tests.firmware.bench import DAY_S, START_S, Bench, Wearer
from tests.firmware.script_board import ScriptBoard

from bzvirtual.application import Application
from bzvirtual.device import pipe
from bzwire import cbor, messages, smp
from bzwire.page import split_pages

CONSOLE_BYTES = 260


@pytest.fixture(scope="module")
def wearer(tmp_path_factory: pytest.TempPathFactory, app: Application) -> Iterator[Wearer]:
    """A token with pages in two day files, the older one of more than 4 KiB."""
    bench = Bench(tmp_path_factory.mktemp("answers"), app)
    made = bench.hand_out("wearer")
    bench.live(8 * 3600)
    made.set_clock(START_S + DAY_S)
    bench.live(1300)
    made.open_session()
    yield made
    bench.close()


def lines_of(wearer: Wearer, command: int, fields: dict[str, object], sequence: int) -> bytes:
    wearer.counter += 1
    envelope = messages.seal(wearer.session, messages.REQUEST, command, wearer.counter, fields)
    packed = smp.Message(smp.OP_WRITE, smp.GROUP_TOKEN, command, sequence, cbor.dumps(envelope)).pack()
    assert len(packed) <= smp.MAX_REQUEST_BYTES
    return b"".join(smp.encode_lines(packed))


def answers(wearer: Wearer, data: bytes) -> list[tuple[int, dict[str, object]]]:
    """(sequence of the SMP header, fields) of all that comes back."""
    lockstep, decoder = wearer.bench.lockstep, smp.LineDecoder()
    wearer.token.process.write_console(data)
    unpacked = []
    for _ in range(6):  # the console gives 64 bytes at a time
        lockstep._deliver(wearer.token, pipe.event(pipe.SERIAL, lockstep.now_us))
        unpacked += [smp.unpack_message(packet) for packet in decoder.feed(wearer.token.process.read_console())]
    return [(message.sequence, cbor.loads(message.body)) for message in unpacked]


def unsealed(wearer: Wearer, command: int, answer: dict[str, object]) -> tuple[int, dict[str, object]]:
    return messages.unseal(wearer.session, messages.RESPONSE, command, answer)


def test_two_reads_sent_back_to_back_are_answered_in_order(wearer: Wearer) -> None:
    whole = wearer.read_log()
    first = lines_of(wearer, messages.CMD_READ, {"s": 1, "o": 0, "n": messages.MAX_READ_BYTES}, 7)
    second = lines_of(wearer, messages.CMD_READ, {"s": 1, "o": messages.MAX_READ_BYTES, "n": 2000}, 8)
    assert len(first + second) <= CONSOLE_BYTES
    found = answers(wearer, first + second)
    assert [sequence for sequence, _ in found] == [7, 8]
    opened = [unsealed(wearer, messages.CMD_READ, answer) for _, answer in found]
    assert [counter for counter, _ in opened] == [wearer.counter - 1, wearer.counter]
    assert opened[0][1] == {"s": 1, "o": 0, "d": whole[: messages.MAX_READ_BYTES]}
    assert opened[1][1]["d"] == whole[messages.MAX_READ_BYTES : messages.MAX_READ_BYTES + 2000]


def test_a_damaged_first_request_costs_only_its_own_answer(wearer: Wearer) -> None:
    first = bytearray(lines_of(wearer, messages.CMD_READ, {"s": 1, "o": 0, "n": 2048}, 1))
    first[20] ^= 1
    found = answers(wearer, bytes(first) + lines_of(wearer, messages.CMD_STATUS, {}, 2))
    assert [sequence for sequence, _ in found] == [2]
    assert unsealed(wearer, messages.CMD_STATUS, found[0][1])[0] == wearer.counter


def test_an_answer_ends_with_its_day_file_and_the_next_one_begins_there(wearer: Wearer) -> None:
    whole = wearer.read_log()
    image = wearer.flash()
    sizes = [len(image.read(f"/log/{name}")) for name in image.names("/log")]
    assert sizes[0] > 2 * messages.MAX_READ_BYTES
    first_file = list(split_pages(whole[: sizes[0]]))
    last = len(first_file)
    assert wearer.ask(messages.CMD_READ, {"s": last, "o": 0, "n": 2048})["d"] == first_file[-1]
    following = wearer.ask(messages.CMD_READ, {"s": last + 1, "o": 0, "n": 2048})
    assert (following["s"], following["d"]) == (last + 1, whole[sizes[0] : sizes[0] + 2048])


def test_info_tells_what_a_read_and_an_update_may_bring(wearer: Wearer) -> None:
    info = wearer.plain(messages.CMD_INFO, {})
    assert info["rb"] == messages.MAX_READ_BYTES
    assert info["mp"] & 0xFF == 6  # the version of the format of compiled files
    assert info["mp"] >> 10 > 0  # the processor, for machine code


# A day file, then a heap whose free part lies in holes of about half a KiB.
CRUMBS = """
import binascii, gc, os
from bzfw.day_log import Stretch
from bzwire import cbor, messages, smp
with open("/day", "wb") as file:
    for _ in range(30):
        file.write(os.urandom(100))
def answer(count):
    body = messages.seal_in_pieces(bytes(32), b"R", 5, 1, {"s": 1, "o": 0, "d": Stretch("/day", 7, count)})
    for line in smp.encode_pieces(cbor.Pieces((b"x" * 8, cbor.dump_pieces(body)))):
        print(line.decode(), end="")
answer(2048)
gc.collect()
ballast = [None] * 2000
for number in range(2000):
    try:
        ballast[number] = bytearray(480)
    except MemoryError:
        break
for number in range(0, 60, 2):
    ballast[number] = None
gc.collect()
try:
    print("room", len(bytearray(1024)))
except MemoryError:
    print("no room for 1 KiB")
answer(2048)
"""


def test_an_answer_of_2_kib_finds_room_where_1_kib_in_one_piece_does_not(board: Callable[..., ScriptBoard]) -> None:
    lines = board(CRUMBS).live(1).lines()
    parted = lines.index("no room for 1 KiB")
    before, after = "\n".join(lines[:parted]) + "\n", "\n".join(lines[parted + 1 :]) + "\n"
    decoder = smp.LineDecoder()
    (first,), (second,) = decoder.feed(before.encode()), decoder.feed(after.encode())
    assert first == second
    assert len(first) > messages.MAX_READ_BYTES
