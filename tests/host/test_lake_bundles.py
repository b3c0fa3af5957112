"""Courier bundles in a lake: the same rows as through the registry, each page once, and nothing stored on the way."""

import shutil
import time
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tests.case_desk import TRACER, staff
from tests.host.carried_pages import Carrying, forged, import_of, quiet, signing_key_of
from tests.host.lake_world import everything, rows_of
from tests.people import holder

from bztoken.bundle_export import export_bundle
from bztoken.bundle_import import Imported
from bztoken.errors import FormatError, NotAllowed, RegistryError
from bztoken.home import Home
from bztoken.lake.adding import Added, Asked, add_registry
from bztoken.lake.bundles import add_bundle
from bztoken.lake.checking import check
from bztoken.lake.folder import Folder
from bztoken.lake.source import LakeSource
from bztoken.people import person_rights
from bztoken.registry import audit_check, events, issues, tokens
from bztoken.registry.database import open_registry
from bztoken.registry.models import Token


@pytest.fixture
def lake(brought: Carrying) -> Path:
    """Where one will be. Two tokens were read by a courier, with five and three pages of two sightings."""
    staff(brought.home)
    return brought.folder / "lake"


def asked(lake: Path) -> Asked:
    return Asked(lake, None, int(time.time()))


def add(carrying: Carrying, lake: Path, bundle: Path | None = None) -> tuple[Added, Imported]:
    with events.acting_as(TRACER):
        return add_bundle(carrying.home, bundle or carrying.bundle, asked(lake), quiet)


def add_all(home: Home, lake: Path) -> Added:
    with events.acting_as(TRACER):
        return add_registry(home, asked(lake), quiet)


def rows_in(lake: Path) -> list[tuple[int, ...]]:
    return sorted(row for columns in everything(LakeSource(lake)).values() for row in rows_of(columns))


def pages_in(lake: Path) -> Counter[tuple[int, int]]:
    """How many sightings of each page of a log there are, of all sources and days."""
    found: Counter[tuple[int, int]] = Counter()
    for path in lake.rglob("*.parquet"):
        table = pq.read_table(path, columns=["log", "page"], partitioning=None)
        found.update(zip(table["log"].to_pylist(), table["page"].to_pylist(), strict=True))
    return found


def sources(lake: Path) -> list[str]:
    return sorted(path.stem for path in (lake / "sources").iterdir())


def test_a_bundle_says_in_a_lake_what_it_would_after_an_import(brought: Carrying, lake: Path) -> None:
    added, imported = add(brought, lake)
    assert (added.rows, imported.pages_new, added.left_out) == (16, 8, 0)
    import_of(brought)
    through = brought.folder / "lake of the registry"
    add_all(brought.home, through)
    assert rows_in(lake) == rows_in(through)
    assert len(rows_in(lake)) == 16
    assert {row[13] for row in rows_in(lake)} != {-1}  # the courier's reading put the clocks right
    assert check(Folder(lake), quiet) == []


def test_nothing_of_a_bundle_stays_in_the_registry_but_what_the_audit_says(brought: Carrying, lake: Path) -> None:
    before = brought.counts()
    add(brought, lake)
    after = brought.counts()
    changed = {name: after[name] - before[name] for name in after if after[name] != before[name]}
    assert changed == {"audit": 1, "settings": 1}
    assert brought.token(0).last_seen_s is None
    with open_registry(brought.home) as registry, registry.read() as session:
        assert audit_check.verify(brought.home, session).faults == []


def test_the_same_bundle_again_changes_no_byte(brought: Carrying, lake: Path) -> None:
    add(brought, lake)
    before = {path: path.read_bytes() for path in lake.rglob("*") if path.is_file()}
    add(brought, lake)
    assert {path: path.read_bytes() for path in lake.rglob("*") if path.is_file()} == before


def test_once_the_registry_has_the_pages_they_are_its_own(brought: Carrying, lake: Path) -> None:
    add(brought, lake)
    rows = rows_in(lake)
    import_of(brought)
    own = add_all(brought.home, lake).source
    assert (sources(lake), rows_in(lake)) == ([own], rows)
    added, _ = add(brought, lake)
    assert (added.rows, added.left_out) == (0, 8)
    assert (sources(lake), rows_in(lake)) == ([own], rows)


def test_pages_that_came_in_an_earlier_bundle_are_left_out(brought: Carrying, lake: Path) -> None:
    add(brought, lake)
    brought.read(0, brought.pages(0, 6, 2))
    everything_again = brought.folder / "second bundle"
    export_bundle(brought.courier, everything_again, quiet, everything=True)
    added, imported = add(brought, lake, everything_again)
    assert (imported.pages_new, added.left_out, added.rows) == (10, 8, 4)
    assert set(pages_in(lake).values()) == {2} and len(pages_in(lake)) == 10
    assert check(Folder(lake), quiet) == []


def test_a_bundle_of_which_the_registry_has_a_part_brings_the_rest(brought: Carrying, lake: Path) -> None:
    import_of(brought)
    add_all(brought.home, lake)
    brought.read(1, brought.pages(1, 4, 2))
    second = brought.folder / "second bundle"
    export_bundle(brought.courier, second, quiet, everything=True)
    added, imported = add(brought, lake, second)
    assert (imported.pages_known, imported.pages_new, added.left_out, added.rows) == (8, 2, 8, 4)
    assert set(pages_in(lake).values()) == {2} and len(pages_in(lake)) == 10


def test_a_bundle_that_is_not_right_makes_no_lake(brought: Carrying, lake: Path) -> None:
    raw = brought.bundle.read_bytes()
    brought.bundle.write_bytes(raw[: len(raw) // 2])
    with pytest.raises(FormatError, match="cut short"):
        add(brought, lake)
    brought.bundle.write_bytes(raw)
    brought.change_courier(state="revoked")
    with pytest.raises(RegistryError, match="courier of this bundle was revoked"):
        add(brought, lake)
    assert not lake.exists()


def test_only_who_may_export_adds_a_bundle(brought: Carrying, lake: Path) -> None:
    with pytest.raises(NotAllowed, match="tracer or an admin"):
        add_bundle(brought.home, brought.bundle, asked(lake), quiet)
    assert not lake.exists()


def test_a_double_is_told_and_its_alarm_left_to_the_import(brought: Carrying, lake: Path) -> None:
    import_of(brought)
    brought.records = brought.records[:1]
    forged(brought, signing_key_of(brought), b"\1" * 8, brought.pages(0, 4, 4))
    _, imported = add(brought, lake)
    assert len(imported.clones) == 1
    assert brought.token(0).alarm is None


def test_what_somebody_withdrew_goes_into_no_lake_and_out_of_it(brought: Carrying, lake: Path) -> None:
    with open_registry(brought.home) as registry, registry.write() as session:
        issues.add(session, session.get_one(Token, 1), holder(session, "Bà An"), brought.start_s)
    add(brought, lake)
    assert {row[4] & 0xFF for row in rows_in(lake)} == {1, 2}
    with open_registry(brought.home) as registry:
        person_rights.withdraw(registry, "Bà An", int(time.time()), 15)
    add_all(brought.home, lake)
    assert {row[4] & 0xFF for row in rows_in(lake)} == {2}
    added, imported = add(brought, lake)
    assert len(imported.refused_tokens) == 1 and added.rows == 6


def test_a_revoked_token_brings_nothing_into_a_lake(brought: Carrying, lake: Path) -> None:
    with open_registry(brought.home) as registry, registry.write() as session:
        tokens.revoke(session, session.get_one(Token, 1), int(time.time()))
    added, imported = add(brought, lake)
    assert (added.rows, len(imported.refused_tokens)) == (6, 1)


def test_a_courier_adds_nothing(brought: Carrying, lake: Path) -> None:
    shutil.copy(brought.bundle, brought.folder / "copy")
    with pytest.raises(Exception, match="courier's computer"), events.acting_as(TRACER):
        add_registry(brought.courier, asked(lake), quiet)
    assert not lake.exists()
