"""Reading the log by cursor, acknowledging it, and growing old: what may be deleted and what may not."""

from collections.abc import Iterator

import pytest
from tests.firmware.bench import DAY_S, START_S, Bench, Refused, Wearer

from bzvirtual.application import Application
from bzwire import messages
from bzwire.errors import RC_BAD_CURSOR, RC_BAD_REQUEST
from bzwire.page import split_pages


@pytest.fixture(scope="module")
def three_days(tmp_path_factory: pytest.TempPathFactory, app: Application) -> Iterator[Wearer]:
    """A token with a neighbour and pages in three day files. Read only."""
    bench = Bench(tmp_path_factory.mktemp("three-days"), app)
    wearer = bench.hand_out("wearer")
    bench.hand_out("neighbour", 1.0)
    for day in range(3):
        wearer.set_clock(START_S + day * DAY_S)
        bench.live(1300)
    yield wearer
    bench.close()


def read(
    wearer: Wearer, sequence: int, offset: int = 0, count: int = messages.MAX_READ_BYTES
) -> tuple[int, int, bytes]:
    answer = wearer.ask(messages.CMD_READ, {"s": sequence, "o": offset, "n": count})
    return answer["s"], answer["o"], answer["d"]


@pytest.mark.parametrize("piece_bytes", [1, 7, 44, 255, 256, 257, messages.MAX_READ_BYTES])
def test_any_piece_size_gives_the_same_bytes(three_days: Wearer, piece_bytes: int) -> None:
    sequence = 1 if piece_bytes > 1 else three_days.status()["n"] - 3
    whole = three_days.read_log(sequence, 512)
    assert len(list(split_pages(whole))) >= 3
    assert three_days.read_log(sequence, piece_bytes) == whole


def test_any_offset_of_any_page_can_be_read_again(three_days: Wearer) -> None:
    sequence = 1
    for page in split_pages(three_days.read_log()):
        for offset in (0, 1, len(page) // 2, len(page) - 1):
            got_sequence, got_offset, data = read(three_days, sequence, offset, 30)
            assert (got_sequence, got_offset) == (sequence, offset)
            assert data.startswith(bytes(page[offset : offset + min(30, len(page) - offset)]))
        sequence += 1


def test_going_back_to_an_earlier_page_finds_it(three_days: Wearer) -> None:
    last = three_days.status()["n"] - 1
    pages = [bytes(page) for page in split_pages(three_days.read_log())]
    for sequence in (last, 1, last - 1, 2, last // 2, 1):
        assert read(three_days, sequence)[2][: len(pages[sequence - 1])] == pages[sequence - 1]


def test_the_end_of_the_log_is_empty_and_names_the_next_sequence(three_days: Wearer) -> None:
    end = three_days.status()["n"]
    assert read(three_days, end) == (end, 0, b"")
    assert read(three_days, end + 1000) == (end, 0, b"")
    assert read(three_days, messages.MAX_COUNTER) == (end, 0, b"")


@pytest.mark.parametrize("beyond", [0, 1, 2, 5000, 60000])
def test_an_offset_past_the_pages_is_a_bad_cursor(three_days: Wearer, beyond: int) -> None:
    last = three_days.status()["n"] - 1
    length = len(read(three_days, last)[2])
    with pytest.raises(Refused) as refused:
        read(three_days, last, length + beyond)
    assert refused.value.code == RC_BAD_CURSOR


@pytest.mark.parametrize(
    "fields",
    [
        {"s": 1, "o": 0, "n": 0},
        {"s": 1, "o": 0, "n": messages.MAX_READ_BYTES + 1},
        {"s": 1, "o": -1, "n": 10},
        {"s": -1, "o": 0, "n": 10},
        {"s": 1, "o": 65536, "n": 10},
        {"s": 2**32, "o": 0, "n": 10},
        {"s": True, "o": 0, "n": 10},
        {"s": "1", "o": 0, "n": 10},
        {"o": 0, "n": 10},
        {},
    ],
)
def test_a_malformed_cursor_is_a_bad_request(three_days: Wearer, fields: dict[str, object]) -> None:
    with pytest.raises(Refused) as refused:
        three_days.ask(messages.CMD_READ, fields)
    assert refused.value.code == RC_BAD_REQUEST


def lived_days(bench: Bench, days: int) -> Wearer:
    """A token with two pages or more in each of so many day files."""
    wearer = bench.hand_out("wearer")
    for day in range(days):
        wearer.set_clock(START_S + day * DAY_S)
        bench.live(620)
    wearer.set_clock(START_S + (days - 1) * DAY_S + 700)  # the last window is written too
    return wearer


def acknowledge(wearer: Wearer, sequence: int) -> int:
    answer: int = wearer.ask(messages.CMD_ACKNOWLEDGE, {"s": sequence})["a"]
    return answer


def test_acknowledging_deletes_only_files_that_are_acknowledged_as_a_whole(bench: Bench) -> None:
    wearer = lived_days(bench, 3)
    first_of_file = [int(name[7:17]) for name in wearer.flash().names("/log")]
    assert len(first_of_file) == 3
    middle_of_second = first_of_file[1] + 1
    before = wearer.read_log(first_of_file[1])
    assert acknowledge(wearer, middle_of_second - 1) == middle_of_second - 1
    assert [int(name[7:17]) for name in wearer.flash().names("/log")] == first_of_file[1:]
    assert wearer.status()["f"] == first_of_file[1]
    assert wearer.read_log(first_of_file[1]) == before
    assert read(wearer, 1)[0] == first_of_file[1]  # who asks for what is gone is told where the log begins


def test_an_acknowledgement_never_goes_back_nor_past_the_end(bench: Bench) -> None:
    wearer = lived_days(bench, 2)
    assert acknowledge(wearer, 3) == 3
    assert acknowledge(wearer, 1) == 3
    last = wearer.status()["n"] - 1
    assert acknowledge(wearer, messages.MAX_COUNTER) == last
    bench.live(400)
    assert wearer.status()["n"] == last + 2
    assert [header.sequence for header, _ in wearer.pages()] == [last + 1]


def test_sequences_go_on_when_everything_was_deleted_even_after_a_reboot(bench: Bench) -> None:
    wearer = lived_days(bench, 2)
    last = wearer.status()["n"] - 1
    acknowledge(wearer, last)
    assert wearer.flash().names("/log") == []
    bench.lockstep.restart(wearer.token)
    wearer.open_session()
    status = wearer.status()
    assert (status["n"], status["a"], status["f"], status["sz"]) == (last + 1, last, last + 1, 0)
    bench.live(700)
    assert min(header.sequence for header, _ in wearer.pages()) == last + 1


def test_sequences_go_on_when_the_newest_file_went_by_age(bench: Bench) -> None:
    wearer = lived_days(bench, 1)
    last = wearer.status()["n"] - 1
    wearer.set_clock(START_S + 40 * DAY_S)
    bench.live(620)
    wearer.set_clock(START_S + 80 * DAY_S)  # writes the last window, and with it deletes all that is too old
    bench.live(320)
    following = wearer.status()["n"]
    bench.lockstep.restart(wearer.token)
    wearer.open_session()
    assert wearer.status()["n"] == following > last
    assert wearer.status()["a"] == 0


def test_files_past_the_retention_are_deleted_by_age_and_newer_ones_kept(bench: Bench) -> None:
    wearer = bench.hand_out("wearer")
    for day in range(18):
        wearer.set_clock(START_S + day * DAY_S)
        bench.live(330)
        days = [int(name[:6]) - START_S // DAY_S for name in wearer.flash().names("/log")]
        assert days == list(range(max(0, day - 14), day + 1))
    headers = [header for header, _ in wearer.pages()]
    assert [header.sequence for header in headers] == list(range(headers[0].sequence, wearer.status()["n"]))
    assert headers[0].window_start_s // DAY_S == START_S // DAY_S + 3
