"""What a station may choose: told, refused, kept, and what a damaged file leads to."""

import binascii
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.firmware.bench import DAY_S, SECOND_US, START_DAY, START_S, Bench, Refused, Wearer, with_board
from tests.firmware.script_board import ScriptBoard

from bzvirtual.application import Application
from bzwire import messages
from bzwire.bluezone import SERVICE_UUID as BLUEZONE_UUID
from bzwire.errors import RC_BAD_REQUEST, RC_STORAGE
from bzwire.gaen import SERVICE_UUID as GAEN_UUID
from bzwire.page import STATE_SITE, STATE_WINDOWED, split_pages

DEFAULTS = {"p": messages.PROFILE_CONTINUOUS, "s": messages.SCHEME_BLUEZONE, "h": 0, "rd": 14, "no": 0}
OTHERS = {"p": messages.PROFILE_WINDOWED, "s": messages.SCHEME_GAEN, "h": 1, "rd": 9, "no": 1}
WINDOWED_POWER = {"profile": "windowed", "sleep": "light", "deepsleep_wake": "gpio"}


def tell(wearer: Wearer, **fields: Any) -> dict[str, Any]:
    return wearer.ask(messages.CMD_SETTINGS, fields)


def settings_in(status: dict[str, Any]) -> dict[str, Any]:
    return {name: status[name] for name in DEFAULTS}


def refusal(wearer: Wearer, fields: dict[Any, Any]) -> int:
    with pytest.raises(Refused) as refused:
        wearer.ask(messages.CMD_SETTINGS, fields)
    return int(refused.value.code)


def after_reset(wearer: Wearer) -> dict[str, Any]:
    wearer.bench.lockstep.restart(wearer.token)
    wearer.open_session()
    told = tell(wearer)
    assert told == settings_in(wearer.status())
    return told


def site(bench: Bench, app: Application | None = None) -> Wearer:
    wearer = bench.add("gate", app=app)
    wearer.plain(
        messages.CMD_PROVISION,
        {
            "u": wearer.identity.uid,
            "k": wearer.identity.auth_key,
            "l": wearer.identity.first_log_key,
            "r": "site",
        },
    )
    wearer.open_session()
    wearer.set_clock(bench.now_s)
    return wearer


def is_windowed(wearer: Wearer) -> bool:
    """By the air, not by what it says: a windowed token is silent most of the time."""
    bench = wearer.bench
    bench.live(130)
    before = bench.lockstep.usage_of(wearer.token)
    bench.live(600)
    return bench.lockstep.usage_of(wearer.token).advertise_us - before.advertise_us < 300 * SECOND_US


def test_a_token_lives_by_the_defaults_until_it_is_told_otherwise(bench: Bench) -> None:
    wearer = bench.hand_out("new")
    assert tell(wearer) == DEFAULTS
    assert settings_in(wearer.status()) == DEFAULTS
    assert not wearer.flash().exists("/settings")


def test_the_boards_file_gives_the_default_profile(bench: Bench, tmp_path: Path, app: Application) -> None:
    wearer = bench.hand_out("windowed", app=with_board(tmp_path / "board", app, power=WINDOWED_POWER))
    assert tell(wearer) == {**DEFAULTS, "p": messages.PROFILE_WINDOWED}
    assert is_windowed(wearer)
    wearer.open_session()
    assert after_reset(wearer) == {**DEFAULTS, "p": messages.PROFILE_WINDOWED}


@pytest.mark.parametrize("field", DEFAULTS)
def test_each_field_is_told_alone_and_survives_reset_and_power_off(bench: Bench, field: str) -> None:
    wearer = bench.hand_out("told")
    wanted = {**DEFAULTS, field: OTHERS[field]}
    assert tell(wearer, **{field: OTHERS[field]}) == wanted
    assert after_reset(wearer) == wanted
    wearer.bench.lockstep.brown_out(wearer.token)
    wearer.open_session()
    assert tell(wearer) == wanted
    assert tell(wearer, **{field: DEFAULTS[field]}) == DEFAULTS
    assert after_reset(wearer) == DEFAULTS


def test_several_fields_at_once_and_the_bounds_of_retention(bench: Bench) -> None:
    wearer = bench.hand_out("told")
    assert tell(wearer, **OTHERS) == OTHERS
    assert after_reset(wearer) == OTHERS
    for days in (1, 21):
        assert tell(wearer, rd=days)["rd"] == days


REFUSED = [
    {"p": 2}, {"p": -1}, {"s": 2}, {"h": 2}, {"h": True}, {"rd": 0}, {"rd": 22}, {"rd": 2**40}, {"no": 2}, {"no": None},
    {"no": "1"}, {"p": b"\x01"}, {"p": [1]}, {"x": 1}, {"profile": 1}, {"": 0}, {0: 1}, {b"p": 1}, {"rd": -14},
]  # fmt: skip


@pytest.mark.parametrize("fields", REFUSED, ids=repr)
def test_what_is_unknown_or_out_of_range_is_a_bad_request_and_changes_nothing(
    bench: Bench, fields: dict[Any, Any]
) -> None:
    wearer = bench.hand_out("told")
    tell(wearer, rd=10)
    kept = wearer.flash().read("/settings")
    for asked in (fields, {"no": 1, **fields}, {**fields, "s": 1}):
        if asked.keys() == fields.keys() and asked != fields:
            continue  # the good value has taken the bad one's place
        assert refusal(wearer, asked) == RC_BAD_REQUEST
    assert tell(wearer) == {**DEFAULTS, "rd": 10}
    assert wearer.flash().read("/settings") == kept
    assert after_reset(wearer) == {**DEFAULTS, "rd": 10}


REFUSING_FLASH = """
from bzfw import app, files, hal_esp32

write_whole = files.write_whole

def refuse(path, data):
    if path == "/settings":
        raise OSError(28)
    write_whole(path, data)

files.write_whole = refuse
app.start(hal_esp32.build, hal_esp32.restart)
"""


def test_a_flash_that_refuses_is_told_and_nothing_has_changed(bench: Bench, board: Callable[..., ScriptBoard]) -> None:
    wearer = bench.hand_out("full", app=board(REFUSING_FLASH, start=False).application)
    assert refusal(wearer, {"no": 1}) == RC_STORAGE
    assert tell(wearer) == DEFAULTS
    assert settings_in(wearer.status()) == DEFAULTS
    assert after_reset(wearer) == DEFAULTS


@pytest.mark.parametrize("damage", ["first bit", "middle bit", "last bit", "emptied", "cut", "grown", "not a map"])
def test_a_damaged_file_leads_back_to_the_boards_defaults(bench: Bench, damage: str) -> None:
    wearer = bench.hand_out("damaged")
    tell(wearer, **OTHERS)
    bench.lockstep.cut_power(wearer.token)
    flash = wearer.flash()
    content = flash.read("/settings")
    if damage.endswith("bit"):
        flash.flip_bit("/settings", {"first": 0, "middle": len(content) * 4, "last": len(content) * 8 - 1}[damage[:-4]])
    elif damage == "not a map":
        flash.write("/settings", b"\x01\x1b\xdf\x05\xa5")  # CBOR 1 and its right CRC-32
    else:
        flash.write("/settings", {"emptied": b"", "cut": content[:-3], "grown": content + b"\x00"}[damage])
    bench.lockstep.restart(wearer.token)
    wearer.open_session()
    assert tell(wearer) == DEFAULTS
    assert wearer.plain(messages.CMD_INFO, {})["pr"] is True
    assert tell(wearer, no=1) == {**DEFAULTS, "no": 1}
    assert after_reset(wearer) == {**DEFAULTS, "no": 1}


def test_the_rubbish_that_is_no_map_has_a_right_checksum() -> None:
    assert binascii.crc32(b"\x01").to_bytes(4, "little") == b"\x1b\xdf\x05\xa5"


def test_the_profile_and_the_scheme_are_what_is_on_the_air(bench: Bench) -> None:
    wearer = bench.hand_out("told")

    def sent() -> set[int]:
        at = len(bench.sniffed)
        bench.live(180)
        # A new broadcast begins with a slot only, unless something changes.
        data = [sniffed.broadcast.data for sniffed in bench.sniffed[at:]] or [wearer.token.station.broadcasts[-1].data]
        return {int.from_bytes(payload[5:7], "little") for payload in data}

    assert sent() == {BLUEZONE_UUID}
    tell(wearer, s=messages.SCHEME_GAEN)
    bench.live(60)
    assert sent() == {GAEN_UUID}
    tell(wearer, s=messages.SCHEME_BLUEZONE)
    bench.live(60)
    assert sent() == {BLUEZONE_UUID}
    tell(wearer, p=messages.PROFILE_WINDOWED)
    assert is_windowed(wearer)
    wearer.open_session()
    tell(wearer, p=messages.PROFILE_CONTINUOUS)
    wearer.unplug()
    assert not is_windowed(wearer)
    states = [header.state & STATE_WINDOWED for header, _ in wearer.pages()]
    assert states[0] == 0
    assert STATE_WINDOWED in states
    assert states[-1] == 0


# -- the token of a place ---------------------------------------------------------------------------------------------
def test_a_site_is_continuous_and_keeps_21_days(bench: Bench, tmp_path: Path, app: Application) -> None:
    gate = site(bench, with_board(tmp_path / "board", app, power=WINDOWED_POWER))
    assert tell(gate) == {**DEFAULTS, "rd": 21}
    assert gate.status()["r"] == "site"
    gate.unplug()
    assert not is_windowed(gate)
    assert {header.state & (STATE_SITE | STATE_WINDOWED) for header, _ in gate.pages()} == {STATE_SITE}
    assert after_reset(gate) == {**DEFAULTS, "rd": 21}


def test_a_site_is_always_continuous_whatever_it_is_told(bench: Bench) -> None:
    gate = site(bench)
    try:
        tell(gate, p=messages.PROFILE_WINDOWED)
    except Refused as refused:
        assert refused.code == RC_BAD_REQUEST
    gate.unplug()
    assert not is_windowed(gate)


@pytest.mark.parametrize("what", ["continuous", "21 days"])
def test_a_site_stays_a_site_when_its_settings_are_damaged(
    bench: Bench, tmp_path: Path, app: Application, what: str
) -> None:
    gate = site(bench, with_board(tmp_path / "board", app, power=WINDOWED_POWER))
    tell(gate, no=1)
    bench.lockstep.cut_power(gate.token)
    gate.flash().flip_bit("/settings", 5)
    bench.lockstep.restart(gate.token)
    gate.open_session()
    gate.set_clock(bench.now_s)
    if what == "21 days":
        assert gate.status()["rd"] == 21
    else:
        gate.unplug()
        assert not is_windowed(gate)


# -- retention --------------------------------------------------------------------------------------------------------
def with_old_days(bench: Bench, wearer: Wearer, ages: range) -> None:
    """Day files of other days, by hand: each holds a copy of a page under its own sequence's file name."""
    bench.live(400)
    bench.lockstep.cut_power(wearer.token)
    flash = wearer.flash()
    name = flash.names("/log")[-1]
    page = bytes(next(split_pages(flash.read(f"/log/{name}"))))
    flash.remove(f"/log/{name}")
    for n, age in enumerate(reversed(ages), 1):
        header = page[:6] + n.to_bytes(4, "little") + page[10:]
        flash.write(f"/log/{START_DAY + 30 - age:06d}-{n:010d}.bzl", header)


def days_kept(wearer: Wearer) -> list[int]:
    """Ages of the day files, in days."""
    return sorted(START_DAY + 30 - int(name[:6]) for name in wearer.flash().names("/log"))


@pytest.mark.parametrize(("role", "days"), [("person", 14), ("person", 21), ("person", 1), ("site", 21)])
def test_day_files_are_kept_as_long_as_the_settings_say(bench: Bench, role: str, days: int) -> None:
    wearer = site(bench) if role == "site" else bench.hand_out("keeper")
    if role == "person":
        tell(wearer, rd=days)
    with_old_days(bench, wearer, range(1, 26))
    bench.live_until(START_S + 30 * DAY_S + 3600)
    bench.lockstep.restart(wearer.token)
    wearer.open_session()
    wearer.set_clock(bench.now_s)
    bench.live(700)
    assert days_kept(wearer) == list(range(days + 1))
    assert wearer.status()["dd"] == 0
