"""Until a station has set the clock a token is silent, deaf and asks with a red light; a reset that keeps the clock
keeps it alive, a power cut does not.
"""

import pytest
from tests.firmware.bench import GREEN_PIN, RED_PIN, SECOND_US, Bench, Wearer

from bzvirtual.token_folder import POWER_ON
from bzwire import cbor, messages, smp
from bzwire.page import CLOCK_KEPT, CLOCK_SET, CLOCK_UNSET


def flashes(wearer: Wearer, pin: int, since_us: int = 0) -> list[int]:
    return [time_us for time_us, number, level in wearer.light if number == pin and level and time_us >= since_us]


def assert_red_every_5_s(wearer: Wearer, since_us: int) -> None:
    red = flashes(wearer, RED_PIN, since_us)
    assert len(red) >= 10
    gaps_s = {round((later - earlier) / SECOND_US) for earlier, later in zip(red[1:], red[2:], strict=False)}
    assert gaps_s == {5}


def clock_state(bench: Bench, wearer: Wearer) -> int:
    return wearer.plain(messages.CMD_INFO, {})["ck"]


def test_a_blank_token_is_silent_and_deaf_and_shows_red_every_5_s(bench: Bench) -> None:
    wearer = bench.add("blank")
    bench.live(600)
    assert bench.sniffed == []
    assert wearer.token.station.scan is None
    assert_red_every_5_s(wearer, 0)
    assert flashes(wearer, GREEN_PIN) == []


def test_a_provisioned_token_stays_silent_until_its_clock_is_set(bench: Bench) -> None:
    wearer = bench.add("early")
    identity = wearer.identity
    fields = {"u": identity.uid, "k": identity.auth_key, "l": identity.first_log_key, "r": "person"}
    wearer.plain(messages.CMD_PROVISION, fields)
    bench.live(600)
    assert bench.sniffed == []
    assert_red_every_5_s(wearer, 0)
    bench.request(
        wearer.token, smp.OP_READ, smp.GROUP_OS, smp.OS_DATETIME, cbor.dumps({})
    )  # being asked the time is not being told it
    bench.live(60)
    assert bench.sniffed == []
    wearer.open_session()
    wearer.set_clock(bench.now_s)
    bench.live(60)
    assert len(bench.sniffed) == 1


def test_a_working_token_shows_green_once_a_minute_and_no_red(bench: Bench) -> None:
    wearer = bench.hand_out("green")
    since_us = bench.lockstep.now_us + 10 * SECOND_US
    bench.live(600)
    assert flashes(wearer, RED_PIN, since_us) == []
    assert len(flashes(wearer, GREEN_PIN, since_us)) == pytest.approx(10, abs=1)


def test_a_power_cut_loses_the_clock_and_the_token_is_silent_again(bench: Bench) -> None:
    wearer = bench.hand_out("cut")
    bench.live(700)
    bench.lockstep.cut_power(wearer.token)
    bench.live(60)
    bench.lockstep.restart(wearer.token, POWER_ON)
    assert clock_state(bench, wearer) == CLOCK_UNSET
    heard_before, since_us = len(bench.sniffed), bench.lockstep.now_us
    bench.live(1000)
    assert len(bench.sniffed) == heard_before
    assert_red_every_5_s(wearer, since_us)
    wearer.open_session()
    wearer.set_clock(bench.now_s)
    bench.live(1000)
    assert len(bench.sniffed) > heard_before
    assert [header.sequence for header, _ in wearer.pages()] == list(range(1, wearer.status()["n"]))


def test_after_a_reset_the_token_goes_on_by_itself_with_the_clock_it_kept(bench: Bench) -> None:
    wearer = bench.hand_out("reset")
    bench.live(1000)
    before = wearer.status()
    bench.lockstep.restart(wearer.token)
    assert clock_state(bench, wearer) == CLOCK_KEPT
    bench.live(1000)
    wearer.open_session()
    after = wearer.status()
    assert after["bo"] == before["bo"] + 1
    assert after["t"] / 1000 == pytest.approx(bench.now_s, abs=1)
    headers = [header for header, _ in wearer.pages()]
    assert [header.sequence for header in headers] == list(range(1, len(headers) + 1))
    states = {(header.boot_id, header.clock_state) for header in headers}
    assert states == {(before["bo"], CLOCK_SET), (after["bo"], CLOCK_KEPT)}
    assert headers[-1].uptime_ms < 1_000_000


def test_the_reset_command_is_answered_before_the_board_restarts(bench: Bench) -> None:
    wearer = bench.hand_out("asked")
    boots = wearer.status()["bo"]
    assert bench.request(wearer.token, smp.OP_WRITE, smp.GROUP_OS, smp.OS_RESET, cbor.dumps({})) == {}
    bench.live(1)
    wearer.open_session()
    assert wearer.status()["bo"] == boots + 1
