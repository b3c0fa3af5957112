"""A registry of an older version: refused until it is upgraded, then complete, and of use like a new one."""

from pathlib import Path

import pytest
from sqlalchemy import select, text

from bztoken.errors import RegistryError
from bztoken.home import Home
from bztoken.matching.batch import run_batch
from bztoken.registry.connecting import encrypted_engine
from bztoken.registry.database import Registry, open_registry, upgrade_registry
from bztoken.registry.exposures import count_everything, list_exposures
from bztoken.registry.logs import log_of_token
from bztoken.registry.migrating import head_revision
from bztoken.registry.models import Page, Sighting
from bztoken.registry.pages import import_page
from bztoken.registry.tokens import all_tokens, by_label, token_keys
from bzwire.page import split_pages

MASTER = bytes(range(32))
COUNTS = {"tokens": 2, "logs": 3, "pages": 12, "cases": 1, "exposures": 2}
STATES = {
    "BZ-1": ("active", None),
    "BZ-2": ("active", "clone"),
    "BZ-3": ("revoked", None),
    "BZ-4 (wiped 4)": ("wiped", None),
    "BZ-4": ("active", None),
    "BZ-6": ("pending", None),
}
EXPOSURES = [("BZ-1", 50, 25, "F1"), ("Phone 1", 20, 20, "F1")]


@pytest.fixture
def old_home(tmp_path: Path, old_files: Path) -> Home:
    """A data folder as version 0.1 left it: the same rows in an encrypted file."""
    return home_of(tmp_path / "home", old_files / "registry-v1.sql")


@pytest.fixture
def home_of_version_3(tmp_path: Path, old_files: Path) -> Home:
    """A data folder of migration 0003: tokens in every state, a courier, a sync, readings of a clock."""
    return home_of(tmp_path / "home", old_files / "registry-v3.sql")


def home_of(folder: Path, statements: Path) -> Home:
    home = Home(folder)
    home.prepare()
    engine = encrypted_engine(home.registry_path, home.registry_key())
    with engine.begin() as connection:
        for statement in statements.read_text(encoding="utf-8").splitlines():
            connection.exec_driver_sql(statement)
    engine.dispose()
    return home


def rows_of(registry: Registry) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table, in the columns that version 0.1 knew."""
    tables = {}
    with registry.read() as session:
        for (name,) in session.execute(text("SELECT name FROM sqlite_master WHERE type = 'table'")).all():
            tables[name] = [tuple(row) for row in session.execute(text(f"SELECT * FROM {name}"))]
    return tables


def found(registry: Registry) -> list[tuple[str, int, int, str]]:
    with registry.read() as session:
        return sorted(
            (named.who, named.exposure.minutes, named.exposure.close_minutes, named.exposure.verdict)
            for named in list_exposures(session)
        )


def test_an_old_registry_is_refused_until_it_is_upgraded(old_home: Home) -> None:
    with pytest.raises(RegistryError, match="older version.*registry upgrade"):
        open_registry(old_home)
    assert upgrade_registry(old_home) == ("0001", head_revision())
    assert upgrade_registry(old_home) == (head_revision(), head_revision())
    open_registry(old_home).close()


def test_a_registry_of_the_version_before_keeps_every_row_and_every_state(home_of_version_3: Home) -> None:
    before = rows_of(Registry(encrypted_engine(home_of_version_3.registry_path, home_of_version_3.registry_key())))
    assert upgrade_registry(home_of_version_3) == ("0003", head_revision())
    with open_registry(home_of_version_3) as registry:
        after = rows_of(registry)
        for table in set(before) - {"alembic_version"}:
            assert [row[: len(old)] for row, old in zip(after[table], before[table], strict=True)] == before[table]
        with registry.read() as session:
            states = {token.label: (token.state, token.alarm) for token in all_tokens(session)}
            assert states == STATES
            assert {(token.device_id, token.batch_id, token.number, token.place) for token in all_tokens(session)} == {
                (None, None, None, None)
            }
            assert {token.development for token in all_tokens(session)} == {False}


def test_the_upgrade_keeps_every_row_and_fills_the_new_columns(old_home: Home) -> None:
    before = rows_of(Registry(encrypted_engine(old_home.registry_path, old_home.registry_key())))
    upgrade_registry(old_home)
    with open_registry(old_home) as registry:
        after = rows_of(registry)
        for table in set(before) - {"alembic_version"}:
            assert [row[: len(old)] for row, old in zip(after[table], before[table], strict=True)] == before[table]
        with registry.read() as session:
            counts = count_everything(session)
            assert {name: counts[name] for name in COUNTS} == COUNTS
            pages = session.scalars(select(Page)).all()
            assert {(page.version, page.listened_ds, page.page_state) for page in pages} == {(1, None, None)}
            sightings = session.scalars(select(Sighting)).all()
            assert {(row.kind, row.aem, row.stale, row.connected) for row in sightings} == {
                ("bluezone", None, False, False)
            }


def test_matching_an_upgraded_registry_finds_what_it_found(old_home: Home) -> None:
    upgrade_registry(old_home)
    with open_registry(old_home) as registry:
        before = found(registry)
        assert before == EXPOSURES
        assert run_batch(registry, lambda: 1).removed == 0
        assert found(registry) == before


def test_the_log_of_an_old_token_goes_on_in_the_upgraded_registry(old_home: Home, old_files: Path) -> None:
    """Its old pages are known, its new ones, of version 2, are added; a replayed ID among them counts for nothing."""
    upgrade_registry(old_home)
    with open_registry(old_home) as registry, registry.write() as session:
        token = by_label(session, "BZ-1")
        assert token is not None
        log, key = log_of_token(session, token), token_keys(MASTER, token.uid).first_log_key
        pages = [
            bytes(raw) for name in ("log-v1", "log-v2") for raw in split_pages((old_files / f"{name}.bzl").read_bytes())
        ]
        assert [import_page(session, log, raw, key, 1) for raw in pages] == [False] * 12 + [True] * 12
    with open_registry(old_home) as registry:
        run_batch(registry, lambda: 1)
        # six windows of 5 minutes more, two of them close; one scan of an iPhone; none of the window of the replayed ID
        assert found(registry) == [("BZ-1", 50 + 6 * 5 + 1, 25 + 2 * 5 + 1, "F1"), ("Phone 1", 20, 20, "F1")]
