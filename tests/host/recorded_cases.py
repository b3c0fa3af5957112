"""A desk where cases are recorded, a phone's list of keys and its history, and what a refused step must not change."""

import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from tests.case_desk import CaseDesk, days_ago, staff
from tests.program import Program, Ran

from bztoken.formats.case_list import CaseKey, write_case_list
from bztoken.formats.history import HistoryLine, write_history
from bztoken.home import Home
from bztoken.registry.database import open_registry

DAY_S = 86400
KEY = b"k" * 32
TABLES = ("cases", "case_keys", "case_ids", "logs", "sightings", "persons")


@pytest.fixture
def desk(cli: Program, home: Home, tmp_path: Path) -> CaseDesk:
    """Of a new registry with its operators."""
    cli("registry", "init")
    staff(home)
    return CaseDesk(cli, tmp_path)


@pytest.fixture
def phone_list(tmp_path: Path) -> Path:
    """Ten days of a phone, until yesterday."""
    today_s = int(time.time()) // DAY_S * DAY_S
    write_case_list(tmp_path / "phone.json", [CaseKey(KEY, today_s - 10 * DAY_S, 96, today_s - 1)])
    return tmp_path / "phone.json"


@pytest.fixture
def phone_history(tmp_path: Path) -> Path:
    """Forty minutes of yesterday, from noon on."""
    noon_s = int(time.time()) // DAY_S * DAY_S - DAY_S // 2
    lines = [HistoryLine(b"o" * 12, b"c" * 12, -60, (noon_s + 60 * n) * 1000) for n in range(40)]
    write_history(tmp_path / "phone.tsv", lines)
    return tmp_path / "phone.tsv"


def add(desk: CaseDesk, path: Path, name: str = "F0-1", *more: object) -> Ran:
    """The tracer records a draft from a list of keys."""
    return desk.tracer("case", "add", "--name", name, "--list", path, "--onset", days_ago(3), *more)


def rows(home: Home) -> dict[str, list[tuple[Any, ...]]]:
    """What a refused step must not change."""
    with open_registry(home) as registry, registry.read() as session:
        return {table: [tuple(row) for row in session.execute(text(f"SELECT * FROM {table}"))] for table in TABLES}


def refused(ran: Ran, said: str) -> None:
    """In one sentence."""
    assert (ran.code, ran.out) == (1, "") and said in ran.err and len(ran.err.splitlines()) == 1, ran.err


def show(desk: CaseDesk, name: str = "F0-1") -> Any:
    """What the tracer sees of a case."""
    return desk.tracer("case", "show", name, "--json").document()
