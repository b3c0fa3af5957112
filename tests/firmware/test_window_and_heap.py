"""The window on both interpreters, and what a token's heap holds after days."""

import random
import subprocess
import sys
from pathlib import Path

import pytest
from tests.firmware.bench import START_S, Bench, stays_at

from bzvirtual.ether import Station
from bzvirtual.process import BOARD_HEAP_BYTES, FIRMWARE_HEAP_BYTES
from bzwire import bluezone, messages

TICKS_PERIOD_MS = 1 << 30

# What the longest request, its answer and the tasks that wait may need on top, with 64-bit words. Page and answer
# have buffers that are made once.
MARGIN_BYTES = 20 * 1024


@pytest.mark.parametrize("which", ["cpython", "micropython"])
def test_the_window_keeps_what_it_should(which: str, micropython: str, repository: Path) -> None:
    interpreter = sys.executable if which == "cpython" else micropython
    command = [interpreter, str(repository / "tests/firmware/check_window.py"), str(repository / "firmware")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=150, check=False)
    assert (done.returncode, done.stdout) == (0, "9 checks held\n"), done.stderr


def test_the_heap_does_not_grow_from_the_first_day_to_the_third(bench: Bench) -> None:
    wearer = bench.hand_out("wearer")
    play_crowd(bench, 3)
    held = []
    for day in range(3):
        bench.live_until(START_S + (day + 1) * 86400 - 60)
        wearer.open_session()  # the night's restart has ended the one before
        held.append(min(wearer.status()["hp"] for _ in range(3)))
    assert max(held) <= FIRMWARE_HEAP_BYTES + BOARD_HEAP_BYTES - MARGIN_BYTES
    assert held[2] - held[0] <= 2048, held
    status = wearer.status()
    assert (status["bo"], status["fb"]) == (4, 0)  # the planned restarts of three nights
    assert len(wearer.pages()) == 3 * 288 - 1


def test_uptime_and_radio_go_on_over_the_wrap_of_the_ticks(bench: Bench) -> None:
    """Ticks wrap at 12.43 days; here an hour after boot."""
    wearer = bench.hand_out("wearer", ticks_at_boot_ms=TICKS_PERIOD_MS - 3_600_000)
    play_crowd(bench, 1)
    bench.live(2 * 3600 + 1)
    status = wearer.status()
    assert status["up"] == pytest.approx(2 * 3600_000, abs=2000)
    assert status["bo"] == 1
    pages = wearer.pages()
    assert [round(header.uptime_ms / 300_000) for header, _ in pages] == list(range(1, 25))
    assert all(sum(record.scans for record in records) == 5 for _, records in pages[1:])
    assert len({sniffed.broadcast.address for sniffed in bench.sniffed if sniffed.name == "wearer"}) == 9


def test_a_crowd_of_300_neighbours_fits_the_heap_and_the_page(bench: Bench) -> None:
    wearer = bench.hand_out("wearer")
    play_crowd(bench, 300)
    bench.live(660)
    header, records = wearer.pages()[0]
    assert header.crowded
    assert len(records) == 64
    status = wearer.status()
    assert (status["bo"], status["fw"]) == (1, 0)
    bench.live(300)
    assert wearer.status()["n"] == status["n"] + 1


@pytest.mark.parametrize("profile", [messages.PROFILE_CONTINUOUS, messages.PROFILE_WINDOWED])
def test_a_token_lives_among_100_with_12_kib_less_heap_than_it_has(bench: Bench, profile: int) -> None:
    """Garbage is collected early and answers are sent while they are read: else 2 KiB find no room now and then."""
    wearer = bench.hand_out("wearer", firmware_heap_bytes=FIRMWARE_HEAP_BYTES - 12 * 1024)
    wearer.ask(messages.CMD_SETTINGS, {"p": profile})
    play_crowd(bench, 100)
    for _ in range(3):
        bench.live(600)
        wearer.open_session()
        assert wearer.read_log(piece_bytes=messages.MAX_READ_BYTES)
    status = wearer.status()
    assert (status["bo"], status["fw"], status["lo"]) == (1, 0, 0)


def play_crowd(bench: Bench, count: int) -> None:
    """Stations that broadcast an ID each for ever, without a program behind."""
    for number in range(count):
        station = Station(f"crowd-{number}", 0, stays_at(1.0 + number * 0.01), random.Random(number))
        bench.lockstep.ether.join(station)
        station.address = number.to_bytes(6, "big")
        data = bluezone.advertisement(number.to_bytes(12, "big"), 0)
        station.advertise(bench.lockstep.now_us, 250_000, data)
