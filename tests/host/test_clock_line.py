"""Corrected times against simulated clocks: the true time lies within what the correction says of itself."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.host.simulated_clock import BOUND_PPM, DAY_MS, HOUR_MS, MINUTE_MS, START_MS, SimulatedToken, swinging

from bztoken.registry.clock_line import Anchor, Shift, Window, shifts


def corrected(token: SimulatedToken) -> list[tuple[Shift | None, float]]:
    """(what is said, the true shift in ms) of every window of a token that was read now and then."""
    ends = [0, *(first for _, first in token.readings), len(token.found)]
    anchors = [None, *(anchor for anchor, _ in token.readings), None]
    told: list[Shift | None] = []
    for at, (low, high) in enumerate(zip(ends, ends[1:], strict=False)):
        windows = [window for window, _ in token.found[low:high]]
        told += shifts(anchors[at], windows, anchors[at + 1]) if windows else []
    true = [window.start_s * 1000 - true_ms for window, true_ms in token.found]
    return list(zip(told, true, strict=True))


def assert_within(token: SimulatedToken) -> float:
    """Every window is within its own uncertainty; the widest uncertainty, s."""
    widest_ms = 0
    for found, true_ms in corrected(token):
        assert found is not None
        assert abs(found.shift_ms - true_ms) <= found.uncertainty_ms
        widest_ms = max(widest_ms, found.uncertainty_ms)
    return widest_ms / 1000


def week(token: SimulatedToken, restarts: bool = True) -> None:
    """Seven days with a restart each night, then the station."""
    for _ in range(7):
        token.live(20 * HOUR_MS + 7 * MINUTE_MS)
        if restarts:
            token.restart()
        token.live(4 * HOUR_MS - 7 * MINUTE_MS)
    token.visit()


# -- clocks that the model covers -------------------------------------------------------------------------------------
@pytest.mark.parametrize("mean_ppm", [50_000, -50_000, 300])
@pytest.mark.parametrize("windowed", [False, True])
def test_a_week_between_settings_with_a_restart_each_night(mean_ppm: int, windowed: bool) -> None:
    token = SimulatedToken(swinging(mean_ppm, 0), windowed)
    token.visit()
    week(token)
    widest_s = assert_within(token)
    off_s = max(abs(found.shift_ms - true_ms) for found, true_ms in corrected(token) if found) / 1000
    found_ms = token.readings[-1][0].clock_ms
    assert found_ms is not None and abs(found_ms - token.true_ms) == pytest.approx(
        7 * DAY_MS * abs(mean_ppm) / 1e6, rel=0.01
    )
    assert off_s < 40
    assert widest_s < (1200 if windowed else 120)


@settings(max_examples=25, deadline=None)
@given(
    mean_ppm=st.integers(-49_000, 49_000),
    swing_ppm=st.integers(0, 9_000),
    phase=st.floats(0, 6.3),
    walk_ppm=st.lists(st.integers(-1_000, 1_000), min_size=8, max_size=8),
    windowed=st.booleans(),
    visits=st.lists(st.tuples(st.integers(10, 60), st.booleans()), min_size=1, max_size=3),
    nights=st.lists(st.integers(5, 1200), min_size=1, max_size=6),
)
def test_true_time_lies_within_the_uncertainty(
    mean_ppm: int,
    swing_ppm: int,
    phase: float,
    walk_ppm: list[int],
    windowed: bool,
    visits: list[tuple[int, bool]],
    nights: list[int],
) -> None:
    """Any rate within the board's bound, swinging with the day and wandering from day to day; restarts at any hour."""
    swing = swinging(mean_ppm, swing_ppm, phase)
    token = SimulatedToken(
        lambda true_ms: swing(true_ms) + walk_ppm[(true_ms - START_MS) // DAY_MS % 8], windowed, ticks_ppm=-30
    )
    token.visit()
    for hours, sets in visits:
        for night, off_s in enumerate(nights):
            token.live(hours * HOUR_MS // len(nights))
            if night % 2 == 0:
                token.restart(off_s * 1000)
        token.visit(sets)
    token.live(5 * HOUR_MS)
    assert_within(token)


@settings(max_examples=25, deadline=None)
@given(
    jumps=st.lists(st.integers(30, 7200).flatmap(lambda by_s: st.sampled_from([by_s, -by_s])), min_size=1, max_size=4),
    windowed=st.booleans(),
)
def test_jumps_inside_a_boot_are_seen_by_the_ticks(jumps: list[int], windowed: bool) -> None:
    """Smaller ones than the firmware takes for a jump are not told from drift. The window to whose beginning the clock
    leapt began in truth up to its length later.
    """
    token = SimulatedToken(swinging(5_000, 2_000), windowed)
    token.visit()
    for by_s in jumps:
        token.live(7 * HOUR_MS + 2 * MINUTE_MS)
        token.jump(by_s * 1000)
    token.live(7 * HOUR_MS)
    token.visit()
    found = [(shift, true_ms) for shift, true_ms in corrected(token) if shift is not None]
    outside_ms = [abs(shift.shift_ms - true_ms) for shift, true_ms in found]
    outside_ms = [ms for ms, (shift, _) in zip(outside_ms, found, strict=True) if ms > shift.uncertainty_ms]
    assert len(found) == len(token.found) and len(outside_ms) <= len(jumps)
    assert all(ms < 300_000 for ms in outside_ms)
    assert max(shift.uncertainty_ms for shift, _ in found) < (1_200_000 if windowed else 60_000)


def test_awake_tokens_are_known_to_seconds_however_bad_their_clock_is() -> None:
    token = SimulatedToken(swinging(30_000, 10_000))
    token.visit()
    token.live(7 * DAY_MS)
    token.visit()
    assert assert_within(token) < 15


def test_a_power_cut_on_a_board_with_a_clock_chip_is_bridged() -> None:
    token = SimulatedToken(swinging(20_000, 0))
    token.visit()
    token.live(HOUR_MS)  # as wrong as it gets before the chip is looked at
    token.lose_power(10 * HOUR_MS, 900)
    token.live(9 * HOUR_MS)
    token.visit()
    assert assert_within(token) < 250


def test_a_token_that_lay_switched_off_for_a_day_is_known_to_seconds_before_and_after() -> None:
    """The drift of that day must not be laid to the crystal's account."""
    token = SimulatedToken(swinging(50_000, 0), ticks_ppm=-45)
    token.visit()
    token.live(3 * DAY_MS)
    token.restart(off_ms=DAY_MS)
    token.live(2 * DAY_MS)
    token.visit()
    assert assert_within(token) < 90


def test_without_a_second_reading_the_bound_of_the_board_holds() -> None:
    token = SimulatedToken(swinging(-50_000, 0), windowed=True)
    token.visit()
    token.live(2 * DAY_MS)
    said = corrected(token)
    assert_within(token)
    assert said[-1][0] is not None and said[-1][0].uncertainty_ms == pytest.approx(2 * DAY_MS * 0.05, rel=0.06)
    assert said[2][0] is not None and said[2][0].uncertainty_ms < 60_000


def test_the_clock_found_at_the_first_reading_reaches_back() -> None:
    token = SimulatedToken(swinging(40_000, 0), clock_ms=START_MS + 600_000)
    token.start_s = START_MS // 1000 + 600
    token.live(6 * HOUR_MS)
    token.visit()
    assert_within(token)


def test_a_token_that_lost_its_time_keeps_what_the_reading_before_says() -> None:
    """Power lost, no clock chip: nothing is written until a station sets the clock, so that reading says nothing."""
    token = SimulatedToken(swinging(10_000, 0))
    token.visit()
    token.live(5 * HOUR_MS)
    token.close()
    token.true_ms += DAY_MS
    token.boot_id, token.uptime_ms = 2, 30_000.0
    token.visit(unset=True)
    token.live(5 * HOUR_MS)
    token.visit()
    assert assert_within(token) < 30


# -- edges ------------------------------------------------------------------------------------------------------------
def test_the_wrap_of_the_uptime_changes_nothing() -> None:
    found = []
    for uptime_ms in (0.0, 2.0**32 - 3 * HOUR_MS):
        token = SimulatedToken(swinging(10_000, 0), uptime_ms=uptime_ms)
        token.visit()
        token.live(6 * HOUR_MS)
        token.visit()
        found.append([shift for shift, _ in corrected(token)])
        assert_within(token)
    assert found[0] == found[1]


def test_windows_that_were_lost_do_not_break_the_chain() -> None:
    token = SimulatedToken(swinging(20_000, 0))
    token.visit()
    week(token)
    kept = [entry for entry in token.found if entry[0].sequence % 100 > 40]
    removed_before = [first for _, first in token.readings]
    token.readings = [
        (anchor, sum(window.sequence <= first for window, _ in kept))
        for (anchor, _), first in zip(token.readings, removed_before, strict=True)
    ]
    token.found = kept
    assert_within(token)


def test_readings_that_contradict_each_other_widen_the_uncertainty() -> None:
    """A station's clock was an hour wrong: nobody knows which of the two is right."""
    token = SimulatedToken(swinging(0, 0))
    token.visit()
    token.live(3 * HOUR_MS)
    token.visit()
    last, first = token.readings[-1]
    token.readings[-1] = replace(last, at_ms=last.at_ms + HOUR_MS), first
    assert all(found is not None and found.uncertainty_ms > 0.9 * HOUR_MS for found, _ in corrected(token)[1:])


def test_where_neither_clock_nor_ticks_lead_nothing_is_said() -> None:
    unset = Anchor(START_MS, 10, None, 2, 100, False, BOUND_PPM)
    window = Window(1, 1, START_MS // 1000 - 600, 9_000_000, False, False)
    assert shifts(None, [window], unset) == [None]
    assert shifts(unset, [replace(window, boot_id=3, sequence=9)], None) == [None]
