"""Who gets tokens and who types, and what a refused step must not change: for tests of tokens that change hands."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from tests import people
from tests.integration.clinic import Clinic
from tests.program import Program, Ran

from bztoken.home import Home
from bztoken.registry import events
from bztoken.registry.database import open_registry
from bzvirtual.token_folder import TokenFolder

AN, CU = "Bà An", "Bà Cư"
FIRST, SECOND = "YB-17", "YB-18"
HOLDER, OTHER = "Lê Thị Ân", "Trần Văn Bình"
TABLES = ("tokens", "token_issues", "devices", "device_events", "pages", "syncs", "cases")

As = Callable[..., Ran]


@pytest.fixture
def as_(cli: Program, monkeypatch: pytest.MonkeyPatch) -> As:
    """The command line under somebody's name."""

    def ran(who: str, line: str, *more: object, home: Path | None = None) -> Ran:
        monkeypatch.setenv(events.OPERATOR_VARIABLE, who)
        return cli(*line.split(), *more, home=home)

    return ran


@pytest.fixture
def clinic_of_people(clinic_of_an: Clinic) -> Clinic:
    """Where those who get tokens are registered, and agreed."""
    register(clinic_of_an.home)
    return clinic_of_an


def register(home: Home) -> None:
    """People who may get a token, and a place."""
    with open_registry(home) as registry, registry.write() as session:
        for name in (HOLDER, OTHER):
            people.person(session, name)
        people.site(session, "Chợ Yên Bái")


def rows(home: Home, *besides: str) -> dict[str, list[tuple[Any, ...]]]:
    """All that a refused step must not change."""
    with open_registry(home) as registry, registry.read() as session:
        return {
            table: [tuple(row) for row in session.execute(text(f"SELECT * FROM {table}"))]
            for table in (*TABLES, *besides)
        }


def chip_of(folder: Path) -> str:
    """The number of a virtual board."""
    return TokenFolder.open(folder).state.mac
