"""What a token does for the right time: a clock chip, drift that is learned, doubt about a station, a reset."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from tests.firmware.bench import DAY_S, RED_PIN, SECOND_US, START_S, Bench, Wearer
from tests.firmware.clock_watch import (
    HOUR_S,
    MINUTE_S,
    clock_error_s,
    silence_s,
    token,
    wrong_id_seconds,
)

from bzvirtual import application
from bzvirtual.application import BOARD, Application
from bzvirtual.token_folder import HARD_RESET, POWER_ON
from bzwire import messages
from bzwire.page import CLOCK_KEPT, CLOCK_RTC, CLOCK_UNSET, STATE_CLOCK_REPAIRED, PageHeader


@pytest.fixture(scope="module")
def chip_app(tmp_path_factory: pytest.TempPathFactory) -> Application:
    """The virtual board with a clock chip."""
    board = json.loads((BOARD / "board.json").read_text())
    board["rtc"] = {"chip": "pcf8563", "scl": 21, "sda": 22}
    return application.build(tmp_path_factory.mktemp("chip"), board)


# -- clock chip -----------------------------------------------------------------------------------------------------
def test_a_clock_chip_keeps_the_time_over_a_power_cut_and_the_token_broadcasts_at_once(
    bench: Bench, chip_app: Application
) -> None:
    wearer = token(bench, app=chip_app)
    bench.live(700)
    bench.lockstep.cut_power(wearer.token)
    bench.live(5 * HOUR_S)
    bench.lockstep.restart(wearer.token, POWER_ON)
    back_s = bench.now_s
    bench.live(10)
    assert wearer.token.station.broadcasts[-1].on_air_at(bench.lockstep.now_us)
    assert wearer.plain(messages.CMD_INFO, {})["ck"] == CLOCK_RTC
    assert abs(clock_error_s(bench, wearer)) <= 2
    bench.live(15 * MINUTE_S)
    assert wrong_id_seconds(bench, wearer, back_s) <= 3
    pages = wearer.pages()
    assert [header.clock_state for header, _ in pages if header.boot_id == 2].count(CLOCK_RTC) >= 2
    assert [header.sequence for header, _ in pages] == list(range(1, len(pages) + 1))


def test_a_brown_out_costs_a_board_with_a_clock_chip_no_time(bench: Bench, chip_app: Application) -> None:
    wearer = token(bench, app=chip_app)
    bench.live(1000)
    bench.lockstep.brown_out(wearer.token)
    since_s = bench.now_s
    bench.live(300)
    assert silence_s(bench, "a", since_s, bench.now_s) <= 5
    assert abs(clock_error_s(bench, wearer)) <= 2
    assert wearer.status()["ck"] == CLOCK_RTC


def test_a_brown_out_without_a_clock_chip_silences_the_token_and_shows_red(bench: Bench) -> None:
    wearer = token(bench)
    bench.live(1000)
    bench.lockstep.brown_out(wearer.token)
    since_s = bench.now_s
    bench.live(300)
    assert silence_s(bench, "a", since_s, bench.now_s) == pytest.approx(300, abs=1)
    assert wearer.plain(messages.CMD_INFO, {})["ck"] == CLOCK_UNSET
    red = [
        time_us for time_us, pin, level in wearer.light if pin == RED_PIN and level and time_us > since_s * SECOND_US
    ]
    assert len(red) >= 50


def test_a_clock_chip_that_was_never_set_or_lost_its_time_sets_no_clock(bench: Bench, chip_app: Application) -> None:
    wearer = token(bench, app=chip_app)
    bench.live(400)
    bench.lockstep.cut_power(wearer.token)
    wearer.token.process.folder.state.rtc_chip_offset_us = None
    bench.live(100)
    bench.lockstep.restart(wearer.token, POWER_ON)
    since_s = bench.now_s
    bench.live(200)
    assert wearer.plain(messages.CMD_INFO, {})["ck"] == CLOCK_UNSET
    assert silence_s(bench, "a", since_s, bench.now_s) == pytest.approx(200, abs=1)


def test_a_clock_that_drifts_follows_its_chip_every_hour(bench: Bench, chip_app: Application) -> None:
    wearer = token(bench, app=chip_app, drift_ppm=20_000)
    for _ in range(3):
        bench.live(HOUR_S)
        assert abs(clock_error_s(bench, wearer)) <= 0.02 * HOUR_S + 65 * 0.02 + 2
        wearer.unplug()


def test_a_token_with_a_chip_learns_its_drift_too(bench: Bench, chip_app: Application) -> None:
    wearer = token(bench, app=chip_app, drift_ppm=20_000)
    bench.live(6.2 * HOUR_S)
    wearer.wake()
    wearer.set_clock(bench.now_s)
    assert wearer.status()["dp"] == pytest.approx(20_000, abs=500)


def test_a_clock_that_only_drifts_is_no_jump(bench: Bench) -> None:
    slow = token(bench, "slow", profile=messages.PROFILE_WINDOWED, drift_ppm=-50_000)
    fast = token(bench, "fast", 1.0, drift_ppm=50_000)
    bench.live(2 * HOUR_S)
    for wearer in (slow, fast):
        wearer.wake()
        assert wearer.status()["cr"] == 0
        assert not any(header.state & STATE_CLOCK_REPAIRED for header, _ in wearer.pages())


def test_a_jump_does_not_reach_the_clock_chip(bench: Bench, chip_app: Application) -> None:
    wearer = token(bench, app=chip_app)
    bench.live(600)
    bench.lockstep.jump_clock(wearer.token, 3 * HOUR_S * SECOND_US)
    bench.live(300)
    bench.lockstep.cut_power(wearer.token)
    bench.live(60)
    bench.lockstep.restart(wearer.token, POWER_ON)
    bench.live(10)
    assert abs(clock_error_s(bench, wearer)) <= 2


# -- drift ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("drift_ppm", "profile"), [(20_000, 0), (50_000, 1), (-50_000, 0)])
def test_drift_is_learned_from_two_settings_6_hours_apart(bench: Bench, drift_ppm: int, profile: int) -> None:
    wearer = token(bench, profile=profile, drift_ppm=drift_ppm)
    bench.live(6.2 * HOUR_S)
    assert clock_error_s(bench, wearer) == pytest.approx(6.2 * HOUR_S * drift_ppm / 1e6, rel=0.02)
    wearer.set_clock(bench.now_s)
    wearer.unplug()
    assert wearer.status()["dp"] == pytest.approx(drift_ppm, abs=abs(drift_ppm) * 0.06)
    bench.live(2 * HOUR_S)
    # 0.1 % is 10 minutes a week.
    assert abs(clock_error_s(bench, wearer)) < 0.001 * 2 * HOUR_S


def test_learned_drift_is_known_after_a_reset_and_after_a_power_cut(bench: Bench) -> None:
    wearer = token(bench, drift_ppm=20_000)
    bench.live(6.2 * HOUR_S)
    wearer.wake()
    wearer.set_clock(bench.now_s)
    learned_ppm = wearer.status()["dp"]
    bench.live(HOUR_S)
    bench.lockstep.restart(wearer.token, HARD_RESET)
    bench.live(HOUR_S)
    assert abs(clock_error_s(bench, wearer)) < 0.001 * 2 * HOUR_S
    assert wearer.status()["ck"] == CLOCK_KEPT
    bench.lockstep.brown_out(wearer.token)
    wearer.open_session()
    assert wearer.status()["dp"] == learned_ppm
    wearer.set_clock(bench.now_s)
    bench.live(2 * HOUR_S)
    assert abs(clock_error_s(bench, wearer)) < 0.001 * 2 * HOUR_S


def test_settings_a_few_minutes_apart_teach_nothing(bench: Bench) -> None:
    wearer = token(bench)
    bench.live(600)
    wearer.wake()
    for error_s in (30, -20, 5):
        wearer.set_clock(bench.now_s + error_s)
        bench.live(300)
    wearer.set_clock(bench.now_s)
    assert wearer.status()["dp"] == 0
    bench.live(HOUR_S)
    assert abs(clock_error_s(bench, wearer)) < 0.5


def test_a_station_that_was_wrong_by_hours_teaches_no_drift(bench: Bench) -> None:
    """Set two hours wrong in seven: that is no drift."""
    wearer = token(bench)
    bench.live(7 * HOUR_S)
    wearer.wake()
    wearer.set_clock(bench.now_s + 2 * HOUR_S)
    bench.live(60)
    assert wearer.status()["dp"] == 0
    assert clock_error_s(bench, wearer) == pytest.approx(2 * HOUR_S, abs=1)


# -- a station that is wrong ----------------------------------------------------------------------------------------
@dataclass
class Before:
    """What a token held before a station was wrong."""

    files: list[str]
    keys: dict[int, bytes]
    pages: dict[int, PageHeader]


def held(wearer: Wearer) -> Before:
    flash = wearer.flash()
    pages = {header.sequence: header for header, _ in wearer.pages()}
    return Before(flash.names("/log"), wearer.day_keys(), pages)


@pytest.fixture
def four_days(bench: Bench) -> Iterator[Wearer]:
    """A token with four days in its log, none acknowledged."""
    wearer = token(bench)
    for day in range(4):
        wearer.wake()
        wearer.set_clock(START_S + day * DAY_S + HOUR_S)
        bench.live(11 * MINUTE_S)
    yield wearer


@pytest.mark.parametrize(("days", "profile"), [(20, 0), (20, 1), (5000, 0), (400, 1)])
def test_a_station_that_sets_the_clock_days_ahead_by_mistake_costs_nothing(
    bench: Bench, four_days: Wearer, days: int, profile: int
) -> None:
    wearer = four_days
    wearer.tell(p=profile)
    before = held(wearer)
    right_s = wearer.status()["t"] / 1000
    wearer.set_clock(right_s + days * DAY_S)
    wearer.unplug()
    bench.live(HOUR_S)
    wearer.wake()
    wearer.set_clock(right_s + HOUR_S)
    wearer.unplug()
    bench.live(HOUR_S)
    wearer.wake()
    after = held(wearer)
    assert set(before.files) <= set(after.files)
    assert before.keys.items() <= after.keys.items()
    assert set(before.pages) <= set(after.pages)
    assert wearer.status()["dd"] == 0
    day = int(right_s + 2 * HOUR_S) // DAY_S
    assert after.keys[day] == before.keys[day]


def test_the_doubt_survives_a_reset(bench: Bench, four_days: Wearer) -> None:
    wearer = four_days
    before = held(wearer)
    right_s = wearer.status()["t"] / 1000
    wearer.set_clock(right_s + 20 * DAY_S)
    bench.live(10 * MINUTE_S)
    bench.lockstep.restart(wearer.token, HARD_RESET)
    bench.live(HOUR_S)
    wearer.open_session()
    wearer.set_clock(right_s + HOUR_S)
    bench.live(10 * MINUTE_S)
    after = held(wearer)
    assert set(before.files) <= set(after.files)
    assert before.keys.items() <= after.keys.items()


def test_what_is_old_in_truth_is_deleted_a_day_after_the_leap(bench: Bench, four_days: Wearer) -> None:
    """A token that lay in a drawer with its clock stopped must not keep old days for ever."""
    wearer = four_days
    before = held(wearer)
    right_s = wearer.status()["t"] / 1000
    wearer.set_clock(right_s + 20 * DAY_S)
    bench.live(MINUTE_S)
    wearer.set_clock(right_s + 21 * DAY_S + HOUR_S)
    bench.live(6 * MINUTE_S)
    names = wearer.flash().names("/log")
    assert not set(before.files) & set(names)
    assert not set(before.keys) & set(wearer.day_keys())


# -- over a reset ---------------------------------------------------------------------------------------------------
def test_a_time_that_was_set_survives_a_reset_to_the_second(bench: Bench) -> None:
    wearer = token(bench)
    wearer.wake()
    wearer.set_clock(bench.now_s + 123)
    bench.live(50)
    for _ in range(5):
        bench.lockstep.restart(wearer.token, HARD_RESET)
        bench.live(600)
    assert clock_error_s(bench, wearer) == pytest.approx(123, abs=0.5)
    assert wearer.status()["ck"] == CLOCK_KEPT


@pytest.mark.parametrize("when", [1, 20, 300])
def test_a_reset_soon_after_a_setting_keeps_the_setting(bench: Bench, when: int) -> None:
    wearer = token(bench)
    bench.live(100)
    wearer.wake()
    wearer.set_clock(START_S + 5 * DAY_S)
    told_at_s = bench.now_s
    bench.live(when)
    bench.lockstep.restart(wearer.token, HARD_RESET)
    bench.live(100)
    wearer.open_session()
    assert wearer.status()["t"] / 1000 == pytest.approx(START_S + 5 * DAY_S + bench.now_s - told_at_s, abs=0.5)
