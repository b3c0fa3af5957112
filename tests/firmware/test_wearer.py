"""What the wearer sees and does: the light's patterns and their order, the buzzer, the button, off and on again."""

from pathlib import Path

import pytest
from tests.firmware.bench import BUZZER_PIN, GREEN_PIN, SECOND_US, Bench, Wearer, with_board

from bzvirtual.application import Application
from bzwire import messages

CHARGE_MV, GOOD_MV = 3500, 3900
ASK = {"f": 0, "t": 1 << 20}

# colour, ms lit, s from one to the next within a group, in a group, s from group to group: SPEC.md "Light"
WORKING = ("g", 40, 0.0, 1, 60.0)
CHARGE_ME = ("rg", 40, 0.0, 1, 10.0)
EXPOSURE = ("rg", 200, 0.5, 2, 10.0)
BRING_ME = ("r", 40, 0.0, 1, 5.0)
ASKING = ("b", 500, 0.0, 1, 1.0)


def seen(wearer: Wearer, seconds: float) -> list[tuple[float, str, int]]:
    """What is shown from now on, for so long."""
    now_s = wearer.bench.now_s
    wearer.bench.live(seconds)
    return [flash for flash in wearer.flashes() if flash[0] >= now_s]


def is_pattern(flashes: list[tuple[float, str, int]], pattern: tuple[str, int, float, int, float]) -> bool:
    """True when nothing else is shown, from its first group to its last."""
    colour, lit_ms, apart_s, count, period_s = pattern
    if len(flashes) < 2 * count or {flash[1:] for flash in flashes} != {(colour, lit_ms)}:
        return False
    starts = [flash[0] for flash in flashes]
    gaps = [later - earlier for earlier, later in zip(starts, starts[1:], strict=False)]
    inside = [apart_s] * (count - 1)
    cycle = [*inside, period_s - sum(inside)]
    wanted = cycle * (len(gaps) // count + 2)
    return any(gaps == pytest.approx(wanted[at : at + len(gaps)], abs=0.12) for at in range(count))


def asks(wearer: Wearer) -> None:
    wearer.ask(messages.CMD_ASK_RELEASE, ASK)


def notice(wearer: Wearer, on: int) -> None:
    wearer.ask(messages.CMD_SETTINGS, {"no": on})


def battery(wearer: Wearer, millivolts: int) -> None:
    wearer.bench.lockstep.set_battery_mv(wearer.token, millivolts)
    wearer.bench.live(61)


# -- light ----------------------------------------------------------------------------------------------------------
def test_green_once_a_minute_says_working(bench: Bench) -> None:
    assert is_pattern(seen(bench.hand_out("worn"), 310), WORKING)


def test_red_every_five_seconds_says_not_handed_out_or_no_time(bench: Bench) -> None:
    wearer = bench.add("blank")
    assert is_pattern(seen(wearer, 61), BRING_ME)
    wearer.provision()
    assert is_pattern(seen(wearer, 301)[1:], WORKING)
    bench.lockstep.brown_out(wearer.token)
    assert is_pattern(seen(wearer, 61), BRING_ME)


def test_amber_every_ten_seconds_asks_for_the_charger(bench: Bench) -> None:
    wearer = bench.hand_out("low")
    battery(wearer, CHARGE_MV)
    assert is_pattern(seen(wearer, 61), CHARGE_ME)
    battery(wearer, GOOD_MV)
    assert is_pattern(seen(wearer, 301), WORKING)


def test_the_exposure_notice_is_a_calm_double_blink_that_survives_a_reset_and_power_off(bench: Bench) -> None:
    wearer = bench.hand_out("exposed")
    notice(wearer, 1)
    assert is_pattern(seen(wearer, 61), EXPOSURE)
    bench.lockstep.restart(wearer.token)
    assert is_pattern(seen(wearer, 61), EXPOSURE)
    bench.lockstep.brown_out(wearer.token)
    wearer.open_session()
    wearer.set_clock(bench.now_s)
    bench.live(2)
    assert is_pattern(seen(wearer, 61), EXPOSURE)
    notice(wearer, 0)
    bench.live(2)
    assert is_pattern(seen(wearer, 301), WORKING)
    bench.lockstep.restart(wearer.token)
    assert is_pattern(seen(wearer, 301), WORKING)


def test_of_several_patterns_the_first_in_the_order_is_shown(bench: Bench) -> None:
    wearer = bench.hand_out("all")
    notice(wearer, 1)
    battery(wearer, CHARGE_MV)
    assert is_pattern(seen(wearer, 61), CHARGE_ME)
    bench.lockstep.brown_out(wearer.token)
    assert is_pattern(seen(wearer, 61), BRING_ME)
    wearer.open_session()
    asks(wearer)
    bench.live(1)
    assert is_pattern(seen(wearer, 20), ASKING)
    wearer.hold(3.3)
    bench.live(90)
    steady = [flash for flash in wearer.flashes() if flash[1] == "g" and flash[2] > 40]
    assert len(steady) == 1
    assert steady[0][2] == pytest.approx(36_000, abs=2_500)  # until the minute of the question is over
    assert is_pattern(seen(wearer, 31), BRING_ME)


def test_a_light_of_one_colour_shows_the_rhythm(bench: Bench, tmp_path: Path, app: Application) -> None:
    mono = with_board(tmp_path / "mono", app, light={"mono": GREEN_PIN, "active_low": True})
    wearer = bench.hand_out("mono", app=mono)
    notice(wearer, 1)
    bench.live(10)
    begin_us = bench.lockstep.now_us
    bench.live(61)
    changes = [(at_us, level) for at_us, pin, level in wearer.light if pin == GREEN_PIN and at_us >= begin_us]
    assert {pin for _, pin, _ in wearer.light} == {GREEN_PIN}
    begins = [at_us for at_us, level in changes if level == 0]
    assert len(begins) >= 12
    lit_ms = [(changes[at + 1][0] - changes[at][0]) // 1000 for at in range(len(changes) - 1) if not changes[at][1]]
    assert set(lit_ms) == {200}
    # The other patterns too: each colour is that one light.
    bench.lockstep.brown_out(wearer.token)
    begin_us = bench.lockstep.now_us
    bench.live(16)
    assert len([at_us for at_us, _, level in wearer.light if at_us >= begin_us and level == 0]) in (3, 4)


# -- button, short --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("state", "colour"), [("working", "g"), ("charge", "rg"), ("exposed", "rg"), ("time lost", "r"), ("blank", "r")]
)
def test_a_short_press_is_answered_with_two_seconds_of_the_colour_that_applies(
    bench: Bench, state: str, colour: str
) -> None:
    wearer = bench.add("asked") if state == "blank" else bench.hand_out("asked")
    if state == "charge":
        battery(wearer, CHARGE_MV)
    if state == "exposed":
        notice(wearer, 1)
    if state == "time lost":
        bench.lockstep.brown_out(wearer.token)
    bench.live(9)
    wearer.hold(0.3)
    answers = [flash for flash in seen(wearer, 4) if flash[2] > 1000]
    assert [flash[1:] for flash in answers] == [(colour, 2000)]


def test_a_windowed_token_is_woken_by_its_button_at_once(bench: Bench) -> None:
    wearer = bench.hand_out("asleep")
    wearer.ask(messages.CMD_SETTINGS, {"p": messages.PROFILE_WINDOWED})
    bench.live(180)
    for _ in range(600):
        if wearer.token.process.asleep and wearer.token.next_us > bench.lockstep.now_us + 3 * SECOND_US:
            break
        bench.live(0.1)
    assert wearer.token.process.asleep
    pressed_s = bench.now_s
    wearer.hold(0.2)
    answers = [flash for flash in seen(wearer, 4) if flash[2] > 1000]
    assert [flash[1:] for flash in answers] == [("g", 2000)]
    assert answers[0][0] - pressed_s < 0.6
    wearer.plain(messages.CMD_INFO, {})  # and awake for the cable
    wearer.bench.live(120)
    assert any(asleep_now(wearer) for _ in range(60))


def asleep_now(wearer: Wearer) -> bool:
    wearer.bench.live(0.5)
    return wearer.token.process.asleep


# -- button, held ---------------------------------------------------------------------------------------------------
def test_three_seconds_without_a_question_release_nothing_and_do_not_buzz(bench: Bench) -> None:
    wearer = bench.hand_out("held")
    wearer.hold(4)
    bench.live(1)
    assert wearer.ask(messages.CMD_READ_RELEASE)["st"] == messages.RELEASE_NONE
    asks(wearer)
    bench.live(5)
    assert wearer.ask(messages.CMD_READ_RELEASE) == {"st": messages.RELEASE_WAITING}
    assert wearer.buzzes_ms() == []


def test_the_buzzer_tells_that_three_seconds_are_over(bench: Bench) -> None:
    wearer = bench.hand_out("asked")
    asks(wearer)
    bench.live(1)
    pressed_s = bench.now_s
    wearer.hold(3.5)
    bench.live(1)
    assert wearer.buzzes_ms() == [120]
    begin_s = next(at_us for at_us, pin, _ in wearer.light if pin == BUZZER_PIN) / SECOND_US
    assert begin_s - pressed_s == pytest.approx(3, abs=0.1)
    assert wearer.ask(messages.CMD_READ_RELEASE)["st"] == messages.RELEASE_GRANTED
