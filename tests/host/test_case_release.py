"""What a token's answer to a granted release becomes, and what is refused."""

from typing import Any

import pytest

from bztoken.case_release import case_keys
from bztoken.errors import LinkError
from bztoken.formats.case_list import CaseKey
from bzwire.messages import RELEASE_GRANTED

DAY = 20788
NOW_S = DAY * 86400 + 3600
KEYS = [[DAY - 1, b"y" * 32], [DAY, b"t" * 32]]


def answer(**changed: Any) -> dict[str, Any]:
    return {"st": RELEASE_GRANTED, "k": KEYS, "tx": -12, **changed}


@pytest.mark.parametrize("told", [{}, {"sc": "bluezone"}])
def test_a_day_ends_at_midnight_and_today_now(told: dict[str, Any]) -> None:
    assert case_keys(answer(**told), NOW_S) == [
        CaseKey(b"y" * 32, (DAY - 1) * 86400, 96, DAY * 86400 - 1, -12),
        CaseKey(b"t" * 32, DAY * 86400, 96, NOW_S, -12),
    ]


def test_keys_of_a_gaen_token_are_refused_by_name_of_the_scheme() -> None:
    with pytest.raises(LinkError, match="broadcasts GAEN, and cases of GAEN tokens are not supported yet"):
        case_keys(answer(sc="gaen", k=[[DAY, b"t" * 16]]), NOW_S)


def test_an_unknown_scheme_is_never_taken_for_bluezone() -> None:
    with pytest.raises(LinkError, match="does not know"):
        case_keys(answer(sc="morse"), NOW_S)


@pytest.mark.parametrize("key", [[DAY, b"t" * 16], [DAY, b"t" * 33], [DAY, "t" * 32], ["today", b"t" * 32]])
def test_a_key_of_another_form_is_refused(key: list[Any]) -> None:
    with pytest.raises(LinkError, match="form"):
        case_keys(answer(k=[key]), NOW_S)
