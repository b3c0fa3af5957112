"""A wiped token is blank, remembers nothing, and its flash holds nothing of whom it was, whenever the power failed."""

from pathlib import Path

import pytest
from tests.firmware import updates
from tests.firmware.bench import DAY_S, SECTOR_BYTES, START_S, Bench, Refused, Wearer
from tests.firmware.script_board import ScriptBoard
from tests.firmware.test_update_trial import slots_file

from bzvirtual.application import Application
from bzvirtual.token_folder import HARD_RESET, POWER_ON
from bzwire import errors, messages
from bzwire.page import split_pages

KEPT = {"boot_count", "log"}


def worn(bench: Bench) -> Wearer:
    """A token that has lived parts of three days beside another, with settings of its own."""
    wearer = bench.hand_out("worn")
    bench.hand_out("neighbour", 1.0)
    wearer.plug()
    wearer.tell(rd=7, no=1)
    for day in range(3):
        wearer.set_clock(START_S + day * DAY_S)
        bench.live(1000)
    wearer.open_session()
    return wearer


def secrets_of(wearer: Wearer) -> dict[str, bytes]:
    """What must not be found in the flash of a wiped token: enough bytes of each to be no accident."""
    flash = wearer.flash()
    found = {"uid": wearer.identity.uid, "auth key": wearer.identity.auth_key}
    found["first log key"] = wearer.identity.first_log_key
    found["log key"] = flash.read("/log_key")[-36:-4]
    found |= {f"day key {day}": key for day, key in wearer.day_keys().items()}
    for page in split_pages(wearer.read_log()):
        found[f"header {page[6:14].hex()}"] = bytes(page[6:28])
        found[f"sealed {page[6:14].hex()}"] = bytes(page[-32:])
    found["settings"] = flash.read("/settings")
    return found


def left_in(wearer: Wearer, secrets: dict[str, bytes]) -> list[str]:
    """Names of those that the flash image holds."""
    image = wearer.token.process.folder.flash.read_bytes()
    return [name for name, secret in secrets.items() if secret in image]


def wipe(wearer: Wearer) -> None:
    wearer.ask(messages.CMD_WIPE, {"u": wearer.identity.uid})


def is_over(wearer: Wearer) -> bool:
    return not any(wearer.flash().exists(path) for path in ("/wipe", "/erase", "/fill"))


def assert_blank(wearer: Wearer, secrets: dict[str, bytes]) -> None:
    """Within two minutes, and for good."""
    wearer.bench.live(120)
    assert is_over(wearer)
    assert wearer.plain(messages.CMD_INFO, {})["pr"] is False
    assert set(wearer.flash().names("/")) - {".", ".."} <= KEPT
    assert left_in(wearer, secrets) == []


def test_nothing_of_whose_it_was_is_left_in_its_flash(bench: Bench) -> None:
    wearer = worn(bench)
    secrets = secrets_of(wearer)
    assert len(secrets) > 20
    # The first log key was hashed forward: with luck its block was used again. The others are there.
    assert set(secrets) - set(left_in(wearer, secrets)) <= {"first log key"}
    boots = wearer.status()["bo"]
    assert "er" not in wearer.plain(messages.CMD_INFO, {})
    wipe(wearer)
    info = wearer.plain(messages.CMD_INFO, {})
    assert (info["pr"], info["er"]) == (False, True)  # at once, while flash is still written over
    assert_blank(wearer, secrets)
    assert "er" not in wearer.plain(messages.CMD_INFO, {})
    assert wearer.token.process.read_console() == b""
    wearer.provision()
    wearer.open_session()
    status = wearer.status()
    assert (status["f"], status["rd"], status["no"]) == (1, 14, 0)
    assert status["bo"] == boots + 1  # boot and sequence name a page for ever


def test_a_token_tells_its_chips_number_to_strangers_only_while_it_is_blank(bench: Bench) -> None:
    wearer = bench.hand_out("worn")
    wearer.plug()
    number = wearer.token.process.mac
    assert "hw" not in wearer.plain(messages.CMD_INFO, {})
    wearer.open_session()
    assert "hw" not in wearer.plain(messages.CMD_INFO, {})
    wipe(wearer)
    wearer.bench.live(120)
    assert wearer.plain(messages.CMD_INFO, {})["hw"] == number
    wearer.provision()
    assert "hw" not in wearer.plain(messages.CMD_INFO, {})


def test_what_an_old_file_system_keeps_in_its_first_blocks_is_erased_too(
    bench: Bench, tmp_path: Path, app: Application
) -> None:
    """After a hundred rewritings the root folder moves away, and its last content stays behind in block 0 or 1."""
    wearer = worn(bench)
    secrets = secrets_of(wearer)
    bench.lockstep.cut_power(wearer.token)
    image = wearer.token.process.folder.flash
    image.write_bytes(aged(tmp_path / "aging", app, image.read_bytes()))
    first_blocks = image.read_bytes()[: 2 * SECTOR_BYTES]
    assert secrets["auth key"] in first_blocks
    bench.lockstep.restart(wearer.token)
    wearer.open_session()
    wipe(wearer)
    assert_blank(wearer, secrets)
    bench.lockstep.restart(wearer.token)
    assert wearer.plain(messages.CMD_INFO, {})["pr"] is False
    wearer.provision()


AGING = """
from bzfw import files
for n in range(1200):
    files.write_whole("/settings.new", bytes([n & 255]) * 60)
"""


def aged(folder: Path, app: Application, image: bytes) -> bytes:
    """The same files after half a year of small changes to them."""
    board = ScriptBoard(folder, app, AGING, start=False)
    board.process.folder.flash.write_bytes(image)
    try:
        board.lockstep.add_token(board.process, board.station)
        assert board.ended()
        return board.process.folder.flash.read_bytes()
    finally:
        board.close()


def test_it_can_be_handed_out_again_while_its_flash_is_written_over(bench: Bench) -> None:
    wearer = worn(bench)
    secrets = secrets_of(wearer)
    old = wearer.identity
    wipe(wearer)
    bench.live(9)
    assert not is_over(wearer)
    wearer.identity = bench._identities[5]
    wearer.provision()
    bench.live(700)
    assert is_over(wearer)
    wearer.open_session()
    status = wearer.status()
    assert (status["u"], status["fw"], status["dd"], status["fb"]) == (wearer.identity.uid, 0, 0, 0)
    assert status["n"] >= 2
    assert old.auth_key != wearer.identity.auth_key
    own = {"settings", *(name for name in secrets if name.startswith("header"))}
    assert set(left_in(wearer, secrets)) <= own


def test_only_its_own_number_in_a_session_wipes_it(bench: Bench) -> None:
    wearer = bench.hand_out("worn")
    for fields in ({}, {"u": bytes(8)}, {"u": wearer.identity.uid[:7]}):
        with pytest.raises(Refused) as refused:
            wearer.ask(messages.CMD_WIPE, fields)
        assert refused.value.code == errors.RC_BAD_REQUEST
    with pytest.raises(Refused) as refused:
        wearer.plain(messages.CMD_WIPE, {"u": wearer.identity.uid})
    assert refused.value.code == errors.RC_BAD_REQUEST  # no envelope
    bench.lockstep.restart(wearer.token)
    assert wearer.plain(messages.CMD_INFO, {})["pr"] is True


def test_a_full_flash_can_be_wiped(bench: Bench) -> None:
    wearer = worn(bench)
    secrets = secrets_of(wearer)
    bench.lockstep.cut_power(wearer.token)
    flash = wearer.flash()
    size, number = 200 * SECTOR_BYTES, 0
    while size >= SECTOR_BYTES:
        if flash.try_write(f"/much-{number}", bytes(size)):
            number += 1
        else:
            size //= 2
    bench.lockstep.restart(wearer.token, POWER_ON)
    wearer.open_session()
    wipe(wearer)
    assert_blank(wearer, secrets)


def test_a_wipe_keeps_the_application_in_its_slot(bench: Bench, tmp_path: Path, app: Application) -> None:
    wearer = worn(bench)
    updates.update(wearer, updates.real(tmp_path / "real", app, "9.1.0"))
    bench.live(130)
    wearer.open_session()
    wipe(wearer)
    bench.live(120)
    assert is_over(wearer)
    assert wearer.plain(messages.CMD_INFO, {})["fw"] == "9.1.0"
    assert wearer.flash().read("/slots") == slots_file(active=1, result=1)


# -- power cuts -----------------------------------------------------------------------------------------------------
def test_a_power_cut_anywhere_is_gone_on_from(bench: Bench) -> None:
    wearer = worn(bench)
    secrets = secrets_of(wearer)
    wipe_image = image_before_the_boot_that_wipes(wearer)
    seen = set()
    for cut in (0, 150, 400, 1200, 6000, 1_500_000, 4_150_000, 4_220_000, 9_000_000):
        boot(wearer, wipe_image, cut)
        bench.live(120)
        if wearer.token.process.running:
            bench.lockstep.cut_power(wearer.token)
        seen.add(phase(wearer))
        bench.lockstep.restart(wearer.token, POWER_ON)
        assert_blank(wearer, secrets)
    assert seen == {"marked", "deleting", "writing over", "over"}


def image_before_the_boot_that_wipes(wearer: Wearer) -> bytes:
    wearer.bench.lockstep.cut_power(wearer.token)
    wearer.flash().write("/wipe", b"")
    return wearer.token.process.folder.flash.read_bytes()


def boot(wearer: Wearer, image: bytes, cut: int) -> None:
    wearer.bench.lockstep.cut_power(wearer.token)
    wearer.token.process.folder.flash.write_bytes(image)
    wearer.token.process.power_cut_after_bytes = cut
    wearer.bench.lockstep.restart(wearer.token, HARD_RESET)


def phase(wearer: Wearer) -> str:
    flash = wearer.flash()
    if flash.exists("/wipe"):
        return "marked" if flash.exists("/identity") else "deleting"
    return "writing over" if flash.exists("/erase") else "over"
