"""Clinics whose registries are filled row by row, and the lake that they are added to."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from tests.case_desk import TRACER, staff
from tests.people import holder, site_holder

from bztoken.home import Home
from bztoken.lake.adding import Added, Asked, add_registry
from bztoken.lake.source import LakeSource
from bztoken.matching.day import DayColumns
from bztoken.matching.registry_source import RegistrySource
from bztoken.matching.task import Source, Task
from bztoken.registry import events, issues, tokens
from bztoken.registry.database import open_registry
from bztoken.registry.logs import KIND_PHONE, log_of_token
from bztoken.registry.models import Log, Page, Sighting, Token
from bztoken.registry.pages import KIND_BLUEZONE, KIND_GAEN

DAY_S = 86_400
TODAY = 20_700  # a UTC day
NOW_S = TODAY * DAY_S + 5 * 3600
YESTERDAY = TODAY - 1
BOARD = "virtual"


def quiet(*_: object) -> None:
    """Nobody watches."""


@dataclass
class ClinicOfLake:
    """One clinic. Everything is heard in one window a page; `hear` numbers pages by itself."""

    home: Home
    lake: Path
    sequence: int = field(default=0)

    @contextmanager
    def writing(self) -> Iterator[Session]:
        with open_registry(self.home) as registry, registry.write() as session:
            yield session

    def token(self, label: str, person: str | None = None, place: str | None = None, board: str = BOARD) -> int:
        """Its log; in somebody's hands, or at a place."""
        role = tokens.ROLE_PERSON if place is None else tokens.ROLE_SITE
        with self.writing() as session:
            uid = label.encode().ljust(8, b"_")[:8]
            row = tokens.create(session, label, uid, role, board, 1)
            row.state = tokens.STATE_ACTIVE
            if person is not None:
                issues.add(session, row, holder(session, person, NOW_S), (TODAY - 30) * DAY_S)
            if place is not None:
                issues.add(session, row, site_holder(session, place, NOW_S), (TODAY - 30) * DAY_S)
            return log_of_token(session, row).id

    def phone(self, label: str) -> int:
        with self.writing() as session:
            log = Log(kind=KIND_PHONE, token_id=None, label=label, digest=label.encode().ljust(32), imported_at_s=NOW_S)
            session.add(log)
            session.flush()
            return log.id

    def hear(self, log: int, first_s: int, count: int = 1, gaen: bool = False, known: bool = True) -> None:
        """So many IDs, one after the other, all on one page; of a phone: lines."""
        with self.writing() as session:
            page = None if session.get_one(Log, log).kind == KIND_PHONE else self._page(session, log, first_s)
            for number in range(count):
                session.add(
                    Sighting(
                        log_id=log,
                        page_id=page,
                        kind=KIND_GAEN if gaen else KIND_BLUEZONE,
                        rotating_id=bytes([200 - number]) * (16 if gaen else 12),
                        first_s=first_s + number,
                        last_s=first_s + number + 60,
                        window_start_s=first_s - first_s % 300,
                        packets=7 + number,
                        scans=3,
                        scan_period_s=60,
                        rssi_max_dbm=-60 - number,
                        rssi_mean_dbm=-70,
                        tx_power_dbm=-15 if known else None,
                        aem=bytes([number, 2, 3, 4]) if gaen else None,
                        stale=number == 1,
                        uncertainty_s=5 + number if known else None,
                    )
                )

    def _page(self, session: Session, log: int, first_s: int) -> int:
        self.sequence += 1
        page = Page(
            log_id=log,
            sequence=self.sequence,
            boot_id=3,
            uptime_ms=300_000,
            window_start_s=first_s - first_s % 300,
            window_s=300,
            scan_period_s=60,
            clock_state=1,
            lost_results=0,
            crowded=False,
            raw=b"not read here",
            received_at_s=first_s + 3600,
            version=2,
        )
        session.add(page)
        session.flush()
        return page.id

    def add(self, name: str | None = None, now_s: int = NOW_S, insist: bool = False) -> Added:
        """As the tracer."""
        with events.acting_as(TRACER):
            return add_registry(self.home, Asked(self.lake, name, now_s, insist), quiet)

    def source(self) -> LakeSource:
        return LakeSource(self.lake)

    def in_registry(self) -> dict[int, DayColumns]:
        """Everything that the registry's own source answers, by day."""
        with open_registry(self.home) as registry, registry.read() as session:
            return everything(RegistrySource(session))

    def files(self) -> dict[str, bytes]:
        return {str(path.relative_to(self.lake)): path.read_bytes() for path in self.lake.rglob("*") if path.is_file()}

    def day_file(self, day: int = YESTERDAY) -> Path:
        """The only one of this day."""
        (path,) = [path for path in self.lake.rglob("*.parquet") if path.parent.name == folder_name(day)]
        return path

    def uid(self, label: str) -> bytes:
        with open_registry(self.home) as registry, registry.read() as session:
            return session.scalars(select(Token.uid).where(Token.label == label)).one()


def folder_name(day: int) -> str:
    return f"day={np.datetime64(day, 'D')}"


def everything(source: Source, shard: int = 0, shards: int = 1) -> dict[int, DayColumns]:
    """All columns of all days."""
    found = {}
    for day in source.rows_by_day():
        piece = source.slice(Task(day, shard, shards))
        found[day] = piece.take(np.arange(len(piece.seen().hi), dtype=np.int64))
    return found


def rows_of(columns: DayColumns) -> list[tuple[int, ...]]:
    return list(zip(*(column.tolist() for column in columns), strict=True))


def in_lake(columns: DayColumns, clinic_number: int) -> list[tuple[int, ...]]:
    """What a registry answers, with logs as a lake numbers them."""
    return rows_of(columns._replace(log_id=columns.log_id | clinic_number << 32))


@pytest.fixture
def clinics(new_registry: Path, tmp_path: Path) -> list[ClinicOfLake]:
    """Two, with nothing heard, and one lake, which is not there yet."""
    made = []
    for name in ("an", "binh"):
        home = Home(tmp_path / name)
        shutil.copytree(new_registry, home.path)
        staff(home)
        made.append(ClinicOfLake(home, tmp_path / "lake"))
    return made


@pytest.fixture
def clinic(clinics: list[ClinicOfLake]) -> ClinicOfLake:
    """The first of them: a person's token, a place's, a phone; two days of what they heard."""
    made = clinics[0]
    an, market, phone = made.token("An", person="Bà An"), made.token("Chợ", place="Chợ Đông"), made.phone("Bình")
    start_s = YESTERDAY * DAY_S
    made.hear(market, start_s + 500, 3, known=False)
    made.hear(an, start_s + 100, 3)
    made.hear(an, start_s + 100, 2, gaen=True)
    made.hear(phone, start_s, 2, known=False)
    made.hear(an, start_s + DAY_S - 1)
    made.hear(an, start_s + DAY_S)
    return made
