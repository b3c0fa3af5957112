"""A version on trial: confirmed by living a minute, rolled back by anything else; and what runs when files are lost."""

import binascii
import shutil
from pathlib import Path

import pytest
from tests.firmware import updates
from tests.firmware.bench import Bench, Refused, Wearer, with_board
from tests.firmware.updates import runs, slot_state

from bzfw import VERSION
from bzvirtual.application import Application
from bzvirtual.token_folder import POWER_ON
from bzwire import errors, messages

NEWER = "9.1.0"


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory, app: Application) -> bytes:
    """The flash of a token that has just been sent the real application, not booted yet."""
    folder = tmp_path_factory.mktemp("image")
    bench = Bench(folder / "bench", app)
    try:
        return sent(bench, updates.real(folder / "real", app, NEWER))
    finally:
        bench.close()


def sent(bench: Bench, application: updates.Sent) -> bytes:
    """An image as it is between the switch and the boot after it."""
    wearer = bench.hand_out("prepared")
    bench.live(310)
    wearer.open_session()
    updates.update(wearer, application)
    bench.lockstep.cut_power(wearer.token)
    wearer.flash().write("/slots", slots_file(trial=2))  # whatever the first boots have made of it
    wearer.flash().write("/boot_count", with_crc(bytes([2, 0, 0, 0, 0])))
    return wearer.token.process.folder.flash.read_bytes()


def slots_file(active: int = 0, trial: int = 0, tries: int = 0, result: int = 0) -> bytes:
    """As SPEC.md "Files" has it."""
    return with_crc(bytes([1, active, trial, tries, result]))


def with_crc(content: bytes) -> bytes:
    return content + binascii.crc32(content).to_bytes(4, "little")


@pytest.fixture
def tried(bench: Bench, image: bytes) -> Wearer:
    """Without power, the new version on trial."""
    return put(bench, image)


def put(bench: Bench, image: bytes, app: Application | None = None) -> Wearer:
    wearer = bench.add("worn", app=app)
    bench.lockstep.cut_power(wearer.token)
    wearer.token.process.folder.flash.write_bytes(image)
    return wearer


def switch_on(wearer: Wearer) -> None:
    """With the clock kept."""
    wearer.token.process.folder.state.rtc_offset_us = 0
    wearer.bench.lockstep.restart(wearer.token)


def image_of(folder: Path, app: Application, change: str) -> bytes:
    """The flash of a token that was sent the application with these lines before its own."""
    bench = Bench(folder / "bench", app)
    try:
        return sent(bench, updates.real(folder / "real", app, NEWER, lambda text: f"{change}\n{text}"))
    finally:
        bench.close()


# -- confirming -----------------------------------------------------------------------------------------------------
def test_it_is_confirmed_after_a_minute_and_not_before(bench: Bench, tried: Wearer) -> None:
    switch_on(tried)
    bench.live(55)
    assert (runs(tried), slot_state(tried)) == (NEWER, ("b", 1, 0))
    bench.live(70)
    assert slot_state(tried) == ("b", 0, 1)


def test_without_its_radio_it_is_not_confirmed(bench: Bench, tried: Wearer) -> None:
    """The clock is lost, so the radio does not begin: nobody can say that this version's radio works."""
    bench.lockstep.restart(tried.token, POWER_ON)
    bench.live(300)
    assert slot_state(tried) == ("b", 1, 0)
    tried.set_clock(bench.now_s)
    bench.live(130)
    assert slot_state(tried) == ("b", 0, 1)


def test_in_safe_mode_it_is_not_confirmed(bench: Bench, tried: Wearer) -> None:
    flash = tried.flash()
    flash.write("/boot_count", with_crc(bytes([2, 0, 0, 0, 3])))
    switch_on(tried)
    bench.live(300)
    assert tried.plain(messages.CMD_INFO, {})["sm"] is True
    assert slot_state(tried) == ("b", 1, 0)


def test_no_other_update_begins_meanwhile_and_its_radio_goes_on(bench: Bench, tried: Wearer) -> None:
    """A restart without a radio would be one of its three tries, and would confirm it without its radio."""
    switch_on(tried)
    tried.open_session()
    boots = tried.status()["bo"]
    with pytest.raises(Refused) as refused:
        tried.ask(messages.CMD_UPDATE_BEGIN, updates.Sent("9.2.0", bytes(64)).begin_fields(tried.identity.auth_key))
    assert refused.value.code == errors.RC_BAD_REQUEST
    assert tried.status()["bo"] == boots
    bench.live(125)
    tried.open_session()
    status = tried.status()
    assert (status["bo"], status["ut"], status["ur"]) == (boots, 0, 1)


def test_a_boot_without_a_radio_confirms_nothing(bench: Bench, tried: Wearer) -> None:
    tried.flash().write("/quiet", b"")
    switch_on(tried)
    bench.live(300)
    assert slot_state(tried) == ("b", 1, 0)
    bench.live(500)  # it has ended by itself
    assert slot_state(tried) == ("b", 0, 1)


def test_a_token_that_is_switched_off_is_not_bitten_by_the_watchdog(
    bench: Bench, tmp_path: Path, app: Application, image: bytes
) -> None:
    """Where the button cannot end deep sleep, off is light sleep: the watchdog of the trial goes on in it."""
    wearer = put(bench, image, with_board(tmp_path / "board", app, power={"sleep": "light", "profile": "windowed"}))
    wearer.flash().write("/off", b"")
    switch_on(wearer)
    bench.live(600)
    assert wearer.flash().read("/slots") == slots_file(trial=2, tries=1)


# -- rolling back ---------------------------------------------------------------------------------------------------
def test_three_boots_that_do_not_confirm_roll_it_back(bench: Bench, tried: Wearer) -> None:
    switch_on(tried)
    for _ in range(2):
        bench.live(20)
        assert runs(tried) == NEWER
        bench.lockstep.restart(tried.token)
    bench.live(20)
    assert runs(tried) == NEWER
    bench.lockstep.restart(tried.token)
    assert (runs(tried), slot_state(tried)) == (VERSION, ("a", 0, 2))
    assert tried.plain(messages.CMD_INFO, {})["sm"] is False


def test_one_that_cannot_be_imported_is_rolled_back_in_the_same_boot(
    bench: Bench, tmp_path: Path, app: Application
) -> None:
    wearer = put(bench, image_of(tmp_path / "other", app, "import no_such_module"))
    switch_on(wearer)
    assert b"ImportError" in wearer.token.process.read_console()
    assert (runs(wearer), slot_state(wearer)) == (VERSION, ("a", 0, 2))
    assert wearer.status()["fb"] == 0
    bench.live(3600)  # it lives on as before
    wearer.open_session()
    assert wearer.status()["n"] > 10
    bench.lockstep.restart(wearer.token)
    assert runs(wearer) == VERSION


def test_one_that_ends_in_an_exception_is_rolled_back_and_the_old_one_starts_well(
    bench: Bench, tmp_path: Path, app: Application
) -> None:
    broken = "from . import hal_esp32\n\n\ndef broken():\n    raise RuntimeError\n\n\nhal_esp32.build = broken"
    wearer = put(bench, image_of(tmp_path / "other", app, broken))
    switch_on(wearer)
    bench.live(5)
    assert wearer.token.process.read_console().count(b"RuntimeError") == 3
    assert (runs(wearer), slot_state(wearer)) == (VERSION, ("a", 0, 2))
    assert wearer.plain(messages.CMD_INFO, {})["sm"] is False


def test_one_that_hangs_is_ended_by_the_watchdog_and_rolled_back(
    bench: Bench, tmp_path: Path, app: Application
) -> None:
    wearer = put(bench, image_of(tmp_path / "other", app, "import time\n\ntime.sleep(100000)"))
    switch_on(wearer)
    bench.live(400)
    assert (runs(wearer), slot_state(wearer)) == (VERSION, ("a", 0, 2))


def test_a_try_that_cannot_be_counted_is_none(bench: Bench, tried: Wearer) -> None:
    tried.flash().make_folder("/slots.new")  # in the way of the file that is to be written
    for _ in range(5):
        switch_on(tried)
        assert runs(tried) == VERSION
        bench.live(5)


# -- lost files -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("damage", ["lost", "flipped", "short", "unknown format"])
def test_without_its_state_the_flashed_application_runs(bench: Bench, tried: Wearer, damage: str) -> None:
    flash = tried.flash()
    if damage == "lost":
        flash.remove("/slots")
    elif damage == "flipped":
        flash.flip_bit("/slots", 17)
    else:
        flash.write("/slots", b"\x01\x00\x02" if damage == "short" else b"\x02" + slots_file(trial=2)[1:])
    switch_on(tried)
    bench.live(100)
    assert (runs(tried), slot_state(tried)) == (VERSION, ("a", 0, 0))


def test_without_state_and_flashed_application_a_complete_slot_runs(
    bench: Bench, tmp_path: Path, app: Application, image: bytes
) -> None:
    rom = tmp_path / "rom"
    shutil.copytree(app.rom, rom)
    shutil.rmtree(rom / "bzfw")
    wearer = bench.add("empty")  # another one: the bench needs a board that boots
    bench.lockstep.cut_power(wearer.token)
    process = wearer.token.process
    process._application = Application(rom, app.device)
    process.folder.flash.write_bytes(image)
    wearer.flash().remove("/slots")
    switch_on(wearer)
    assert runs(wearer) == NEWER


def test_an_active_slot_that_lost_a_file_is_passed_over(bench: Bench, tried: Wearer) -> None:
    flash = tried.flash()
    flash.write("/slots", slots_file(active=1, result=1))
    switch_on(tried)
    assert runs(tried) == NEWER
    bench.lockstep.cut_power(tried.token)
    tried.flash().remove("/slot_b/bzfw/clock.mpy")
    switch_on(tried)
    assert runs(tried) == VERSION
    bench.live(3600)
    tried.open_session()
    assert tried.status()["us"] == "a"


def test_a_slot_without_its_finish_never_runs(bench: Bench, tried: Wearer) -> None:
    tried.flash().remove("/slot_b/complete")
    switch_on(tried)
    assert (runs(tried), slot_state(tried)) == (VERSION, ("a", 0, 2))
    bench.lockstep.cut_power(tried.token)
    tried.flash().write("/slots", slots_file(active=1, result=1))
    switch_on(tried)
    assert runs(tried) == VERSION
