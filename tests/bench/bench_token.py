"""Measures the token in virtual time: speed of the simulation, heap, flash, log. Run by `make bench-token`.

Heap is counted on the 64-bit interpreter, where words are twice as long as on an ESP32; what interpreter and stand-in
modules take before the firmware's first line is measured by booting an empty application and taken off.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from pathlib import Path

from bzvirtual import application, world
from bzvirtual.channel import Channel
from bzvirtual.desk import Desk, Identity, identities_from_seed
from bzvirtual.errors import TokenDied, VirtualBoardError
from bzvirtual.ether import Ether, Station
from bzvirtual.fleet import FleetRun
from bzvirtual.lockstep import Lockstep
from bzvirtual.process import BOARD_HEAP_BYTES, FIRMWARE_HEAP_BYTES, TokenFolder, TokenProcess
from bzwire import cbor, messages, smp
from bzwire.errors import WireError

START_S = 1_767_571_200  # 2026-01-05 00:00 UTC
SECOND_US = 1_000_000
SEED = 7
EMPTY_MAIN = "import gc\ngc.collect()\nprint('held', gc.mem_alloc())\n"


def board_heap_bytes(folder: Path) -> int:
    """Heap held before the firmware's first line."""
    app = application.build(folder / "empty-app")
    source = folder / "main.py"
    source.write_text(EMPTY_MAIN)
    application.compile_file(source, app.rom / "main.mpy")
    process = TokenProcess(TokenFolder.create(folder / "empty"), app, b"seed", lockstep=True)
    process.start(START_S * SECOND_US)
    try:
        process.read_commands()
    except TokenDied as last_words:
        return int(str(last_words).split("held ")[1].split()[0])
    raise AssertionError("the empty application went on")


def speed(folder: Path, tokens: int, days: float) -> dict[str, float]:
    """Virtual seconds per wall second, and what the fleet did."""
    place = world.crowd(tokens, world.load("village"))
    labels = [person.shown for person in place.people if person.carries == "token"]
    run = FleetRun(folder / "fleet", place, identities_from_seed(labels, SEED)[1], SEED, START_S)
    run.prepare()
    began = time.monotonic()
    result = run.run(days)
    wall_s = time.monotonic() - began
    return {
        "tokens": tokens,
        "days": days,
        "wall_s": round(wall_s, 1),
        "virtual_s_per_wall_s": round(days * 86400 / wall_s),
        "token_s_per_wall_s": round(tokens * days * 86400 / wall_s),
        "wakes": result.wakes,
    }


class Neighbours:
    """One token among stations that only broadcast, in a room: for heap figures."""

    def __init__(self, folder: Path, others: int, firmware_heap_bytes: int) -> None:
        app = application.build(folder / "app")
        self._place = world.Position(0.0, 0.0, "room", True)
        ether = Ether(Channel(SEED, 0.0))
        self.lockstep = Lockstep(ether, START_S * SECOND_US)
        for index in range(others):
            ether.join(self._broadcaster(index))
        process = TokenProcess(
            TokenFolder.create(folder / f"token-{firmware_heap_bytes}"), app, b"seed", True, firmware_heap_bytes
        )
        self.token = self.lockstep.add_token(process, self._station("token"))
        self.identity = Identity.derive("token", b"12345678", bytes(32))
        self.session = Desk(self.lockstep).hand_out(self.token, self.identity, START_S * 1000)

    def _station(self, name: str) -> Station:
        return Station(name, 0, lambda _s: self._place, random.Random(name))

    def _broadcaster(self, index: int) -> Station:
        station = self._station(f"other-{index}")
        body = bytes([index & 255, index >> 8]) * 6
        station.advertise(START_S * SECOND_US, 250_000, b"\x02\x01\x06\x03\x03\x56\x4e\x0f\xff\xb5\x22" + body)
        return station

    def live(self, hours: float) -> None:
        self.lockstep.run_until(self.lockstep.now_us + int(hours * 3600 * SECOND_US))

    def status(self, counter: int) -> dict[str, int]:
        envelope = messages.seal(self.session, messages.REQUEST, messages.CMD_STATUS, counter, {})
        request = smp.Message(smp.OP_WRITE, smp.GROUP_TOKEN, messages.CMD_STATUS, 1, cbor.dumps(envelope))
        answer = cbor.loads(smp.unpack_message(self.lockstep.exchange(self.token, request.pack())).body)
        _, fields = messages.unseal(self.session, messages.RESPONSE, messages.CMD_STATUS, answer)
        return fields


def heap(folder: Path, others: int, hours: float, base: int) -> dict[str, int | float]:
    """Heap held by the firmware among `others` advertisers: after hand-out and after `hours`."""
    room = Neighbours(folder, others, FIRMWARE_HEAP_BYTES)
    before = room.status(2)["hp"] - base
    room.live(hours)
    after = room.status(3)
    room.lockstep.stop()
    return {
        "advertisers": others,
        "hours": hours,
        "held_at_start": before,
        "held_after": after["hp"] - base,
        "lost_scan_results": after["lo"],
        "log_bytes": after["sz"],
    }


def lives(folder: Path, others: int, hours: float, firmware_heap_bytes: int) -> bool:
    """True when a token with this heap is handed out and lives on without a single restart or refused page."""
    room = None
    try:
        room = Neighbours(folder, others, firmware_heap_bytes)
        room.live(hours)
        return room.status(2)["bo"] == 1 and room.status(3)["fw"] == 0
    except (VirtualBoardError, WireError):
        return False
    finally:
        if room is not None:
            room.lockstep.stop()


def smallest_heap(folder: Path, others: int, hours: float) -> int:
    """The smallest heap (in steps of 4 KiB, stand-ins' share taken off) in which the token lives."""
    size = FIRMWARE_HEAP_BYTES
    while lives(folder, others, hours, size - 4096):
        size -= 4096
    return size


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=20)
    parser.add_argument("--days", type=float, default=1.0)
    parser.add_argument("--hours", type=float, default=2.0, help="for the heap figures")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        base = board_heap_bytes(folder)
        figures = {
            "speed": speed(folder, options.tokens, options.days),
            "heap_64_bit": {
                "interpreter_and_stand_ins": base,
                "allowed_for_stand_ins": BOARD_HEAP_BYTES,
                "allowed_for_firmware": FIRMWARE_HEAP_BYTES,
                "alone": heap(folder / "alone", 0, options.hours, base),
                "crowd": heap(folder / "crowd", 100, options.hours, base),
                "smallest_that_works_in_a_crowd": smallest_heap(folder / "least", 100, 0.5),
            },
        }
    json.dump(figures, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
