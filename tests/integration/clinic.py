"""A clinic in a folder: a registry, a virtual fleet that has lived, and what both hold, read past our own tools.

Flash images are read with littlefs-python, which shares no code with the token.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from littlefs import LittleFS
from sqlalchemy import func, select

from bztoken.connection import connect
from bztoken.home import Home
from bztoken.registry import tokens
from bztoken.registry.database import open_registry
from bztoken.registry.models import Log, Page, Sighting, Sync
from bzvirtual import realtime
from bzvirtual.attach import attach
from bzvirtual.fleet import MANIFEST, open_manifest
from bzvirtual.token_folder import TokenFolder
from bzwire import messages
from bzwire.page import read_header, split_pages

SECTOR_BYTES = 4096


class StoredPage(NamedTuple):
    """A page in the registry and how many sightings lie with it."""

    sequence: int
    raw: bytes
    sightings: int


@dataclass(frozen=True)
class Clinic:
    """home: the registry's folder; fleet: the folder of a virtual fleet."""

    home: Home
    fleet: Path

    def keep_only(self, label: str) -> None:
        """The others of the fleet stay away."""
        content = json.loads((self.fleet / MANIFEST).read_text())
        content["members"] = [member for member in content["members"] if member["label"] == label]
        (self.fleet / MANIFEST).write_text(json.dumps(content))

    def image(self, label: str) -> Path:
        """The flash image of a token."""
        member = next(member for member in open_manifest(self.fleet).members if member.label == label)
        return TokenFolder(self.fleet / member.folder).flash

    def pages_in_flash(self, label: str) -> list[bytes]:
        """All pages of a token, oldest first."""
        flash = mounted(self.image(label))
        pages: list[bytes] = []
        for name in sorted(flash.listdir("/log"), key=lambda name: name[7:]):
            with flash.open(f"/log/{name}", "rb") as file:
                pages += [bytes(page) for page in split_pages(file.read())]
        return pages

    def sequences_in_flash(self, label: str) -> list[int]:
        """Their numbers."""
        return [read_header(page).sequence for page in self.pages_in_flash(label)]

    def stored(self, label: str) -> list[StoredPage]:
        """What the registry holds of a token, in the order of storing."""
        count = select(func.count(Sighting.id)).where(Sighting.page_id == Page.id).scalar_subquery()
        query = select(Page.sequence, Page.raw, count).join(Log).where(Log.label == label).order_by(Page.id)
        with open_registry(self.home) as registry, registry.read() as session:
            return [StoredPage(*row) for row in session.execute(query)]

    def last_sync_state(self) -> str:
        """How the registry says that the last sync ended."""
        with open_registry(self.home) as registry, registry.read() as session:
            return session.scalars(select(Sync.state).order_by(Sync.id.desc())).first() or ""

    def auth_key(self, label: str) -> bytes:
        """The key with which this token and the registry prove themselves."""
        with open_registry(self.home) as registry, registry.read() as session:
            token = tokens.by_label(session, label)
            assert token is not None
            return tokens.token_keys(self.home.master_key(), token.uid).auth_key

    async def command(self, port: str, number: int, **fields: int) -> dict[str, Any]:
        """One command of a session of its own."""
        with open_registry(self.home) as registry:
            async with connect(self.home, registry, port) as known:
                return await known.link.command(number, **fields)

    async def acknowledged(self, port: str) -> int:
        """The highest page number that the token knows to be safe."""
        return int((await self.command(port, messages.CMD_STATUS))["a"])


def mounted(image: Path) -> LittleFS:
    """The file system of a flash image; changes are in its buffer until `save_image`."""
    size = image.stat().st_size
    flash = LittleFS(block_size=SECTOR_BYTES, block_count=size // SECTOR_BYTES, read_size=32, prog_size=32, mount=False)
    flash.context.buffer = bytearray(image.read_bytes())
    flash.mount()
    return flash


def save_image(flash: LittleFS, image: Path) -> None:
    """Write a changed file system back."""
    flash.unmount()
    image.write_bytes(flash.context.buffer)


class Attached:
    """A fleet behind ports. ports: by label."""

    def __init__(self, folder: Path, ports: dict[str, str]) -> None:
        self._folder = folder
        self.ports = ports

    def order(self, action: str, label: str, **what: float) -> None:
        """Press, unplug, plug or reset."""
        realtime.order(self._folder, do=action, token=label, **what)

    def look(self, label: str) -> dict[str, Any]:
        """How the token is, seen from outside."""
        return dict(realtime.order(self._folder, do="look", token=label))


@contextmanager
def attached(folder: Path, blank: int = 0) -> Iterator[Attached]:
    """The fleet of a folder, or blank tokens, in real time until the end of the block."""
    fleet = attach(folder, blank)
    ready = threading.Event()
    thread = threading.Thread(target=fleet.run, args=(lambda _ports: ready.set(),), name="fleet")
    thread.start()
    try:
        assert ready.wait(60)
        yield Attached(folder, {port.label: port.path for port in fleet.ports})
    finally:
        fleet.stop()
        thread.join()
        fleet.close()


def assert_whole(stored: list[StoredPage], in_flash: list[bytes]) -> None:
    """Every page of the flash is stored once, in order and unchanged; later ones follow without a gap."""
    assert [page.sequence for page in stored] == list(range(1, len(stored) + 1))
    assert [page.raw for page in stored[: len(in_flash)]] == in_flash
    assert_sightings_fit(stored)


def assert_beginning(stored: list[StoredPage], in_flash: list[bytes]) -> None:
    """What is stored is a beginning of the log, without a gap, a double or a changed byte."""
    assert [page.sequence for page in stored] == list(range(1, len(stored) + 1))
    assert [page.raw for page in stored][: len(in_flash)] == in_flash[: len(stored)]
    assert_sightings_fit(stored)


def assert_sightings_fit(stored: list[StoredPage]) -> None:
    """A page and its sightings come together or not at all."""
    assert [page.sightings for page in stored] == [read_header(page.raw).count for page in stored]
