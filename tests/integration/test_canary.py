"""Names, telephones, IDs and keys are never in the open, and once they are purged or erased they are nowhere at all."""

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.case_desk import active_case
from tests.host.contacts_of_cases import Village
from tests.integration.sqlcipher_pages import decrypted, decrypted_log
from tests.program import Program, program

from bztoken.calendar_days import day_of
from bztoken.formats.tracing_key import TracingKey
from bztoken.home import Home
from bztoken.people import consent_texts, retention
from bztoken.registry import consents
from bztoken.registry.database import create_registry, open_registry
from bztoken.registry.models import Person, Sighting

NAME, PHONE, WITNESS, LABEL = "Phạm Thị Canarybird", "0977123498", "Đỗ Chứngkiến", "máy Canarybird"
ID, KEY = b"canary ID 12", b"canary key of thirty-two bytes!!"
TRACES = {
    "name": NAME.encode(),
    "folded": b"canarybird",
    "telephone": PHONE.encode(),
    "witness": WITNESS.encode(),
    "label": LABEL.encode(),
    "ID": ID,
    "key": KEY,
}


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Program:
    (tmp_path / "temporary").mkdir()
    for name in ("TMPDIR", "SQLITE_TMPDIR"):
        monkeypatch.setenv(name, str(tmp_path / "temporary"))
    return partial(program(monkeypatch, capfd), tmp_path / "home")


@pytest.fixture
def home(cli: Program, tmp_path: Path) -> Iterator[Home]:
    """A registry with the canaries in it."""
    home = Home(tmp_path / "home")
    create_registry(home)
    assert cli("commune", "add", "--name", "Văn Phú").code == 0
    words = ("--name", NAME, "--birth-year", 1941, "--commune", "Văn Phú", "--phone", PHONE)
    version = consent_texts.versions()[-1]
    consent = ("--consent", version, "--consent-date", day_of(int(time.time())).isoformat(), "--witness", WITNESS)
    added = cli("person", "add", *words, *consent)
    assert added.code == 0, added.err
    with open_registry(home) as registry, registry.write() as session:
        now_s = int(time.time())
        person = session.scalars(select(Person)).one()
        village = Village(session, now_s)
        log = village.phone(LABEL, person)
        session.add_all(
            Sighting(log_id=log.id, kind="bluezone", rotating_id=ID, first_s=now_s - n, last_s=now_s - n,
                     window_start_s=now_s - n, packets=1, scans=1, scan_period_s=0, rssi_max_dbm=-60, rssi_mean_dbm=-60)
            for n in range(3000)
        )  # fmt: skip
        key = TracingKey("bluezone", KEY, now_s - 86400, 96, now_s, None, None)
        active_case(session, "F0-1", "case list", None, [key], now_s, person_id=person.id)
        assert consents.open_of(session, person.id) is not None
    yield home


def found(raw: bytes) -> set[str]:
    return {name for name, trace in TRACES.items() if trace in raw}


def test_nothing_is_ever_in_the_open(home: Home, cli: Program, tmp_path: Path) -> None:
    with open_registry(home) as registry, registry.write():  # so that a log stays beside the file
        pass
    with open_registry(home) as registry, registry.read() as session:
        session.scalars(select(Person)).all()
        assert cli("db", "backup", tmp_path / "backup").code == 0
        assert cli("match").code == 0
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        names = {path.name for path in files}
        assert {"registry.db", "registry.db-wal", "registry.db-shm", "backup", "audit.head"} <= names
        assert not [(path.name, found(path.read_bytes())) for path in files if found(path.read_bytes())]
    # The search itself works: decrypted, all of them are there.
    assert found(decrypted(home.registry_path, home.registry_key())) == set(TRACES)
    assert found(decrypted(tmp_path / "backup", home.registry_key())) == set(TRACES)


def test_after_an_erasure_no_page_holds_them_free_ones_and_the_log_included(home: Home, cli: Program) -> None:
    erased = cli("person", "erase", NAME, "--yes")
    assert erased.code == 0, erased.err
    key = home.registry_key()
    assert found(decrypted(home.registry_path, key)) == set()
    assert found(decrypted_log(Path(f"{home.registry_path}-wal"), key)) == set()


def test_what_a_daily_purge_deletes_is_overwritten_where_it_stood(home: Home, cli: Program) -> None:
    """Without writing the file anew, as `match` does it: pages that became free hold nothing."""
    with open_registry(home) as registry:
        now_s = int(time.time())
        done = retention.purge_when_due(registry, now_s + 20 * 86400)
        assert done is not None and done.rows["sightings"] == 3000
        assert ID not in decrypted_log(Path(f"{home.registry_path}-wal"), home.registry_key())
        assert ID not in decrypted(home.registry_path, home.registry_key())
