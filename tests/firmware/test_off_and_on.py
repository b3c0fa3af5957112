"""Switching off and on again: by whom, when, for how long, and that nothing is lost by it."""

from pathlib import Path

import pytest
from tests.firmware.bench import BLUE_PIN, BUTTON_PIN, BUZZER_PIN, GREEN_PIN, RED_PIN, Bench, Wearer, with_board

from bzvirtual.application import Application
from bzvirtual.errors import TokenDied
from bzvirtual.token_folder import POWER_ON
from bzwire import messages
from bzwire.page import CLOCK_KEPT

ASK = {"f": 0, "t": 1 << 20}


def is_off(wearer: Wearer) -> bool:
    """Nothing on the air or the light for three minutes, and no answer."""
    bench = wearer.bench
    since_s, sent = bench.now_s, len(bench.sniffed)
    bench.live(185)
    dark = not [flash for flash in wearer.flashes() if flash[0] >= since_s]
    silent = all(sniffed.name != wearer.token.station.name for sniffed in bench.sniffed[sent:])
    try:
        wearer.plain(messages.CMD_INFO, {})
    except TokenDied:
        return dark and silent and not wearer.token.station.broadcasts[-1].on_air_at(bench.lockstep.now_us)
    return False


def switched_off(bench: Bench, app: Application | None = None, lived_s: float = 10) -> Wearer:
    wearer = bench.hand_out("off", app=app)
    bench.live(lived_s)
    wearer.hold(10.5)
    bench.live(3)
    return wearer


def test_ten_seconds_switch_off_with_a_buzz_and_five_red_blinks(bench: Bench) -> None:
    wearer = bench.hand_out("going")
    bench.live(90)
    pressed_s = bench.now_s
    wearer.hold(10.5)
    bench.live(5)
    last = [flash for flash in wearer.flashes() if flash[0] > pressed_s + 9.9]
    assert [flash[1:] for flash in last] == [("r", 100)] * 5
    assert last[-1][0] - last[0][0] == pytest.approx(0.8, abs=0.05)
    assert wearer.buzzes_ms() == [120]
    assert is_off(wearer)


def test_switched_off_while_it_shows_itself_it_does_not_beep_on(bench: Bench) -> None:
    """Output pins stay as they are in deep sleep: a buzzer that sounds in that moment would empty the battery."""
    wearer = bench.hand_out("beeping")
    bench.live(10.25)
    wearer.ask(messages.CMD_LOCATE, {"s": 60})
    wearer.hold(10.5)
    bench.live(30)
    assert is_off(wearer)
    levels = [level for _, pin, level in wearer.light if pin == BUZZER_PIN]
    assert levels[-1] == 0


@pytest.mark.parametrize("held_s", [9.5, 4.0])
def test_less_than_ten_seconds_leave_it_on(bench: Bench, held_s: float) -> None:
    wearer = bench.hand_out("staying")
    wearer.hold(held_s)
    bench.live(5)
    assert not is_off(wearer)


def test_with_the_cable_in_it_cannot_be_switched_off(bench: Bench) -> None:
    wearer = bench.hand_out("charging")
    wearer.plug()
    wearer.hold(12)
    bench.live(3)
    assert wearer.status()["bo"] == 1


def test_a_long_yes_does_not_end_in_off(bench: Bench) -> None:
    """Also without the cable's sense: some boards have none."""
    wearer = bench.hand_out("eager")
    wearer.ask(messages.CMD_ASK_RELEASE, ASK)
    bench.live(1)
    wearer.hold(14)
    bench.live(3)
    assert wearer.ask(messages.CMD_READ_RELEASE)["st"] == messages.RELEASE_GRANTED
    assert not is_off(wearer)


def test_a_hold_that_a_question_overtakes_is_neither_yes_nor_off(
    bench: Bench, tmp_path: Path, app: Application
) -> None:
    """On a board that cannot see its cable."""
    wearer = bench.hand_out("early", app=with_board(tmp_path / "blind", app, usb_sense=None))
    wearer.press()
    bench.live(1)
    wearer.ask(messages.CMD_ASK_RELEASE, ASK)
    bench.live(13)
    wearer.release()
    bench.live(1)
    assert wearer.ask(messages.CMD_READ_RELEASE) == {"st": messages.RELEASE_WAITING}
    assert wearer.status()["bo"] == 1


def test_a_blank_token_can_be_switched_off_for_shipping(bench: Bench) -> None:
    wearer = bench.add("shipped")
    wearer.hold(11)
    bench.live(3)
    since_s = bench.now_s
    bench.live(100)
    assert not [flash for flash in wearer.flashes() if flash[0] >= since_s]


def test_off_survives_a_reset_and_a_changed_battery(bench: Bench) -> None:
    wearer = switched_off(bench)
    bench.lockstep.restart(wearer.token)
    assert is_off(wearer)
    bench.lockstep.brown_out(wearer.token)
    assert is_off(wearer)
    bench.lockstep.cut_power(wearer.token)
    bench.live(100)
    bench.lockstep.restart(wearer.token, POWER_ON)
    assert is_off(wearer)


def test_two_seconds_of_the_button_switch_it_on_with_its_clock(bench: Bench) -> None:
    wearer = switched_off(bench, lived_s=70)
    bench.live(3600)
    wearer.hold(2.5)
    bench.live(70)
    assert not is_off(wearer)
    wearer.open_session()
    status = wearer.status()
    assert (status["ck"], status["fb"]) == (CLOCK_KEPT, 0)
    assert status["t"] / 1000 == pytest.approx(bench.now_s, abs=1)
    bench.lockstep.restart(wearer.token)
    assert not is_off(wearer)


def test_off_and_on_in_quick_turns_is_no_failure(bench: Bench) -> None:
    wearer = switched_off(bench)
    for _ in range(3):
        wearer.hold(2.5)
        bench.live(10)
        wearer.hold(10.5)
        bench.live(3)
    wearer.hold(2.5)
    bench.live(5)
    assert wearer.plain(messages.CMD_INFO, {})["sm"] is False
    wearer.light.clear()
    bench.live(130)
    assert {colour for _, colour, _ in wearer.flashes()} == {"g"}


def test_a_shorter_press_does_not_switch_it_on(bench: Bench) -> None:
    wearer = switched_off(bench)
    for _ in range(3):
        wearer.hold(1.5)
        bench.live(1)
    assert is_off(wearer)


def test_the_hold_that_switched_it_off_does_not_switch_it_on_again(bench: Bench) -> None:
    """Nobody lets go at the very second: off is off, however long the button is held on."""
    wearer = bench.hand_out("pressed")
    bench.live(10)
    wearer.hold(20)
    assert is_off(wearer)
    wearer.hold(2.5)
    bench.live(5)
    assert not is_off(wearer)


def test_the_cable_switches_it_on(bench: Bench) -> None:
    wearer = switched_off(bench)
    bench.lockstep.plug(wearer.token)
    bench.live(90)
    wearer.open_session()
    assert wearer.status()["p"] == 0


@pytest.mark.parametrize("by", ["button", "cable"])
def test_where_the_pin_cannot_end_deep_sleep_off_is_as_good(
    bench: Bench, tmp_path: Path, app: Application, by: str
) -> None:
    power = {"profile": "continuous", "sleep": "light"}
    wearer = switched_off(bench, with_board(tmp_path / "simple", app, power=power))
    assert is_off(wearer)
    assert bench.lockstep.usage_of(wearer.token).asleep_us > 150e6
    wearer.hold(1)
    assert is_off(wearer)
    bench.lockstep.restart(wearer.token)
    assert is_off(wearer)
    if by == "button":
        wearer.hold(2.5)
        bench.live(5)
    else:
        bench.lockstep.plug(wearer.token)
        bench.live(65)
    assert not is_off(wearer)


def test_nothing_is_lost_when_it_is_switched_off_in_the_middle_of_a_window(bench: Bench) -> None:
    wearer, _ = bench.hand_out("wearer"), bench.hand_out("neighbour", 1.0)
    bench.live(150)
    wearer.hold(10.5)
    bench.live(700)
    wearer.hold(3)
    bench.live(10)
    wearer.open_session()
    pages = wearer.pages()
    assert sum(record.scans for _, records in pages for record in records) in (2, 3)
    assert [header.sequence for header, _ in pages] == list(range(1, wearer.status()["n"]))


def test_no_pin_of_the_light_stays_lit_while_it_is_off(bench: Bench) -> None:
    wearer = switched_off(bench)
    levels = {pin: level for _, pin, level in wearer.light if pin != BUTTON_PIN}
    assert {levels.get(pin, 0) for pin in (RED_PIN, GREEN_PIN, BLUE_PIN, BUZZER_PIN)} == {0}
