"""A new application over the cable: taken into the other slot, tried and confirmed, or refused with nothing changed."""

import dataclasses
from pathlib import Path

import pytest
from tests.firmware import updates
from tests.firmware.bench import START_S, Bench, Flash, Refused, Wearer
from tests.firmware.updates import Sent, runs, slot_state

from bzfw import VERSION
from bztoken.formats.application_archive import pack
from bztoken.update import DATA_BYTES
from bzvirtual.application import Application
from bzvirtual.process import FIRMWARE_HEAP_BYTES
from bzvirtual.token_folder import POWER_ON
from bzwire import cbor, errors, messages, smp

NEWER = "9.1.0"
BLOCK_BYTES = 4096


@pytest.fixture
def wearer(bench: Bench) -> Wearer:
    """Handed out, and with a page in its log."""
    made = bench.hand_out("wearer")
    bench.live(310)
    made.open_session()
    return made


@pytest.fixture
def small(tmp_path: Path) -> Sent:
    return updates.small(tmp_path / "small", NEWER)


def code_of(wearer: Wearer, command: int, fields: dict[str, object]) -> int:
    with pytest.raises(Refused) as refused:
        wearer.ask(command, fields)
    return int(refused.value.code)


def assert_untouched(wearer: Wearer) -> None:
    """It runs what it ran, and no boot will find anything else."""
    wearer.bench.lockstep.restart(wearer.token)
    assert runs(wearer) == VERSION
    assert slot_state(wearer) == ("a", 0, 0)
    flash = wearer.flash()
    assert not flash.exists("/slot_b/complete") if flash.exists("/slot_b") else True


def test_applications_are_tried_confirmed_and_take_turns(bench: Bench, tmp_path: Path, app: Application) -> None:
    wearer = bench.hand_out("wearer")
    bench.live(310)
    wearer.open_session()
    pages = wearer.read_log()
    for version, slot, other in (("9.1.0", "b", "/slot_a"), ("9.2.0", "a", "/slot_b"), ("9.3.0", "b", "/slot_a")):
        wearer.open_session()
        updates.update(wearer, updates.real(tmp_path / version, app, version))
        assert runs(wearer) == version
        assert slot_state(wearer) == (slot, 1, 0)
        bench.live(130)
        assert slot_state(wearer) == (slot, 0, 1)
        assert not wearer.flash().exists(other)
        bench.lockstep.restart(wearer.token)
        assert runs(wearer) == version
    wearer.open_session()
    assert wearer.read_log().startswith(pages)
    status = wearer.status()
    assert (status["u"], status["fb"], status["dd"], status["fw"]) == (wearer.identity.uid, 0, 0, 0)
    assert wearer.token.process.read_console() == b""


def test_an_update_needs_less_room_than_life_itself(bench: Bench, tmp_path: Path, app: Application) -> None:
    wearer = bench.hand_out("narrow", firmware_heap_bytes=FIRMWARE_HEAP_BYTES - 8 * 1024)
    bench.live(310)
    wearer.open_session()
    updates.update(wearer, updates.real(tmp_path / "real", app, NEWER))
    bench.live(130)
    assert slot_state(wearer) == ("b", 0, 1)


def test_the_radio_is_silent_for_the_update_only(
    bench: Bench, wearer: Wearer, tmp_path: Path, app: Application
) -> None:
    sent = updates.real(tmp_path / "real", app, NEWER)
    updates.begin(wearer, sent)
    before = len(bench.sniffed)
    bench.live(120)
    assert len(bench.sniffed) == before
    updates.write(wearer, sent)
    updates.finish(wearer)
    bench.live(70)
    assert len(bench.sniffed) > before


def test_an_update_that_never_ends_gives_the_radio_back(bench: Bench, wearer: Wearer, small: Sent) -> None:
    updates.write(wearer, small, updates.begin(wearer, small), until=200)
    before, boot = len(bench.sniffed), wearer.status()["bo"]
    bench.live(700)
    assert len(bench.sniffed) > before
    wearer.open_session()
    status = wearer.status()
    assert (status["bo"], status["fb"], status["us"]) == (boot + 1, 0, "a")


def test_every_request_of_an_update_fits_the_tokens_buffer(bench: Bench, wearer: Wearer, small: Sent) -> None:
    biggest = {"o": 1 << 19, "d": bytes(DATA_BYTES)}
    envelope = messages.seal(bytes(32), messages.REQUEST, messages.CMD_UPDATE_WRITE, messages.MAX_COUNTER, biggest)
    packed = smp.Message(smp.OP_WRITE, smp.GROUP_TOKEN, 16, 255, cbor.dumps(envelope)).pack()
    assert len(packed) <= smp.MAX_REQUEST_BYTES < len(packed) + 2
    begin = small.begin_fields(bytes(32))
    envelope = messages.seal(bytes(32), messages.REQUEST, messages.CMD_UPDATE_BEGIN, messages.MAX_COUNTER, begin)
    assert len(cbor.dumps(envelope)) + smp.HEADER_BYTES <= smp.MAX_REQUEST_BYTES


# -- what a token refuses -------------------------------------------------------------------------------------------
def test_an_older_version_is_refused_unless_forced(bench: Bench, wearer: Wearer, tmp_path: Path) -> None:
    older = updates.small(tmp_path / "older", "0.1.0")
    with pytest.raises(Refused) as refused:
        updates.begin(wearer, older)
    assert refused.value.code == errors.RC_OLDER
    assert_untouched(wearer)
    wearer.open_session()
    updates.update(wearer, older, forced=True)
    assert updates.small_runs(wearer)


WRONG: tuple[tuple[dict[str, object], int], ...] = (
    ({"m": bytes(32)}, errors.RC_BAD_MAC),
    ({"m": bytes(16)}, errors.RC_BAD_REQUEST),
    ({"fo": 1}, errors.RC_BAD_MAC),  # forced by a hand in between
    ({"v": "9.1.1"}, errors.RC_BAD_MAC),
    ({"v": "9.1"}, errors.RC_BAD_REQUEST),
    ({"v": "9.1.x"}, errors.RC_BAD_REQUEST),
    ({"v": 9}, errors.RC_BAD_REQUEST),
    ({"sz": 0}, errors.RC_BAD_REQUEST),
    ({"sz": 1 << 20}, errors.RC_BAD_REQUEST),
    ({"dg": bytes(31)}, errors.RC_BAD_REQUEST),
    ({"fo": 2}, errors.RC_BAD_REQUEST),
)


def test_a_beginning_that_is_not_right_is_refused(wearer: Wearer, small: Sent) -> None:
    right = small.begin_fields(wearer.identity.auth_key)
    wearer.ask(messages.CMD_UPDATE_BEGIN, right)  # restarts without its radio
    wearer.open_session()
    for wrong, code in WRONG:
        assert code_of(wearer, messages.CMD_UPDATE_BEGIN, right | wrong) == code, wrong
    assert code_of(wearer, messages.CMD_UPDATE_WRITE, {"o": 0, "d": b"x"}) == errors.RC_BAD_REQUEST
    assert code_of(wearer, messages.CMD_UPDATE_FINISH, {}) == errors.RC_BAD_REQUEST
    assert_untouched(wearer)


def test_another_chips_application_is_refused_at_its_header(wearer: Wearer) -> None:
    sent = Sent(NEWER, pack(NEWER, updates.BUILD ^ 0x400, {"bzfw/app.mpy": bytes(500)}))
    offset = updates.begin(wearer, sent)
    fields = {"o": offset, "d": sent.stream[:DATA_BYTES]}
    assert code_of(wearer, messages.CMD_UPDATE_WRITE, fields) == errors.RC_WRONG_BUILD
    assert code_of(wearer, messages.CMD_UPDATE_WRITE, fields) == errors.RC_BAD_REQUEST
    assert_untouched(wearer)


def test_another_version_inside_than_announced_is_refused(wearer: Wearer, small: Sent) -> None:
    liar = dataclasses.replace(small, version="9.9.9")
    offset = updates.begin(wearer, liar)
    fields = {"o": offset, "d": liar.stream[:DATA_BYTES]}
    assert code_of(wearer, messages.CMD_UPDATE_WRITE, fields) == errors.RC_BAD_ARCHIVE
    assert_untouched(wearer)


def test_no_name_leads_out_of_the_slot(wearer: Wearer) -> None:
    stream = pack(NEWER, updates.BUILD, {"bzfw/abcd.mpy": bytes(50)})
    before = wearer.flash().names("/")
    for name in (
        b"bzfw/../x.mpy",
        b"/bzfw/ab.mpy",
        b"bzfw/sub/.mpy",
        b"lib//abcd.mpy",
        b"bzfw/main.py.",
        b"bzfw/ABCD.mpy",
    ):
        sent = Sent(NEWER, stream.replace(b"bzfw/abcd.mpy", name))
        fields = {"o": updates.begin(wearer, sent), "d": sent.stream[:DATA_BYTES]}
        assert code_of(wearer, messages.CMD_UPDATE_WRITE, fields) == errors.RC_BAD_ARCHIVE
        assert set(wearer.flash().names("/")) <= set(before) | {"slot_b"}
    assert_untouched(wearer)


def test_a_changed_byte_is_found_before_anything_can_run(wearer: Wearer, small: Sent) -> None:
    size = len(small.stream)
    for at in (size - 1, size // 2, size // 3):
        changed = bytearray(small.stream)
        changed[at] ^= 0x10
        offset = updates.begin(wearer, small)
        try:
            updates.write(wearer, dataclasses.replace(small, stream=bytes(changed)), offset)
            found = code_of(wearer, messages.CMD_UPDATE_FINISH, {})
        except Refused as refused:  # a name or a length: found while it comes
            found = refused.code
        assert found == errors.RC_BAD_ARCHIVE
    assert_untouched(wearer)


def test_what_the_flash_lost_is_found_by_reading_back(wearer: Wearer, tmp_path: Path, app: Application) -> None:
    """The bytes arrived right; the flash holds others."""
    sent = updates.real(tmp_path / "real", app, NEWER)
    updates.write(wearer, sent, updates.begin(wearer, sent))
    image = wearer.token.process.folder.flash
    content, piece = image.read_bytes(), (app.rom / "bzfw/clock.mpy").read_bytes()[500:600]
    assert content.count(piece) == 1
    image.write_bytes(content.replace(piece, bytes([piece[0] ^ 1]) + piece[1:]))  # under the running token
    assert code_of(wearer, messages.CMD_UPDATE_FINISH, {}) == errors.RC_BAD_ARCHIVE
    assert_untouched(wearer)


def test_an_archive_cut_short_cannot_be_finished(wearer: Wearer, small: Sent) -> None:
    updates.write(wearer, small, updates.begin(wearer, small), until=len(small.stream) - DATA_BYTES)
    assert code_of(wearer, messages.CMD_UPDATE_FINISH, {}) == errors.RC_BAD_ARCHIVE
    assert_untouched(wearer)


def test_more_bytes_than_announced_end_the_transfer(wearer: Wearer, small: Sent) -> None:
    offset = updates.write(wearer, small, updates.begin(wearer, small))
    assert code_of(wearer, messages.CMD_UPDATE_WRITE, {"o": offset, "d": b"x"}) == errors.RC_BAD_ARCHIVE
    assert code_of(wearer, messages.CMD_UPDATE_FINISH, {}) == errors.RC_BAD_REQUEST
    assert_untouched(wearer)


def test_a_flash_without_room_is_told_before_anything_is_sent(bench: Bench, wearer: Wearer, small: Sent) -> None:
    bench.lockstep.cut_power(wearer.token)
    flash = wearer.flash()
    size = flash_bytes(wearer) - 40 * BLOCK_BYTES
    while size > BLOCK_BYTES and not flash.try_write("/much", bytes(size)):
        size -= BLOCK_BYTES
    bench.lockstep.restart(wearer.token, POWER_ON)
    wearer.open_session()
    wearer.set_clock(bench.now_s)
    days = wearer.status()["dd"]
    big = dataclasses.replace(small, stream=small.stream + bytes(100_000))
    with pytest.raises(Refused) as refused:
        updates.begin(wearer, big)
    assert refused.value.code == errors.RC_STORAGE
    assert wearer.status()["dd"] == days
    assert_untouched(wearer)


def flash_bytes(wearer: Wearer) -> int:
    return wearer.token.process.folder.flash.stat().st_size


# -- lost answers, other sessions, restarts -------------------------------------------------------------------------
def test_a_transfer_goes_on_in_another_session_and_not_after_a_restart(
    bench: Bench, wearer: Wearer, small: Sent
) -> None:
    first = updates.write(wearer, small, updates.begin(wearer, small), until=250)
    wearer.open_session()
    assert updates.begin(wearer, small) == first
    bench.lockstep.restart(wearer.token)
    wearer.open_session()
    assert updates.begin(wearer, small) == 0
    updates.write(wearer, small)
    updates.finish(wearer)
    assert updates.small_runs(wearer)


def test_another_archive_begins_anew(wearer: Wearer, small: Sent, tmp_path: Path) -> None:
    assert updates.write(wearer, small, updates.begin(wearer, small), until=250) >= 250
    assert updates.begin(wearer, updates.small(tmp_path / "other", "9.4.0")) == 0


def test_a_piece_that_comes_twice_or_too_early_is_not_written(wearer: Wearer, small: Sent) -> None:
    offset = updates.write(wearer, small, updates.begin(wearer, small), until=250)
    for wrong in (0, offset - DATA_BYTES, offset + DATA_BYTES):
        fields = {"o": wrong, "d": small.stream[wrong : wrong + DATA_BYTES] or b"x"}
        assert wearer.ask(messages.CMD_UPDATE_WRITE, fields) == {"o": offset}
    updates.write(wearer, small, offset)
    updates.finish(wearer)


def test_no_update_begins_while_one_is_on_trial(
    bench: Bench, wearer: Wearer, small: Sent, tmp_path: Path, app: Application
) -> None:
    updates.update(wearer, updates.real(tmp_path / "real", app, "9.0.5"))
    wearer.open_session()
    fields = small.begin_fields(wearer.identity.auth_key)
    assert code_of(wearer, messages.CMD_UPDATE_BEGIN, fields) == errors.RC_BAD_REQUEST
    assert slot_state(wearer) == ("b", 1, 0)


def test_a_token_that_was_never_provisioned_takes_no_update(bench: Bench, small: Sent) -> None:
    blank = bench.add("blank")
    with pytest.raises(Refused) as refused:
        blank.plain(messages.CMD_UPDATE_BEGIN, small.begin_fields(bytes(32)))
    assert refused.value.code == errors.RC_NOT_AUTHENTICATED
    assert bench.now_s == START_S
    assert isinstance(blank.flash(), Flash)
