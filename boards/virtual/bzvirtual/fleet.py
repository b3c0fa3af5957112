"""A fleet in a folder: run it through virtual days, keep flash images, phone histories and the truth, find it again.

Layout of the folder: `fleet.json` (world, seed, span, members), `truth.json` (true contacts), `app/` (compiled
application), one folder a token (`flash.bin`, `state.json`), `phone-NAME.tsv` and `phone-NAME.json` (history, case
list).
"""

import json
import random
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bzwire import bluezone

from . import application, world
from .channel import Channel
from .desk import Desk, Identity
from .errors import FleetError
from .ether import Ether, Station
from .lockstep import Lockstep, Token
from .phone import TX_POWER_DBM, Phone
from .process import TokenFolder, TokenProcess

SECOND_US = 1_000_000
MANIFEST = "fleet.json"


@dataclass(frozen=True)
class Member:
    """One carrier. folder: of a token, empty for a phone; label: what the registry knows it by."""

    person: str
    label: str
    carries: str
    folder: str


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
        ether = Ether(Channel(seed, place.loss))
        ether.on_broadcast = self._count_broadcast
        self.lockstep = Lockstep(ether, start_s * SECOND_US)
        self.members: list[Member] = []
        self._phones: list[tuple[world.Person, Phone]] = []

    def _count_broadcast(self, *_: object) -> None:
        self._broadcasts += 1

    def prepare(self) -> None:
        """Compile the application, power everything up, hand the tokens out."""
        require_empty(self._folder)
        self._folder.mkdir(parents=True, exist_ok=True)
        app = application.build(self._folder / "app")
        description = json.loads((app.rom / "board.json").read_text())
        identities = iter(self._identities)
        for person in self._world.people:
            if person.carries == "token":
                self._add_token(person, next(identities), app, description["radio"]["tx_power_dbm"])
            else:
                self._add_phone(person)

    def _station(self, person: world.Person, tx_power_dbm: int) -> Station:
        def where(unix_s: float) -> world.Position:
            return self._world.position(person, unix_s)

        return Station(person.name, tx_power_dbm, where, random.Random(f"{self._seed}:radio:{person.name}"))

    def _add_token(
        self, person: world.Person, identity: Identity, app: application.Application, tx_power_dbm: int
    ) -> None:
        folder = TokenFolder.create(self._folder / f"token-{person.name}")
        seed = f"{self._seed}:token:{person.name}".encode()
        process = TokenProcess(folder, app, seed, lockstep=True)
        token = self.lockstep.add_token(process, self._station(person, tx_power_dbm))
        Desk(self.lockstep).hand_out(token, identity, self._start_s * 1000)
        self.members.append(Member(person.name, identity.label, "token", folder.path.name))

    def _add_phone(self, person: world.Person) -> None:
        draw = random.Random(f"{self._seed}:phone:{person.name}")
        phone = Phone(self._station(person, TX_POWER_DBM), draw, self._start_s * SECOND_US)
        self.lockstep.add_phone(phone)
        self._phones.append((person, phone))
        self.members.append(Member(person.name, person.shown, "phone", ""))

    def run(self, days: float, progress: Callable[[int], None] | None = None) -> RunResult:
        """Live through the days, power down, write everything. progress is told the Unix second, once a minute."""
        end_s = self._start_s + round(days * bluezone.DAY_S)
        told = None if progress is None else lambda now_us: progress(now_us // SECOND_US)
        self.lockstep.run_until(end_s * SECOND_US, told)
        wakes = sum(token.wakes for token in self.lockstep.tokens)
        self.lockstep.stop()
        manifest = Manifest(self._world.name, self._seed, self._start_s, end_s, self.members)
        manifest.save(self._folder)
        self._write_truth(end_s)
        for person, phone in self._phones:
            self._write_phone(person, phone, end_s)
        return RunResult(manifest, wakes, self._broadcasts)

    def _write_truth(self, end_s: int) -> None:
        contacts = [asdict(contact) for contact in self._world.true_contacts(self._start_s, end_s)]
        truth = {"near_m": world.NEAR_M, "contacts": contacts}
        (self._folder / "truth.json").write_text(json.dumps(truth, indent=1) + "\n")

    def _write_phone(self, person: world.Person, phone: Phone, end_s: int) -> None:
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

    def abandon(self) -> None:
        """Power down without writing results."""
        self.lockstep.stop()


def token_of(run: FleetRun, name: str) -> Token:
    """The token of a person, for tests and tools that reach into a run. Raises FleetError."""
    for token in run.lockstep.tokens:
        if token.station.name == name:
            return token
    raise FleetError(f"Nobody called {name!r} carries a token here.")
