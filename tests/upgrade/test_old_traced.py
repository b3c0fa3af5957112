"""A registry of migration 0005, with a case, its F1 and F2 and a visit: all is kept, and matching finds the same."""

from pathlib import Path

import pytest
from sqlalchemy import func, select
from tests.upgrade.test_old_registry import home_of, rows_of

from bztoken.home import Home
from bztoken.matching.batch import run_batch
from bztoken.matching.run import Done
from bztoken.registry.connecting import encrypted_engine
from bztoken.registry.database import Registry, open_registry, upgrade_registry
from bztoken.registry.exposures import list_exposures
from bztoken.registry.migrating import head_revision
from bztoken.registry.models import FollowUp, MatchedDay, Visit

EXPOSURES = [("Bà Lan", None, "F1"), ("Ông Minh", "Bà Lan", "F2")]
NOW_S = 1_597_449_600


@pytest.fixture
def old_home(tmp_path: Path, old_files: Path) -> Home:
    """A data folder as that version left it."""
    return home_of(tmp_path / "home", old_files / "registry-v5.sql")


def found(registry: Registry) -> list[tuple[str, str | None, str]]:
    with registry.read() as session:
        return [
            (one.whose.name, None if one.via is None else one.via.name, one.exposure.verdict)
            for one in list_exposures(session)
        ]


def test_the_upgrade_keeps_every_row(old_home: Home) -> None:
    before = rows_of(Registry(encrypted_engine(old_home.registry_path, old_home.registry_key())))
    assert upgrade_registry(old_home) == ("0005", head_revision())
    with open_registry(old_home) as registry:
        after = rows_of(registry)
    assert after.pop("matched_days") == []
    assert {name: rows for name, rows in after.items() if name != "alembic_version"} == {
        name: rows for name, rows in before.items() if name != "alembic_version"
    }


def test_matching_finds_what_it_found_and_goes_on_where_it_was_stopped(old_home: Home) -> None:
    upgrade_registry(old_home)

    def stop(done: Done) -> None:
        if done.done == 2:
            raise KeyboardInterrupt

    with open_registry(old_home) as registry:
        assert sorted(found(registry)) == EXPOSURES
        with pytest.raises(KeyboardInterrupt):
            run_batch(registry, lambda: NOW_S, progress=stop)
        with registry.read() as session:
            assert session.scalar(select(func.count()).select_from(MatchedDay))
        assert run_batch(registry, lambda: NOW_S).removed == 0
        assert sorted(found(registry)) == EXPOSURES
        with registry.read() as session:
            assert session.scalar(select(func.count()).select_from(Visit)) == 1
            assert session.scalars(select(FollowUp.degree).order_by(FollowUp.degree)).all() == [1, 2]
