"""A fleet in a folder: run it through virtual days, keep flash images, phone histories and the truth, find it again.

Layout of the folder: `fleet.json` (world, seed, span, members), `truth.json` and `ids.tsv` (see `truth`), `air.json`
(what the sniffer found), `identities.json` (token numbers and first log keys in plain text, which only a virtual fleet
may have: it lets `fleet score` read the logs without a registry), `app/` (compiled application), one folder a token
(`flash.bin`, `state.json`), `phone-NAME.tsv` and `phone-NAME.json` (history and case list of a phone or iPhone).
"""

import json
import random
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bzwire import bluezone

from . import application, truth, world
from .beacon import Beacon
from .channel import Channel
from .desk import Desk, Identity
from .errors import FleetError
from .ether import Broadcast, Ether, Station
from .lockstep import Lockstep, Token
from .phone import TX_POWER_DBM, IPhone, Phone
from .process import TokenProcess
from .settings import tell_settings
from .sniffer import Sniffer
from .token_folder import TokenFolder, mac_of
from .world import Person

SECOND_US = 1_000_000
MANIFEST = "fleet.json"
IDENTITIES = "identities.json"
AIR = "air.json"


@dataclass(frozen=True)
class Member:
    """One carrier. folder: of a token, empty for others; label: what the registry knows it by; the rest as in
    `world.Options`.
    """

    person: str
    label: str
    carries: str
    folder: str
    profile: str = ""
    scheme: str = ""
    hear: str = ""
    role: str = "person"


@dataclass(frozen=True)
class Manifest:
    """What a fleet's folder says of itself."""

    world: str
    seed: int
    start_s: int
    end_s: int
    members: list[Member]

    def save(self, folder: Path) -> None:
        """Write `fleet.json`."""
        (folder / MANIFEST).write_text(json.dumps(asdict(self), ensure_ascii=False, indent=1) + "\n")

    def tokens(self) -> list[Member]:
        """The members that carry a token."""
        return [member for member in self.members if member.carries == "token"]


def open_manifest(folder: Path) -> Manifest:
    """Raises FleetError when the folder holds no fleet."""
    try:
        content: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
        members = [Member(**member) for member in content.pop("members")]
        return Manifest(members=members, **content)
    except (OSError, ValueError, KeyError, TypeError):
        raise FleetError(f"There is no virtual fleet in {folder}: make one with `bztoken fleet run --out`.") from None


@dataclass(frozen=True)
class RunResult:
    """What a run took and made."""

    manifest: Manifest
    wakes: int
    broadcasts: int


def require_empty(folder: Path) -> None:
    """Raises FleetError when there is something in the folder."""
    if folder.exists() and any(folder.iterdir()):
        raise FleetError(f"{folder} is not empty: name a new folder, or delete it first.")


class FleetRun:
    """One run in virtual time. `identities` in the order of the world's token carriers; an empty folder is needed."""

    def __init__(self, folder: Path, place: world.World, identities: list[Identity], seed: int, start_s: int) -> None:
        self._folder = folder
        self._world = place
        self._identities = identities
        self._seed = seed
        self._start_s = start_s
        self._broadcasts = 0
        self._ids = truth.IdLog()
        self._sniffer = Sniffer()
        self._watched: set[str] = set()  # tokens: what phones do is not ours
        ether = Ether(Channel(seed, place.loss))
        ether.on_broadcast = self._on_broadcast
        self.lockstep = Lockstep(ether, start_s * SECOND_US)
        self.members: list[Member] = []
        self._tokens: list[tuple[Person, Token, truth.ClockTrace]] = []
        self._phones: list[tuple[Person, Phone]] = []

    def _on_broadcast(self, station: Station, broadcast: Broadcast) -> None:
        self._broadcasts += 1
        self._ids.on_broadcast(station, broadcast)
        if station.name in self._watched:
            self._sniffer.on_broadcast(station, broadcast)

    def prepare(self) -> None:
        """Compile the application, power everything up, hand the tokens out."""
        require_empty(self._folder)
        self._folder.mkdir(parents=True, exist_ok=True)
        app = application.build(self._folder / "app")
        description = json.loads((app.rom / "board.json").read_text())
        tx_power_dbm: int = description["radio"]["tx_power_dbm"]
        identities = iter(self._identities)
        for person in self._world.people:
            if person.carries == "token":
                self._add_token(person, next(identities), app, tx_power_dbm)
            else:
                self._add_other(person, tx_power_dbm)

    def _station(self, person: Person, tx_power_dbm: int) -> Station:
        def where(unix_s: float) -> world.Position:
            return self._world.position(person, unix_s)

        return Station(person.name, tx_power_dbm, where, random.Random(f"{self._seed}:radio:{person.name}"))

    def _add_token(self, person: Person, identity: Identity, app: application.Application, tx_power_dbm: int) -> None:
        own = person.options
        seed = f"{self._seed}:token:{person.name}"
        folder = TokenFolder.create(self._folder / f"token-{person.name}", own.drift_ppm, mac_of(seed))
        process = TokenProcess(folder, app, seed.encode(), lockstep=True)
        self._watched.add(person.name)
        token = self.lockstep.add_token(process, self._station(person, tx_power_dbm))
        told_ms = self._start_s * 1000 + round(own.offset_s * 1000)
        session = Desk(self.lockstep).hand_out(token, replace(identity, role=own.role), told_ms)
        tell_settings(self.lockstep, token, session, own)
        self._tokens.append((person, token, truth.ClockTrace(own.drift_ppm)))
        member = Member(
            person.name, identity.label, "token", folder.path.name, own.profile, own.scheme, own.hear, own.role
        )
        self.members.append(member)

    def _add_other(self, person: Person, tx_power_dbm: int) -> None:
        draw = random.Random(f"{self._seed}:{person.carries}:{person.name}")
        begin_us = self._start_s * SECOND_US
        if person.carries == "beacon":
            self.lockstep.add_phone(Beacon(self._station(person, tx_power_dbm), draw, begin_us))
        else:
            station = self._station(person, TX_POWER_DBM)
            if person.carries == "iphone":
                phone: Phone = IPhone(station, draw, begin_us, foreground=person.options.foreground)
            else:
                phone = Phone(station, draw, begin_us)
            self.lockstep.add_phone(phone)
            self._phones.append((person, phone))
        self.members.append(Member(person.name, person.shown, person.carries, ""))

    def run(self, days: float, progress: Callable[[int], None] | None = None) -> RunResult:
        """Live through the days, power down, write everything. progress is told the Unix second, once a minute."""
        end_s = self._start_s + round(days * bluezone.DAY_S)

        def told(now_us: int) -> None:
            self._note_clocks(now_us / SECOND_US)
            if progress is not None:
                progress(now_us // SECOND_US)

        self._note_clocks(self._start_s)
        for at_s, token, by_s in self._jumps(end_s):
            self.lockstep.run_until(at_s * SECOND_US, told)
            self.lockstep.jump_clock(token, None if by_s is None else round(by_s * SECOND_US))
        self.lockstep.run_until(end_s * SECOND_US, told)
        self._note_clocks(end_s)
        wakes = sum(token.wakes for token in self.lockstep.tokens)
        self.lockstep.stop()
        manifest = Manifest(self._world.name, self._seed, self._start_s, end_s, self.members)
        self._write(manifest)
        return RunResult(manifest, wakes, self._broadcasts)

    def _note_clocks(self, now_s: float) -> None:
        now_us = round(now_s * SECOND_US)
        for _, token, clock in self._tokens:
            if token.process.running:
                clock.note(now_s, (token.process.clock_us(now_us) - now_us) / SECOND_US)

    def _jumps(self, end_s: int) -> list[tuple[int, Token, float | None]]:
        """Each jump once, at the first such local time of the run."""
        second = (self._start_s + self._world.timezone_s) % bluezone.DAY_S
        found = [
            (self._start_s + (local_s - second) % bluezone.DAY_S, token, by_s)
            for person, token, _ in self._tokens
            for local_s, by_s in person.options.jumps
        ]
        return sorted((jump for jump in found if jump[0] < end_s), key=lambda jump: jump[0])

    def _write(self, manifest: Manifest) -> None:
        manifest.save(self._folder)
        start_s, end_s = self._start_s, manifest.end_s
        clocks = {}
        for person, _, clock in self._tokens:
            clock.finish(end_s)
            clocks[person.name] = clock
        truth.write(self._folder / truth.FILE, self._world, start_s, end_s, clocks)
        for person, phone in self._phones:
            self._write_phone(person, phone, end_s)
        self._ids.write(self._folder / truth.IDS_FILE, end_s)
        report = self._sniffer.report(end_s * SECOND_US)
        (self._folder / AIR).write_text(json.dumps(report.document(), indent=1) + "\n")
        self._write_identities()

    def _write_identities(self) -> None:
        tokens = [
            {
                "person": person.name,
                "label": identity.label,
                "uid": identity.uid.hex(),
                "first_log_key": identity.first_log_key.hex(),
            }
            for (person, _, _), identity in zip(self._tokens, self._identities, strict=False)
        ]
        path = self._folder / IDENTITIES
        path.touch(mode=0o600)
        path.write_text(json.dumps({"tokens": tokens}, ensure_ascii=False, indent=1) + "\n")

    def _write_phone(self, person: Person, phone: Phone, end_s: int) -> None:
        history = "".join(line + "\n" for line in phone.history)
        (self._folder / f"phone-{person.name}.tsv").write_text(history)
        day = bluezone.day_of(self._start_s)
        case = {
            "daily_key": phone.day_key(day).hex(),
            "time_start": day * bluezone.DAY_S,
            "max": bluezone.SLOTS_PER_DAY,
            "time_end": end_s - 1,
        }
        (self._folder / f"phone-{person.name}.json").write_text(json.dumps({"data": [case]}) + "\n")
        if person.carries == "iphone":  # its ID is in no broadcast
            for slot_s in range(self._start_s // bluezone.SLOT_S * bluezone.SLOT_S, end_s, bluezone.SLOT_S):
                day_key = phone.day_key(bluezone.day_of(slot_s))
                rotating_id = bluezone.slot_id(day_key, bluezone.slot_of(slot_s))
                until_s = min(slot_s + bluezone.SLOT_S, end_s)
                self._ids.add(person.name, rotating_id, max(slot_s, self._start_s), until_s)

    def abandon(self) -> None:
        """Power down without writing results."""
        self.lockstep.stop()


def token_of(run: FleetRun, name: str) -> Token:
    """The token of a person, for tests and tools that reach into a run. Raises FleetError."""
    for token in run.lockstep.tokens:
        if token.station.name == name:
            return token
    raise FleetError(f"Nobody called {name!r} carries a token here.")
