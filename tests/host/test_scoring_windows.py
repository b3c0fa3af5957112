"""Weighted minutes: windows of 30 minutes, buckets, infectiousness, report types, levels; worked out by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.host.scoring_rows import START_S, TX_DBM, onset, rows_at, window

from bztoken import scoring
from bztoken.matching.rules import FAR, MIDDLE, NEAR, Heard
from bztoken.scoring.attenuation import least_db, typical_db
from bztoken.scoring.heard_time import seconds_of
from bztoken.scoring.weighted import WeightedWindows
from bztoken.scoring.windows import HIGH, NONE, REVOKED, SELF_REPORT, STANDARD, ExposureWindow, windows_of

SWISS, NARROW, WIDE = (scoring.load(name) for name in ("swisscovid", "lfph-narrow-v2", "lfph-wide"))
CWA = scoring.load("cwa-1.15")


def made(rows: list[Heard]) -> list[ExposureWindow]:
    return windows_of(rows, seconds_of(rows), lambda row: least_db(row, TX_DBM), lambda row: typical_db(row, TX_DBM))


def test_a_window_ends_thirty_minutes_after_it_began() -> None:
    assert [len(found.scans) for found in made(rows_at(60, 13))] == [6, 6, 1]


def test_a_window_begins_with_its_first_sighting_however_long_the_pause_was() -> None:
    assert [len(found.scans) for found in made(rows_at(60, 2) + rows_at(60, 2, first=9))] == [2, 2]


def test_two_keys_never_share_a_window() -> None:
    rows = rows_at(60, 4)
    rows[2:] = [row._replace(key_index=1, report_type=SELF_REPORT) for row in rows[2:]]
    assert [(len(found.scans), found.report_type) for found in made(rows)] == [(2, None), (2, SELF_REPORT)]


def test_a_scan_has_the_strongest_packet_the_mean_and_the_time_it_stands_for() -> None:
    scan = made(rows_at(60, 1, strongest_db=52))[0].scans[0]
    assert (scan.least_db, scan.typical_db, scan.seconds) == (52, 60, 300)


# 20 minutes at 49 dB count 1 each, at 50 and 54 dB half each, from 55 dB on nothing
@pytest.mark.parametrize(
    ("attenuation_db", "minutes", "band", "verdict"),
    [(49, 20, NEAR, "F1"), (50, 10, MIDDLE, "noted"), (54, 10, MIDDLE, "noted"), (55, 0, FAR, "noted")],
)
def test_swisscovid_counts_near_minutes_whole_and_middle_ones_half(
    attenuation_db: int, minutes: int, band: str, verdict: str
) -> None:
    scored = SWISS.score(rows_at(attenuation_db, 4))
    assert (scored.minutes, scored.close_minutes, scored.band, scored.verdict) == (20, minutes, band, verdict)


def test_swisscovid_notifies_from_fifteen_weighted_minutes_on() -> None:
    assert SWISS.score(rows_at(49, 2) + rows_at(52, 2, first=2)).verdict == "F1"  # 10 + 5
    assert SWISS.score(rows_at(49, 2) + rows_at(52, 1, first=2)).verdict == "noted"  # 12.5


# 10 minutes each: 1.75, 1, 0.33, 0 (narrow), 2, 1, 0.25, 0 (wide); the bound belongs to the nearer bucket
@pytest.mark.parametrize(
    ("attenuation_db", "narrow", "wide"),
    [(55, 18, 20), (56, 10, 10), (67, 10, 10), (68, 3, 10), (76, 0, 3), (81, 0, 0)],
)
def test_the_lfph_nets_weigh_four_buckets(attenuation_db: int, narrow: int, wide: int) -> None:
    rows = rows_at(attenuation_db, 2)
    assert (NARROW.score(rows).close_minutes, WIDE.score(rows).close_minutes) == (narrow, wide)


# of 60 minutes that count once: none outside of -4..+5, 30 % at its ends, all in -2..+3
@pytest.mark.parametrize(
    ("days", "minutes"),
    [(-5, 0), (-4, 18), (-3, 18), (-2, 60), (0, 60), (3, 60), (4, 18), (5, 18), (6, 0), (20, 0), (None, 60)],
)
def test_infectiousness_follows_the_days_since_onset(days: int | None, minutes: int) -> None:
    scored = NARROW.score(onset(rows_at(60, 12), days))
    assert (scored.close_minutes, scored.minutes, scored.band) == (minutes, 60, MIDDLE)
    assert scored.verdict == ("F1" if minutes >= 15 else "noted")


@pytest.mark.parametrize("preset", [NARROW, SWISS, CWA], ids=lambda preset: preset.name)
def test_a_revoked_key_makes_no_contact(preset: scoring.Described) -> None:
    rows = [row._replace(report_type=REVOKED) for row in rows_at(45, 12)]
    assert (preset.score(rows).close_minutes, preset.score(rows).verdict) == (0, "noted")


def test_the_published_infectiousness_of_a_window_goes_before_the_days() -> None:
    judged = {found: NARROW.judge([window(60, 3600, infectiousness=found)]) for found in (NONE, STANDARD, HIGH)}
    assert judged[NONE] == []
    assert [(day.minutes, day.level) for day in judged[STANDARD] + judged[HIGH]] == [(18, "alert"), (60, "alert")]


@pytest.mark.parametrize(("seconds", "level"), [(299, None), (300, "advisory"), (899, "advisory"), (900, "alert")])
def test_the_levels_begin_at_five_and_fifteen_minutes(seconds: int, level: str | None) -> None:
    assert [day.level for day in NARROW.judge([window(60, seconds)])] == [level]


def test_days_are_judged_apart_and_old_ones_not_at_all() -> None:
    judged = SWISS.judge([window(40, 900, age_days) for age_days in (10, 3, 11)] + [window(40, 60, 3)])
    assert [(day.age_days, day.minutes) for day in judged] == [(3, 16), (10, 15)]


def preset(**changes: object) -> WeightedWindows:
    assert isinstance(NARROW, WeightedWindows)
    return WeightedWindows(**{**{name: getattr(NARROW, name) for name in NARROW.__dataclass_fields__}, **changes})


def test_windows_below_the_minimum_are_dropped() -> None:
    windows = [window(60, 200), window(60, 700)]
    assert preset(minimum_window_minutes=4).judge(windows)[0].minutes == pytest.approx(700 / 60)
    assert NARROW.judge(windows)[0].minutes == 15


def test_a_day_may_be_its_largest_window_instead_of_the_sum() -> None:
    assert preset(day_is_largest=True).judge([window(60, 600), window(60, 660)])[0].minutes == 11


def test_a_preset_may_compare_the_strongest_packet() -> None:
    rows = rows_at(80, 3, strongest_db=60)
    assert (NARROW.score(rows).band, NARROW.score(rows).close_minutes) == (FAR, 0)
    strongest = preset(compares_minimum=True).score(rows)
    assert (strongest.band, strongest.close_minutes, strongest.attenuation_db) == (MIDDLE, 15, 60)


# 60 minutes at 65 dB count 1 each, times the value of the level of the day
@pytest.mark.parametrize(
    ("days", "minutes", "verdict"),
    [(-6, 0, "noted"), (-4, 48, "F1"), (-1, 96, "F1"), (0, 96, "F1"), (4, 36, "F1"), (5, 0, "noted"), (None, 84, "F1")],
)
def test_the_corona_warn_app_weighs_minutes_by_the_days_since_onset(
    days: int | None, minutes: int, verdict: str
) -> None:
    scored = CWA.score(onset(rows_at(65, 12), days))
    assert (scored.close_minutes, scored.verdict, scored.minutes) == (minutes, verdict, 60)


def test_the_corona_warn_app_compares_the_strongest_packet() -> None:
    scored = CWA.score(rows_at(90, 12, strongest_db=62))
    assert (scored.band, scored.attenuation_db, scored.verdict) == (NEAR, 62, "F1")


@pytest.mark.parametrize("name", scoring.names())
def test_replayed_sightings_count_nothing_in_any_preset(name: str) -> None:
    rows = [row._replace(stale=True) for row in rows_at(45, 12)]
    scored = scoring.load(name).score(rows)
    assert (scored.minutes, scored.close_minutes, scored.verdict, scored.windows) == (0, 0, "noted", 12)


ROWS = st.lists(
    st.tuples(st.integers(0, 40), st.integers(30, 100), st.integers(0, 12), st.integers(0, 6), st.integers(0, 2)),
    min_size=1,
)


@given(rows=ROWS, days=st.one_of(st.none(), st.integers(-14, 14)), name=st.sampled_from(scoring.names()))
def test_every_preset_answers_in_any_order_and_never_counts_more_than_its_largest_weight(
    rows: list[tuple[int, int, int, int, int]], days: int | None, name: str
) -> None:
    heard = [
        Heard(
            at,
            at + 7,
            at + 9,
            scans * 3,
            scans,
            60,
            TX_DBM - mean + more,
            TX_DBM - mean,
            TX_DBM,
            False,
            None,
            days,
            key,
        )
        for window_number, mean, more, scans, key in rows
        for at in [START_S + 300 * window_number]
    ]
    scored = scoring.load(name).score(heard)
    assert 0 <= scored.close_minutes <= 2 * scored.minutes + 1
    assert scored.minutes <= 5 * scored.windows
    order = [NEAR, MIDDLE, FAR]
    assert order.index(scored.nearest) <= order.index(scored.band) <= order.index(scored.farthest)
    assert scored.close_minutes == 0 or scored.band != FAR
    again = scoring.load(name).score(heard[::-1])
    assert (again.minutes, again.windows, again.first_s) == (scored.minutes, scored.windows, scored.first_s)


@given(seconds=st.lists(st.integers(0, 1800), min_size=1, max_size=12), name=st.sampled_from(scoring.names()))
def test_a_longer_contact_is_never_judged_shorter(seconds: list[int], name: str) -> None:
    preset = scoring.load(name)
    shorter = preset.judge([window(45, each, infectiousness=HIGH) for each in seconds])
    longer = preset.judge([window(45, each + 60, infectiousness=HIGH) for each in seconds])
    assert sum(day.minutes for day in longer) >= sum(day.minutes for day in shorter)


@pytest.mark.parametrize("name", scoring.names())
def test_a_scan_of_less_than_no_seconds_takes_nothing_away(name: str) -> None:
    preset = scoring.load(name)
    windows = [window(45, 1200, infectiousness=HIGH)]
    assert preset.judge([*windows, window(45, -900, infectiousness=HIGH)]) == preset.judge(windows)
