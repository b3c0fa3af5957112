"""What a token's answer to a granted release becomes, and what is refused."""

from datetime import date, timedelta
from typing import Any

import pytest

from bztoken.errors import CaseError, LinkError
from bztoken.formats.tracing_key import TracingKey
from bztoken.tracing.case_release import days_of, tracing_keys
from bztoken.tracing.infectious_window import Window
from bzwire.messages import RELEASE_GRANTED

DAY = 20788
NOW_S = DAY * 86400 + 3600
KEYS = [[DAY - 1, b"y" * 32], [DAY, b"t" * 32]]


def window(first: int, last: int) -> Window:
    """Days before and after today."""
    today = date(1970, 1, 1) + timedelta(days=DAY)
    return Window(today + timedelta(days=first), today + timedelta(days=last))


def answer(**changed: Any) -> dict[str, Any]:
    return {"st": RELEASE_GRANTED, "k": KEYS, "tx": -12, **changed}


@pytest.mark.parametrize("told", [{}, {"sc": "bluezone"}])
def test_a_day_ends_at_midnight_and_today_now(told: dict[str, Any]) -> None:
    assert tracing_keys(answer(**told), NOW_S) == [
        TracingKey("bluezone", b"y" * 32, (DAY - 1) * 86400, 96, DAY * 86400 - 1, -12),
        TracingKey("bluezone", b"t" * 32, DAY * 86400, 96, NOW_S, -12),
    ]


def test_a_gaen_token_releases_teks_with_their_whole_rolling_period() -> None:
    found = tracing_keys(answer(sc="gaen", k=[[DAY - 1, b"y" * 16], [DAY, b"t" * 16]]), NOW_S)
    assert found == [
        TracingKey("gaen", b"y" * 16, (DAY - 1) * 86400, 144, DAY * 86400 - 1, -12),
        TracingKey("gaen", b"t" * 16, DAY * 86400, 144, NOW_S, -12),
    ]


@pytest.mark.parametrize(
    ("first", "last", "asked"),
    [
        (-2, 13, range(DAY - 2, DAY + 1)),
        (-30, -5, range(DAY - 20, DAY - 4)),
        (-20, -20, range(DAY - 20, DAY - 19)),
        (0, 5, range(DAY, DAY + 1)),
    ],
)
def test_a_token_is_asked_for_days_of_the_window_only(first: int, last: int, asked: range) -> None:
    assert days_of(window(first, last), NOW_S) == asked


def test_a_window_of_which_no_token_has_keys_is_told_before_anybody_holds_a_button() -> None:
    with pytest.raises(CaseError, match="nothing was asked"):
        days_of(window(-40, -21), NOW_S)


def test_an_unknown_scheme_is_never_taken_for_bluezone() -> None:
    with pytest.raises(LinkError, match="does not know"):
        tracing_keys(answer(sc="morse"), NOW_S)


@pytest.mark.parametrize("key", [[DAY, b"t" * 16], [DAY, b"t" * 33], [DAY, "t" * 32], ["today", b"t" * 32]])
def test_a_key_of_another_form_is_refused(key: list[Any]) -> None:
    with pytest.raises(LinkError, match="form"):
        tracing_keys(answer(k=[key]), NOW_S)


def test_a_gaen_key_is_never_of_another_length() -> None:
    with pytest.raises(LinkError, match="form"):
        tracing_keys(answer(sc="gaen"), NOW_S)
