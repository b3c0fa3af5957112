"""The infectious window: as published, from onset or test, and no day that cannot be."""

import tomllib
from datetime import UTC, date, datetime, timedelta
from importlib import resources

import pytest

from bztoken import tracing
from bztoken.errors import CaseError
from bztoken.tracing.infectious_window import RULES_FILE, Window, window

TODAY = date(2026, 11, 24)
NOW_S = int(datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp())
DAY_S = 86400


def ago(days: int) -> date:
    return TODAY - timedelta(days=days)


def test_symptoms_give_two_days_before_to_thirteen_after() -> None:
    assert window(ago(3), None, NOW_S) == Window(ago(5), ago(-10))


def test_a_test_alone_gives_two_days_before_to_ten_after() -> None:
    assert window(None, ago(3), NOW_S) == Window(ago(5), ago(-7))


@pytest.mark.parametrize(("onset", "test", "first", "last"), [(6, 3, 8, -7), (3, 6, 8, -10), (3, 3, 5, -10)])
def test_of_both_days_the_wider_window_counts(onset: int, test: int, first: int, last: int) -> None:
    assert window(ago(onset), ago(test), NOW_S) == Window(ago(first), ago(last))


def test_one_of_both_days_is_needed() -> None:
    with pytest.raises(CaseError, match="give --onset or --test"):
        window(None, None, NOW_S)


@pytest.mark.parametrize("name", ["onset", "test"])
def test_no_day_is_in_the_future_or_of_another_year(name: str) -> None:
    def of(day: date) -> Window:
        return window(day, ago(1), NOW_S) if name == "onset" else window(ago(1), day, NOW_S)

    with pytest.raises(CaseError, match="in the future"):
        of(ago(-1))
    with pytest.raises(CaseError, match="more than 60 days ago"):
        of(ago(61))
    of(ago(0))
    of(ago(60))


def test_this_morning_in_vietnam_is_no_future_though_it_is_yesterday_in_utc() -> None:
    six_in_the_morning_s = int(datetime(2026, 11, 24, 23, tzinfo=UTC).timestamp())
    window(ago(-1), None, six_in_the_morning_s)
    with pytest.raises(CaseError, match="in the future"):
        window(ago(-2), None, six_in_the_morning_s)


def test_a_window_holds_its_days_to_the_second() -> None:
    day = Window(TODAY, TODAY)
    start_s = day.first_number * DAY_S
    assert day.holds(start_s - 100, start_s) and not day.holds(start_s - 100, start_s - 1)
    assert day.holds(start_s + DAY_S - 1, start_s + 2 * DAY_S) and not day.holds(start_s + DAY_S, start_s + 2 * DAY_S)


def test_every_published_number_names_its_source() -> None:
    rules = tomllib.loads(resources.files(tracing).joinpath(RULES_FILE).read_text(encoding="utf-8"))
    for name in ("onset", "test"):
        assert "WHO" in rules[name]["source"] and "2021" in rules[name]["source"]
