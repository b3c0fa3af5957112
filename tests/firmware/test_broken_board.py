"""A board whose description is broken, or whose flash takes nothing more, boots and answers a station."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.firmware.bench import Bench, Refused, Wearer, with_board
from tests.firmware.script_board import ScriptBoard

from bzvirtual.application import Application
from bzwire import messages
from bzwire.errors import RC_STORAGE
from bzwire.page import CLOCK_SET


def info(wearer: Wearer) -> dict[str, Any]:
    return wearer.plain(messages.CMD_INFO, {})


def board_files() -> dict[str, bytes]:
    def described(**parts: Any) -> bytes:
        return json.dumps({"name": "odd", "radio": {"tx_power_dbm": 0}, **parts}).encode()

    return {
        "empty": b"", "cut": b'{"name": "odd", "radio": {"tx_po', "noise": bytes(range(256)),
        "not utf-8": b'{"a": "\xff\xfe"}', "nulls": bytes(500), "ones": b"\xff" * 500,
        "list": b"[]", "number": b"7", "text": b'"board"', "null": b"null",
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
    bench.live(301)
    bench.lockstep.cut_power(wearer.token)
    wearer.flash().write("/board.json", board_files()[broken])
    wearer.token.process.folder.state.rtc_offset_us = 0  # the clock was kept: the radio begins at once
    bench.lockstep.restart(wearer.token)
    bench.live(150)
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


NO_ROOM = """
from bzfw import app, files, hal_esp32

write_whole = files.write_whole

def refuse(path, data):
    if path in ("/boot_count", "/clock", "/day_keys", "/log_state"):
        raise OSError(28)
    write_whole(path, data)

files.write_whole = refuse
app.start(hal_esp32.build, hal_esp32.restart)
"""


def test_a_flash_that_takes_no_small_file_does_not_keep_it_from_answering(
    bench: Bench, board: Callable[..., ScriptBoard]
) -> None:
    wearer = bench.hand_out("refused", app=board(NO_ROOM, start=False).application)
    bench.live(700)
    assert info(wearer)["pr"] is True
    assert wearer.status()["up"] > 699_000
    assert len(wearer.pages()) >= 2
    assert bench.sniffed == []  # a key that cannot be stored is not used
    bench.lockstep.restart(wearer.token)
    bench.live(300)
    assert info(wearer)["pr"] is True


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
            assert refused.code == RC_STORAGE
