"""The encrypted file: unreadable without its key, never plain, at one migration, all or nothing."""

import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import func, select, text
from tests.case_desk import active_case

from bztoken.errors import RegistryError
from bztoken.home import Home
from bztoken.registry import migrating, tokens
from bztoken.registry.database import Registry, create_registry, open_registry, upgrade_registry
from bztoken.registry.logs import log_of_token
from bztoken.registry.migrating import head_revision
from bztoken.registry.models import Base, Log, Token
from bzwire import keys

CANARY = "Nguyễn Thị Canary of Xuân Thủy"
UID = bytes(range(8))


def test_the_models_are_what_the_migrations_make(registry: Registry) -> None:
    with registry.read() as session:
        context = MigrationContext.configure(
            session.connection(), opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, Base.metadata) == []


def test_no_plaintext_reaches_the_disk(registry: Registry, home: Home) -> None:
    with registry.write() as session:
        tokens.create(session, CANARY, UID, "person", "canary-board", 1)
    while_open = b"".join(path.read_bytes() for path in home.path.iterdir())
    assert (home.path / "registry.db-wal").stat().st_size > 0
    registry.close()
    for dump in (while_open, b"".join(path.read_bytes() for path in home.path.iterdir())):
        assert CANARY.encode() not in dump and b"canary-board" not in dump and b"CREATE TABLE" not in dump
    with open_registry(home) as again, again.read() as session:
        assert tokens.by_label(session, CANARY) is not None


def test_the_wrong_key_is_refused_in_a_sentence(registry: Registry, home: Home) -> None:
    registry.close()
    home.registry_key_path.write_text("11" * 32)
    with pytest.raises(RegistryError, match="belongs to another registry") as caught:
        open_registry(home)
    assert "11" * 32 not in str(caught.value)


def test_a_plain_sqlite_file_is_refused_and_untouched(registry: Registry, home: Home) -> None:
    registry.close()
    home.registry_path.unlink()
    plain = sqlite3.connect(home.registry_path)
    plain.execute("CREATE TABLE alembic_version (version_num TEXT)")
    plain.execute("INSERT INTO alembic_version VALUES (?)", (head_revision(),))
    plain.commit()
    plain.close()
    before = home.registry_path.read_bytes()
    with pytest.raises(RegistryError, match="not encrypted"):
        open_registry(home)
    assert home.registry_path.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"x", b"\0" * 8192])
def test_a_damaged_file_is_refused(registry: Registry, home: Home, content: bytes) -> None:
    registry.close()
    home.registry_path.write_bytes(content)
    with pytest.raises(RegistryError):
        open_registry(home)


def test_a_flipped_page_is_noticed(registry: Registry, home: Home) -> None:
    registry.close()
    damaged = bytearray(home.registry_path.read_bytes())
    damaged[5000] ^= 1
    home.registry_path.write_bytes(damaged)
    with pytest.raises(RegistryError), open_registry(home) as again, again.read() as session:
        for table in Base.metadata.sorted_tables:
            session.execute(select(func.count()).select_from(table))


def test_a_missing_registry_names_the_command(home: Home) -> None:
    with pytest.raises(RegistryError, match="registry init"):
        open_registry(home)


def test_init_never_overwrites(registry: Registry, home: Home) -> None:
    before = home.registry_path.read_bytes(), home.registry_key_path.read_bytes(), home.master_key_path.read_bytes()
    with pytest.raises(RegistryError, match="exists already"):
        create_registry(home)
    after = home.registry_path.read_bytes(), home.registry_key_path.read_bytes(), home.master_key_path.read_bytes()
    assert after == before


def test_init_goes_on_after_an_interruption(home: Home) -> None:
    home.prepare()
    key = home.registry_key()
    home.registry_path.with_suffix(".new").write_bytes(b"half a registry")
    create_registry(home)
    assert home.registry_key() == key
    assert sorted(path.name for path in home.path.iterdir()) == [
        "audit.head",
        "master.key",
        "registry.db",
        "registry.key",
    ]
    open_registry(home).close()


@pytest.mark.parametrize("revision", ["9999", "DELETED"])
def test_another_migration_is_refused_by_name_of_the_command(registry: Registry, home: Home, revision: str) -> None:
    with registry.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})
    registry.close()
    with pytest.raises(RegistryError, match="newer version.*registry upgrade"):
        open_registry(home)
    with pytest.raises(RegistryError, match="newer"):
        upgrade_registry(home)


def test_an_older_registry_is_refused_until_upgraded(
    registry: Registry, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next version of the program: the same migrations and one more."""
    registry.close()
    migrations = tmp_path / "migrations"
    shutil.copytree(migrating.MIGRATIONS, migrations, ignore=shutil.ignore_patterns("__pycache__"))
    present = head_revision()
    (migrations / "versions" / "9000_next.py").write_text(
        "from alembic import op\nfrom sqlalchemy import Column, Integer\n"
        f"revision, down_revision = '9000', '{present}'\n"
        "def upgrade() -> None:\n    op.add_column('tokens', Column('wearers', Integer))\n"
    )
    monkeypatch.setattr(migrating, "MIGRATIONS", migrations)
    with pytest.raises(RegistryError, match="older version.*registry upgrade"):
        open_registry(home)
    assert upgrade_registry(home) == (present, "9000")
    with open_registry(home) as again, again.read() as session:
        assert session.execute(text("SELECT wearers FROM tokens")).all() == []


def test_a_migration_that_fails_leaves_the_registry_as_it_was(
    registry: Registry, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.close()
    migrations = tmp_path / "migrations"
    shutil.copytree(migrating.MIGRATIONS, migrations, ignore=shutil.ignore_patterns("__pycache__"))
    (migrations / "versions" / "9000_broken.py").write_text(
        f"from alembic import op\nrevision, down_revision = '9000', '{head_revision()}'\n"
        "def upgrade() -> None:\n    op.drop_table('exposures')\n    op.drop_table('no_such_table')\n"
    )
    with monkeypatch.context() as next_version:
        next_version.setattr(migrating, "MIGRATIONS", migrations)
        with pytest.raises(RegistryError, match="no such table"):
            upgrade_registry(home)
    with open_registry(home) as again, again.read() as session:
        assert session.execute(text("SELECT count(*) FROM exposures")).scalar() == 0


def test_an_emptied_file_is_not_made_into_a_new_registry(registry: Registry, home: Home) -> None:
    registry.close()
    home.registry_path.write_bytes(b"")
    with pytest.raises(RegistryError, match="restore it from a backup"):
        upgrade_registry(home)


def test_connections_are_durable_and_keep_references(registry: Registry) -> None:
    with registry.read() as session:
        pragmas = {
            name: session.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "temp_store", "cipher_version")
        }
    assert pragmas.pop("cipher_version")
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "temp_store": 2}
    with pytest.raises(RegistryError, match="FOREIGN KEY"), registry.write() as session:
        session.add(Log(kind="token", token_id=77, label="x", imported_at_s=1))


def test_a_write_that_fails_leaves_nothing(registry: Registry) -> None:
    with pytest.raises(KeyError), registry.write() as session:
        tokens.create(session, "Bà Lan", UID, "person", "virtual", 1)
        raise KeyError
    with registry.read() as session:
        assert session.scalars(select(Token)).all() == []


def test_error_texts_carry_no_values(registry: Registry) -> None:
    with pytest.raises(RegistryError) as caught, registry.write() as session:
        session.add_all(
            Token(uid=UID, label=CANARY, role="person", board="b", state="active", provisioned_at_s=1) for _ in range(2)
        )
    chain = f"{caught.value} {caught.value.__cause__}"
    assert CANARY not in chain and UID.hex() not in chain and "x00" not in chain


def test_a_token_gets_its_log_and_is_found_by_label_and_number(registry: Registry) -> None:
    with registry.write() as session:
        made = tokens.create(session, "Bà Lan", UID, "person", "virtual", 7)
        log = log_of_token(session, made)
    assert (log.label, log.token_id) == ("Bà Lan", made.id)
    with registry.read() as session:
        found = tokens.by_label(session, "Bà Lan")
        assert found is not None and found.uid == UID and found.provisioned_at_s == 7
        assert tokens.by_uid(session, UID) is found
        assert tokens.all_tokens(session) == [found]
        assert tokens.by_label(session, "bà lan") is None


@pytest.mark.parametrize(
    ("label", "uid", "role"),
    [
        ("Bà Lan", b"new uid!", "person"),
        ("Ông Tư", UID, "person"),
        (" ", b"new uid!", "site"),
        ("A", b"new uid!", "dog"),
    ],
)
def test_a_second_token_needs_its_own_label_number_and_a_role(
    registry: Registry, label: str, uid: bytes, role: str
) -> None:
    with registry.write() as session:
        tokens.create(session, "Bà Lan", UID, "person", "virtual", 1)
    with pytest.raises(RegistryError) as caught, registry.write() as session:
        tokens.create(session, label, uid, role, "virtual", 2)
    assert "Lan" not in str(caught.value)


def test_a_proof_names_its_token_and_no_other(registry: Registry) -> None:
    master = bytes(32)
    with registry.write() as session:
        for number in range(20):
            tokens.create(session, f"T{number}", bytes([number]) * 8, "person", "virtual", 1)
    auth = tokens.token_keys(master, bytes([13]) * 8).auth_key
    host_nonce, token_nonce = b"h" * 16, b"t" * 16
    proof = keys.token_proof(auth, host_nonce, token_nonce)
    with registry.read() as session:
        found = tokens.find_by_proof(session, master, host_nonce, token_nonce, proof)
        assert found is not None and found.label == "T13"
        assert tokens.find_by_proof(session, master, token_nonce, host_nonce, proof) is None
        assert tokens.find_by_proof(session, b"\1" * 32, host_nonce, token_nonce, proof) is None
        assert tokens.find_by_proof(session, master, host_nonce, token_nonce, proof[:-1]) is None
    assert auth.hex() not in repr(tokens.token_keys(master, bytes([13]) * 8))


def test_a_case_without_keys_is_refused(registry: Registry) -> None:
    with pytest.raises(Exception, match="no keys"), registry.write() as session:
        active_case(session, "F0-1", "case list", None, [], 1)


def test_many_writers_wait_for_each_other(registry: Registry) -> None:
    def add(number: int) -> None:
        with registry.write() as session:
            tokens.create(session, f"T{number}", bytes([number]) * 8, "person", "virtual", 1)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(40)))
    with registry.read() as session:
        assert len(tokens.all_tokens(session)) == 40
