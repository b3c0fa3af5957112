"""A flash that is damaged or loses power while it is written: the token boots, answers, and says what it has lost."""

import binascii
import random
from collections.abc import Callable

import pytest
from tests.firmware.bench import DAY_S, SECOND_US, SECTOR_BYTES, START_DAY, START_S, Bench, Wearer

from bzvirtual.application import Application
from bzvirtual.errors import TokenDied
from bzvirtual.token_folder import HARD_RESET, POWER_ON
from bzwire import cbor, messages
from bzwire.page import split_pages

LOST_POWER = (TokenDied, OSError)  # what a station sees of it


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory, app: Application) -> bytes:
    """The flash of a token that has lived for two days, with settings of its own."""
    bench = Bench(tmp_path_factory.mktemp("image"), app)
    try:
        return two_days(bench)
    finally:
        bench.close()


def two_days(bench: Bench) -> bytes:
    wearer = bench.hand_out("worn")
    wearer.ask(messages.CMD_SETTINGS, {"rd": 21})
    for day in (0, 1):
        wearer.set_clock(START_S + day * DAY_S)
        bench.live(3600)
    bench.lockstep.cut_power(wearer.token)
    return wearer.token.process.folder.flash.read_bytes()


@pytest.fixture
def worn(bench: Bench, image: bytes) -> Wearer:
    """That token, without power."""
    wearer = bench.add("worn")
    bench.lockstep.cut_power(wearer.token)
    put(wearer, image)
    return wearer


def put(wearer: Wearer, image: bytes) -> None:
    wearer.token.process.folder.flash.write_bytes(image)


def switch_on(wearer: Wearer, cause: int = HARD_RESET) -> None:
    """With the clock kept, so that the radio starts at once, and always at the same time of the same day."""
    clock_us = (START_S + DAY_S + 3700) * SECOND_US
    wearer.token.process.folder.state.rtc_offset_us = clock_us - wearer.bench.lockstep.now_us
    wearer.bench.lockstep.restart(wearer.token, cause)


def sequences(wearer: Wearer, first: int = 0) -> list[int]:
    return [int.from_bytes(page[6:10], "little") for page in split_pages(wearer.read_log(first))]


def provisioned(wearer: Wearer) -> bool:
    return bool(wearer.plain(messages.CMD_INFO, {})["pr"])


# -- a day file that cannot be read ---------------------------------------------------------------------------------
LONG_PAGES = 250  # of 48 bytes: three blocks


def renumbered(page: bytes, sequence: int) -> bytes:
    """The same page with another sequence and a right CRC (its tag is wrong: nobody opens it here)."""
    content = page[:6] + sequence.to_bytes(4, "little") + page[10:-4]
    return content + binascii.crc32(content).to_bytes(4, "little")


def long_day_file(wearer: Wearer) -> str:
    """The log now: a file of three blocks, and one of the day after it with a single page."""
    flash = wearer.flash()
    page = bytes(next(split_pages(flash.read("/log/" + flash.names("/log")[0]))))
    for name in flash.names("/log"):
        flash.remove(f"/log/{name}")
    path = f"/log/{START_DAY:06d}-{1:010d}.bzl"
    flash.write(path, b"".join(renumbered(page, n) for n in range(1, LONG_PAGES + 1)))
    flash.write(f"/log/{START_DAY + 1:06d}-{LONG_PAGES + 1:010d}.bzl", renumbered(page, LONG_PAGES + 1))
    return path


def break_chain(wearer: Wearer, path: str) -> None:
    """The pointers at the head of the file's last block, by which its earlier blocks are found, are gone."""
    tail = wearer.flash().read(path)[-100:]
    image = bytearray(wearer.token.process.folder.flash.read_bytes())
    block = image.index(tail) // SECTOR_BYTES * SECTOR_BYTES
    image[block : block + 8] = b"\xff" * 8
    put(wearer, bytes(image))


def test_an_unreadable_day_file_is_put_aside_and_counted_and_the_log_goes_on(worn: Wearer) -> None:
    path = long_day_file(worn)
    name = path.rpartition("/")[2]
    break_chain(worn, path)
    switch_on(worn)
    worn.bench.live(700)
    worn.open_session()
    status = worn.status()
    assert (status["qf"], status["fb"]) == (1, 0)
    assert worn.flash().names("/bad") == [name]
    assert name not in worn.flash().names("/log")
    found = sequences(worn)
    assert len(found) >= 3
    assert found == list(range(found[0], status["n"]))
    assert found[0] == LONG_PAGES + 1
    worn.bench.lockstep.restart(worn.token)
    worn.bench.live(700)
    worn.open_session()
    assert worn.status()["qf"] == 1  # it is put aside once
    assert sequences(worn)[: len(found)] == found
    worn.ask(messages.CMD_ACKNOWLEDGE, {"s": worn.status()["n"] - 1})
    assert sequences(worn) == []


def test_the_file_was_readable_before_the_damage(worn: Wearer) -> None:
    long_day_file(worn)
    switch_on(worn)
    worn.open_session()
    assert worn.status()["qf"] == 0
    assert sequences(worn)[: LONG_PAGES + 1] == list(range(1, LONG_PAGES + 2))


def test_a_damaged_page_in_the_middle_costs_itself_and_what_follows_in_its_file_at_most(worn: Wearer) -> None:
    path = long_day_file(worn)
    pages = [bytes(page) for page in split_pages(worn.flash().read(path))]
    image = bytearray(worn.token.process.folder.flash.read_bytes())
    at = image.index(pages[10])
    image[at : at + 4] = b"\x00" * 4
    put(worn, bytes(image))
    switch_on(worn)
    worn.bench.live(700)
    worn.open_session()
    found = sequences(worn)
    assert found[:10] == list(range(1, 11))
    assert found[-1] == worn.status()["n"] - 1 > len(pages)
    assert found == sorted(set(found))


# -- whatever else is damaged ---------------------------------------------------------------------------------------
def damaged(image: bytes, seed: int) -> bytes:
    """1 to 8 blocks are garbage, erased, or have a wrong bit or 64 wrong bytes; most of those that hold something.

    What was erased stays so unless its whole block is garbage: the virtual chip calls it an error when a bit is to be
    set, where a real one would keep the 0.
    """
    draw = random.Random(seed)
    result = bytearray(image)
    blocks = range(0, len(image), SECTOR_BYTES)
    used = [at for at in blocks if image[at : at + SECTOR_BYTES].strip(b"\xff")]
    for _ in range(1 + seed % 8):
        at = draw.choice(used) if draw.random() < 0.8 else draw.choice(blocks)
        how = draw.randrange(4)
        if how == 0:
            result[at : at + SECTOR_BYTES] = draw.randbytes(SECTOR_BYTES)
        elif how == 1:
            result[at : at + SECTOR_BYTES] = b"\xff" * SECTOR_BYTES
        else:
            held = max(1, len(image[at : at + SECTOR_BYTES].rstrip(b"\xff")))
            begin = at + draw.randrange(held)
            for place in range(begin, min(begin + 64, at + held) if how == 2 else begin + 1):
                result[place] ^= draw.randrange(1, 256) if how == 2 else 1 << draw.randrange(8)
    return bytes(result)


@pytest.mark.parametrize("seed", range(30))
def test_whatever_blocks_are_damaged_the_token_boots_and_answers(worn: Wearer, image: bytes, seed: int) -> None:
    put(worn, damaged(image, seed))
    bench = worn.bench
    switch_on(worn)
    bench.live(330)
    if not provisioned(worn):
        bench.lockstep.restart(worn.token)
        worn.provision()  # it is blank and can be given out again
        bench.live(400)
    worn.open_session()
    worn.set_clock(bench.now_s)
    before = worn.status()
    assert before["u"] == worn.identity.uid
    bench.live(400)
    assert worn.status()["n"] > before["n"]
    newest = worn.status()["n"] - 1
    assert sequences(worn, newest) == [newest]
    worn.ask(messages.CMD_ACKNOWLEDGE, {"s": newest})
    assert worn.status()["f"] == newest + 1


# -- power cuts while small files are written -----------------------------------------------------------------------
def written_bytes(wearer: Wearer) -> int:
    usage = wearer.bench.lockstep.usage_of(wearer.token)
    return usage.erases * SECTOR_BYTES + usage.programmed_bytes


def told_settings(wearer: Wearer, done: list[int]) -> None:
    wearer.open_session()
    for n in range(30):
        wearer.ask(messages.CMD_SETTINGS, {"rd": n % 20 + 1, "no": n % 2})
        done.append(n)


def told_clock(wearer: Wearer, done: list[int]) -> None:
    wearer.open_session()
    for n in range(16):
        wearer.set_clock(START_S + 2 * DAY_S + n * 10)
        done.append(n)


Act = Callable[[Wearer, list[int]], None]


def nothing(wearer: Wearer, done: list[int]) -> None:
    """To be done before the power may go."""


def budgets(wearer: Wearer, image: bytes, act: Act, count: int, before: Act = nothing) -> list[int]:
    """So many numbers of bytes, spread over what `act` writes, and booting too when nothing is done before it."""
    start = written_bytes(wearer)
    switch_on(wearer)
    before(wearer, [])
    least = written_bytes(wearer) - start if before is not nothing else 0
    act(wearer, [])
    most = written_bytes(wearer) - start + 200
    wearer.bench.lockstep.cut_power(wearer.token)
    return [least + (most - least) * n // (count - 1) for n in range(count)]


def cut_while(wearer: Wearer, image: bytes, budget: int, act: Act, before: Act = nothing) -> list[int]:
    """What was confirmed before the power went; it is on again."""
    lockstep = wearer.bench.lockstep
    done: list[int] = []
    put(wearer, image)
    wearer.unplug()
    wearer.token.process.power_cut_after_bytes = budget
    try:
        switch_on(wearer)
        before(wearer, [])
        act(wearer, done)
    except LOST_POWER:
        wearer.bench.live(0.1)
    lockstep.cut_power(wearer.token)
    lockstep.restart(wearer.token, POWER_ON)
    return done


def test_settings_are_the_old_or_the_new_ones_wherever_the_power_goes(worn: Wearer, image: bytes) -> None:
    confirmed = []
    for budget in budgets(worn, image, told_settings, 16):
        done = cut_while(worn, image, budget, told_settings)
        assert provisioned(worn)
        worn.open_session()
        told = worn.ask(messages.CMD_SETTINGS)
        n = len(done)
        allowed = [(21, 0)] if n == 0 else [((n - 1) % 20 + 1, (n - 1) % 2)]
        allowed.append((n % 20 + 1, n % 2))
        assert (told["rd"], told["no"]) in allowed
        confirmed.append(n)
        worn.bench.lockstep.cut_power(worn.token)
    assert len(set(confirmed)) > 8
    assert min(confirmed) == 0


def clock_file(wearer: Wearer) -> int:
    """The time that was set last, as the file has it."""
    content = wearer.flash().read("/clock")
    fields = cbor.loads(content[:-4])
    assert isinstance(fields, dict)
    return int(fields["b"]) // 1000


def test_the_clocks_file_is_the_old_or_the_new_one_wherever_the_power_goes(worn: Wearer, image: bytes) -> None:
    old = clock_file(worn)
    confirmed = []
    for budget in budgets(worn, image, told_clock, 14):
        done = cut_while(worn, image, budget, told_clock)
        assert provisioned(worn)
        times = [old, *(START_S + 2 * DAY_S + n * 10 for n in range(17))]
        assert clock_file(worn) in times[len(done) : len(done) + 2]
        confirmed.append(len(done))
        worn.open_session()
        worn.set_clock(START_S + 3 * DAY_S)  # and it can be set again
        pages = sequences(worn)
        assert pages == sorted(set(pages))
        worn.bench.lockstep.cut_power(worn.token)
    assert len(set(confirmed)) > 6


def boots(wearer: Wearer, done: list[int]) -> None:
    wearer.open_session()
    done.append(wearer.status()["bo"])
    wearer.bench.live(90)  # a minute later it writes that this boot is a good one
    done.append(wearer.status()["fb"])


def test_the_count_of_boots_never_goes_back_wherever_the_power_goes(worn: Wearer, image: bytes) -> None:
    switch_on(worn)
    worn.open_session()
    first = worn.status()["bo"]
    worn.bench.lockstep.cut_power(worn.token)
    cut = 0
    for budget in budgets(worn, image, boots, 14):
        done = cut_while(worn, image, budget, boots)
        assert provisioned(worn)
        worn.open_session()
        count, failed = worn.status()["bo"], worn.status()["fb"]
        assert count in (first, first + 1)
        if done:
            assert count == first + 1
        assert failed in (0, 1)
        cut += len(done) < 2
        worn.bench.lockstep.cut_power(worn.token)
    assert 4 < cut < 14


def lives(wearer: Wearer, done: list[int]) -> None:
    wearer.bench.live(70)


def goes_off(wearer: Wearer, done: list[int]) -> None:
    wearer.hold(10.5)
    wearer.bench.live(3)
    if wearer.token.process.asleep:
        done.append(1)


def goes_on(wearer: Wearer, done: list[int]) -> None:
    wearer.hold(2.5)
    if not wearer.token.process.asleep:
        done.append(1)


def test_a_token_on_its_way_off_is_off_or_on_but_never_blank(worn: Wearer, image: bytes) -> None:
    outcomes = []
    for budget in budgets(worn, image, goes_off, 16, lives):
        done = cut_while(worn, image, budget, goes_off, lives)
        worn.bench.live(1)
        outcomes.append(worn.token.process.asleep)
        if done:
            assert worn.token.process.asleep
        goes_on(worn, [])
        assert provisioned(worn)
        worn.open_session()
        assert worn.ask(messages.CMD_SETTINGS)["rd"] == 21
        worn.bench.lockstep.cut_power(worn.token)
    assert set(outcomes) == {True, False}


def test_a_token_on_its_way_on_is_off_or_on_but_never_blank(worn: Wearer, image: bytes) -> None:
    switch_on(worn)
    lives(worn, [])
    goes_off(worn, [])
    worn.bench.lockstep.cut_power(worn.token)
    off = worn.token.process.folder.flash.read_bytes()
    outcomes = []
    for budget in budgets(worn, off, goes_on, 12):
        cut_while(worn, off, budget, goes_on)
        worn.bench.live(1)
        outcomes.append(worn.token.process.asleep)
        if worn.token.process.asleep:
            goes_on(worn, [])
        assert provisioned(worn)
        worn.bench.lockstep.cut_power(worn.token)
    assert set(outcomes) == {True, False}
