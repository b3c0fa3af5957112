"""A battery that goes down and up again: what the token gives up, in which order, and that it says so."""

from pathlib import Path

import pytest
from tests.firmware.bench import Bench, Wearer, with_board

from bzvirtual.application import Application
from bzwire import messages
from bzwire.page import STATE_SAVING

# board.json: low 3600, empty 3300; saving begins a third of the way from empty to low
LOW_MV, SAVING_MV, EMPTY_MV = 3600, 3400, 3300
HYSTERESIS_MV = 80
UNKNOWN, GOOD, LOW, SAVING, EMPTY = range(5)


def at(wearer: Wearer, millivolts: int) -> int:
    """The state that this voltage leads to."""
    wearer.bench.lockstep.set_battery_mv(wearer.token, millivolts)
    wearer.bench.live(121)
    status = wearer.status()
    assert status["bv"] == pytest.approx(millivolts, abs=2)
    return int(status["bs"])


def on_the_air(wearer: Wearer) -> bool:
    broadcasts = wearer.token.station.broadcasts
    return bool(broadcasts) and broadcasts[-1].on_air_at(wearer.bench.lockstep.now_us)


def windowed(wearer: Wearer) -> None:
    wearer.ask(messages.CMD_SETTINGS, {"p": messages.PROFILE_WINDOWED})


@pytest.mark.parametrize(
    ("path", "states"),
    [
        ((LOW_MV + 2, LOW_MV - 2, LOW_MV + 78, LOW_MV + 82), (GOOD, LOW, LOW, GOOD)),
        ((SAVING_MV + 2, SAVING_MV - 2, SAVING_MV + 78, SAVING_MV + 82), (LOW, SAVING, SAVING, LOW)),
        ((EMPTY_MV + 2, EMPTY_MV - 2, EMPTY_MV + 78, EMPTY_MV + 82), (SAVING, EMPTY, EMPTY, SAVING)),
        ((4100, 3000, 4100), (GOOD, EMPTY, GOOD)),
        ((LOW_MV - 10, LOW_MV + 40, SAVING_MV - 10, LOW_MV + 40), (LOW, LOW, SAVING, LOW)),
    ],
)
def test_a_state_ends_higher_than_it_begins(bench: Bench, path: tuple[int, ...], states: tuple[int, ...]) -> None:
    wearer = bench.hand_out("worn")
    assert tuple(at(wearer, millivolts) for millivolts in path) == states


def test_a_state_holds_over_a_reset_only_as_its_voltage_says(bench: Bench) -> None:
    wearer = bench.hand_out("worn")
    assert at(wearer, EMPTY_MV - 50) == EMPTY
    bench.lockstep.restart(wearer.token)
    bench.live(121)
    assert not on_the_air(wearer)
    wearer.open_session()
    assert wearer.status()["bs"] == EMPTY


@pytest.mark.parametrize("profile", [messages.PROFILE_CONTINUOUS, messages.PROFILE_WINDOWED])
def test_a_saving_token_is_heard_but_does_not_listen_and_its_pages_say_so(bench: Bench, profile: int) -> None:
    saver, other = bench.hand_out("saver"), bench.hand_out("other", 1.0)
    for wearer in (saver, other):
        wearer.ask(messages.CMD_SETTINGS, {"p": profile})
    bench.live(300)
    bench.lockstep.set_battery_mv(saver.token, SAVING_MV - 20)
    bench.live_until((bench.now_s // 300 + 2) * 300 + 5)
    listened_us = bench.lockstep.usage_of(saver.token).listen_us
    saved_since = int(bench.now_s) - 5
    bench.live(900)
    assert bench.lockstep.usage_of(saver.token).listen_us == listened_us
    bench.live(5)
    for wearer in (saver, other):
        wearer.open_session()
    assert saver.status()["bs"] == SAVING
    pages = [(header, records) for header, records in saver.pages() if header.window_start_s >= saved_since]
    assert len(pages) == 3
    assert {(header.state & STATE_SAVING, header.listened_ds, len(records)) for header, records in pages} == {
        (STATE_SAVING, 0, 0)
    }
    before = [header.state & STATE_SAVING for header, _ in saver.pages() if header.window_start_s < saved_since - 600]
    assert before
    assert not any(before)
    heard = [records for header, records in other.pages() if header.window_start_s >= saved_since]
    assert len(heard) >= 3
    assert all(heard)


@pytest.mark.parametrize("profile", [messages.PROFILE_CONTINUOUS, messages.PROFILE_WINDOWED])
def test_an_empty_token_is_silent_and_deaf_goes_on_writing_pages_and_recovers(bench: Bench, profile: int) -> None:
    wearer, _ = bench.hand_out("empty"), bench.hand_out("other", 1.0)
    wearer.ask(messages.CMD_SETTINGS, {"p": profile})
    bench.live(300)
    bench.lockstep.set_battery_mv(wearer.token, EMPTY_MV - 20)
    bench.live(121)
    empty_since, sent = bench.now_s, len(bench.sniffed)
    usage = bench.lockstep.usage_of(wearer.token)
    bench.live_until((bench.now_s // 300 + 4) * 300 + 5)
    after = bench.lockstep.usage_of(wearer.token)
    assert not on_the_air(wearer)
    assert (after.radio_on_us, after.listen_us) == (usage.radio_on_us, usage.listen_us)
    assert all(sniffed.name != "empty" for sniffed in bench.sniffed[sent:])
    recovered_at = bench.now_s
    bench.lockstep.set_battery_mv(wearer.token, 3900)
    bench.live(700)
    assert any(sniffed.name == "empty" for sniffed in bench.sniffed[sent:])
    wearer.open_session()
    pages = wearer.pages()
    empty = [page for page in pages if empty_since <= page[0].window_start_s < recovered_at - 300]
    assert len(empty) == 3
    assert {(header.listened_ds, len(records)) for header, records in empty} == {(0, 0)}
    assert all(header.state & STATE_SAVING for header, _ in empty)  # "did not listen, to save the battery"
    assert [header.sequence for header, _ in pages] == list(range(1, wearer.status()["n"]))
    assert any(records for header, records in pages if header.window_start_s >= recovered_at - 300)
    assert wearer.status()["bo"] == 1


def test_a_board_that_cannot_measure_never_saves(bench: Bench, tmp_path: Path, app: Application) -> None:
    wearer = bench.hand_out("unknown", app=with_board(tmp_path / "none", app, battery=None))
    bench.hand_out("other", 1.0)
    bench.lockstep.set_battery_mv(wearer.token, 2500)
    bench.live(600)
    status = wearer.status()
    assert (status["bv"], status["bs"]) == (0, UNKNOWN)
    assert {flash[1] for flash in wearer.flashes()[-5:]} == {"g"}
    assert all(records for _, records in wearer.pages())


def test_the_voltage_is_told_before_the_clock_is_set_too(bench: Bench) -> None:
    """After a dead battery was charged the clock is lost, and the station wants to know what the battery does."""
    wearer = bench.hand_out("charged")
    bench.lockstep.brown_out(wearer.token)
    bench.lockstep.set_battery_mv(wearer.token, 3500)
    bench.live(121)
    wearer.open_session()
    status = wearer.status()
    assert status["bv"] == pytest.approx(3500, abs=2)
    assert status["bs"] == LOW


def test_a_cold_start_on_an_empty_battery_does_not_turn_the_radio_on(bench: Bench) -> None:
    wearer = bench.hand_out("cold")
    bench.live(30)
    bench.lockstep.set_battery_mv(wearer.token, EMPTY_MV - 50)
    bench.lockstep.restart(wearer.token)
    usage = bench.lockstep.usage_of(wearer.token)
    bench.live(600)
    assert bench.lockstep.usage_of(wearer.token).radio_on_us == usage.radio_on_us
