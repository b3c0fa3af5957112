"""The power model by sums done by hand, and the command's words for what it cannot know."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.program import Program

from bztoken.power import (
    ANSWER_S,
    ASSUMED_BOOT_MS,
    ASSUMED_RADIO_START_MS,
    DAY_S,
    SEND_S,
    USABLE_SHARE,
    Budget,
    Figures,
    Schedule,
    deep_sleep_day,
    light_sleep_day,
    schedule_of,
)
from bzvirtual.usage import Usage

FIGURES = Figures(
    cpu_awake_ma=20.0,
    radio_idle_ma=30.0,
    radio_idle_awake_ma=80.0,
    listen_ma=100.0,
    transmit_ma=200.0,
    light_sleep_ma=0.2,
    deep_sleep_ma=0.01,
    light_on_ma=5.0,
    board_ma=0.5,
    radio_start_ms=100.0,
    boot_ms=600.0,
)
# A minute: 6 s radio on, of them 2 s listening, 2 s awake without it, the rest asleep; 3 windows.
MINUTES = 1440
WINDOWED = Schedule(
    asleep_s=52 * MINUTES,
    radio_on_s=6 * MINUTES,
    listen_s=2 * MINUTES,
    light_s=0.04 * MINUTES,
    radio_starts=3 * MINUTES,
)


def mean_of(budget: Budget, name: str) -> float:
    (part,) = [part for part in budget.parts if part.name == name]
    assert part.mean_ma is not None
    return part.mean_ma


def test_a_day_asleep_is_the_sleeping_current_and_the_board() -> None:
    budget = light_sleep_day(Schedule(asleep_s=DAY_S), FIGURES)
    assert budget.total_ma == pytest.approx(0.2 + 0.5)
    assert budget.days(1000) == pytest.approx(1000 * USABLE_SHARE / 0.7 / 24)


def test_the_parts_of_a_windowed_day_are_shares_of_a_minute() -> None:
    budget = light_sleep_day(WINDOWED, FIGURES)
    assert mean_of(budget, "awake, radio off") == pytest.approx(2 / 60 * 20)
    assert mean_of(budget, "listening") == pytest.approx(2 / 60 * 100)
    assert mean_of(budget, "radio on, idle") == pytest.approx(4 / 60 * 80)
    assert mean_of(budget, "starting the radio") == pytest.approx(0.3 / 60 * 100)
    assert mean_of(budget, "asleep") == pytest.approx((52 - 0.3) / 60 * 0.2)
    assert mean_of(budget, "light") == pytest.approx(0.04 / 60 * 5)
    by_hand = 0.66667 + 3.33333 + 5.33333 + 0.5 + 0.17233 + 0.00333 + 0.5
    assert budget.total_ma == pytest.approx(by_hand, abs=1e-4)
    assert (budget.unknown, budget.assumed) == ([], [])


def test_an_advertisement_costs_three_packets_and_three_waits() -> None:
    schedule = Schedule(radio_on_s=DAY_S, advertisements=4 * DAY_S)
    budget = light_sleep_day(schedule, FIGURES)
    assert pytest.approx(3 * (16 + 31) * 8 / 1e6) == SEND_S
    assert mean_of(budget, "sending") == pytest.approx(4 * SEND_S * 200)
    assert mean_of(budget, "listening") == pytest.approx(4 * ANSWER_S * 100)
    assert mean_of(budget, "radio on, idle") == pytest.approx((1 - 4 * (SEND_S + ANSWER_S)) * 80)


def test_an_image_whose_radio_sleeps_saves_between_events_only() -> None:
    powered = light_sleep_day(WINDOWED, FIGURES)
    asleep = light_sleep_day(WINDOWED, FIGURES.with_radio_sleep(True))
    assert powered.total_ma - asleep.total_ma == pytest.approx(4 / 60 * (80 - 30))


@pytest.mark.parametrize(
    "schedule",
    [
        WINDOWED,
        Schedule(radio_on_s=DAY_S, listen_s=5760, advertisements=4 * DAY_S, radio_starts=1, boots=1),
        Schedule(asleep_s=40_000, off_s=20_000, radio_on_s=10_000, connected_s=100, boots=3),
        Schedule(deep_asleep_s=80_000, radio_on_s=6_000, boots=1440, radio_starts=1440),
        Schedule(),
    ],
)
def test_the_hours_of_both_ways_make_a_day(schedule: Schedule) -> None:
    for budget in (light_sleep_day(schedule, FIGURES), deep_sleep_day(schedule, FIGURES)):
        of_the_chip = [part.seconds for part in budget.parts if part.name not in ("light", "rest of the board")]
        assert sum(of_the_chip) == pytest.approx(DAY_S)
        assert all(part.seconds > 0 for part in budget.parts)


def test_deep_sleep_pays_a_boot_for_each_window() -> None:
    budget = deep_sleep_day(WINDOWED, FIGURES)
    assert mean_of(budget, "starting the program") == pytest.approx(3 * 0.6 / 60 * 20)
    assert mean_of(budget, "deeply asleep") == pytest.approx((52 - 1.8 - 0.3) / 60 * 0.01)
    assert all(part.name != "asleep" for part in budget.parts)


def test_deep_sleep_wins_where_windows_are_rare_and_loses_where_they_are_not() -> None:
    rare = replace(WINDOWED, radio_starts=24)
    assert deep_sleep_day(rare, FIGURES).total_ma < light_sleep_day(rare, FIGURES).total_ma
    assert deep_sleep_day(WINDOWED, FIGURES).total_ma > light_sleep_day(WINDOWED, FIGURES).total_ma


def test_an_unknown_current_is_named_and_never_nought() -> None:
    budget = light_sleep_day(WINDOWED, replace(FIGURES, board_ma=None, light_on_ma=None))
    assert budget.unknown == ["light", "rest of the board"]
    whole = light_sleep_day(WINDOWED, FIGURES)
    assert budget.total_ma == pytest.approx(whole.total_ma - 0.5 - mean_of(whole, "light"))


def test_a_current_of_a_state_that_never_occurs_is_not_missed() -> None:
    budget = light_sleep_day(replace(WINDOWED, light_s=0.0), replace(FIGURES, light_on_ma=None, deep_sleep_ma=None))
    assert budget.unknown == []


def test_a_missing_time_is_assumed_aloud() -> None:
    blind = replace(FIGURES, boot_ms=None, radio_start_ms=None)
    assert light_sleep_day(WINDOWED, blind).assumed == [f"radio start {ASSUMED_RADIO_START_MS:g} ms"]
    budget = deep_sleep_day(WINDOWED, blind)
    assert budget.assumed == [f"boot {ASSUMED_BOOT_MS:g} ms", f"radio start {ASSUMED_RADIO_START_MS:g} ms"]
    assert mean_of(budget, "starting the program") == pytest.approx(3 * ASSUMED_BOOT_MS / 1000 / 60 * 20)


def test_nothing_known_gives_no_days() -> None:
    budget = light_sleep_day(Schedule(asleep_s=DAY_S), Figures())
    assert budget.days(1000) is None and budget.unknown == ["asleep", "rest of the board"]


def test_two_readings_of_the_virtual_board_become_a_day() -> None:
    before = Usage(asleep_us=5_000_000, radio_on_us=1_000_000, radio_starts=2, boots=1)
    after = Usage(
        asleep_us=3_005_000_000,
        radio_on_us=401_000_000,
        listen_us=60_000_000,
        radio_starts=92,
        boots=1,
        advertisements=7,
    )
    schedule = schedule_of(before, after, span_s=3600, light_s=2.4)
    assert schedule == Schedule(
        asleep_s=3000 * 24,
        radio_on_s=400 * 24,
        listen_s=60 * 24,
        light_s=pytest.approx(57.6),
        advertisements=168,
        radio_starts=90 * 24,
    )


def test_figures_come_from_a_board_file() -> None:
    board = {
        "currents": {"listen_ma": {"value": 86, "source": "x"}, "board_ma": {"value": None, "source": None}},
        "times": {"boot_ms": {"value": 635, "source": "y"}},
        "image": {"radio_sleeps": {"value": True, "source": "z"}},
    }
    assert Figures.of_board(board) == Figures(listen_ma=86, boot_ms=635, radio_sleeps=True)
    assert Figures.of_board({}).between_events_ma() is None


def test_an_unknown_board_is_a_sentence_with_the_boards_there_are(cli: Program) -> None:
    ran = cli("power", "--board", "toaster", "--profile", "windowed")
    assert (ran.code, ran.out) == (1, "") and len(ran.err.splitlines()) == 1
    assert "xiao-esp32c3" in ran.err and "esp32-devkit" in ran.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("--board", "xiao-esp32c3"),
        ("--profile", "windowed"),
        ("--board", "xiao-esp32c3", "--profile", "sleepy"),
        ("--board", "xiao-esp32c3", "--profile", "windowed", "--battery-mah", "0"),
        ("--board", "xiao-esp32c3", "--profile", "windowed", "--hours", "0"),
    ],
)
def test_wrong_usage_exits_2(cli: Program, arguments: tuple[str, ...]) -> None:
    ran = cli("power", *arguments)
    assert ran.code == 2 and ran.out == "" and ran.err


def test_a_continuous_hour_has_its_radio_on_throughout_and_listens_4_s_a_minute(cli: Program, tmp_path: Path) -> None:
    ran = cli("power", "--board", "xiao-esp32c3", "--profile", "continuous", "--hours", 1, "--json")
    assert ran.code == 0, ran.err
    day = ran.document()["schedule_a_day"]
    assert day["radio_on_s"] == pytest.approx(DAY_S, rel=0.01) and day["asleep_s"] == 0
    assert day["listen_s"] == pytest.approx(DAY_S * 4 / 60, rel=0.03)
    assert day["advertisements"] == pytest.approx(DAY_S * 4, rel=0.05)
    assert 0 < day["light_s"] < 600
    total = ran.document()["as_run"]["total_ma"]
    assert 80 < total < 100 and ran.document()["as_run"]["unknown"] == ["light"]
    assert ran.document()["as_run"]["days"] == pytest.approx(1000 * 0.85 / total / 24, abs=0.01)


def test_a_windowed_hour_sleeps_most_of_the_time_and_says_where_its_figures_are_from(cli: Program) -> None:
    ran = cli("power", "--board", "xiao-esp32c3", "--profile", "windowed", "--hours", 1, "--battery-mah", 500)
    assert ran.code == 0, ran.err
    for word in ("asleep", "listening", "As it runs: at least", "With deep sleep between", "on 500 mAh"):
        assert word in ran.out
    assert "computed from cited currents, not measured on a board" in ran.out
    assert "light" in ran.err and "Assumed" in ran.err
