"""Staying alive: boots are counted, what hangs is reset, what fails again and again still answers a station, and the
nightly restart loses nothing.
"""

from collections.abc import Callable
from typing import Any

import pytest
from tests.firmware.bench import START_S, Bench, Wearer
from tests.firmware.script_board import ScriptBoard

from bzvirtual.token_folder import HARD_RESET, POWER_ON
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
    return FailingHal(hal_esp32.read_board_file("/rom/board.json"))

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
    while wearer.token.process.folder.state.boot_cause != WDT_RESET and bench.now_s < hung_s + 200:
        bench.live(1)
    wearer.open_session()
    status = wearer.status()
    assert (status["bo"], status["rc"], status["ck"]) == (2, WDT_RESET, 2)


def test_a_token_that_works_is_never_bitten(bench: Bench) -> None:
    for name, profile in (("on", messages.PROFILE_CONTINUOUS), ("windows", messages.PROFILE_WINDOWED)):
        wearer = bench.hand_out(name)
        wearer.ask(messages.CMD_SETTINGS, {"p": profile})
    bench.live(2 * HOUR_S)
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
