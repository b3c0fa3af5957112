"""Time: set by the station, kept over a restart, and no faster or slower than the board file says."""

import time

from tests.device.desk import DeskToken

from bzwire import messages
from bzwire.page import CLOCK_KEPT, CLOCK_RTC, CLOCK_SET

KEPT_MS = 1000
RIGHT_MS = 500  # of a clock that was set a moment ago, over whatever line
WATCHED_S = 10
PPM = 1_000_000


def offset_ms(token: DeskToken) -> int:
    found = token.status().clock_offset_ms
    assert found is not None
    return found


def test_the_clock_is_right_once_it_was_set(worn: DeskToken) -> None:
    worn.command(messages.CMD_SET_CLOCK, t=time.time_ns() // 1_000_000)
    assert abs(offset_ms(worn)) < RIGHT_MS
    assert worn.status().clock_state == CLOCK_SET


def test_the_clock_is_kept_over_a_restart(worn: DeskToken) -> None:
    worn.command(messages.CMD_SET_CLOCK, t=time.time_ns() // 1_000_000)
    before_ms = offset_ms(worn)
    worn.restart()
    assert abs(offset_ms(worn) - before_ms) < KEPT_MS
    kept = (CLOCK_KEPT, CLOCK_RTC) if worn.has("rtc") else (CLOCK_KEPT,)
    assert worn.status().clock_state in kept


def test_the_clock_runs_as_true_as_the_board_file_says(worn: DeskToken) -> None:
    """Over 10 s, so that only a coarse mistake shows: a crystal that does not run, a divider that is wrong."""
    bound_ppm = worn.board.description["clock"]["drift_ppm"]
    assert worn.status().drift_bound_ppm == bound_ppm
    began_s, before_ms = time.monotonic(), offset_ms(worn)
    time.sleep(WATCHED_S)
    lasted_ms, moved_ms = (time.monotonic() - began_s) * 1000, offset_ms(worn) - before_ms
    assert abs(moved_ms) <= bound_ppm * lasted_ms / PPM + RIGHT_MS
    assert worn.status().clock_repairs == 0
