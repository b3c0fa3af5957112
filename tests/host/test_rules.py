"""Minutes, bands and the verdict of rule "bluezone", at their edges."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bztoken import scoring
from bztoken.matching.rules import FAR, MIDDLE, NEAR, Heard
from bztoken.scoring.attenuation import PER_WINDOW_DB, SYSTEMATIC_DB
from bztoken.scoring.bluezone import Bluezone

BLUEZONE = scoring.load("bluezone")
assert isinstance(BLUEZONE, Bluezone)
score, band_of = BLUEZONE.score, BLUEZONE.bands.of
START_S = 1_596_844_800


def token_rows(windows: int, scans: int = 5, rssi_dbm: int = -70, tx_dbm: int | None = -15) -> list[Heard]:
    starts = [START_S + 300 * n for n in range(windows)]
    return [Heard(at, at, at + 240, 15, scans, 60, rssi_dbm + 3, rssi_dbm, tx_dbm) for at in starts]


def phone_rows(seconds: list[int], rssi_dbm: int = -70) -> list[Heard]:
    times = [START_S + at for at in seconds]
    return [Heard(at - at % 300, at, at, 1, 1, 0, rssi_dbm, rssi_dbm, None) for at in times]


@pytest.mark.parametrize(
    ("attenuation_db", "band"), [(54.9, NEAR), (55, NEAR), (55.1, MIDDLE), (71, MIDDLE), (71.1, FAR)]
)
def test_a_band_includes_its_upper_bound(attenuation_db: float, band: str) -> None:
    assert band_of(attenuation_db) == band


def test_bluezones_own_threshold_is_the_edge_of_middle() -> None:
    assert score(phone_rows([0], rssi_dbm=-86)).band == MIDDLE
    assert score(phone_rows([0], rssi_dbm=-87)).band == FAR


def stale(rows: list[Heard]) -> list[Heard]:
    return [row._replace(stale=True) for row in rows]


def test_replayed_sightings_alone_are_listed_with_no_minutes_and_never_make_an_f1() -> None:
    for rows in (token_rows(12), phone_rows([60 * n for n in range(40)])):
        scored = score(stale(rows))
        assert (scored.minutes, scored.close_minutes, scored.verdict) == (0, 0, "noted")
        assert (scored.first_s, scored.last_s) == (rows[0].first_s, rows[-1].last_s)
        assert (scored.windows, scored.band) == (len({row.window_start_s for row in rows}), NEAR)


def test_replayed_sightings_change_nothing_beside_others() -> None:
    rows = token_rows(4, rssi_dbm=-80)
    nearer = [row._replace(first_s=row.first_s + 7) for row in stale(token_rows(9, rssi_dbm=-40))]
    assert score(nearer + rows) == score(rows)


@pytest.mark.parametrize(("windows", "verdict"), [(2, "noted"), (3, "F1")])
def test_three_full_windows_are_fifteen_minutes_and_f1(windows: int, verdict: str) -> None:
    scored = score(token_rows(windows))
    assert (scored.minutes, scored.close_minutes, scored.windows) == (5 * windows, 5 * windows, windows)
    assert scored.verdict == verdict


def test_each_scan_heard_stands_for_its_period() -> None:
    assert score(token_rows(4, scans=2)).minutes == 8


def test_two_ids_in_one_window_count_together_but_not_beyond_the_window() -> None:
    row = token_rows(1, scans=3)[0]
    assert score([row, row._replace(scans=2)]).minutes == 5
    assert score([row, row._replace(scans=3)]).minutes == 5


def test_far_windows_count_as_minutes_but_not_as_close_minutes() -> None:
    near, far = token_rows(6)[:3], token_rows(6, rssi_dbm=-95)[3:]
    scored = score(near + far)
    assert (scored.minutes, scored.close_minutes, scored.windows) == (30, 15, 6)
    assert score(token_rows(6, rssi_dbm=-95)).verdict == "noted"


def test_announced_power_shifts_the_band() -> None:
    assert score(token_rows(1, rssi_dbm=-80, tx_dbm=0)).band == FAR
    assert score(token_rows(1, rssi_dbm=-80, tx_dbm=None)).band == MIDDLE
    assert score(token_rows(1, rssi_dbm=-80, tx_dbm=-30)).band == NEAR


def test_fifteen_lines_one_a_minute_are_fifteen_minutes() -> None:
    scored = score(phone_rows([60 * n for n in range(15)]))
    assert (scored.minutes, scored.close_minutes, scored.windows, scored.verdict) == (15, 15, 3, "F1")


def test_a_single_line_is_one_minute() -> None:
    assert score(phone_rows([0])).minutes == 1


def test_lines_within_one_minute_are_a_union() -> None:
    assert score(phone_rows([0, 10, 20, 20, 30])).minutes == 2  # 90 s, half up
    assert score(phone_rows([0, 10, 20, 29])).minutes == 1  # 89 s


@pytest.mark.parametrize(("gap_s", "minutes"), [(389, 7), (390, 8), (391, 2)])
def test_a_gap_is_bridged_up_to_330_seconds(gap_s: int, minutes: int) -> None:
    """A line stands for 60 s, so lines 390 s apart leave a gap of 330 s: 390 + 60 s = 7.5 minutes."""
    assert score(phone_rows([0, gap_s])).minutes == minutes


def test_the_phones_scan_cycle_is_continuous_presence() -> None:
    assert score(phone_rows([0, 300, 600, 900])).minutes == 16


def test_the_mean_is_weighted_by_packets() -> None:
    loud, quiet = token_rows(2)
    scored = score([loud._replace(packets=30, rssi_mean_dbm=-60), quiet._replace(packets=10, rssi_mean_dbm=-80)])
    assert (scored.rssi_mean_dbm, scored.attenuation_db) == (-65.0, 50.0)


def union_s(seconds: list[int]) -> int:
    """Seconds covered by [t, t + 60), with holes of up to 330 s filled: counted second by second."""
    covered = sorted({at + step for at in seconds for step in range(60)})
    holes = [b - a - 1 for a, b in zip(covered, covered[1:], strict=False)]
    return len(covered) + sum(hole for hole in holes if hole <= 330)


@given(seconds=st.lists(st.integers(0, 5000), min_size=1, max_size=25), rssi_dbm=st.integers(-100, -60))
def test_minutes_of_a_phone_are_the_bridged_union(seconds: list[int], rssi_dbm: int) -> None:
    scored = score(phone_rows(seconds, rssi_dbm))
    assert scored.minutes == (union_s(seconds) + 30) // 60
    assert scored.close_minutes in (0, scored.minutes)


@given(
    rows=st.lists(
        st.tuples(st.integers(0, 20), st.integers(0, 6), st.integers(-100, -50), st.integers(0, 50)), min_size=1
    )
)
def test_close_minutes_never_exceed_minutes(rows: list[tuple[int, int, int, int]]) -> None:
    heard = [
        Heard(START_S + 300 * at, START_S + 300 * at, START_S + 300 * at + 9, packets, scans, 60, rssi, rssi, None)
        for at, scans, rssi, packets in rows
    ]
    scored = score(heard)
    assert 0 <= scored.close_minutes <= scored.minutes <= 5 * scored.windows
    assert score(heard[::-1]) == scored


def test_the_band_is_that_of_the_close_windows_when_there_are_any() -> None:
    near = token_rows(3, rssi_dbm=-50, tx_dbm=0)
    far = [row._replace(window_start_s=row.window_start_s + 36_000) for row in token_rows(30, rssi_dbm=-90, tx_dbm=0)]
    assert score(far).band == FAR
    assert score(near + far).band == NEAR
    assert score(near + far).attenuation_db == 50


def test_a_score_says_how_far_off_its_attenuation_may_be_and_the_bands_within_that() -> None:
    scored = score(token_rows(4, rssi_dbm=-76))
    assert scored.attenuation_off_db == pytest.approx((SYSTEMATIC_DB**2 + PER_WINDOW_DB**2 / 4) ** 0.5)
    assert (scored.attenuation_db, scored.nearest, scored.band) == (61, NEAR, MIDDLE)
    assert scored.farthest == band_of(61 + scored.attenuation_off_db)


def test_many_windows_make_an_attenuation_surer_but_never_as_sure_as_the_place_allows() -> None:
    one, many = score(token_rows(1)), score(token_rows(100))
    assert one.attenuation_off_db > many.attenuation_off_db > SYSTEMATIC_DB


def test_the_corrected_rssi_is_what_a_board_without_an_offset_would_have_heard() -> None:
    quiet, loud = token_rows(3, rssi_dbm=-90), token_rows(3, rssi_dbm=-84)
    assert [scoring.corrected(row, 6) for row in quiet] == loud
    assert score(quiet).band == FAR
    assert score([scoring.corrected(row, 6) for row in quiet]).band == MIDDLE
