"""A clinic and a courier's computer without cables: what syncs would have left in the courier's registry."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import func, select

from bztoken.bundle_import import Imported, import_bundle
from bztoken.courier import accept, issue, own_pass
from bztoken.formats.bundle import Header
from bztoken.formats.bundle_file import BundleWriter
from bztoken.formats.courier_pass import CourierPass
from bztoken.home import Home
from bztoken.registry import clock_points, couriers, logs, pages, syncs, tokens
from bztoken.registry.clock_points import ClockReading
from bztoken.registry.database import create_registry, open_registry
from bztoken.registry.models import Courier, Log, Page, Sync, Token
from bzwire.page import Record

LABELS = ("Bà An", "Ông Bình")
COURIER = "Chị Lan"
HEARD_KEY = b"\x11" * 32  # day key of the IDs in the records
WINDOW_S = 300


def quiet(*_: object) -> None:
    """Nobody watches."""


@dataclass
class Carrying:
    """home: the clinic's; courier: the courier's computer. Pages are sealed as the tokens would."""

    folder: Path
    make_page: Callable[..., bytes]
    records: list[Record]
    home: Home = field(init=False)
    courier: Home = field(init=False)
    start_s: int = field(default_factory=lambda: int(time.time()) - 7200)

    def __post_init__(self) -> None:
        self.home = Home(self.folder / "clinic")
        self.courier = Home(self.folder / "courier")
        if self.home.registry_path.exists():  # a copy
            return
        create_registry(self.home)
        with open_registry(self.home) as registry, registry.write() as session:
            for number, label in enumerate(LABELS):
                tokens.create(session, label, bytes([number + 1]) * 8, tokens.ROLE_PERSON, "virtual", self.start_s)
        self.hand_pass(COURIER)

    def hand_pass(self, name: str, days: int = 30) -> None:
        """The clinic makes a courier, whose computer takes the pass."""
        path = self.folder / f"{name}.pass"
        issue(self.home, name, days, path)
        accept(self.courier, path)

    @property
    def own(self) -> CourierPass:
        """The pass on the courier's computer."""
        return own_pass(self.courier)

    @property
    def bundle(self) -> Path:
        """Where a bundle goes."""
        return self.folder / "bundle"

    def first_log_key(self, token: int) -> bytes:
        """Log key 0 of token 0 or 1."""
        return tokens.token_keys(self.home.master_key(), bytes([token + 1]) * 8).first_log_key

    def pages(self, token: int, first: int, count: int, boot_id: int = 1, key: bytes | None = None) -> list[bytes]:
        """Pages of a token from a number on, one a window."""
        return [
            self.make_page(
                key or self.first_log_key(token),
                self.records,
                sequence=sequence,
                boot_id=boot_id,
                window_start_s=self.start_s + sequence * WINDOW_S,
            )
            for sequence in range(first, first + count)
        ]

    def read(self, token: int, raws: list[bytes], started_s: int | None = None) -> None:
        """What a sync with these pages leaves in the courier's registry."""
        started_s = started_s or int(time.time())
        with open_registry(self.courier) as registry, registry.write() as session:
            row = tokens.by_uid(session, bytes([token + 1]) * 8)
            assert row is not None
            log = logs.log_of_token(session, row)
            sync_id = syncs.start(session, log, started_s, 120, 4, pages.next_sequence(session, log))
            syncs.note_status(
                session, sync_id, {"bo": 1, "up": 300_000, "bv": 4012, "bs": 1, "lo": 0, "dp": 3}, "0.3.0"
            )
            clock_points.record(session, log, self.reading(started_s))
            for raw in raws:
                pages.import_page(session, log, raw, None, started_s)
            syncs.finish(session, sync_id, len(raws), 0, None, True)

    @staticmethod
    def reading(at_s: int) -> ClockReading:
        """The token was 120 ms ahead then, and had restarted since its pages were written."""
        return ClockReading(at_s * 1000, 2, at_s * 1000 + 120, 2, 60_000, 1_000, False, 50)

    def stored(self, token: int, home: Home | None = None) -> list[bytes]:
        """Pages of a token in the clinic's registry, in the order of their numbers."""
        query = select(Page.raw).join(Log).join(Token).where(Token.uid == bytes([token + 1]) * 8)
        with open_registry(home or self.home) as registry, registry.read() as session:
            return list(session.scalars(query.order_by(Page.sequence)))

    def counts(self) -> dict[str, int]:
        """Rows of the clinic's tables."""
        with open_registry(self.home) as registry, registry.read() as session:
            tables = {table.name: table for table in Token.metadata.sorted_tables}
            return {
                name: session.scalar(select(func.count()).select_from(table)) or 0 for name, table in tables.items()
            }

    def syncs(self) -> list[Sync]:
        """Of the clinic's registry."""
        with open_registry(self.home) as registry, registry.read() as session:
            return list(session.scalars(select(Sync).order_by(Sync.id)))

    def token(self, token: int) -> Token:
        """The clinic's row."""
        with open_registry(self.home) as registry, registry.read() as session:
            found = tokens.by_uid(session, bytes([token + 1]) * 8)
            assert found is not None
            return found

    def safe_sequence(self, token: int) -> int:
        """What the clinic lets a token delete."""
        with open_registry(self.home) as registry, registry.read() as session:
            found = tokens.by_uid(session, bytes([token + 1]) * 8)
            assert found is not None
            return logs.log_of_token(session, found).safe_sequence

    def change_courier(self, **values: str) -> None:
        """Change the clinic's row of the courier."""
        with open_registry(self.home) as registry, registry.write() as session:
            row: Courier | None = couriers.by_name(session, COURIER)
            assert row is not None
            for name, value in values.items():
                setattr(row, name, value)


def import_of(carrying: Carrying) -> Imported:
    """At the clinic."""
    return import_bundle(carrying.home, carrying.bundle, quiet)


def forged(carrying: Carrying, signing_key: Ed25519PrivateKey, uid: bytes, raws: list[bytes], **rows: Any) -> None:
    """A bundle made by hand under the courier's number."""
    header = Header(rows.get("number", carrying.own.number), int(time.time()))
    with carrying.bundle.open("wb") as file:
        writer = BundleWriter(file, signing_key, header, secrets.token_bytes(16))
        writer.token(uid)
        for row in rows.get("syncs", []):
            writer.sync(row)
        for row in rows.get("readings", []):
            writer.reading(row)
        for raw in raws:
            writer.page(raw)
        writer.finish()


def signing_key_of(carrying: Carrying) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(carrying.own.signing_key)
