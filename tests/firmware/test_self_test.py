"""The self-test that a station asks for: right about what works and what does not, and without a trace afterwards."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.firmware.bench import SECOND_US, START_S, Bench, Refused, Wearer, stays_at, with_board
from tests.firmware.script_board import ScriptBoard

from bzvirtual.application import Application
from bzvirtual.beacon import Beacon
from bzvirtual.ether import Station
from bzwire import messages
from bzwire.errors import RC_NOT_AUTHENTICATED
from bzwire.page import STATE_SAVING

LASTS_S = 8.5
RESULTS = {"st", "fl", "ck", "rx", "t", "id", "bt", "bv"}

HAL = """
import os, time
from bzfw import app, hal_esp32

class OddHal(hal_esp32.Esp32Hal):
{body}

app.start(lambda: OddHal(hal_esp32.read_board_file("/rom/board.json")), hal_esp32.restart)
"""


def begin(wearer: Wearer) -> None:
    assert wearer.ask(messages.CMD_SELF_TEST) == {}


def read(wearer: Wearer) -> dict[str, Any]:
    return wearer.ask(messages.CMD_READ_SELF_TEST)


def result_of(wearer: Wearer) -> dict[str, Any]:
    """Begin one and read what it found. A scan of the radio's own may have to end first."""
    begin(wearer)
    assert read(wearer)["st"] == messages.SELF_TEST_RUNNING
    for _ in range(15):
        wearer.bench.live(1)
        found = read(wearer)
        if found["st"] == messages.SELF_TEST_DONE:
            return found
    pytest.fail("the self-test does not end")


def own_tag(wearer: Wearer) -> bytes:
    """The first bytes of the ID that is on the air."""
    return bytes(wearer.token.station.broadcasts[-1].data[11:15])


def sent_by(bench: Bench, name: str, since: int = 0) -> list[bytes]:
    return [sniffed.broadcast.data for sniffed in bench.sniffed[since:] if sniffed.name == name]


# -- results --------------------------------------------------------------------------------------------------------
def test_before_the_first_one_there_is_no_result(bench: Bench) -> None:
    assert read(bench.hand_out("new")) == {"st": messages.SELF_TEST_NONE}


def test_a_healthy_board_alone_passes_and_hears_nobody(bench: Bench) -> None:
    wearer = bench.hand_out("alone")
    bench.live_until(START_S + 301)  # the minute's own scan begins later than 4 s
    wearer.ask(messages.CMD_SELF_TEST)
    bench.live(LASTS_S)
    found = read(wearer)
    assert set(found) == RESULTS
    assert (found["fl"], found["ck"], found["rx"], found["t"], found["bt"]) == (True, True, 0, [], False)
    assert found["bv"] == pytest.approx(3900, abs=2)
    assert found["id"] == own_tag(wearer)


@pytest.mark.parametrize("profile", [messages.PROFILE_CONTINUOUS, messages.PROFILE_WINDOWED])
def test_two_on_two_cables_hear_each_other(bench: Bench, profile: int) -> None:
    pair = [bench.hand_out("left"), bench.hand_out("right", 0.5)]
    for wearer in pair:
        wearer.plug()
        wearer.ask(messages.CMD_SETTINGS, {"p": profile})
    bench.live(100)
    for wearer in pair:
        begin(wearer)
    bench.live(LASTS_S + 0.5)
    left, right = (read(wearer) for wearer in pair)
    assert (left["rx"], right["rx"]) == (1, 1)
    assert left["t"] == [right["id"]]
    assert right["t"] == [left["id"]]
    assert len(left["id"]) == 4
    assert left["id"] != right["id"]


def test_of_a_crowd_it_counts_all_and_lists_sixteen(bench: Bench) -> None:
    crowd = []
    for n in range(20):
        station = Station(f"b{n}", 0, stays_at(0.2 * n), random.Random(n))
        crowd.append(Beacon(station, random.Random(n), bench.lockstep.now_us))
        bench.lockstep.add_phone(crowd[-1])
    wearer = bench.hand_out("tested")
    bench.live(60)
    found = result_of(wearer)
    assert (found["rx"], len(found["t"])) == (20, 16)
    assert set(found["t"]) <= {beacon.ids[-1].rotating_id[:4] for beacon in crowd}


def test_a_press_meanwhile_is_seen_and_one_before_is_not(bench: Bench) -> None:
    wearer = bench.hand_out("pressed")
    bench.live(30)
    wearer.hold(0.3)
    bench.live(5)
    assert result_of(wearer)["bt"] is False
    begin(wearer)
    bench.live(3)
    wearer.hold(0.3)
    bench.live(LASTS_S)
    assert read(wearer)["bt"] is True
    assert result_of(wearer)["bt"] is False


def test_it_shows_red_green_and_blue_in_turn(bench: Bench) -> None:
    wearer = bench.hand_out("lit")
    bench.live(50)
    wearer.light.clear()
    result_of(wearer)
    long = [(colour, lit_ms) for _, colour, lit_ms in wearer.flashes() if lit_ms > 100]
    assert [colour for colour, _ in long] == ["r", "g", "b"]
    wearer.light.clear()
    bench.live(125)
    assert {colour for _, colour, _ in wearer.flashes()} == {"g"}


# -- what does not work ---------------------------------------------------------------------------------------------
@pytest.fixture
def odd(bench: Bench, board: Callable[..., ScriptBoard]) -> Callable[[str], Wearer]:
    """A token over hardware with a fault; `body` is what its HAL does differently."""

    def make(body: str) -> Wearer:
        wearer = bench.add("odd", app=board(HAL.format(body=body), start=False).application)
        wearer.provision()
        bench.live(30)
        return wearer

    return make


def test_a_full_flash_is_told(bench: Bench) -> None:
    wearer = bench.hand_out("full")
    bench.live(10)
    bench.lockstep.cut_power(wearer.token)
    flash = wearer.flash()
    for size in (100_000, 4_096):
        n = 0
        while flash.try_write(f"/fill-{size}-{n}", b"\x5a" * size):
            n += 1
    bench.lockstep.restart(wearer.token)
    wearer.open_session()
    wearer.set_clock(bench.now_s)
    found = result_of(wearer)
    assert found["fl"] is False
    assert found["ck"] is True
    names = wearer.flash().names("/")
    assert not [name for name in names if "selftest" in name]


def test_a_clock_that_stands_still_is_told(odd: Callable[[str], Wearer]) -> None:
    body = """
    def clock_unix_ms(self):
        real_ms = hal_esp32.Esp32Hal.clock_unix_ms(self)
        return real_ms - real_ms % 60000
"""
    assert result_of(odd(body))["ck"] is False


def test_a_deaf_radio_hears_nobody(bench: Bench, odd: Callable[[str], Wearer]) -> None:
    bench.hand_out("neighbour", 1.0)
    body = """
    def on_packet(self, take):
        pass
"""
    found = result_of(odd(body))
    assert (found["rx"], found["t"]) == (0, [])


# -- who may, and when ----------------------------------------------------------------------------------------------
def test_nobody_without_a_session_can_begin_or_read_one(bench: Bench) -> None:
    wearer = bench.add("blank")
    for command in (messages.CMD_SELF_TEST, messages.CMD_READ_SELF_TEST):
        with pytest.raises(Refused) as refused:
            wearer.plain(command, messages.seal(bytes(32), messages.REQUEST, command, 1, {}))
        assert refused.value.code == RC_NOT_AUTHENTICATED


def test_a_second_one_does_not_begin_while_one_runs(bench: Bench) -> None:
    wearer = bench.hand_out("twice")
    bench.live(50)
    wearer.light.clear()
    begin(wearer)
    bench.live(4)
    begin(wearer)
    assert read(wearer)["st"] == messages.SELF_TEST_RUNNING
    bench.live(10)
    first = read(wearer)
    assert first["st"] == messages.SELF_TEST_DONE
    bench.live(20)
    assert read(wearer) == first
    assert [colour for _, colour, lit_ms in wearer.flashes() if lit_ms > 100] == ["r", "g", "b"]


def test_another_session_can_read_what_the_first_began(bench: Bench) -> None:
    wearer = bench.hand_out("resumed")
    begin(wearer)
    bench.live(2)
    wearer.open_session()
    bench.live(LASTS_S)
    assert read(wearer)["st"] == messages.SELF_TEST_DONE


def test_without_a_radio_it_says_nothing_of_one(bench: Bench) -> None:
    wearer = bench.hand_out("safe")
    for _ in range(4):
        bench.live(5)
        bench.lockstep.restart(wearer.token)
    assert wearer.plain(messages.CMD_INFO, {})["sm"] is True
    wearer.open_session()
    assert set(result_of(wearer)) == RESULTS - {"rx", "t", "id"}


def test_before_the_clock_is_set_nothing_is_broadcast_and_no_key_is_drawn(bench: Bench) -> None:
    wearer = bench.hand_out("timeless")
    bench.live(60)
    bench.lockstep.brown_out(wearer.token)
    sent, day_keys = len(bench.sniffed), wearer.day_keys()
    wearer.open_session()
    begin(wearer)
    bench.live(30)
    assert read(wearer)["st"] == messages.SELF_TEST_DONE
    assert sent_by(bench, "timeless", sent) == []
    assert wearer.day_keys() == day_keys


def test_an_empty_battery_keeps_the_radio_off(bench: Bench) -> None:
    wearer = bench.hand_out("empty")
    wearer.plug()
    bench.lockstep.set_battery_mv(wearer.token, 3200)
    bench.live(130)
    sent = len(bench.sniffed)
    begin(wearer)
    bench.live(10)
    assert read(wearer)["st"] == messages.SELF_TEST_DONE
    assert read(wearer)["bv"] == pytest.approx(3200, abs=2)
    assert sent_by(bench, "empty", sent) == []


# -- without a trace ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("profile", [messages.PROFILE_CONTINUOUS, messages.PROFILE_WINDOWED])
@pytest.mark.parametrize("second", [0, 50, 57])
def test_it_runs_beside_the_radios_minutes(bench: Bench, profile: int, second: int) -> None:
    wearer, _ = bench.hand_out("tested"), bench.hand_out("neighbour", 1.0)
    listened_us = bench.lockstep.usage_of(wearer.token).listen_us
    for one in (wearer, bench.wearers[1]):
        one.plug()
        one.ask(messages.CMD_SETTINGS, {"p": profile})
    bench.live_until(START_S + 300 + second)
    refusals = wearer.status()["ar"]
    names = wearer.flash().names("/")
    for _ in range(10):
        begin(wearer)
        bench.live(30)
        assert read(wearer)["st"] == messages.SELF_TEST_DONE
    bench.live_until(START_S + 905)
    status = wearer.status()
    assert (status["ar"], status["bo"], status["fw"], status["lo"]) == (refusals, 1, 0, 0)
    assert wearer.flash().names("/") == names
    pages = wearer.pages()
    assert [header.window_start_s for header, _ in pages] == [START_S, START_S + 300, START_S + 600]
    assert all(records for _, records in pages)
    assert not any(header.state & STATE_SAVING for header, _ in pages)
    listened_s = sum(header.listened_ds for header, _ in pages) / 10
    truly_s = (bench.lockstep.usage_of(wearer.token).listen_us - listened_us) / SECOND_US
    assert listened_s == pytest.approx(truly_s, abs=4.5)  # one scan at a time; the last may belong to the next page
    if profile == messages.PROFILE_CONTINUOUS:  # its own scans, whatever the test's came on top
        assert all(sum(record.scans for record in records) >= 5 for _, records in pages[1:])


def test_a_windowed_token_is_silent_between_its_windows_again(bench: Bench) -> None:
    wearer = bench.hand_out("tested")
    wearer.plug()
    wearer.ask(messages.CMD_SETTINGS, {"p": messages.PROFILE_WINDOWED})
    bench.live_until(START_S + 299)

    def advertised_s(seconds: float) -> float:
        before = bench.lockstep.usage_of(wearer.token).advertise_us
        bench.live(seconds)
        return (bench.lockstep.usage_of(wearer.token).advertise_us - before) / SECOND_US

    usual_s = advertised_s(600)
    for _ in range(10):
        result_of(wearer)
        bench.live(50)
    assert usual_s < 60
    assert advertised_s(600) < 60


@pytest.mark.parametrize("sleep", ["light", "none"])
def test_a_test_at_the_turn_of_a_slot_does_not_carry_an_id_over(
    bench: Bench, tmp_path: Path, app: Application, sleep: str
) -> None:
    """SPEC: never an ID or an address in two slots."""
    power = {"profile": "windowed", "sleep": sleep, "deepsleep_wake": "gpio"}
    wearer = bench.hand_out("tested", app=with_board(tmp_path / "board", app, power=power))
    wearer.plug()
    for slot in range(1, 5):
        bench.live_until(START_S + 900 * slot - 9 + slot)
        begin(wearer)
        bench.live(30)
    bench.live_until(START_S + 900 * 5)
    behind_us = bench.lockstep.now_us - wearer.status()["t"] * 1000  # slots turn by its own clock
    slots: dict[bytes, set[int]] = {}
    for broadcast in wearer.token.station.broadcasts:
        end_us = broadcast.end_us or bench.lockstep.now_us
        for at_us in (broadcast.start_us, max(broadcast.start_us, end_us - 300_000)):
            for name in (broadcast.data, broadcast.address):
                slots.setdefault(name, set()).add((at_us - behind_us) // SECOND_US // 900)
    assert [found for found in slots.values() if len(found) > 1] == []
    assert wearer.status()["ar"] == 0
