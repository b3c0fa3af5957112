"""Deleted rows: overwritten at once, and the file and its log written anew when they are to be gone for good."""

import pytest
from sqlalchemy import text

from bztoken.errors import RegistryError
from bztoken.home import Home
from bztoken.registry import connecting, tokens
from bztoken.registry.connecting import encrypted_engine
from bztoken.registry.database import Registry, create_registry, open_registry


def test_compacting_leaves_no_free_page_and_no_log(registry: Registry, home: Home) -> None:
    with registry.write() as session:
        for number in range(300):
            tokens.create(session, f"T{number}" + "x" * 50, number.to_bytes(8, "big"), "person", "virtual", 1)
    with registry.write() as session:
        session.execute(text("DELETE FROM logs"))
        session.execute(text("DELETE FROM tokens"))
    assert (home.path / "registry.db-wal").stat().st_size > 0
    registry.compact()
    assert (home.path / "registry.db-wal").stat().st_size == 0
    with registry.read() as session:
        assert session.execute(text("PRAGMA freelist_count")).scalar() == 0


def test_a_file_without_free_pages_is_not_written_anew(registry: Registry, home: Home) -> None:
    """A clinic's file is gigabytes, and every page that is written gets another nonce."""
    registry.compact()
    before = home.registry_path.read_bytes()
    registry.compact()
    assert home.registry_path.read_bytes() == before


def test_a_reader_that_keeps_the_log_is_told(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    create_registry(home)
    monkeypatch.setattr(connecting, "BUSY_TIMEOUT_S", 0.1)
    with open_registry(home) as registry, open_registry(home) as other, other.read() as session:
        session.execute(text("SELECT count(*) FROM tokens")).scalar()
        with registry.write() as writing:
            tokens.create(writing, "BZ-1", b"an uid..", "person", "virtual", 1)
        with pytest.raises(RegistryError, match="another program reads it"):
            registry.compact()
    with open_registry(home) as registry:
        registry.compact()


def test_deleted_rows_are_overwritten(home: Home) -> None:
    """On every connection: what is deleted leaves no copy on a free page."""
    create_registry(home)
    engine = encrypted_engine(home.registry_path, home.registry_key())
    with engine.connect() as one, engine.connect() as another:
        for connection in (one, another):
            assert connection.execute(text("PRAGMA secure_delete")).scalar() == 1
    engine.dispose()
