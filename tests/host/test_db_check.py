"""`db check`: what is wrong is said, each thing once, and nothing else is called wrong."""

import shutil
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.host.carried_pages import Carrying
from tests.program import Program

from bztoken.home import Home
from bztoken.locked_keys import lock_keys
from bztoken.registry import audit, rekeying
from bztoken.registry.checking import check
from bztoken.registry.connecting import connect, quiet
from bztoken.registry.database import create_registry, open_registry
from bztoken.registry.migrating import head_revision
from bztoken.registry.rekeying import rotate_key

NOW_S = 1_790_000_000


@pytest.fixture
def clinic(home: Home) -> Home:
    """A registry with three entries in its audit."""
    create_registry(home)
    with open_registry(home) as registry, registry.write() as session:
        for number in range(3):
            audit.record(session, audit.Action.LOOK, audit.What.PERSON, NOW_S, number)
    return home


def test_a_whole_registry_is_called_whole(clinic: Home) -> None:
    found = check(clinic)
    assert found.problems == [] and found.migration == head_revision() and found.rows["audit"] == 3
    assert len(found.remarks) == 1 and "open to whoever takes this computer" in found.remarks[0]


@pytest.mark.parametrize("place", [5_000, 30_000, 100_000])
def test_a_flipped_byte_is_found(clinic: Home, place: int) -> None:
    raw = bytearray(clinic.registry_path.read_bytes())
    raw[place] ^= 1
    clinic.registry_path.write_bytes(raw)
    (problem,) = check(clinic).problems
    assert str(clinic.registry_path) in problem or "registry refused" in problem


def test_rows_that_name_nobody_are_found(clinic: Home) -> None:
    with closing(connect(clinic.registry_path, clinic.registry_key())) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("INSERT INTO logs (kind, token_id, label, imported_at_s) VALUES ('token', 77, 'x', 1)")
    (problem,) = check(clinic).problems
    assert "1 rows of logs name rows of tokens that are not there" in problem


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE audit SET at_s = at_s + 1 WHERE id = 2",
        "UPDATE audit SET number = 9 WHERE id = 1",
        "DELETE FROM audit WHERE id = 2",
        "DELETE FROM audit WHERE id = 1",
        "UPDATE audit SET digest = zeroblob(32) WHERE id = 3",
    ],
)
def test_an_audit_that_was_changed_is_found(clinic: Home, change: str) -> None:
    with open_registry(clinic) as registry, registry.write() as session:
        session.execute(text("DROP TRIGGER audit_no_update"))
        session.execute(text("DROP TRIGGER audit_no_delete"))
        session.execute(text(change))
    problems = check(clinic).problems
    assert problems and all(problem.startswith("the audit: ") for problem in problems)


def test_files_that_others_can_read_are_found(clinic: Home) -> None:
    clinic.path.chmod(0o755)
    clinic.registry_path.chmod(0o644)
    clinic.master_key_path.chmod(0o640)
    problems = check(clinic).problems
    assert [problem.rpartition("run ")[2] for problem in problems] == [
        f"`chmod 700 {clinic.path}`",
        f"`chmod 600 {clinic.registry_path}`",
        f"`chmod 600 {clinic.master_key_path}`",
    ]


def test_a_missing_or_wrong_key_is_told_once(clinic: Home) -> None:
    clinic.master_key_path.unlink()
    clinic.registry_key_path.write_text("11" * 32)
    missing, wrong = check(clinic).problems
    assert "master.key is missing" in missing and "does not open with" in wrong
    clinic.registry_key_path.unlink()
    assert len([problem for problem in check(clinic).problems if "registry.key is missing" in problem]) == 1


def test_another_version_is_told(clinic: Home) -> None:
    with open_registry(clinic) as registry, registry.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    (problem,) = check(clinic).problems
    assert "newer version" in problem


def test_leftovers_are_remarks_and_no_problems(clinic: Home, tmp_path: Path) -> None:
    rotate_key(clinic, NOW_S, quiet)
    kept = clinic.path / "registry.db.before-restore-20260101T000000Z"
    shutil.copy2(clinic.registry_path, kept)
    found = check(clinic)
    assert found.problems == [] and len(found.remarks) == 3
    assert str(kept) in found.remarks[0] and "registry.key.before-" in found.remarks[1]


def test_a_change_of_key_that_was_interrupted_is_finished(clinic: Home) -> None:
    rekeying._prepare(clinic, NOW_S, quiet)
    assert check(clinic).problems == []
    assert not list(clinic.path.glob("*.next"))


def test_a_lock_on_some_keys_only_is_a_remark(clinic: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    plain = clinic.master_key_path.read_bytes()
    lock_keys(clinic, "bốn con mèo đen")
    clinic.master_key_path.write_bytes(plain)
    asked = Home(clinic.path, ask=lambda _: "bốn con mèo đen")
    found = check(asked)
    assert found.problems == []
    assert any("some key files are locked" in remark for remark in found.remarks)


def test_a_courier_is_checked_too(brought: Carrying) -> None:
    assert check(brought.courier).problems == []
    brought.courier.courier_pass_path.write_bytes(b"short")
    (problem,) = check(brought.courier).problems
    assert "accept the pass again" in problem


def test_the_command_says_it_and_ends_with_one(clinic: Home, cli: Program) -> None:
    whole = cli("db", "check")
    assert whole.code == 0 and "The registry is whole" in whole.out and "Remark: the keys lie" in whole.err
    clinic.registry_path.chmod(0o644)
    told = cli("db", "check")
    assert told.code == 1 and told.out.splitlines() == [
        f"{clinic.registry_path} can be read by other users of this computer: run `chmod 600 {clinic.registry_path}`"
    ]
    document = cli("db", "check", "--json")
    assert document.code == 1 and document.document()["whole"] is False and len(document.document()["problems"]) == 1
