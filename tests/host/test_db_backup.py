"""Backup: encrypted at every moment, of one snapshot, whole or not at all, and never over what is newer."""

import resource
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.host.backed_up import CANARY, NOW_S, clinic, contents, labels, out, unchanged

from bztoken.errors import HomeError, RegistryError
from bztoken.home import Home
from bztoken.registry import tokens
from bztoken.registry.backup import backup
from bztoken.registry.connecting import connect, connect_read_only, quiet
from bztoken.registry.database import open_registry
from bztoken.registry.migrating import head_revision
from bztoken.registry.restoring import inspect

__all__ = ["clinic", "out"]


def test_a_backup_is_one_private_encrypted_file_with_every_row(clinic: Home, out: Path) -> None:
    made = backup(clinic, out, NOW_S, quiet)
    assert [path.name for path in out.parent.iterdir()] == [out.name]
    assert out.stat().st_mode & 0o777 == 0o600 and made.size_bytes == out.stat().st_size
    raw = out.read_bytes()
    assert CANARY.encode() not in raw and b"SQLite" not in raw and b"CREATE TABLE" not in raw
    assert clinic.registry_key() not in raw and clinic.registry_key().hex().encode() not in raw
    assert (made.migration, made.rows["tokens"], made.rows["audit"]) == (head_revision(), 1, 1)
    with closing(connect_read_only(out, clinic.registry_key())) as copy:
        assert copy.execute("SELECT label FROM tokens").fetchall() == [(CANARY,)]


def test_the_audit_knows_of_a_backup(clinic: Home, out: Path) -> None:
    backup(clinic, out, NOW_S, quiet)
    with open_registry(clinic) as registry, registry.read() as session:
        entry = session.execute(text("SELECT action, what, at_s FROM audit")).one()
    assert tuple(entry) == ("backup", "registry", NOW_S)


def test_a_backup_is_of_one_moment_while_others_write(clinic: Home, out: Path) -> None:
    with open_registry(clinic) as registry:
        with registry.write() as session:
            session.execute(text("CREATE TABLE filler AS SELECT zeroblob(4000) AS a"))
            for _ in range(12):
                session.execute(text("INSERT INTO filler SELECT a FROM filler"))
        steps = []

        def write_meanwhile(done: int, total: int) -> None:
            steps.append((done, total))
            with registry.write() as session:
                tokens.create(session, f"later {len(steps)}", len(steps).to_bytes(8, "big"), "person", "virtual", 1)

        made = backup(clinic, out, NOW_S, write_meanwhile)
    assert len(steps) > 3 and {total for _, total in steps} == {steps[0][1]}, "it began anew"
    assert made.rows["tokens"] == 1
    assert len(labels(clinic)) == 1 + len(steps)


def test_a_file_that_is_there_stays_unless_forced(clinic: Home, out: Path) -> None:
    out.write_bytes(b"as it was")
    with pytest.raises(HomeError, match="--force"):
        backup(clinic, out, NOW_S, quiet)
    assert out.read_bytes() == b"as it was"
    backup(clinic, out, NOW_S, quiet, replace=True)
    assert out.stat().st_mode & 0o777 == 0o600 and inspect(clinic, out).rows["tokens"] == 1


@pytest.mark.parametrize("name", ["registry.db", "registry.key", "master.key"])
def test_the_registry_itself_is_never_overwritten(clinic: Home, name: str) -> None:
    with unchanged(clinic), pytest.raises(HomeError, match="data folder itself"):
        backup(clinic, clinic.path / "." / name, NOW_S, quiet, replace=True)


@pytest.mark.parametrize("name", ["registry.lock", "audit.head", "registry.db", "new.backup"])
def test_a_backup_is_never_written_into_the_data_folder(clinic: Home, name: str) -> None:
    with unchanged(clinic), pytest.raises(HomeError, match="data folder itself"):
        backup(clinic, clinic.path / name, NOW_S, quiet, replace=True)


def test_a_full_disk_leaves_no_half_backup(clinic: Home, out: Path) -> None:
    out.write_bytes(b"as it was")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(RegistryError, match="disk"):
            backup(clinic, out, NOW_S, quiet, replace=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert contents(out.parent) == {out.name: b"as it was"}
    assert labels(clinic) == [CANARY]


def test_an_interrupted_backup_leaves_nothing(clinic: Home, out: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        backup(clinic, out, NOW_S, interrupt)
    assert list(out.parent.iterdir()) == []


def test_a_folder_that_is_not_there_is_named(clinic: Home, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file") as caught:
        backup(clinic, tmp_path / "none" / "x", NOW_S, quiet)
    assert caught.value.filename == str(tmp_path / "none" / "x")


def test_a_damaged_registry_replaces_no_good_backup(clinic: Home, out: Path) -> None:
    backup(clinic, out, NOW_S, quiet)
    good = out.read_bytes()
    with closing(connect(clinic.registry_path, clinic.registry_key())) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("INSERT INTO logs (kind, token_id, label, imported_at_s) VALUES ('token', 77, 'x', 1)")
    with pytest.raises(RegistryError, match="1 rows of logs name rows of tokens"):
        backup(clinic, out, NOW_S, quiet, replace=True)
    assert contents(out.parent) == {out.name: good}
