"""The windowed profile of one token, or of two in step: short windows where SPEC.md says, and sleep between them."""

import random
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

import pytest
from tests.firmware.bench import BUTTON_PIN, GREEN_PIN, SECOND_US, START_S, Bench
from tests.firmware.windows import (
    EXTRA_S,
    EXTRAS_ALONE,
    EXTRAS_IN_COMPANY,
    FIRST_S,
    JITTER_S,
    MINUTE_S,
    REGULAR_S,
    SLACK_S,
    Window,
    ahead_s,
    by_minute,
    long_ones,
    phase_s,
    spent,
    windowed,
    windows_of,
)

from bzvirtual.application import Application
from bzvirtual.token_folder import HARD_RESET
from bzwire import bluezone, messages
from bzwire.page import STATE_SITE, STATE_WINDOWED


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, app: Application) -> Iterator[Bench]:
    """One windowed token, four hours of its life over midnight, asleep from the second minute on. Look only."""
    bench = Bench(tmp_path_factory.mktemp("alone"), app, START_S - 2 * 3600)
    windowed(bench, "a")
    bench.live(4 * 3600)
    yield bench
    bench.close()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, app: Application) -> Iterator[Bench]:
    """Two windowed tokens 1.5 m apart for an hour, clocks right. Look only."""
    bench = Bench(tmp_path_factory.mktemp("pair"), app)
    windowed(bench, "a")
    windowed(bench, "b", 1.5)
    bench.live(3600 + 5)
    yield bench
    bench.close()


# -- where windows lie ----------------------------------------------------------------------------------------------
def test_every_minute_has_one_regular_window_where_the_specification_puts_it(alone: Bench) -> None:
    # It was told its profile in the first minute.
    first = START_S // MINUTE_S - 2 * 60 + 1
    offset_s = ahead_s(alone.wearers[0])
    minutes = by_minute(long_ones(alone, "a", first * MINUTE_S), offset_s)
    missing = [minute - first for minute in range(first, first + 4 * 60 - 1) if minute not in minutes]
    assert missing == []
    for windows in minutes.values():
        assert len(windows) == 1
        assert FIRST_S - 0.01 <= phase_s(windows[0], offset_s) <= FIRST_S + JITTER_S + SLACK_S
        assert windows[0].length_s == pytest.approx(REGULAR_S, abs=SLACK_S)


def test_the_jitter_of_regular_windows_is_drawn_anew(alone: Bench) -> None:
    phases = [phase_s(window) for window in long_ones(alone, "a", START_S - 7000)]
    assert max(phases) - min(phases) > JITTER_S * 0.8
    assert len({round(phase, 2) for phase in phases}) > 20


def extras_in(bench: Bench, name: str) -> list[list[Window]]:
    """Extra windows of each whole minute, the first and the last one left out."""
    minutes = by_minute(windows_of(bench, name))
    found = [[w for w in windows if w.length_s < REGULAR_S / 2] for _, windows in sorted(minutes.items())]
    return found[2:-1]


def test_a_lonely_token_opens_three_extra_windows_a_minute_at_any_moment(alone: Bench) -> None:
    extras = extras_in(alone, "a")
    assert Counter(map(len, extras)).most_common(1)[0][0] == EXTRAS_ALONE
    assert sum(map(len, extras)) / len(extras) == pytest.approx(EXTRAS_ALONE, abs=0.15)
    flat = [window for minute in extras for window in minute]
    assert all(window.length_s <= EXTRA_S + SLACK_S for window in flat)
    sixths = Counter(int(phase_s(window) // 10) for window in flat)
    assert len(sixths) == 6
    assert min(sixths.values()) > len(flat) / 6 * 0.5


def test_in_company_there_are_two_extra_windows_a_minute(pair: Bench) -> None:
    extras = extras_in(pair, "a")
    assert sum(map(len, extras)) / len(extras) == pytest.approx(EXTRAS_IN_COMPANY, abs=0.25)


# -- what a follower could see --------------------------------------------------------------------------------------
def test_neither_id_nor_address_is_on_the_air_in_two_slots(alone: Bench) -> None:
    windows = windows_of(alone, "a")
    offset_s = ahead_s(alone.wearers[0])

    def slot_of(window: Window, lasting_s: float = 0.0) -> int:
        return int((window.start_s + offset_s + lasting_s) // bluezone.SLOT_S)

    slots = {slot_of(window) for window in windows}
    assert len(slots) == 4 * 4
    for seen in (
        {(window.rotating_id, slot_of(window)) for window in windows},
        {(window.address, slot_of(window)) for window in windows},
    ):
        assert len({item for item, _ in seen}) == len(seen)
    assert len({window.rotating_id for window in windows}) == len(slots)
    for window in windows:
        assert slot_of(window, window.length_s) == slot_of(window)


def test_each_window_of_a_sleeper_has_a_fresh_private_address(alone: Bench) -> None:
    windows = windows_of(alone, "a", START_S - 2 * 3600 + 2 * MINUTE_S)
    assert not any(window.public for window in windows)
    assert {window.address[0] >> 6 for window in windows} == {0}
    # Of windows that follow each other at once the radio was not switched off in between.
    apart = [after for before, after in pairwise(windows) if after.start_s - before.start_s - before.length_s > 0.2]
    assert len(apart) > 0.9 * len(windows)
    assert len({window.address for window in apart}) == len(apart)


# -- rest -----------------------------------------------------------------------------------------------------------
def test_a_sleeper_sleeps_nine_tenths_of_the_time_with_its_radio_off(alone: Bench, pair: Bench) -> None:
    usage = alone.lockstep.usage_of(alone.wearers[0].token)
    awake_s = (usage.total_us - usage.asleep_us) / SECOND_US
    radio_s = (usage.radio_on_us) / SECOND_US
    share = (REGULAR_S + EXTRAS_ALONE * EXTRA_S) / MINUTE_S
    minutes = 4 * 60
    assert radio_s <= share * minutes * MINUTE_S * 1.1 + 2 * MINUTE_S
    assert awake_s <= radio_s + minutes * 1.0 + 2 * MINUTE_S
    for wearer in pair.wearers:
        usage = pair.lockstep.usage_of(wearer.token)
        assert usage.asleep_us > 0.9 * usage.total_us
        assert usage.listen_us >= 0.9 * REGULAR_S * 60 * SECOND_US


def test_between_windows_nothing_is_sent_or_heard_even_while_awake(bench: Bench) -> None:
    wearer = windowed(bench, "a")
    wearer.plug()
    bench.live(120)
    before = bench.lockstep.usage_of(wearer.token)
    bench.live(600)
    after = bench.lockstep.usage_of(wearer.token)
    assert spent(after, before, "advertise_us") < 0.06
    assert spent(after, before, "listen_us") < 0.06


def test_a_token_on_the_cable_stays_awake_and_answers_and_keeps_its_windows(bench: Bench) -> None:
    wearer = bench.hand_out("a")
    wearer.wake()
    wearer.tell(p=messages.PROFILE_WINDOWED)
    bench.live(1800)
    assert wearer.status()["p"] == messages.PROFILE_WINDOWED
    assert bench.lockstep.usage_of(wearer.token).light_sleeps == 0
    assert len(by_minute(long_ones(bench, "a"))) >= 29


def test_a_sleeping_token_notices_the_cable_within_half_a_minute(bench: Bench) -> None:
    wearer = windowed(bench, "a")
    draw = random.Random(3)
    bench.live(150)
    for _ in range(12):
        bench.live(60 + draw.random() * 60)
        bench.lockstep.plug(wearer.token)
        waited_s = 0
        while waited_s < 30 and wearer.token.process.asleep:
            bench.live(1)
            waited_s += 1
        bench.live(30 - waited_s)
        assert not wearer.token.process.asleep
        wearer.open_session()
        wearer.status()
        bench.live(90)
        assert not wearer.token.process.asleep
        wearer.unplug()


def test_a_press_of_the_button_wakes_a_sleeper_at_once(bench: Bench) -> None:
    wearer = windowed(bench, "a")
    draw = random.Random(4)
    bench.live(150)
    for _ in range(8):
        bench.live(120 + draw.random() * 60)
        if not wearer.token.process.asleep:
            bench.live(4)
        assert wearer.token.process.asleep
        since_us = bench.lockstep.now_us
        bench.lockstep.press_button(wearer.token, BUTTON_PIN, 0)
        bench.live(0.3)
        bench.lockstep.press_button(wearer.token, BUTTON_PIN, 1)
        assert not wearer.token.process.asleep
        bench.live(2)
        lit = [time_us for time_us, pin, level in wearer.light if pin == GREEN_PIN and level and time_us >= since_us]
        assert lit
        assert lit[0] - since_us <= SECOND_US


def test_a_sleeper_stays_awake_for_a_minute_after_the_button_and_then_sleeps(bench: Bench) -> None:
    wearer = windowed(bench, "a")
    bench.live(200)
    bench.lockstep.press_button(wearer.token, BUTTON_PIN, 0)
    bench.live(0.3)
    bench.lockstep.press_button(wearer.token, BUTTON_PIN, 1)
    before = bench.lockstep.usage_of(wearer.token)
    bench.live(58)
    middle = bench.lockstep.usage_of(wearer.token)
    bench.live(60)
    after = bench.lockstep.usage_of(wearer.token)
    assert middle.light_sleeps == before.light_sleeps
    assert spent(after, middle, "asleep_us") > 0.8


def test_a_radio_that_leaks_makes_the_token_restart_without_losing_a_window(bench: Bench) -> None:
    leaky = bench.add("leaky")
    leaky.token.process.folder.state.ble_leak_cycles = 60
    bench.lockstep.restart(leaky.token)
    leaky.provision()
    leaky.tell(p=messages.PROFILE_WINDOWED)
    leaky.unplug()
    windowed(bench, "mate", 1.5)
    minutes = 90
    bench.live(minutes * MINUTE_S + 5)
    assert bench.lockstep.usage_of(leaky.token).boots >= 4
    restarts = bench.lockstep.usage_of(leaky.token).boots - 2
    assert len(by_minute(long_ones(bench, "leaky"))) >= minutes - 1 - restarts
    leaky.wake()
    assert leaky.status()["fb"] == 0
    pages = leaky.pages()
    assert [header.sequence for header, _ in pages] == list(range(1, len(pages) + 1))
    starts_s = {header.window_start_s for header, _ in pages}
    assert set(range(START_S, START_S + minutes * MINUTE_S - 300, 300)) <= starts_s
    heard = sum(record.scans for _, records in pages for record in records)
    assert heard >= minutes - 6 - restarts


def test_two_tokens_in_step_hear_each_other_in_every_minute(pair: Bench) -> None:
    for wearer in pair.wearers:
        wearer.wake()
        pages = wearer.pages()[1:]
        scans = [sum(record.scans for record in records) for _, records in pages]
        assert sum(scans) >= 0.99 * 5 * len(scans)
        assert {header.state for header, _ in pages} == {STATE_WINDOWED}
        for header, _ in pages:
            assert 5 * REGULAR_S * 10 * 0.9 <= header.listened_ds <= 5 * (REGULAR_S + 4 * EXTRA_S) * 10
        wearer.unplug()


# -- sites ----------------------------------------------------------------------------------------------------------
def test_a_site_is_continuous_whatever_it_is_told(bench: Bench) -> None:
    wearer = bench.add("gate")
    identity = wearer.identity
    fields = {"u": identity.uid, "k": identity.auth_key, "l": identity.first_log_key, "r": "site"}
    wearer.plain(messages.CMD_PROVISION, fields)
    wearer.open_session()
    wearer.set_clock(bench.now_s)
    wearer.tell(p=messages.PROFILE_WINDOWED)
    wearer.unplug()
    bench.live(1000)
    usage = bench.lockstep.usage_of(wearer.token)
    assert usage.light_sleeps == 0
    assert usage.advertise_us > 0.97 * usage.total_us
    wearer.wake()
    assert {header.state & (STATE_SITE | STATE_WINDOWED) for header, _ in wearer.pages()[1:]} == {STATE_SITE}


def test_settings_and_profile_survive_a_reset(bench: Bench) -> None:
    wearer = windowed(bench, "a")
    bench.live(200)
    bench.lockstep.restart(wearer.token, HARD_RESET)
    bench.live(600)
    before = bench.lockstep.usage_of(wearer.token)
    bench.live(600)
    assert spent(bench.lockstep.usage_of(wearer.token), before, "asleep_us") > 0.85
    wearer.wake()
    assert wearer.status()["p"] == messages.PROFILE_WINDOWED
