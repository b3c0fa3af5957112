"""Rooms for measurements: one token among stations without a program, asked by its station; the heap it needs.

Heap is counted on the 64-bit interpreter, where words are twice as long as on an ESP32; what interpreter and stand-in
modules take is measured by booting an application that only makes the board's objects, and taken off.
"""

import random
from pathlib import Path

from bzvirtual import application, world
from bzvirtual.beacon import Beacon
from bzvirtual.channel import Channel
from bzvirtual.desk import Desk, Identity
from bzvirtual.errors import TokenDied, VirtualBoardError
from bzvirtual.ether import Ether, Station
from bzvirtual.lockstep import Lockstep
from bzvirtual.process import FIRMWARE_HEAP_BYTES, TokenProcess
from bzvirtual.token_folder import TokenFolder
from bzwire import cbor, keys, messages, smp
from bzwire.errors import WireError

START_S = 1_767_571_200  # 2026-01-05 00:00 UTC
SECOND_US = 1_000_000
SEED = 7
# What the board's modules take when they are used: on a chip pins, radio and clock are no objects on the heap.
EMPTY_MAIN = """
import gc, machine, esp32, bluetooth
ble = bluetooth.BLE()
ble.active(True)
kept = [machine.Pin(number, machine.Pin.OUT, value=0) for number in (4, 5, 6, 7)], machine.RTC()
kept += machine.Pin(9, machine.Pin.IN, machine.Pin.PULL_UP), machine.Pin(10, machine.Pin.IN)
kept += machine.ADC(machine.Pin(1), atten=machine.ADC.ATTN_11DB), machine.WDT(timeout=120000)
gc.collect()
print("held", gc.mem_alloc())
"""


def board_heap_bytes(folder: Path) -> int:
    """Heap held before the firmware's first line."""
    app = application.build(folder / "empty-app")
    source = folder / "main.py"
    source.write_text(EMPTY_MAIN)
    application.compile_file(source, app.rom / "main.mpy")
    process = TokenProcess(TokenFolder.create(folder / "empty"), app, b"seed", lockstep=True)
    process.start(START_S * SECOND_US)
    try:
        while True:  # until the program ends
            process.read_commands()
    except TokenDied as last_words:
        return int(str(last_words).split("held ")[1].split()[0])


class Room:
    """One token of the real firmware among `others` beacons within 2 m, without loss."""

    def __init__(
        self, folder: Path, others: int, firmware_heap_bytes: int = FIRMWARE_HEAP_BYTES, profile: int = 0
    ) -> None:
        app = application.build(folder / "app")
        self.lockstep = Lockstep(Ether(Channel(SEED, 0.0)), START_S * SECOND_US)
        for index in range(others):
            draw = random.Random(f"beacon {index}")
            beacon = Beacon(self._station(f"other-{index}", index), draw, START_S * SECOND_US)
            self.lockstep.add_phone(beacon)
        process = TokenProcess(TokenFolder.create(folder / "token"), app, b"seed", True, firmware_heap_bytes)
        self.token = self.lockstep.add_token(process, self._station("token", 0))
        self._identity = Identity.derive("token", b"12345678", bytes(32))
        self._session = Desk(self.lockstep).hand_out(self.token, self._identity, START_S * 1000)
        self._counter = 1
        if profile:
            self.ask(messages.CMD_SETTINGS, {"p": profile})

    @staticmethod
    def _station(name: str, index: int) -> Station:
        place = world.Position(0.5 + index % 10 * 0.15, 0.0, "room", True)
        return Station(name, 0, lambda _s: place, random.Random(name))

    def live(self, hours: float) -> None:
        """Let time pass."""
        self.lockstep.run_until(self.lockstep.now_us + int(hours * 3600 * SECOND_US))

    def plain(self, command: int, fields: dict[str, object]) -> dict[str, object]:
        """A command without an envelope."""
        request = smp.Message(smp.OP_WRITE, smp.GROUP_TOKEN, command, 1, cbor.dumps(fields))
        answer: dict[str, object] = cbor.loads(
            smp.unpack_message(self.lockstep.exchange(self.token, request.pack())).body
        )
        return answer

    def connect(self) -> None:
        """A new session: nights restart a token."""
        self.lockstep.plug(self.token)
        while self.token.process.asleep:
            self.live(1 / 3600)
        nonce, auth = bytes(keys.NONCE_BYTES), self._identity.auth_key
        token_nonce = bytes(self.plain(messages.CMD_HELLO, {"nh": nonce})["nt"])  # type: ignore[call-overload]
        self.plain(messages.CMD_AUTHENTICATE, {"m": keys.host_proof(auth, nonce, token_nonce)})
        self._session, self._counter = keys.session_key(auth, nonce, token_nonce), 0

    def ask(self, command: int, fields: dict[str, object] | None = None) -> dict[str, int]:
        """A sealed command."""
        self._counter += 1
        envelope = messages.seal(self._session, messages.REQUEST, command, self._counter, fields or {})
        answer = self.plain(command, envelope)
        return messages.unseal(self._session, messages.RESPONSE, command, answer)[1]

    def status(self) -> dict[str, int]:
        """The token's own account, over a new session."""
        self.connect()
        found = self.ask(messages.CMD_STATUS)
        self.lockstep.unplug(self.token)
        return found

    def close(self) -> None:
        """Power down."""
        self.lockstep.stop()


def lives(folder: Path, others: int, hours: float, firmware_heap_bytes: int, profile: int) -> bool:
    """True when a token with this heap lives on and answers with the longest READ, without a restart or a lost page."""
    room = None
    try:
        room = Room(folder, others, firmware_heap_bytes, profile)
        for _ in range(3):
            room.live(hours / 3)
            room.connect()
            wanted = messages.MAX_READ_BYTES
            if len(room.ask(messages.CMD_READ, {"s": 1, "o": 0, "n": wanted})["d"]) != wanted:  # type: ignore[arg-type]
                return False
        status = room.status()
        return status["bo"] == 1 and status["fw"] == 0
    except (VirtualBoardError, WireError, KeyError):
        return False
    finally:
        if room is not None:
            room.close()


def smallest_heap(folder: Path, others: int, hours: float, profile: int) -> int:
    """The smallest heap in steps of 4 KiB (stand-ins' share taken off) in which the token lives."""
    size = FIRMWARE_HEAP_BYTES
    while lives(folder / str(size), others, hours, size - 4096, profile):
        size -= 4096
    return size
