"""Pages over clock changes, days and restarts: sequences without gaps, one log key a UTC day, nothing lost."""

from datetime import UTC, datetime

import pytest
from tests.firmware.bench import DAY_S, START_S, Bench, Refused, Wearer

from bzwire import cbor, smp
from bzwire.errors import MGMT_EINVAL, RC_BAD_REQUEST, BadChecksum
from bzwire.messages import EARLIEST_UNIX_MS, LATEST_UNIX_MS
from bzwire.page import CLOCK_SET, split_pages


def sequences_rise_without_gaps(wearer: Wearer) -> bool:
    sequences = [header.sequence for header, _ in wearer.pages()]
    return sequences == list(range(1, wearer.status()["n"]))


def minutes_of(wearer: Wearer) -> int:
    return sum(record.scans for _, records in wearer.pages() for record in records)


def test_log_key_number_goes_up_each_utc_day_and_old_keys_open_old_pages_only(bench: Bench) -> None:
    wearer = bench.hand_out("days")
    for day in (0, 1, 2, 5):
        wearer.set_clock(START_S + day * DAY_S + 3600)
        bench.live(700)
    pages = wearer.pages()
    number_of_day = {header.window_start_s // DAY_S - START_S // DAY_S: header.log_key_number for header, _ in pages}
    assert number_of_day == {0: 0, 1: 1, 2: 2, 5: 5}
    raw = list(split_pages(wearer.read_log()))
    newest = bytearray(raw[-1])
    newest[28:32] = (0).to_bytes(4, "little")  # as if it were of the first day
    with pytest.raises(BadChecksum):
        wearer.open(bytes(newest))


def test_pages_of_a_token_open_with_no_other_tokens_key(bench: Bench) -> None:
    first, second = bench.hand_out("first"), bench.hand_out("second", 1.0)
    bench.live(400)
    page = bytes(next(split_pages(first.read_log())))
    first.open(page)
    with pytest.raises(BadChecksum):
        second.open(page)


@pytest.mark.parametrize("jump_s", [-7200, -100, 100, 7200])
def test_setting_the_clock_loses_nothing_of_what_was_heard(bench: Bench, jump_s: int) -> None:
    wearer = bench.hand_out("wearer")
    bench.hand_out("neighbour", 1.0)
    bench.live(3700)
    old_now_s = wearer.status()["t"] / 1000
    answer = wearer.set_clock(old_now_s + jump_s)
    assert answer["b"] / 1000 == pytest.approx(old_now_s, abs=1)
    assert answer["ck"] == CLOCK_SET
    before, since = wearer.status()["n"], minutes_of(wearer)
    last = wearer.pages()[-1][0]
    assert last.window_start_s == old_now_s // 300 * 300  # the window is written at once, under its own time
    assert since == pytest.approx(3700 / 60, abs=1)
    bench.live(3600)
    assert sequences_rise_without_gaps(wearer)
    wearer.set_clock(wearer.status()["t"] / 1000)
    later = wearer.pages(before)
    assert sum(record.scans for _, records in later for record in records) == pytest.approx(60, abs=2)
    new_now_s = old_now_s + jump_s
    for header, records in later:
        for record in records:
            assert new_now_s - 1 <= header.window_start_s + record.first_s <= new_now_s + 3601


def test_a_clock_set_in_the_middle_of_a_scan_does_not_put_packets_at_a_wrong_time(bench: Bench) -> None:
    wearer = bench.hand_out("wearer")
    bench.hand_out("neighbour", 1.0)
    bench.live(1000)
    while wearer.token.station.scan is None:
        bench.live(0.5)
    old_now_s = wearer.status()["t"] / 1000
    wearer.set_clock(old_now_s - 3600)
    before = wearer.status()["n"]
    bench.live(1200)
    for header, records in wearer.pages(before):
        for record in records:
            heard_s = header.window_start_s + record.first_s
            assert old_now_s - 3601 <= heard_s <= old_now_s - 3600 + 1200


def test_no_page_claims_a_window_that_lies_outside_its_clock(bench: Bench) -> None:
    """Every page that follows a clock change begins at or after the new time's window."""
    wearer = bench.hand_out("wearer")
    bench.live(1000)
    wearer.set_clock(bench.now_s + 86400)
    before = wearer.status()["n"]
    bench.live(1000)
    assert min(header.window_start_s for header, _ in wearer.pages(before)) >= START_S + 86400


def test_uptime_and_boot_id_place_every_page_even_after_a_clock_change(bench: Bench) -> None:
    wearer = bench.hand_out("wearer")
    bench.live(900)
    wearer.set_clock(bench.now_s + 500)
    bench.live(900)
    uptimes = [header.uptime_ms for header, _ in wearer.pages()]
    assert uptimes == sorted(uptimes)
    assert uptimes[-1] / 1000 == pytest.approx(1800, abs=300)


@pytest.mark.parametrize("unix_s", [0, 946684799, EARLIEST_UNIX_MS // 1000 - 1, LATEST_UNIX_MS // 1000 + 1, 2**32])
def test_a_time_in_which_nobody_wears_a_token_is_refused_and_changes_nothing(bench: Bench, unix_s: int) -> None:
    wearer = bench.hand_out("wearer")
    with pytest.raises(Refused) as refused:
        wearer.set_clock(unix_s)
    assert refused.value.code == RC_BAD_REQUEST
    blank = bench.add("blank")
    day, second = divmod(unix_s, DAY_S)
    text = datetime.fromtimestamp(day * DAY_S + second, UTC).isoformat()
    with pytest.raises(Refused) as refused:
        bench.request(blank.token, smp.OP_WRITE, smp.GROUP_OS, smp.OS_DATETIME, cbor.dumps({"datetime": text}))
    assert refused.value.code == MGMT_EINVAL
    assert wearer.status()["t"] / 1000 == pytest.approx(bench.now_s, abs=1)


@pytest.mark.parametrize("far_s", [EARLIEST_UNIX_MS // 1000, START_S + 30 * DAY_S, LATEST_UNIX_MS // 1000 - DAY_S])
def test_a_clock_that_went_far_and_came_back_leaves_a_log_that_can_be_read(bench: Bench, far_s: int) -> None:
    wearer = bench.hand_out("wearer")
    bench.live(400)
    wearer.set_clock(far_s)
    while wearer.token.station.scan is None:  # set back while a scan runs
        bench.live(0.5)
    bench.live(300)
    wearer.set_clock(START_S + 2000)
    bench.live(700)
    sequences = [header.sequence for header, _ in wearer.pages()]
    assert sequences == sorted(set(sequences))
    assert sequences[-1] == wearer.status()["n"] - 1
    assert wearer.status()["fw"] == 0
    assert wearer.status()["bo"] == 1
    assert wearer.pages()[-1][0].window_start_s == START_S + 2100


def test_a_scan_during_which_the_clock_is_set_back_by_weeks_does_not_end_the_token(bench: Bench) -> None:
    """The end of the minute then lies further ahead than the interpreter's ticks can count."""
    wearer = bench.hand_out("wearer")
    wearer.set_clock(START_S + 30 * DAY_S)
    while wearer.token.station.scan is None:
        bench.live(0.5)
    wearer.set_clock(START_S)
    bench.live(700)
    assert wearer.status()["bo"] == 1
    assert wearer.pages()[-1][0].window_start_s == START_S + 300
