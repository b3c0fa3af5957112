"""A new registry key: killed at any line, the registry opens with the key that is there; nothing is lost or left."""

import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.host.killed_program import killed_at_line

from bztoken import courier
from bztoken import home as home_module
from bztoken.errors import HomeError, RegistryError
from bztoken.formats.courier_pass import CourierPass, write_pass
from bztoken.home import Home
from bztoken.registry import copying, rekeying, tokens
from bztoken.registry.connecting import connect, opens, quiet
from bztoken.registry.database import create_registry, open_registry
from bztoken.registry.models import AuditEntry
from bztoken.registry.rekeying import rotate_key

UID = bytes(range(8))
NOW_S = 1_790_000_000
MODULES = (rekeying, copying, home_module)
# Every line takes a minute: BZ_CUTS=all. Else every line of the end, where two files become two others, and samples.
EVERY_LINE = os.environ.get("BZ_CUTS") == "all"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clinic's data folder with one token, to be copied."""
    home = Home(tmp_path_factory.mktemp("made") / "home")
    create_registry(home)
    with open_registry(home) as registry, registry.write() as session:
        tokens.create(session, "YB-0001", UID, "person", "virtual", 1)
    return home.path


@pytest.fixture
def clinic(made: Path, tmp_path: Path) -> Home:
    return Home(Path(shutil.copytree(made, tmp_path / "home")))


def is_whole(home: Home) -> bool:
    """Opens, has its token, and nothing half done lies about. The answer: whether it has a new key."""
    with open_registry(home) as registry, registry.read() as session:
        assert tokens.by_uid(session, UID) is not None
        rotated = session.scalars(select(AuditEntry.action)).all() == ["change"]
    names = {path.name for path in home.path.iterdir()}
    kept = {name for name in names if name.startswith("registry.key.before-")}
    assert names - kept == {"audit.head", "registry.db", "registry.key", "registry.lock", "master.key"}
    assert len(kept) == rotated
    return rotated


def test_the_registry_has_another_key_and_the_same_rows(clinic: Home) -> None:
    old, master = clinic.registry_key(), clinic.master_key()
    done = rotate_key(clinic, NOW_S, quiet)
    assert clinic.registry_key() != old and clinic.master_key() == master
    assert clinic.open_key(done.old_key_path) == (old, None)
    assert not opens(clinic.registry_path, old) and opens(clinic.registry_path, clinic.registry_key())
    assert is_whole(clinic)
    for path in (clinic.registry_path, clinic.registry_key_path, done.old_key_path):
        assert path.stat().st_mode & 0o777 == 0o600


def test_what_was_written_last_is_in_it_though_a_log_was_left(clinic: Home, tmp_path: Path) -> None:
    """A program that was killed leaves its rows in the log."""
    killed = Home(tmp_path / "killed")
    with open_registry(clinic) as registry:
        with registry.write() as session:
            tokens.create(session, "YB-0002", b"another!", "person", "virtual", 1)
        shutil.copytree(clinic.path, killed.path)
    assert (killed.path / "registry.db-wal").stat().st_size > 0
    rotate_key(killed, NOW_S, quiet)
    with open_registry(killed) as registry, registry.read() as session:
        assert tokens.by_uid(session, b"another!") is not None


def sweep(clinic: Home, tmp_path: Path, action: Callable[[Home], object], step: int) -> list[bool]:
    """Kill an action on copies of a folder, at every `step`-th line; whether each copy had a new key in the end."""
    found: list[bool] = []
    for number in range(1, 10_000, step):
        copy = Home(Path(shutil.copytree(clinic.path, tmp_path / f"at {number}", dirs_exist_ok=True)))
        if not killed_at_line(number, lambda home=copy: action(home), MODULES):  # type: ignore[misc]
            return found
        found.append(is_whole(copy))
        shutil.rmtree(copy.path)
    raise AssertionError("it does not end")


@pytest.mark.timeout(600)
def test_killed_at_any_line_it_is_finished_or_undone(clinic: Home, tmp_path: Path) -> None:
    found = sweep(clinic, tmp_path, lambda home: rotate_key(home, NOW_S, quiet), 1 if EVERY_LINE else 7)
    assert set(found) == {True, False}
    assert found == sorted(found), "there is one moment that counts"


def half_done(home: Home, *, renamed: bool) -> None:
    """What a program leaves that is killed just before the moment that counts, or just after."""
    rekeying._prepare(home, NOW_S, quiet)
    if renamed:
        home.registry_path.with_name("registry.db.next").replace(home.registry_path)


def test_an_undoing_that_is_killed_is_undone_by_the_next(clinic: Home, tmp_path: Path) -> None:
    half_done(clinic, renamed=False)
    found = sweep(clinic, tmp_path, rekeying.settle, 1)
    assert found and not any(found)


def test_a_finishing_that_is_killed_is_finished_by_the_next(clinic: Home, tmp_path: Path) -> None:
    half_done(clinic, renamed=True)
    found = sweep(clinic, tmp_path, rekeying.settle, 1)
    assert found and all(found)


def test_a_second_change_finishes_the_first(clinic: Home) -> None:
    half_done(clinic, renamed=True)
    first = clinic.open_key(clinic.registry_key_path.with_name("registry.key.next"))[0]
    done = rotate_key(clinic, NOW_S, quiet)
    assert clinic.open_key(done.old_key_path)[0] == first
    with open_registry(clinic) as registry, registry.read() as session:
        assert session.scalars(select(AuditEntry.action)).all() == ["change", "change"]


def test_an_interrupted_change_leaves_nothing_behind(clinic: Home) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    key = clinic.registry_key()
    with pytest.raises(KeyboardInterrupt):
        rotate_key(clinic, NOW_S, interrupt)
    assert clinic.registry_key() == key and not is_whole(clinic)


def test_who_has_it_open_keeps_it_from_being_changed(clinic: Home) -> None:
    with open_registry(clinic), pytest.raises(RegistryError, match="another program has the registry open"):
        rotate_key(clinic, NOW_S, quiet)
    assert not is_whole(clinic)


def test_a_program_of_before_the_lock_is_noticed_too(clinic: Home) -> None:
    older = connect(clinic.registry_path, clinic.registry_key())
    older.execute("SELECT count(*) FROM tokens").fetchone()
    with pytest.raises(RegistryError, match="another program has the registry open"):
        rotate_key(clinic, NOW_S, quiet)
    older.close()
    assert not is_whole(clinic)


@pytest.mark.parametrize("damage", ["page", "key", "orphan"])
def test_what_is_damaged_is_not_encrypted_anew(clinic: Home, damage: str) -> None:
    if damage == "page":
        raw = bytearray(clinic.registry_path.read_bytes())
        raw[9000] ^= 1
        clinic.registry_path.write_bytes(raw)
    elif damage == "key":
        clinic.registry_key_path.write_text("11" * 32)
    else:
        connection = connect(clinic.registry_path, clinic.registry_key())
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute(
            "INSERT INTO logs (id, kind, token_id, label, imported_at_s) VALUES (7, 'token', 77, 'x', 1)"
        )
        connection.close()
    before = clinic.registry_path.read_bytes(), clinic.registry_key_path.read_bytes()
    with pytest.raises(RegistryError):
        rotate_key(clinic, NOW_S, quiet)
    after = clinic.registry_path.read_bytes(), clinic.registry_key_path.read_bytes()
    assert after[1] == before[1] and (damage != "key" or after == before)
    assert not list(clinic.path.glob("*.next"))


def test_a_courier_keeps_its_pass(tmp_path: Path) -> None:
    home, pass_file = Home(tmp_path / "courier"), tmp_path / "pass"
    last_day = datetime.now(UTC).date() + timedelta(days=3)
    write_pass(pass_file, CourierPass(b"12345678", "Hoa", last_day, bytes(32), ()))
    courier.accept(home, pass_file)
    own = courier.own_pass(home)
    rekeying._prepare(home, NOW_S, quiet)
    half = shutil.copytree(home.path, tmp_path / "half")
    home.registry_path.with_name("registry.db.next").replace(home.registry_path)
    assert courier.own_pass(home) == own
    assert courier.own_pass(Home(half)) == own
    assert {path.name.split(".before-")[0] for path in home.path.iterdir()} == {
        "audit.head",
        "courier.pass",
        "registry.db",
        "registry.key",
        "registry.lock",
    }


def test_a_damaged_pass_is_told_before_a_key_is_changed(tmp_path: Path) -> None:
    home, pass_file = Home(tmp_path / "courier"), tmp_path / "pass"
    last_day = datetime.now(UTC).date() + timedelta(days=3)
    write_pass(pass_file, CourierPass(b"12345678", "Hoa", last_day, bytes(32), ()))
    courier.accept(home, pass_file)
    key = home.registry_key()
    home.courier_pass_path.write_bytes(b"short")
    with pytest.raises(HomeError, match="accept the pass again"):
        rotate_key(home, NOW_S, quiet)
    assert home.registry_key() == key
    open_registry(home).close()


def test_a_third_key_is_told_and_nothing_is_thrown_away(clinic: Home) -> None:
    half_done(clinic, renamed=False)
    clinic.registry_key_path.write_text("11" * 32)
    names = sorted(path.name for path in clinic.path.iterdir())
    clinic.registry_key_path.with_name("registry.key.next").write_text("22" * 32)
    with pytest.raises(RegistryError, match="nothing was changed"):
        open_registry(clinic)
    assert sorted(path.name for path in clinic.path.iterdir()) == names
