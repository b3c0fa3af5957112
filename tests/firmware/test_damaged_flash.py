"""Files that were damaged, cut or grown, and a flash that is full: the token comes up in a state that is described
here, and never restarts without end.
"""

import pytest
from tests.firmware.bench import DAY_S, START_S, Bench, Refused, Wearer

from bzwire import messages
from bzwire.errors import RC_NOT_PROVISIONED
from bzwire.page import CLOCK_KEPT, HEADER_BYTES, OVERHEAD_BYTES, split_pages

SMALL_FILES = ["/identity", "/log_key", "/boot_count", "/log_state", "/day_keys"]


def worn(bench: Bench) -> Wearer:
    """A token with a log of two days, half acknowledged, switched off."""
    wearer = bench.hand_out("worn")
    for day in (0, 1):
        wearer.set_clock(START_S + day * DAY_S)
        bench.live(1000)
    wearer.ask(messages.CMD_ACKNOWLEDGE, {"s": 2})
    bench.lockstep.cut_power(wearer.token)
    return wearer


def switch_on(bench: Bench, wearer: Wearer) -> None:
    """With the clock kept, so that the radio starts at once."""
    wearer.token.process.folder.state.rtc_offset_us = DAY_S * 1_000_000
    bench.lockstep.restart(wearer.token)
    bench.live(1300)


def log_path(wearer: Wearer, which: int) -> str:
    return "/log/" + wearer.flash().names("/log")[which]


def sequences(wearer: Wearer) -> list[int]:
    return [int.from_bytes(page[6:10], "little") for page in split_pages(wearer.read_log())]


def test_an_undamaged_token_goes_on(bench: Bench) -> None:
    wearer = worn(bench)
    switch_on(bench, wearer)
    wearer.open_session()
    assert wearer.status()["ck"] == CLOCK_KEPT
    assert wearer.status()["a"] == 2
    assert wearer.status()["bo"] == 2


@pytest.mark.parametrize("path", SMALL_FILES)
@pytest.mark.parametrize("damage", ["first bit", "last bit", "emptied", "cut", "grown", "gone"])
def test_a_damaged_small_file_never_keeps_the_token_from_answering(bench: Bench, path: str, damage: str) -> None:
    wearer = worn(bench)
    flash = wearer.flash()
    content = flash.read(path)
    if damage == "gone":
        flash.remove(path)
    elif damage == "first bit":
        flash.flip_bit(path, 0)
    elif damage == "last bit":
        flash.flip_bit(path, len(content) * 8 - 1)
    else:
        flash.write(path, {"emptied": b"", "cut": content[:-5], "grown": content + b"\x00"}[damage])
    switch_on(bench, wearer)
    blank = path in ("/identity", "/log_key")
    assert wearer.plain(messages.CMD_INFO, {})["pr"] is not blank
    if blank:
        with pytest.raises(Refused) as refused:
            wearer.open_session()
        assert refused.value.code == RC_NOT_PROVISIONED
        wearer.provision()
    wearer.open_session()
    status = wearer.status()
    assert status["bo"] == (1 if path == "/boot_count" else 2)
    assert status["a"] == (0 if path == "/log_state" else 2)
    wearer.set_clock(START_S + DAY_S + 5000)
    bench.live(700)
    assert sequences(wearer)[-1] == wearer.status()["n"] - 1
    assert sequences(wearer) == list(range(sequences(wearer)[0], wearer.status()["n"]))


def test_a_lost_file_of_day_keys_makes_a_new_key_for_today(bench: Bench) -> None:
    wearer = worn(bench)
    before = wearer.day_keys()
    wearer.flash().flip_bit("/day_keys", 3)
    switch_on(bench, wearer)
    after = wearer.day_keys()
    assert sorted(after) == [max(before)]
    assert after[max(before)] != before[max(before)]


@pytest.mark.parametrize("rubbish", [b"\x00" * 10, b"BZ", b"\xff" * 43, b"\x5a" * 100, "half a page"])
def test_pages_written_after_a_torn_end_can_be_read(bench: Bench, rubbish: bytes | str) -> None:
    wearer = worn(bench)
    path = log_path(wearer, -1)
    content = wearer.flash().read(path)
    tail = rubbish if isinstance(rubbish, bytes) else content[: OVERHEAD_BYTES - 4]
    wearer.flash().write(path, content + tail)
    good = [int.from_bytes(page[6:10], "little") for page in split_pages(content)]
    switch_on(bench, wearer)
    wearer.open_session()
    found = sequences(wearer)
    assert set(good) <= set(found)
    assert found == sorted(set(found))
    assert found[-1] == wearer.status()["n"] - 1 > good[-1] + 1
    bench.lockstep.restart(wearer.token)
    wearer.open_session()
    assert sequences(wearer) == found
    wearer.ask(messages.CMD_ACKNOWLEDGE, {"s": found[-1]})
    assert wearer.flash().names("/log") == []


def test_a_page_cut_at_the_end_of_the_file_is_gone_and_its_sequence_is_used_once(bench: Bench) -> None:
    wearer = worn(bench)
    path = log_path(wearer, -1)
    content = wearer.flash().read(path)
    good = [int.from_bytes(page[6:10], "little") for page in split_pages(content)]
    wearer.flash().write(path, content[:-1])
    switch_on(bench, wearer)
    wearer.open_session()
    found = sequences(wearer)
    assert set(good[:-1]) < set(found)
    assert found == sorted(set(found))


def test_a_file_whose_first_header_is_damaged_does_not_give_its_sequences_out_again(bench: Bench) -> None:
    """A host may have read those pages: a second page of the same sequence would be taken for one it has."""
    wearer = worn(bench)
    path = log_path(wearer, -1)
    used = [int.from_bytes(page[6:10], "little") for page in split_pages(wearer.flash().read(path))]
    wearer.flash().flip_bit(path, 0)
    switch_on(bench, wearer)
    wearer.open_session()
    assert wearer.status()["n"] > max(used)
    assert not set(used) & set(sequences(wearer))


def test_a_damaged_sequence_in_the_middle_of_a_file_does_not_make_sequences_jump(bench: Bench) -> None:
    wearer = worn(bench)
    path = log_path(wearer, -1)
    pages = [bytes(page) for page in split_pages(wearer.flash().read(path))]
    wearer.flash().flip_bit(path, (len(pages[0]) + 9) * 8 + 6)  # the top byte of the second page's sequence
    switch_on(bench, wearer)
    wearer.open_session()
    assert wearer.status()["n"] < 100
    assert sequences(wearer)[-1] == wearer.status()["n"] - 1


def test_a_foreign_file_in_the_log_folder_is_left_alone(bench: Bench) -> None:
    wearer = worn(bench)
    for name in ("/log/readme.txt", "/log/abcdef-0000000001.bzl", "/log/020788.bzl"):
        wearer.flash().write(name, b"x" * HEADER_BYTES)
    switch_on(bench, wearer)
    wearer.open_session()
    assert sequences(wearer)[-1] == wearer.status()["n"] - 1
    assert len(wearer.flash().names("/log")) == 5


def test_a_full_flash_gives_up_its_oldest_day_and_the_token_lives_on(bench: Bench) -> None:
    wearer = worn(bench)
    flash = wearer.flash()
    old = flash.names("/log")[0]
    newest = flash.names("/log")[-1]
    fill_up(wearer)
    wearer.token.process.folder.state.rtc_offset_us = DAY_S * 1_000_000
    bench.lockstep.restart(wearer.token)
    bench.live_until(START_S + DAY_S)  # a midnight: the day key wants room too
    bench.live(3600)
    wearer.open_session()
    status = wearer.status()
    assert status["bo"] == 3  # the restart above, and the one of the night
    assert sequences(wearer)[-1] == status["n"] - 1
    assert old not in wearer.flash().names("/log")
    assert newest in wearer.flash().names("/log")
    wearer.ask(messages.CMD_ACKNOWLEDGE, {"s": status["n"] - 1})
    bench.live(1300)
    assert wearer.status()["n"] > status["n"]


def fill_up(wearer: Wearer) -> None:
    """Leave no free block: first the oldest log file grows to some blocks, then a file takes the rest."""
    flash = wearer.flash()
    path = "/log/" + flash.names("/log")[0]
    flash.write(path, flash.read(path) + b"\x00" * 20_000)
    for size in (100_000, 4_096):
        n = 0
        while flash.try_write(f"/fill-{size}-{n}", b"\x5a" * size):
            n += 1
