"""Two tokens, two people, two places and a desk: whose lives tests of issuing, losing and giving back follow."""

import secrets
import time
from typing import Any

import pytest
from sqlalchemy import text
from tests import people
from tests.program import Program

from bztoken.home import Home
from bztoken.registry import events, tokens
from bztoken.registry.database import Registry, open_registry
from bztoken.registry.issues import PERSON, SITE

LABEL, GATE = "YB-0017-4", "YB-0018-3"
HOLDER, OTHER = "Lê Thị Ân", "Trần Văn Bình"
MARKET, STATION = "Chợ Yên Bái", "Bến xe Nước Mát"
NOW_S = int(time.time())
TABLES = ("tokens", "token_events", "token_issues", "devices", "device_events", "persons", "sites", "consents")


@pytest.fixture(autouse=True)
def operator(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who sits at the desk."""
    monkeypatch.setenv(events.OPERATOR_VARIABLE, "desk 2")


@pytest.fixture
def two(registry: Registry) -> None:
    """A person's token and a site's, two people who agreed, two places."""
    with registry.write() as session:
        tokens.create(session, LABEL, secrets.token_bytes(8), PERSON, "virtual", NOW_S)
        tokens.create(session, GATE, secrets.token_bytes(8), SITE, "virtual", NOW_S)
        for name in (HOLDER, OTHER):
            people.person(session, name, NOW_S)
        for name in (MARKET, STATION):
            people.site(session, name, now_s=NOW_S)


def rows(home: Home) -> dict[str, list[tuple[Any, ...]]]:
    """All that tells of lives."""
    with open_registry(home) as registry, registry.read() as session:
        return {table: [tuple(row) for row in session.execute(text(f"SELECT * FROM {table}"))] for table in TABLES}


def happened(cli: Program, label: str) -> list[tuple[str, str, str | None]]:
    """(event, by whom, detail), oldest first."""
    story = cli("token", "show", label, "--json").document()
    return [(event["event"], event["by"], event["detail"]) for event in story["events"]]


def step(cli: Program, label: str) -> str:
    """As both the list and the story tell it."""
    listed = {one["label"]: one["step"] for one in cli("token", "list", "--json").document()["tokens"]}
    assert listed[label] == cli("token", "show", label, "--json").document()["step"]
    return str(listed[label])
