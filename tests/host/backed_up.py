"""A clinic with one token and a stick for its backup, and what tests of backup and restore look at."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bztoken.home import Home
from bztoken.registry import tokens
from bztoken.registry.database import create_registry, open_registry

CANARY = "Nguyễn Thị Canary of Xuân Thủy"
NOW_S = 1_790_000_000
DOCUMENTED_FILES = {"audit.head", "registry.db", "registry.key", "registry.lock", "master.key"}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Where the backup goes; the folder is not made yet."""
    return tmp_path / "stick" / "clinic.backup"


@pytest.fixture
def clinic(home: Home, out: Path) -> Home:
    """One token, whose label is the canary."""
    out.parent.mkdir()
    create_registry(home)
    add(home, CANARY, b"canary!!")
    return home


def add(home: Home, label: str, uid: bytes) -> None:
    """One more token."""
    with open_registry(home) as registry, registry.write() as session:
        tokens.create(session, label, uid, "person", "virtual", 1)


def labels(home: Home) -> list[str]:
    """Of all tokens that the registry holds."""
    with open_registry(home) as registry, registry.read() as session:
        return sorted(token.label for token in tokens.all_tokens(session))


def contents(folder: Path) -> dict[str, bytes]:
    """Every file but the lock, by name."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "registry.lock"}


@contextmanager
def unchanged(home: Home) -> Iterator[None]:
    """Whatever is refused leaves every file as it was."""
    before = contents(home.path)
    yield
    assert contents(home.path) == before
