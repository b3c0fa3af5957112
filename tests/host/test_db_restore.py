"""Restore: all of a backup or nothing of it, what was there is kept, and what does not fit is refused."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.host.backed_up import CANARY, DOCUMENTED_FILES, NOW_S, add, clinic, contents, labels, out, unchanged
from tests.host.killed_program import killed_at_line

from bztoken.errors import HomeError, RegistryError
from bztoken.home import Home
from bztoken.registry import audit, copying, migrating, rekeying, restoring, tokens
from bztoken.registry.backup import backup
from bztoken.registry.connecting import connect, quiet
from bztoken.registry.database import create_registry, open_registry
from bztoken.registry.migrating import head_revision
from bztoken.registry.persons import number_of
from bztoken.registry.rekeying import rotate_key
from bztoken.registry.restoring import inspect, restore

__all__ = ["clinic", "out"]


def test_a_restore_brings_back_what_was_and_keeps_what_is(clinic: Home, out: Path) -> None:
    backup(clinic, out, NOW_S, quiet)
    add(clinic, "later", b"later..!")
    done = restore(clinic, out, NOW_S + 60)
    assert labels(clinic) == [CANARY]
    assert done.kept is not None and done.kept.name == "registry.db.before-restore-20260921T141420Z"
    assert {path.name for path in clinic.path.iterdir()} == DOCUMENTED_FILES | {done.kept.name}
    restore(clinic, done.kept, NOW_S + 120)
    assert labels(clinic) == [CANARY, "later"]
    with open_registry(clinic) as registry, registry.read() as session:
        assert session.execute(text("SELECT action FROM audit ORDER BY id")).scalars().all() == ["backup", "restore"]


def test_a_new_computer_needs_the_keys_and_the_backup(clinic: Home, out: Path, tmp_path: Path) -> None:
    backup(clinic, out, NOW_S, quiet)
    new = Home(tmp_path / "new")
    with pytest.raises(HomeError, match="copy registry.key and master.key there"):
        restore(new, out, NOW_S)
    assert not new.path.exists()
    new.path.mkdir(mode=0o700)
    for path in (clinic.registry_key_path, clinic.master_key_path):
        shutil.copy2(path, new.path)
    assert restore(new, out, NOW_S).kept is None
    assert labels(new) == [CANARY]


def spoiled(kind: str, clinic: Home, backup_file: Path) -> str:
    """Make a backup unfit; the words of the refusal."""
    raw = bytearray(backup_file.read_bytes())
    if kind == "flipped":
        raw[20_000] ^= 1
        backup_file.write_bytes(raw)
        return "damaged"
    if kind == "cut":
        backup_file.write_bytes(raw[:100_000])
        return "damaged"
    if kind == "text":
        backup_file.write_bytes(b"no backup " * 1000)
        return "does not open"
    if kind == "empty":
        backup_file.write_bytes(b"")
        return "no registry"
    if kind == "plain":
        backup_file.unlink()
        with closing(sqlite3.connect(backup_file)) as plain:
            plain.execute("CREATE TABLE alembic_version (version_num TEXT)")
        return "not encrypted"
    if kind == "newer":
        with closing(connect(backup_file, clinic.registry_key(), wal=False)) as connection:
            connection.execute("UPDATE alembic_version SET version_num = '9999'")
        return "newer version"
    backup_file.unlink()
    return "no file"


@pytest.mark.parametrize("kind", ["flipped", "cut", "text", "empty", "plain", "newer", "missing"])
def test_an_unfit_backup_is_refused_with_nothing_changed(clinic: Home, out: Path, kind: str) -> None:
    backup(clinic, out, NOW_S, quiet)
    words = spoiled(kind, clinic, out)
    with unchanged(clinic), pytest.raises(RegistryError, match=words):
        restore(clinic, out, NOW_S)
    assert labels(clinic) == [CANARY]


def test_a_backup_of_another_clinic_is_refused(clinic: Home, out: Path, tmp_path: Path) -> None:
    other = Home(tmp_path / "other")
    create_registry(other)
    backup(other, out, NOW_S, quiet)
    with unchanged(clinic), pytest.raises(RegistryError, match="another key.*nothing was changed"):
        restore(clinic, out, NOW_S)


def test_a_backup_of_before_a_new_key_opens_with_the_old_one(clinic: Home, out: Path) -> None:
    backup(clinic, out, NOW_S, quiet)
    old = rotate_key(clinic, NOW_S, quiet).old_key_path
    with unchanged(clinic), pytest.raises(RegistryError, match="--key"):
        restore(clinic, out, NOW_S)
    restore(clinic, out, NOW_S, old)
    assert labels(clinic) == [CANARY]


def test_an_older_backup_is_upgraded(clinic: Home, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next version of the program: the same migrations and one more."""
    backup(clinic, out, NOW_S, quiet)
    migrations, present = tmp_path / "migrations", head_revision()
    shutil.copytree(migrating.MIGRATIONS, migrations, ignore=shutil.ignore_patterns("__pycache__"))
    next_one = migrations / "versions" / "9000_next.py"
    next_one.write_text(
        "from alembic import op\nfrom sqlalchemy import Column, Integer\n"
        f"revision, down_revision = '9000', '{present}'\n"
        "def upgrade() -> None:\n    op.add_column('logs', Column('wearers', Integer))\n"
    )
    with monkeypatch.context() as next_version:
        next_version.setattr(migrating, "MIGRATIONS", migrations)
        assert inspect(clinic, out).is_older
        assert restore(clinic, out, NOW_S).found.migration == present
        assert labels(clinic) == [CANARY]
        backup(clinic, out, NOW_S, quiet, replace=True)
    with unchanged(clinic), pytest.raises(RegistryError, match="newer version"):
        restore(clinic, out, NOW_S)


def test_a_migration_that_fails_leaves_the_registry_as_it_was(
    clinic: Home, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup(clinic, out, NOW_S, quiet)
    migrations = tmp_path / "migrations"
    shutil.copytree(migrating.MIGRATIONS, migrations, ignore=shutil.ignore_patterns("__pycache__"))
    (migrations / "versions" / "9000_broken.py").write_text(
        f"from alembic import op\nrevision, down_revision = '9000', '{head_revision()}'\n"
        "def upgrade() -> None:\n    op.drop_table('no_such_table')\n"
    )
    with monkeypatch.context() as next_version, unchanged(clinic):
        next_version.setattr(migrating, "MIGRATIONS", migrations)
        with pytest.raises(RegistryError, match="no such table"):
            restore(clinic, out, NOW_S)
    assert labels(clinic) == [CANARY]


def test_who_has_it_open_keeps_it_from_being_replaced(clinic: Home, out: Path) -> None:
    backup(clinic, out, NOW_S, quiet)
    with open_registry(clinic), pytest.raises(RegistryError, match="another program has the registry open"):
        restore(clinic, out, NOW_S)
    with closing(connect(clinic.registry_path, clinic.registry_key())) as older:
        older.execute("SELECT count(*) FROM tokens").fetchone()
        with pytest.raises(RegistryError, match="another program has the registry open"):
            restore(clinic, out, NOW_S)
    assert {path.name for path in clinic.path.iterdir()} == DOCUMENTED_FILES
    assert labels(clinic) == [CANARY]


@pytest.mark.parametrize("damage", [b"", b"x" * 20_000])
def test_a_damaged_registry_is_replaced_and_its_log_goes_with_it(clinic: Home, out: Path, damage: bytes) -> None:
    backup(clinic, out, NOW_S, quiet)
    clinic.registry_path.write_bytes(damage)
    (clinic.path / "registry.db-wal").write_bytes(b"log of the damaged one")
    kept = restore(clinic, out, NOW_S).kept
    assert kept is not None and kept.read_bytes() == damage
    assert Path(f"{kept}-wal").read_bytes() == b"log of the damaged one"
    assert labels(clinic) == [CANARY]


def test_a_copy_made_by_hand_is_restored_with_its_log(clinic: Home, tmp_path: Path) -> None:
    copy = tmp_path / "by hand"
    with open_registry(clinic) as registry:
        with registry.write() as session:
            tokens.create(session, "in the log", b"logged..", "person", "virtual", 1)
        copy.mkdir()
        for name in ("registry.db", "registry.db-wal"):
            shutil.copy(clinic.path / name, copy)
    restore(clinic, copy / "registry.db", NOW_S)
    assert labels(clinic) == [CANARY, "in the log"]


def test_a_backup_on_a_read_only_disk_stays_one_file(clinic: Home, out: Path) -> None:
    backup(clinic, out, NOW_S, quiet)
    raw = out.read_bytes()
    restore(clinic, out, NOW_S)
    assert contents(out.parent) == {out.name: raw}


def test_the_persons_whom_a_restore_brings_back_are_named_by_number_once(clinic: Home, out: Path) -> None:
    with open_registry(clinic) as registry, registry.write() as session:
        audit.record(session, audit.Action.ERASE, audit.What.PERSON, NOW_S - 5, 1)
    backup(clinic, out, NOW_S, quiet)
    with open_registry(clinic) as registry, registry.write() as session:
        audit.record(session, audit.Action.WITHDRAW, audit.What.PERSON, NOW_S, 2)  # in the second of the backup
        audit.record(session, audit.Action.ERASE, audit.What.PERSON, NOW_S + 5, 2)
        audit.record(session, audit.Action.LOOK, audit.What.PERSON, NOW_S + 6, 3)
        audit.record(session, audit.Action.WITHDRAW, audit.What.CASE, NOW_S + 6, 4)
        audit.record(session, audit.Action.ERASE, audit.What.OPERATOR, NOW_S + 6, 5)
    assert restore(clinic, out, NOW_S + 9).found.erased_since == (number_of(2),)


def test_where_the_audits_went_apart_the_time_decides_who_comes_back(clinic: Home, out: Path, tmp_path: Path) -> None:
    first = tmp_path / "first.backup"
    backup(clinic, first, NOW_S - 9, quiet)
    backup(clinic, out, NOW_S, quiet)
    restore(clinic, first, NOW_S + 1)  # its entry has the number that the last one of `out` has
    with open_registry(clinic) as registry, registry.write() as session:
        audit.record(session, audit.Action.ERASE, audit.What.PERSON, NOW_S + 5, 2)
    assert inspect(clinic, out).erased_since == (number_of(2),)


@pytest.mark.timeout(300)
def test_killed_at_any_line_a_restore_is_done_or_not(clinic: Home, out: Path, tmp_path: Path) -> None:
    backup(clinic, out, NOW_S, quiet)
    add(clinic, "later", b"later..!")
    found: list[bool] = []

    def kill(number: int) -> bool:
        copy = Home(Path(shutil.copytree(clinic.path, tmp_path / f"at {number}")))
        if not killed_at_line(number, lambda: restore(copy, out, NOW_S), (restoring, rekeying, copying)):
            return False
        found.append("later" in labels(copy))
        kept = {path.name for path in copy.path.iterdir()} - DOCUMENTED_FILES
        assert len(kept) == (not found[-1]) and all("before-restore" in name for name in kept)
        return True

    end = next(number for number in range(1, 10_000, 5) if not kill(number))
    for number in range(end - 4, end):  # it is done just before its last line
        kill(number)
    assert set(found) == {True, False} and found == sorted(found, reverse=True)
