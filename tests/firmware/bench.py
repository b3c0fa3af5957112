"""A test bench of virtual tokens in virtual time: put tokens somewhere, talk to them as a station does, look into their
flash, and sniff what is on the air. Holds no assertions.
"""

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from littlefs import LittleFS, LittleFSError
from littlefs.context import UserContext

from bztoken.crypto import aes_ecb
from bzvirtual.application import Application
from bzvirtual.channel import Channel
from bzvirtual.desk import Desk, Identity, identities_from_seed
from bzvirtual.ether import Broadcast, Ether, Station
from bzvirtual.lockstep import Lockstep, Token
from bzvirtual.process import FIRMWARE_HEAP_BYTES, TokenProcess
from bzvirtual.token_folder import TokenFolder
from bzvirtual.world import Position
from bzwire import cbor, keys, messages, smp
from bzwire.errors import Malformed
from bzwire.page import MIN_PAGE_BYTES, PageHeader, Record, open_page, split_pages

SECOND_US = 1_000_000
DAY_S = 86400
START_DAY = 20788
START_S = START_DAY * DAY_S  # 2026-12-01 00:00 UTC
SECTOR_BYTES = 4096
BUTTON_PIN = 9
BUZZER_PIN = 7
RED_PIN, GREEN_PIN, BLUE_PIN = 4, 5, 6


class Refused(Exception):
    """The token answered with an error number."""

    def __init__(self, answer: dict[str, Any]) -> None:
        super().__init__(str(answer))
        self.code = answer["err"]["rc"] if "err" in answer else answer["rc"]


def stays_at(x_m: float, indoor: bool = False) -> Callable[[float], Position]:
    """Somebody who never moves."""
    place = Position(x_m, 0.0, "room" if indoor else "field", indoor)
    return lambda _unix_s: place


def with_board(folder: Path, app: Application, **changes: Any) -> Application:
    """The same application on the virtual board with other parts; None: the board has no such part."""
    rom = folder / "rom"
    shutil.copytree(app.rom, rom)
    board = json.loads((rom / "board.json").read_text())
    board.update(changes)
    kept = {name: part for name, part in board.items() if part is not None}
    (rom / "board.json").write_text(json.dumps(kept))
    return Application(rom, app.device)


@dataclass
class Sniffed:
    """One broadcast as a sniffer beside the token sees it."""

    name: str
    broadcast: Broadcast


@dataclass
class Wearer:
    """A token on the bench and what its station knows of it."""

    bench: "Bench"
    token: Token
    identity: Identity
    session: bytes = b""
    counter: int = 0
    light: list[tuple[int, int, int]] = field(default_factory=list)  # time_us, pin, level

    def provision(self) -> None:
        """Hand it out, which opens a session and sets the clock."""
        self.session = Desk(self.bench.lockstep).hand_out(self.token, self.identity, self.bench.lockstep.now_us // 1000)
        self.counter = 1

    def plain(self, command: int, fields: dict[str, Any]) -> dict[str, Any]:
        """A command of the token group without an envelope. Raises Refused."""
        return self.bench.request(self.token, smp.OP_WRITE, smp.GROUP_TOKEN, command, cbor.dumps(fields))

    def open_session(self) -> None:
        """Put the cable in, challenge and proof. It stays in until `unplug`."""
        self.plug()
        host_nonce = bytes(range(keys.NONCE_BYTES))
        hello = self.plain(messages.CMD_HELLO, {"nh": host_nonce})
        auth = self.identity.auth_key
        self.plain(messages.CMD_AUTHENTICATE, {"m": keys.host_proof(auth, host_nonce, hello["nt"])})
        self.session = keys.session_key(auth, host_nonce, hello["nt"])
        self.counter = 0

    def plug(self) -> None:
        """Put the cable in; a token that sleeps notices when it wakes next, at most half a minute later."""
        self.bench.lockstep.plug(self.token)
        for _ in range(60):
            if not self.token.process.asleep:
                return
            self.bench.live(0.5)

    def unplug(self) -> None:
        """Pull the cable: from here on the token may sleep."""
        self.bench.lockstep.unplug(self.token)

    def ask(self, command: int, fields: dict[str, Any] | None = None) -> dict[str, Any]:
        """A sealed command; the fields of its answer. Raises Refused."""
        self.counter += 1
        envelope = messages.seal(self.session, messages.REQUEST, command, self.counter, fields or {})
        answer = self.plain(command, envelope)
        counter, inner = messages.unseal(self.session, messages.RESPONSE, command, answer)
        assert counter == self.counter
        return inner

    def status(self) -> dict[str, Any]:
        """The token's own account."""
        return self.ask(messages.CMD_STATUS)

    def set_clock(self, unix_s: float) -> dict[str, Any]:
        """Tell the time."""
        return self.ask(messages.CMD_SET_CLOCK, {"t": round(unix_s * 1000)})

    def tell(self, **fields: int) -> dict[str, Any]:
        """Change settings, by their names in SPEC.md; all of them as they stand now."""
        return self.ask(messages.CMD_SETTINGS, fields)

    def wake(self) -> None:
        """Put the cable into a token that sleeps, and open a session."""
        self.plug()
        self.open_session()

    def read_log(self, sequence: int = 0, piece_bytes: int = 300) -> bytes:
        """Everything from this page on, piece by piece, as a host resumes by cursor."""
        found = bytearray()
        offset = 0
        page = bytearray()
        while True:
            answer = self.ask(messages.CMD_READ, {"s": sequence, "o": offset, "n": piece_bytes})
            if not answer["d"]:
                return bytes(found)
            if answer["s"] != sequence:
                sequence, page = answer["s"], bytearray()
            page += answer["d"]
            whole, rest = whole_pages(page)
            found += whole
            sequence += len(list(split_pages(whole)))
            page, offset = rest, len(rest)

    def pages(self, sequence: int = 0) -> list[tuple[PageHeader, list[Record]]]:
        """The log, opened with the keys that the host derives."""
        return [self.open(bytes(page)) for page in split_pages(self.read_log(sequence))]

    def open(self, page: bytes) -> tuple[PageHeader, list[Record]]:
        """One page. Raises BadChecksum when it is not this token's."""
        number = int.from_bytes(page[28:32], "little")
        return open_page(page, keys.next_log_key(self.identity.first_log_key, number), aes_ecb)

    # -- light and button -------------------------------------------------------------------------------------------
    def press(self) -> None:
        """The button goes down."""
        self.bench.lockstep.press_button(self.token, BUTTON_PIN, 0)

    def release(self) -> None:
        """The button goes up."""
        self.bench.lockstep.press_button(self.token, BUTTON_PIN, 1)

    def hold(self, seconds: float) -> None:
        """The button down for so long."""
        self.press()
        self.bench.live(seconds)
        self.release()

    def flashes(self) -> list[tuple[float, str, int]]:
        """(Unix s, colour as letters of "rgb", ms lit) for each time that the light was lit and went dark again."""
        found: list[tuple[float, str, int]] = []
        lit, since_us, colours = set[str](), 0, {RED_PIN: "r", GREEN_PIN: "g", BLUE_PIN: "b"}
        for time_us, pin, level in self.light:
            if pin not in colours:
                continue
            if lit and time_us != since_us:
                shown = "".join(letter for letter in "rgb" if letter in lit)
                found.append((since_us / SECOND_US, shown, (time_us - since_us) // 1000))
            lit = lit | {colours[pin]} if level else lit - {colours[pin]}
            since_us = time_us
        return found

    def buzzes_ms(self) -> list[int]:
        """How long the buzzer sounded, each time."""
        changes = [(time_us, level) for time_us, pin, level in self.light if pin == BUZZER_PIN]
        return [(off - on) // 1000 for (on, _), (off, _) in zip(changes[::2], changes[1::2], strict=True)]

    # -- flash ------------------------------------------------------------------------------------------------------
    def flash(self) -> "Flash":
        """Its flash image; the token must be off or waiting."""
        return Flash(self.token.process.folder.flash)

    def day_keys(self) -> dict[int, bytes]:
        """The file of day keys."""
        raw = self.flash().read("/day_keys")[:-4]
        return {int.from_bytes(raw[at : at + 4], "little"): raw[at + 4 : at + 36] for at in range(0, len(raw), 36)}


def whole_pages(data: bytearray) -> tuple[bytes, bytearray]:
    """(whole pages, the beginning of the next)."""
    at = 0
    while at + 8 <= len(data):
        length = int.from_bytes(data[at + 4 : at + 6], "little")
        if length < MIN_PAGE_BYTES:
            raise Malformed("the log holds something that is no page")
        if at + length > len(data):
            break
        at += length
    return bytes(data[:at]), data[at:]


class Flash:
    """A flash image through another LittleFS implementation than the token's."""

    def __init__(self, image: Path) -> None:
        self._image = image
        content = image.read_bytes()
        self._context = UserContext(len(content))
        self._context.buffer[:] = content
        self._fs = LittleFS(
            context=self._context,
            block_size=SECTOR_BYTES,
            block_count=len(content) // SECTOR_BYTES,
            read_size=32,
            prog_size=32,
            cache_size=128,
            lookahead_size=32,
            mount=True,
        )

    def names(self, folder: str) -> list[str]:
        """What lies in a folder."""
        return sorted(self._fs.listdir(folder))

    def exists(self, path: str) -> bool:
        """True when there is such a file."""
        folder, _, name = path.rpartition("/")
        return name in self._fs.listdir(folder or "/")

    def read(self, path: str) -> bytes:
        """Content of a file."""
        with self._fs.open(path, "rb") as file:
            return bytes(file.read())

    def write(self, path: str, content: bytes) -> None:
        """Replace a file, and the image with it."""
        with self._fs.open(path, "wb") as file:
            file.write(content)
        self._save()

    def try_write(self, path: str, content: bytes) -> bool:
        """Write a new file; False, and no file, when there is no room."""
        try:
            self.write(path, content)
        except LittleFSError:
            self.remove(path)
            return False
        return True

    def remove(self, path: str) -> None:
        """Delete a file."""
        self._fs.remove(path)
        self._save()

    def make_folder(self, path: str) -> None:
        """An empty folder."""
        self._fs.mkdir(path)
        self._save()

    def flip_bit(self, path: str, bit: int) -> None:
        """Damage a file by one bit; a negative bit counts from the end."""
        content = bytearray(self.read(path))
        content[bit // 8] ^= 1 << bit % 8
        self.write(path, bytes(content))

    def _save(self) -> None:
        self._image.write_bytes(bytes(self._context.buffer))


class Bench:
    """Owns virtual time for a few tokens. Power it down with `close`."""

    def __init__(
        self, folder: Path, app: Application, start_s: int = START_S, seed: int = 1, loss: float = 0.0
    ) -> None:
        self._folder = folder
        self._app = app
        self._seed = seed
        _, self._identities = identities_from_seed([f"BZ-{n}" for n in range(16)], seed)
        ether = Ether(Channel(seed, loss))
        ether.on_broadcast = self._sniff
        self.lockstep = Lockstep(ether, start_s * SECOND_US)
        self.sniffed: list[Sniffed] = []
        self.wearers: list[Wearer] = []

    def _sniff(self, station: Station, broadcast: Broadcast) -> None:
        self.sniffed.append(Sniffed(station.name, broadcast))

    def add(
        self,
        name: str,
        x_m: float = 0.0,
        where: Callable[[float], Position] | None = None,
        app: Application | None = None,
        power_cut_after_bytes: int | None = None,
        drift_ppm: int = 0,
        ticks_at_boot_ms: int = 0,
        firmware_heap_bytes: int = FIRMWARE_HEAP_BYTES,
    ) -> Wearer:
        """A blank token, powered up now."""
        folder = TokenFolder.create(self._folder / name, drift_ppm)
        seed = f"{self._seed}:{name}".encode()
        process = TokenProcess(folder, app or self._app, seed, True, firmware_heap_bytes)
        process.power_cut_after_bytes = power_cut_after_bytes
        process.ticks_at_boot_ms = ticks_at_boot_ms
        station = Station(name, 0, where or stays_at(x_m), random.Random(f"{self._seed}:{name}:radio"))
        token = self.lockstep.add_token(process, station)
        wearer = Wearer(self, token, self._identities[len(self.wearers)])
        token.pins = lambda time_us, pin, level: wearer.light.append((time_us, pin, level))
        self.wearers.append(wearer)
        return wearer

    def hand_out(self, name: str, x_m: float = 0.0, **options: Any) -> Wearer:
        """A provisioned token whose clock is right."""
        wearer = self.add(name, x_m, **options)
        wearer.provision()
        return wearer

    @property
    def now_s(self) -> float:
        """True Unix time."""
        return self.lockstep.now_us / SECOND_US

    def live(self, seconds: float) -> None:
        """Let time pass."""
        self.lockstep.run_until(self.lockstep.now_us + round(seconds * SECOND_US))

    def live_until(self, unix_s: float) -> None:
        """Let time pass until then."""
        self.lockstep.run_until(round(unix_s * SECOND_US))

    def request(
        self, token: Token, op: int, group: int, command: int, body: bytes, version: int = smp.VERSION_2
    ) -> dict[str, Any]:
        """One SMP request. Raises Refused for an error number."""
        packed = smp.Message(op, group, command, 7, body, version).pack()
        answer = smp.unpack_message(self.lockstep.exchange(token, packed))
        assert (answer.group, answer.command, answer.sequence) == (group, command, 7)
        fields: dict[str, Any] = cbor.loads(answer.body)
        if "err" in fields or "rc" in fields:
            raise Refused(fields)
        return fields

    def close(self) -> None:
        """Power everything down."""
        self.lockstep.stop()
