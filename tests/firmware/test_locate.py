"""A station asks where a token is: its light and its buzzer answer, for as long as asked and no longer."""

import pytest
from tests.firmware.bench import Bench, Refused, Wearer

from bzwire import errors, messages

WHITE = "rgb"


def locate(wearer: Wearer, seconds: object) -> None:
    assert wearer.ask(messages.CMD_LOCATE, {"s": seconds}) == {}


def white_from(wearer: Wearer, since_s: float) -> list[float]:
    """When it flashed white, in seconds since then."""
    return [at_s - since_s for at_s, colour, _ in wearer.flashes() if colour == WHITE and at_s >= since_s - 0.01]


@pytest.fixture
def wearer(bench: Bench) -> Wearer:
    made = bench.hand_out("somewhere")
    bench.live(30)
    return made


def test_it_flashes_and_beeps_for_as_long_as_asked(bench: Bench, wearer: Wearer) -> None:
    began = bench.now_s
    locate(wearer, 10)
    bench.live(70)
    seen = white_from(wearer, began)
    assert len(seen) == 40  # two, twice a second
    assert max(seen) < 10
    assert wearer.buzzes_ms() == [120] * 10
    assert wearer.flashes()[-1][1:] == ("g", 40)  # then it says again that it works


def test_zero_ends_it(bench: Bench, wearer: Wearer) -> None:
    began = bench.now_s
    locate(wearer, 60)
    bench.live(4.5)
    locate(wearer, 0)
    bench.live(60)
    assert max(white_from(wearer, began)) < 5
    assert len(wearer.buzzes_ms()) == 5


def test_asked_again_it_goes_on_with_one_beep_a_second(bench: Bench, wearer: Wearer) -> None:
    began = bench.now_s
    locate(wearer, 5)
    bench.live(3)
    locate(wearer, 5)
    bench.live(20)
    assert 7.4 < max(white_from(wearer, began)) < 8
    assert len(wearer.buzzes_ms()) == 8


def test_ended_and_asked_again_at_once_it_beeps_once_a_second(bench: Bench, wearer: Wearer) -> None:
    locate(wearer, 60)
    bench.live(0.5)
    locate(wearer, 0)
    locate(wearer, 10)
    bench.live(30)
    assert len(wearer.buzzes_ms()) == 1 + 10


def test_a_question_for_the_wearer_goes_before_it(bench: Bench, wearer: Wearer) -> None:
    locate(wearer, 30)
    bench.live(2)
    day = int(bench.now_s) // 86400
    wearer.ask(messages.CMD_ASK_RELEASE, {"f": day, "t": day})
    asked = bench.now_s
    bench.live(5)
    assert {colour for at_s, colour, _ in wearer.flashes() if at_s > asked + 0.6} == {"b"}


def test_a_sleeping_profile_stays_awake_for_it(bench: Bench, wearer: Wearer) -> None:
    wearer.plug()
    wearer.tell(p=messages.PROFILE_WINDOWED)
    bench.live(60)
    wearer.open_session()
    began = bench.now_s
    locate(wearer, 120)
    wearer.unplug()
    bench.live(119)
    assert len(white_from(wearer, began)) == pytest.approx(476, abs=8)


@pytest.mark.parametrize("seconds", [-1, 121, "5", None])
def test_times_out_of_range_are_refused(wearer: Wearer, seconds: object) -> None:
    with pytest.raises(Refused) as refused:
        locate(wearer, seconds)
    assert refused.value.code == errors.RC_BAD_REQUEST
