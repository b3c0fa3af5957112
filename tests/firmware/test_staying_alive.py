"""Staying alive: boots are counted, what hangs is reset, what fails again and again still answers a station, and the
nightly restart loses nothing.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.firmware.bench import SECOND_US, START_S, Bench, Refused, Wearer, with_board
from tests.firmware.script_board import ScriptBoard

from bzvirtual.application import Application
from bzvirtual.ether import Broadcast
from bzvirtual.process import HARD_RESET, POWER_ON
from bzwire import messages, smp
from bzwire.page import CLOCK_SET, CLOCK_UNSET

WDT_RESET = 3
HOUR_S = 3600

HAL = """
import asyncio, os, time
from bzfw import app, hal_esp32

class FailingHal(hal_esp32.Esp32Hal):
{body}

def build():
    return FailingHal(hal_esp32.read_board_file())

app.start(build, hal_esp32.restart)
"""

RADIO_GONE = """
    def radio_on(self):
        raise OSError(12)
"""
# Goes wrong once the clock is a day old: until then the token can be handed out.
HANGS = """
    async def scan(self, duration_ms):
        if self.clock_unix_ms() > {after_ms}:
            time.sleep(100000)
        await hal_esp32.Esp32Hal.scan(self, duration_ms)
"""
STANDS_STILL = """
    async def scan(self, duration_ms):
        if self.clock_unix_ms() > {after_ms}:
            await asyncio.Event().wait()
        await hal_esp32.Esp32Hal.scan(self, duration_ms)
"""


@pytest.fixture
def failing(bench: Bench, board: Callable[..., ScriptBoard]) -> Callable[[str], Wearer]:
    """A token over hardware that fails; `body` is what its HAL does differently."""

    def make(body: str) -> Wearer:
        return bench.add("failing", app=board(HAL.format(body=body), start=False).application)

    return make


def info(wearer: Wearer) -> dict[str, Any]:
    return wearer.plain(messages.CMD_INFO, {})


def reset_command(wearer: Wearer) -> None:
    wearer.bench.request(wearer.token, smp.OP_WRITE, smp.GROUP_OS, smp.OS_RESET, b"")


def until_safe_mode(wearer: Wearer) -> None:
    for _ in range(10):
        wearer.bench.live(5)
        if info(wearer)["sm"]:
            return
    pytest.fail("the token never came up in safe mode")


# -- boots ------------------------------------------------------------------------------------------------------------
def test_the_status_tells_the_boots_and_why_the_last_one_happened(bench: Bench) -> None:
    wearer = bench.hand_out("counted")
    assert [wearer.status()[name] for name in ("bo", "rc", "fb")] == [1, POWER_ON, 0]
    bench.live(100)
    bench.lockstep.restart(wearer.token)
    wearer.open_session()
    assert [wearer.status()[name] for name in ("bo", "rc", "fb")] == [2, HARD_RESET, 0]
    bench.live(100)
    bench.lockstep.brown_out(wearer.token)
    wearer.open_session()
    assert [wearer.status()[name] for name in ("bo", "rc", "fb")] == [3, POWER_ON, 0]
    assert wearer.status()["up"] < 1000
    reset_command(wearer)
    wearer.open_session()
    assert [wearer.status()[name] for name in ("bo", "rc", "fb")] == [4, HARD_RESET, 0]


def test_a_boot_that_lives_less_than_a_minute_has_failed_and_one_that_lives_longer_clears_the_count(
    bench: Bench,
) -> None:
    wearer = bench.hand_out("counted")
    bench.live(100)
    for failed, lived_s in ((0, 50), (1, 50), (2, 85), (0, 50), (1, 85)):
        bench.lockstep.restart(wearer.token)
        wearer.open_session()
        assert wearer.status()["fb"] == failed
        bench.live(lived_s)
    bench.lockstep.restart(wearer.token)
    wearer.open_session()
    assert wearer.status()["fb"] == 0
    assert info(wearer)["sm"] is False


def test_restarts_that_a_station_asks_for_are_no_failures(bench: Bench) -> None:
    wearer = bench.hand_out("asked")
    for _ in range(5):
        reset_command(wearer)
        bench.live(3)
    assert info(wearer)["sm"] is False
    wearer.open_session()
    assert (wearer.status()["fb"], wearer.status()["bo"]) == (0, 6)


# -- what hangs -------------------------------------------------------------------------------------------------------
def test_the_watchdog_resets_a_program_that_hangs(failing: Callable[[str], Wearer]) -> None:
    wearer = failing(HANGS.format(after_ms=(START_S + 600) * 1000))
    wearer.provision()
    bench = wearer.bench
    bench.live(599)
    assert wearer.status()["bo"] == 1
    hung_s = bench.now_s
    while wearer.token.process.folder.state.boot_cause != WDT_RESET:
        bench.live(1)
    assert bench.now_s - hung_s < 60 + 120 + 20
    wearer.open_session()
    status = wearer.status()
    assert (status["bo"], status["rc"], status["ck"]) == (2, WDT_RESET, 2)


def test_a_token_that_works_is_never_bitten(bench: Bench) -> None:
    for name, profile in (("on", messages.PROFILE_CONTINUOUS), ("windows", messages.PROFILE_WINDOWED)):
        wearer = bench.hand_out(name)
        wearer.ask(messages.CMD_SETTINGS, {"p": profile})
    bench.live(6 * HOUR_S)
    for wearer in bench.wearers:
        wearer.open_session()
        assert wearer.status()["bo"] == 1


@pytest.mark.parametrize("profile", [messages.PROFILE_CONTINUOUS, messages.PROFILE_WINDOWED])
def test_a_radio_task_that_stands_still_restarts_the_token(failing: Callable[[str], Wearer], profile: int) -> None:
    wearer = failing(STANDS_STILL.format(after_ms=(START_S + 600) * 1000))
    wearer.provision()
    wearer.ask(messages.CMD_SETTINGS, {"p": profile})
    bench = wearer.bench
    bench.live(600)
    begun_s = bench.now_s
    while wearer.token.usage.at(bench.lockstep.now_us).boots == 1 and bench.now_s < begun_s + 1200:
        bench.live(5)
    # a minute until the scan that hangs, five that count as silence, a look
    assert bench.now_s - begun_s < 60 + 300 + 60 + 30
    wearer.open_session()
    status = wearer.status()
    assert (status["bo"], status["ck"]) == (2, 2)
    assert [header.sequence for header, _ in wearer.pages()] == list(range(1, status["n"]))
    assert status["n"] >= 4


# -- safe mode --------------------------------------------------------------------------------------------------------
def worn_out(failing: Callable[[str], Wearer]) -> Wearer:
    """In safe mode, with some pages in its log. The radio fails once a file says so."""
    wearer = failing(
        """
    def radio_on(self):
        if "broken" in os.listdir("/"):
            raise OSError(12)
        hal_esp32.Esp32Hal.radio_on(self)
"""
    )
    wearer.provision()
    bench = wearer.bench
    bench.live(1300)
    bench.lockstep.cut_power(wearer.token)
    wearer.flash().write("/broken", b"")
    bench.lockstep.restart(wearer.token, HARD_RESET)
    until_clock_is_set(wearer)
    return wearer


def until_clock_is_set(wearer: Wearer) -> None:
    """A power-on has lost it; the radio, and what fails with it, begins when it is set."""
    for _ in range(4):
        if info(wearer)["sm"]:
            return
        wearer.open_session()
        if wearer.status()["ck"] == CLOCK_UNSET:
            wearer.set_clock(wearer.bench.now_s)
        wearer.bench.live(10)
    assert info(wearer)["sm"]


def test_three_failed_boots_lead_to_safe_mode(failing: Callable[[str], Wearer]) -> None:
    wearer = worn_out(failing)
    wearer.open_session()
    status = wearer.status()
    assert (status["fb"], status["bo"]) == (3, 5)
    sent = len(wearer.bench.sniffed)
    wearer.bench.live(600)
    assert len(wearer.bench.sniffed) == sent
    assert info(wearer)["sm"] is True


def test_two_failed_boots_do_not(bench: Bench) -> None:
    wearer = bench.hand_out("two")
    bench.live(100)
    for _ in range(3):
        assert info(wearer)["sm"] is False
        bench.lockstep.restart(wearer.token)
        bench.live(10)
    assert info(wearer)["sm"] is False
    bench.lockstep.restart(wearer.token)
    assert info(wearer)["sm"] is True


def test_in_safe_mode_a_station_reads_the_log_acknowledges_it_and_sets_the_clock(
    failing: Callable[[str], Wearer],
) -> None:
    wearer = worn_out(failing)
    bench = wearer.bench
    wearer.open_session()
    pages = wearer.pages()
    assert len(pages) >= 4
    last = pages[-1][0].sequence
    assert wearer.ask(messages.CMD_ACKNOWLEDGE, {"s": last}) == {"a": last}
    assert wearer.pages() == []
    later_s = bench.now_s + 5000
    wearer.set_clock(later_s)
    status = wearer.status()
    assert status["t"] / 1000 == pytest.approx(later_s, abs=1)
    assert (status["ck"], status["a"], status["n"]) == (CLOCK_SET, last, last + 1)


def test_safe_mode_is_shown_in_red_three_times_every_five_seconds(failing: Callable[[str], Wearer]) -> None:
    wearer = worn_out(failing)
    wearer.light.clear()
    wearer.bench.live(60.5)
    starts = [at_s for at_s, colour, lit_ms in wearer.flashes() if (colour, lit_ms) == ("r", 40)]
    assert len(starts) == len(wearer.flashes())
    gaps = [round(later - earlier, 1) for earlier, later in zip(starts, starts[1:], strict=False)]
    assert sorted(set(gaps)) == [0.2, 4.5]
    assert len(starts) >= 34


def test_the_restart_command_ends_safe_mode_and_a_mended_token_lives(failing: Callable[[str], Wearer]) -> None:
    wearer = worn_out(failing)
    bench = wearer.bench
    boots = bench.lockstep.usage_of(wearer.token).boots
    reset_command(wearer)
    bench.live(40)
    assert info(wearer)["sm"] is True  # it is still broken,
    assert bench.lockstep.usage_of(wearer.token).boots == boots + 4  # and has tried thrice
    bench.lockstep.cut_power(wearer.token)
    wearer.flash().remove("/broken")
    bench.lockstep.restart(wearer.token, HARD_RESET)
    assert info(wearer)["sm"] is True
    wearer.open_session()
    wearer.set_clock(bench.now_s)
    reset_command(wearer)
    assert info(wearer)["sm"] is False
    bench.live(700)
    wearer.open_session()
    assert wearer.status()["fb"] == 0
    assert wearer.token.station.broadcasts[-1].on_air_at(bench.lockstep.now_us)


def test_after_an_hour_of_safe_mode_it_tries_again(failing: Callable[[str], Wearer]) -> None:
    wearer = worn_out(failing)
    bench = wearer.bench
    boots = bench.lockstep.usage_of(wearer.token).boots
    bench.live(HOUR_S - 60)
    assert bench.lockstep.usage_of(wearer.token).boots == boots
    bench.live(120)
    tried = bench.lockstep.usage_of(wearer.token).boots
    assert tried >= boots + 1
    until_safe_mode(wearer)
    bench.live(HOUR_S + 60)
    assert bench.lockstep.usage_of(wearer.token).boots >= tried + 3
    wearer.open_session()
    assert wearer.status()["u"] == wearer.identity.uid


def test_a_blank_token_that_fails_answers_in_safe_mode_and_can_be_provisioned(bench: Bench) -> None:
    wearer = bench.add("blank")
    for _ in range(3):
        bench.live(10)
        bench.lockstep.restart(wearer.token)
    assert info(wearer)["sm"] is True
    wearer.provision()
    reset_command(wearer)
    wearer.open_session()
    assert wearer.status()["u"] == wearer.identity.uid
    bench.live(100)
    assert wearer.token.station.broadcasts[-1].on_air_at(bench.lockstep.now_us)


# -- the night --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("scheme", [messages.SCHEME_BLUEZONE, messages.SCHEME_GAEN])
@pytest.mark.parametrize("profile", [messages.PROFILE_CONTINUOUS, messages.PROFILE_WINDOWED])
def test_the_nightly_restart_loses_no_window_and_links_no_id(bench: Bench, profile: int, scheme: int) -> None:
    wearer = bench.hand_out("slept")
    bench.live_until(START_S + 19.6 * HOUR_S)
    other = bench.hand_out("other", 1.0)
    for one in (wearer, other):
        one.open_session()
        one.ask(messages.CMD_SETTINGS, {"p": profile, "s": scheme, "h": 1})
        one.unplug()
    bench.live(300)
    boots, booted_s = bench.lockstep.usage_of(wearer.token).boots, 0.0
    assert boots == 1
    while bench.now_s < START_S + 21 * HOUR_S:
        bench.live(20)
        if not booted_s and bench.lockstep.usage_of(wearer.token).boots == 2:
            booted_s = bench.now_s
    slot_s = 600 if scheme == messages.SCHEME_GAEN else 900
    assert 20 * HOUR_S <= booted_s - START_S < 20 * HOUR_S + slot_s + 80
    assert booted_s % slot_s < 80  # at the turn of a slot
    bench.live_until(START_S + 21 * HOUR_S + 5)
    assert bench.lockstep.usage_of(wearer.token).boots == 2
    wearer.open_session()
    status = wearer.status()
    assert (status["fb"], status["rc"], status["bo"], status["ck"]) == (0, HARD_RESET, 2, 2)
    no_window_is_lost(wearer, booted_s)
    night = [sniffed.broadcast for sniffed in bench.sniffed if sniffed.name == "slept"]
    night = [broadcast for broadcast in night if broadcast.start_us >= (booted_s - 1000) * SECOND_US]
    nothing_links(night, slot_s, profile)
    slot_begins_s = booted_s // slot_s * slot_s
    assert any(0 < broadcast.start_us / SECOND_US - slot_begins_s < 63 for broadcast in night)  # back within a minute


def no_window_is_lost(wearer: Wearer, booted_s: float) -> None:
    pages = wearer.pages()
    assert [header.sequence for header, _ in pages] == list(range(1, len(pages) + 1))
    starts = {header.window_start_s for header, _ in pages}
    assert starts >= set(range(START_S, START_S + 21 * HOUR_S, 300))
    heard = {header.window_start_s for header, records in pages if records}
    around = range(int(booted_s) // 300 * 300 - 600, int(booted_s) + 900, 300)
    assert heard >= set(around)


def nothing_links(sent: list[Broadcast], slot_s: int, profile: int) -> None:
    """No address and no ID in two slots, but for the first second of one; no ID under two addresses where the profile
    promises that."""
    addresses: dict[bytes, set[bytes]] = {}
    slots: dict[bytes, set[int]] = {}
    for broadcast in sent:
        assert not broadcast.public
        addresses.setdefault(broadcast.data, set()).add(broadcast.address)
        end_us = broadcast.end_us or broadcast.start_us
        for at_us in (broadcast.start_us, max(broadcast.start_us, end_us - SECOND_US)):
            for name in (broadcast.address, broadcast.data):
                slots.setdefault(name, set()).add(at_us // SECOND_US // slot_s)
    assert {len(found) for found in slots.values()} == {1}
    if profile == messages.PROFILE_CONTINUOUS:
        assert {len(found) for found in addresses.values()} == {1}


def test_without_twenty_hours_of_life_there_is_no_nightly_restart(bench: Bench) -> None:
    bench.live_until(START_S + 18 * HOUR_S)
    wearer = bench.hand_out("young")
    boots = []
    for hour in (23, 24 + 18.9, 24 + 19.3):
        bench.live_until(START_S + hour * HOUR_S)
        boots.append(bench.lockstep.usage_of(wearer.token).boots)
    assert boots == [1, 1, 2]


# -- broken descriptions, full flash ----------------------------------------------------------------------------------
def board_files() -> dict[str, bytes]:
    def described(**parts: Any) -> bytes:
        return json.dumps({"name": "odd", "radio": {"tx_power_dbm": 0}, **parts}).encode()

    return {
        "empty": b"", "cut": b'{"name": "odd", "radio": {"tx_po', "noise": bytes(range(256)),
        "not utf-8": b'{"a": "\xff\xfe"}', "nulls": bytes(500), "ones": b"\xff" * 500, "list": b"[]", "number": b"7", "text": b'"board"', "null": b"null",
        "no name": b'{"radio": {"tx_power_dbm": 0}}', "no radio": b'{"name": "odd"}',
        "radio is null": b'{"name": "odd", "radio": null}', "no power": b'{"name": "odd", "radio": {}}',
        "light is a number": described(light=5), "light is a list": described(light=[1]),
        "light without pins": described(light={"red": None}), "button is a number": described(button=9),
        "button is text": described(button="9"), "button without a pin": described(button={"active_low": True}),
        "power is null": described(power=None), "power is a list": described(power=[]),
        "clock is null": described(clock=None),
        "clock is text": described(clock="crystal"), "drift is text": described(clock={"drift_ppm": "much"}),
        "battery without limits": described(battery={"adc_pin": 1}), "battery is true": described(battery=True),
        "limits are text": described(battery={"adc_pin": 1, "divider": 2, "low_mv": "low", "empty_mv": "empty"}),
        "buzzer is a number": described(buzzer=7), "sense is a list": described(usb_sense=[10]),
        "clock chip without pins": described(rtc={"chip": "pcf8563"}), "clock chip is text": described(rtc="pcf8563"),
        "speed is text": described(power={"profile": "windowed", "sleep": "light", "cpu_hz": "fast"}),
        "speed that is none": described(power={"profile": "windowed", "sleep": "light", "cpu_hz": 1}),
        "name is a number": b'{"name": 5, "radio": {"tx_power_dbm": 0}}',
        "name is a map": b'{"name": {"a": 1.5}, "radio": {"tx_power_dbm": 0}}',
        "power is text": b'{"name": "odd", "radio": {"tx_power_dbm": "high"}}',
        "power out of range": b'{"name": "odd", "radio": {"tx_power_dbm": 1e9}}',
        "deep": b"[" * 3000, "long": b'{"name": "' + b"x" * 60_000 + b'"}',
    }  # fmt: skip


@pytest.mark.parametrize("broken", board_files())
def test_a_token_with_a_broken_description_answers_a_station(bench: Bench, broken: str) -> None:
    wearer = bench.hand_out("odd")
    bench.live(400)
    bench.lockstep.cut_power(wearer.token)
    wearer.flash().write("/board.json", board_files()[broken])
    wearer.token.process.folder.state.rtc_offset_us = 0  # the clock was kept: the radio begins at once
    bench.lockstep.restart(wearer.token)
    bench.live(300)
    assert info(wearer)["pr"] is True
    wearer.open_session()
    assert len(wearer.pages()) >= 1


@pytest.mark.parametrize("broken", ["empty", "cut", "noise", "nulls", "ones", "not utf-8"])
def test_a_damaged_description_gives_way_to_the_one_shipped(bench: Bench, broken: str) -> None:
    wearer = bench.hand_out("odd")
    bench.lockstep.cut_power(wearer.token)
    wearer.flash().write("/board.json", board_files()[broken])
    bench.lockstep.restart(wearer.token)
    assert info(wearer)["b"] == "virtual"
    assert wearer.flashes() == []
    bench.live(20)
    assert {flash[1] for flash in wearer.flashes()} == {"r"}  # its pins are known: time lost


def test_a_good_description_in_flash_replaces_the_one_shipped(bench: Bench) -> None:
    wearer = bench.hand_out("other")
    bench.lockstep.cut_power(wearer.token)
    wearer.flash().write("/board.json", b'{"name": "desk", "radio": {"tx_power_dbm": 3}}')
    bench.lockstep.restart(wearer.token)
    assert info(wearer)["b"] == "desk"


@pytest.mark.parametrize("broken", [b"", b"{}", b'{"name": "x", "radio": {"tx_power_dbm": 0}, "light": 5}'])
def test_a_board_whose_shipped_description_is_broken_answers_too(
    bench: Bench, tmp_path: Path, app: Application, broken: bytes
) -> None:
    mangled = with_board(tmp_path / "mangled", app)
    wearer = bench.hand_out("mangled", app=mangled)
    bench.lockstep.cut_power(wearer.token)
    (mangled.rom / "board.json").write_bytes(broken)
    bench.lockstep.restart(wearer.token)
    bench.live(100)
    assert info(wearer)["pr"] is True


def fill(wearer: Wearer) -> None:
    flash = wearer.flash()
    for size in (100_000, 4_096):
        n = 0
        while flash.try_write(f"/fill-{size}-{n}", b"\x5a" * size):
            n += 1


@pytest.mark.parametrize("state", ["worn", "blank"])
def test_a_full_flash_does_not_keep_it_from_booting(bench: Bench, state: str) -> None:
    wearer = bench.add("full") if state == "blank" else bench.hand_out("full")
    bench.live(700)
    bench.lockstep.cut_power(wearer.token)
    fill(wearer)
    for _ in range(6):
        bench.lockstep.restart(wearer.token)
        bench.live(100)
        assert info(wearer)["pr"] is (state == "worn")
    assert info(wearer)["sm"] is False
    if state == "worn":
        wearer.open_session()
        pages = wearer.pages()
        assert wearer.status()["bo"] >= 2
        wearer.ask(messages.CMD_ACKNOWLEDGE, {"s": pages[-1][0].sequence})
        wearer.set_clock(bench.now_s)
        assert wearer.status()["ck"] == CLOCK_SET
    else:
        try:
            wearer.provision()
        except Refused as refused:
            assert refused.code == 9
