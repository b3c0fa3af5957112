"""A clock that jumps without a reset is put back within a minute; midnight and a told leap change IDs as they do."""

from itertools import pairwise
from pathlib import Path

import pytest
from tests.firmware.bench import DAY_S, SECOND_US, START_DAY, START_S, Bench
from tests.firmware.clock_watch import (
    HOUR_S,
    MINUTE_S,
    SLOT_S,
    assert_records_are_true,
    clock_error_s,
    id_of,
    silence_s,
    token,
    wrong_id_seconds,
)

from bzvirtual.application import Application
from bzwire import bluezone, messages
from bzwire.page import CLOCK_SET, STATE_CLOCK_REPAIRED

PROFILES = [messages.PROFILE_CONTINUOUS, messages.PROFILE_WINDOWED]
TO_2000 = None  # lockstep.jump_clock: back to the chip's epoch


# -- jumps ----------------------------------------------------------------------------------------------------------
JUMPS_S = [HOUR_S, -HOUR_S, 40 * DAY_S, TO_2000, 20, -20]


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("delta_s", JUMPS_S)
def test_a_clock_that_jumps_is_put_back_within_a_minute_and_nothing_is_lost(
    bench: Bench, delta_s: int | None, profile: int
) -> None:
    wearer = token(bench, profile=profile)
    token(bench, "mate", 1.0, profile)
    # Before anything that the token hears in this minute, the first of a window.
    bench.live(10 * MINUTE_S + 1.5)
    keys_before = wearer.day_keys()
    jumped_s = bench.now_s
    bench.lockstep.jump_clock(wearer.token, None if delta_s is None else delta_s * SECOND_US)
    bench.live(2 * MINUTE_S)
    assert abs(wearer.token.process.clock_us(bench.lockstep.now_us) / SECOND_US - bench.now_s) <= 2
    bench.live(11 * MINUTE_S)
    assert abs(clock_error_s(bench, wearer)) <= 2
    status = wearer.status()
    assert (status["cr"], status["bo"], status["ck"]) == (1, 1, CLOCK_SET)
    pages = wearer.pages()
    assert [header.sequence for header, _ in pages] == list(range(1, len(pages) + 1))
    assert [header.window_start_s for header, _ in pages if header.window_start_s > START_S] == [
        START_S + 300 * n for n in range(1, 4)
    ]
    repaired = [header.window_start_s for header, _ in pages if header.state & STATE_CLOCK_REPAIRED]
    assert len(repaired) == 1
    assert repaired[0] - 60 <= jumped_s < repaired[0] + 360
    assert_records_are_true(pages, START_S, bench.now_s)
    scans = [min(5, sum(record.scans for record in records)) for _, records in pages[1:]]
    assert sum(scans) >= 5 * len(scans) - 3
    assert wearer.day_keys() == keys_before


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("delta_s", [HOUR_S, -HOUR_S, TO_2000])
def test_after_a_jump_no_id_of_a_wrong_slot_is_on_the_air_for_more_than_a_minute(
    bench: Bench, delta_s: int | None, profile: int
) -> None:
    wearer = token(bench, profile=profile)
    bench.live(2 * MINUTE_S)
    for n in range(4):
        bench.live(7 * MINUTE_S + 13 * n)
        bench.lockstep.jump_clock(wearer.token, None if delta_s is None else delta_s * SECOND_US)
    bench.live(7 * MINUTE_S)
    assert wrong_id_seconds(bench, wearer) <= 63
    assert silence_s(bench, "a", START_S + 120, bench.now_s) <= 125
    wearer.wake()
    assert wearer.status()["cr"] == 4


# -- midnight and slots ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("profile", PROFILES)
def test_midnight_brings_the_first_id_of_a_new_key_and_a_page_of_the_new_day(
    tmp_path: Path, app: Application, profile: int
) -> None:
    bench = Bench(tmp_path, app, START_S + DAY_S - HOUR_S)
    wearer = token(bench, profile=profile)
    token(bench, "mate", 1.0, profile)
    bench.live(2 * HOUR_S)
    assert wrong_id_seconds(bench, wearer) <= 3
    assert sorted(wearer.day_keys()) == [START_DAY, START_DAY + 1]
    wearer.wake()
    pages = wearer.pages()
    starts_s = [header.window_start_s for header, _ in pages]
    assert [after - before for before, after in pairwise(starts_s)][1:] == [300] * (len(starts_s) - 2)
    assert START_S + DAY_S in starts_s
    names = wearer.flash().names("/log")
    assert [name[:6] for name in names] == [f"{START_DAY:06d}", f"{START_DAY + 1:06d}"]
    bench.close()


@pytest.mark.parametrize("profile", PROFILES)
def test_a_station_may_set_the_clock_into_the_next_slot(bench: Bench, profile: int) -> None:
    wearer = token(bench, profile=profile)
    bench.live(7 * MINUTE_S)
    wearer.wake()
    for n in range(1, 6):
        told_s = START_S + n * SLOT_S + 400
        wearer.set_clock(told_s)
        bench.live(130)
        last = [s for s in bench.sniffed if s.name == "a"][-1]
        key = wearer.day_keys()[START_DAY]
        assert id_of(last) == bluezone.slot_id(key, n)
    addresses: dict[bytes, set[bytes]] = {}
    for sniffed in bench.sniffed:
        addresses.setdefault(sniffed.broadcast.address, set()).add(id_of(sniffed))
    assert {len(ids) for ids in addresses.values()} == {1}
