"""Tokens with sealed pages, phones with histories and cases with day keys: what a batch of the registry matches."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from tests.case_desk import active_case

from bztoken.formats.case_list import CaseKey
from bztoken.formats.history import HistoryLine, write_history
from bztoken.matching.batch import BatchResult, run_batch
from bztoken.registry import tokens
from bztoken.registry.database import Registry
from bztoken.registry.exposures import list_exposures
from bztoken.registry.histories import add_history
from bztoken.registry.logs import log_of_token
from bztoken.registry.models import CaseKey as StoredKey
from bztoken.registry.models import Sighting
from bztoken.registry.pages import import_page
from bztoken.registry.tokens import token_keys
from bzwire.bluezone import slot_id
from bzwire.page import Record

START_S = 1_596_844_800
DAY_S = 86400
MASTER = b"m" * 32
F0_KEY = b"0" * 32
KEY_DAY = CaseKey(F0_KEY, START_S, 96, START_S + DAY_S - 1)

MakePage = Callable[..., bytes]
MakeRecord = Callable[..., Record]


class World:
    """Tokens with pages and phones with histories in one registry."""

    def __init__(self, registry: Registry, make_page: MakePage, make_record: MakeRecord, folder: Path) -> None:
        self.registry, self.make_page, self.make_record, self.folder = registry, make_page, make_record, folder
        self.sequence = 0

    def token(self, label: str) -> None:
        uid = label.encode().ljust(8, b"_")[:8]
        with self.registry.write() as session:
            tokens.create(session, label, uid, "person", "virtual", 1)

    def hears(self, label: str, day_key: bytes, windows: Sequence[int], late_windows: int = 0, **record: Any) -> None:
        """The token hears a day key's IDs in these 5-minute windows of the first day; its clock says them so late."""
        with self.registry.write() as session:
            token = tokens.by_label(session, label)
            assert token is not None
            key = token_keys(MASTER, token.uid).first_log_key
            for window in windows:
                heard = self.make_record(day_key, window // 3 % 96, **record)
                start_s = START_S + 300 * (window + late_windows)
                raw = self.make_page(key, [heard], sequence=self.sequence, window_start_s=start_s)
                assert import_page(session, log_of_token(session, token), raw, key, 2)
                self.sequence += 1

    def phone(self, label: str, lines: Sequence[HistoryLine]) -> None:
        path = self.folder / f"{label}.tsv"
        write_history(path, lines)
        with self.registry.write() as session:
            add_history(session, path, label, START_S + 60 * DAY_S)

    def case(self, name: str, keys: Sequence[CaseKey], token_label: str | None = None) -> None:
        with self.registry.write() as session:
            token = None if token_label is None else tokens.by_label(session, token_label)
            active_case(session, name, "token" if token else "case list", token, keys, 4)

    def knows_clocks(self, sightings_s: int | None, keys_s: int | None) -> None:
        """How well every clock is known, whatever told it (test_page_times)."""
        with self.registry.write() as session:
            session.execute(update(Sighting).values(uncertainty_s=sightings_s))
            session.execute(update(StoredKey).values(uncertainty_s=keys_s))

    def batch(self, tolerance_s: int = 1800) -> BatchResult:
        return run_batch(self.registry, lambda: 5, tolerance_s)

    def clocks(self) -> tuple[int, int]:
        """Sightings that a batch finds to rest on unknown clocks, and on bad ones."""
        result = self.batch()
        return result.unknown_clocks, result.bad_clocks

    def found(self) -> list[tuple[str, str, str, int, int, str]]:
        with self.registry.read() as session:
            return [
                (named.case, named.who, row.day, row.minutes, row.close_minutes, row.verdict)
                for named in list_exposures(session)
                for row in [named.exposure]
            ]


@pytest.fixture
def world(registry: Registry, make_page: MakePage, make_record: MakeRecord, tmp_path: Path) -> World:
    """Three tokens that heard nothing yet."""
    made = World(registry, make_page, make_record, tmp_path)
    for label in ("F0", "Lan", "Minh"):
        made.token(label)
    return made


def line(at_s: int, rssi_dbm: int = -70, key: bytes = F0_KEY, day_start_s: int = START_S) -> HistoryLine:
    """A phone hears the ID that a key has at that time."""
    slot = (at_s - day_start_s) // 900
    return HistoryLine(bytes(12), slot_id(key, slot), rssi_dbm, at_s * 1000 + 7)
