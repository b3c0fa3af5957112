"""Bundles: whole, signed by a courier of this registry, or refused in one sentence before anything is stored."""

import dataclasses
import secrets
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select
from tests.host.carried_pages import COURIER, Carrying, forged, import_of, quiet, signing_key_of
from tests.program import Program, Ran, program

from bztoken import bundle_import, courier
from bztoken.bundle_export import export_bundle
from bztoken.bundle_import import import_bundle, inspect_bundle
from bztoken.errors import BztokenError, FormatError, RegistryError
from bztoken.formats import bundle, bundle_file
from bztoken.formats.bundle import Header
from bztoken.formats.bundle_file import BundleWriter
from bztoken.registry import tokens
from bztoken.registry.database import open_registry
from bztoken.registry.models import Page

COUNTED = ("logs", "pages", "sightings", "syncs", "clock_points", "token_events")


@pytest.fixture
def cli(carrying: Carrying, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Program:
    """At the clinic, unless `home` names another."""
    run = program(monkeypatch, capfd)

    def ran(*arguments: object, home: Path | None = None) -> Ran:
        return run(home or carrying.home.path, *arguments)

    return ran


def assert_refused(carrying: Carrying, says: str, error: type[BztokenError] = BztokenError) -> None:
    """In a sentence, and nothing has changed."""
    before = carrying.counts()
    with pytest.raises(error, match=says):
        import_of(carrying)
    assert carrying.counts() == before


# -- a good bundle -----------------------------------------------------------------------------------------------------
def test_a_bundle_brings_pages_sightings_syncs_and_clock_readings(brought: Carrying) -> None:
    result = import_of(brought)
    assert (result.pages_new, result.pages_known, result.syncs_new, len(result.tokens)) == (8, 0, 2, 2)
    assert result.problem() is None
    assert brought.stored(0) == brought.pages(0, 1, 5)
    assert brought.stored(1) == brought.pages(1, 1, 3)
    counts = brought.counts()
    assert {name: counts[name] for name in ("pages", "sightings", "syncs", "clock_points")} == {
        "pages": 8,
        "sightings": 16,
        "syncs": 2,
        "clock_points": 2,
    }
    first = brought.syncs()[0]
    assert (first.courier_id, first.state, first.battery_mv, first.firmware) == (1, "done", 4012, "0.3.0")
    assert brought.token(0).last_seen_s == first.started_s


def test_importing_twice_changes_nothing(brought: Carrying) -> None:
    import_of(brought)
    before = brought.counts()
    result = import_of(brought)
    assert (result.pages_new, result.pages_known, result.syncs_new) == (0, 8, 0)
    assert brought.counts() == before


def test_page_times_are_put_right_by_the_couriers_reading(carrying: Carrying) -> None:
    carrying.read(0, carrying.pages(0, 20, 1))
    export_bundle(carrying.courier, carrying.bundle, quiet)
    import_of(carrying)
    with open_registry(carrying.home) as registry, registry.read() as session:
        rows = session.execute(select(Page.shift_ms, Page.uncertainty_ms)).all()
    ((shift_ms, uncertainty_ms),) = rows
    assert shift_ms == 120 and 0 < uncertainty_ms < 60_000


def test_what_is_here_without_a_gap_may_be_deleted_by_the_token(carrying: Carrying) -> None:
    first, lost, third = (carrying.pages(0, start, 4) for start in (1, 5, 9))
    for name, raws in (("first", first), ("lost", lost), ("third", third)):
        carrying.read(0, raws, int(time.time()))
        export_bundle(carrying.courier, carrying.folder / name, quiet)
    for name, safe in (("first", 4), ("third", 4), ("lost", 12)):
        import_bundle(carrying.home, carrying.folder / name, quiet)
        assert carrying.safe_sequence(0) == safe
    assert carrying.stored(0) == first + lost + third


def test_sections_of_a_long_log_are_stored_one_by_one(carrying: Carrying, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle_file, "SECTION_PAGES", 4)
    carrying.read(0, carrying.pages(0, 1, 10))
    assert export_bundle(carrying.courier, carrying.bundle, quiet).counts.sections == 3
    told: list[tuple[str, int, int | None]] = []
    import_bundle(carrying.home, carrying.bundle, lambda *what: told.append(what))
    assert [done for what, done, _ in told if what == "Importing"] == [4, 8, 10]
    assert carrying.stored(0) == carrying.pages(0, 1, 10)


def test_another_cbor_library_reads_the_same_items(brought: Carrying) -> None:
    raw = brought.bundle.read_bytes()
    at, items = len(bundle.MAGIC), []
    while at < len(raw):
        length = int.from_bytes(raw[at : at + 4], "big")
        items.append(cbor2.loads(raw[at + 4 : at + 4 + length]))
        at += 4 + length
    kinds = [item[0] for item in items]
    assert kinds == [0, 1, 2, 3, 4, 4, 4, 4, 4, 1, 2, 3, 4, 4, 4, 5, 6]
    assert items[0][2] == brought.own.number
    assert [item[2] for item in items if item[0] == bundle.PAGE] == brought.stored(0, brought.courier) + brought.stored(
        1, brought.courier
    )
    assert items[-2][1:] == [2, 2, 2, 8]


# -- a bad one ---------------------------------------------------------------------------------------------------------
def test_a_bundle_with_any_byte_changed_is_refused(brought: Carrying) -> None:
    raw = brought.bundle.read_bytes()
    public_key = Ed25519PrivateKey.from_private_bytes(brought.own.signing_key).public_key().public_bytes_raw()
    inspect_bundle(brought.bundle, lambda _number: public_key)
    for at in range(len(raw)):
        brought.bundle.write_bytes(raw[:at] + bytes([raw[at] ^ 1 << at % 8]) + raw[at + 1 :])
        with pytest.raises(FormatError):
            inspect_bundle(brought.bundle, lambda _number: public_key)
    before = brought.counts()
    for at in range(3, len(raw), 41):
        brought.bundle.write_bytes(raw[:at] + bytes([raw[at] ^ 0x80]) + raw[at + 1 :])
        with pytest.raises(BztokenError):
            import_of(brought)
    assert brought.counts() == before


def test_a_bundle_cut_short_anywhere_is_refused(brought: Carrying) -> None:
    raw = brought.bundle.read_bytes()
    for length in range(len(raw)):
        brought.bundle.write_bytes(raw[:length])
        with pytest.raises(FormatError, match="cut short"):
            inspect_bundle(brought.bundle, lambda _number: None)
    brought.bundle.write_bytes(raw[:-1])
    assert_refused(brought, "cut short")


def test_bytes_behind_the_end_are_refused(brought: Carrying) -> None:
    brought.bundle.write_bytes(brought.bundle.read_bytes() + b"\0")
    assert_refused(brought, "damaged")


@pytest.mark.parametrize(
    "content", [b"", b"BZBUNDLE", b"PK\x03\x04" + bytes(100), b"\xff" * 4000, b"BZBUNDLE" + b"\0" * 9]
)
def test_another_file_is_no_bundle(carrying: Carrying, content: bytes) -> None:
    carrying.bundle.write_bytes(content)
    assert_refused(carrying, "cut short|not a courier's bundle|damaged", FormatError)


def test_a_bundle_signed_by_somebody_else_is_refused(carrying: Carrying) -> None:
    forged(carrying, Ed25519PrivateKey.generate(), b"\1" * 8, carrying.pages(0, 1, 2))
    assert_refused(carrying, "signature is not the courier's", FormatError)


def test_a_bundle_for_another_registry_is_refused(carrying: Carrying) -> None:
    forged(carrying, signing_key_of(carrying), b"\1" * 8, carrying.pages(0, 1, 2), number=b"\7" * 8)
    assert_refused(carrying, "does not know: nothing was stored, import it where", RegistryError)


def test_a_token_that_nobody_knows_is_refused_before_anything_is_stored(carrying: Carrying) -> None:
    forged(carrying, signing_key_of(carrying), b"\7" * 8, carrying.pages(0, 1, 2))
    assert_refused(carrying, "holds a token that this registry does not know", RegistryError)


def test_a_revoked_couriers_bundle_is_refused(brought: Carrying) -> None:
    courier.revoke(brought.home, COURIER)
    assert_refused(brought, "was revoked", RegistryError)


def test_a_pass_that_is_over_for_long_brings_nothing(brought: Carrying) -> None:
    over = courier.today() - timedelta(days=bundle_import.GRACE_DAYS + 1)
    brought.change_courier(last_day=over.isoformat())
    assert_refused(brought, f"ended on {over}", RegistryError)
    brought.change_courier(last_day=(over + timedelta(days=1)).isoformat())
    assert import_of(brought).pages_new == 8


@pytest.mark.parametrize(
    "change",
    [{"battery_mv": "full"}, {"state": None}, {"next_sequence": None}, {"lost_results": 1 << 63}, {"boot_id": True}],
)
def test_rows_of_a_wrong_kind_are_refused(carrying: Carrying, change: dict[str, Any]) -> None:
    row = {name: None if may_be_empty else 1 for name, may_be_empty in bundle.SYNC_COLUMNS.items()}
    forged(carrying, signing_key_of(carrying), b"\1" * 8, [], syncs=[{**row, "state": "done", **change}])
    assert_refused(carrying, "damaged", FormatError)


def test_a_newer_bundle_asks_for_a_newer_program(carrying: Carrying, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as newer:
        newer.setattr(bundle_file, "VERSION", 2)
        forged(carrying, signing_key_of(carrying), b"\1" * 8, [])
    assert_refused(carrying, "newer version", FormatError)


def test_pages_of_another_key_are_left_out_and_the_token_keeps_its_own(carrying: Carrying) -> None:
    good, bad = carrying.pages(0, 1, 6), carrying.pages(0, 1, 6, key=b"\5" * 32)
    carrying.read(0, good[:2] + bad[2:3] + good[3:])
    export_bundle(carrying.courier, carrying.bundle, quiet)
    result = import_of(carrying)
    assert (result.pages_new, result.pages_damaged) == (5, 1)
    assert "1 pages do not open" in str(result.problem())
    assert carrying.stored(0) == good[:2] + good[3:]
    assert carrying.safe_sequence(0) == 2


def test_a_page_that_differs_from_the_stored_one_is_a_clone_alarm(brought: Carrying) -> None:
    import_of(brought)
    brought.records = brought.records[:1]
    forged(brought, signing_key_of(brought), b"\1" * 8, brought.pages(0, 4, 4))
    before = brought.stored(0)
    result = import_of(brought)
    assert "have a double" in str(result.problem())
    assert brought.stored(0) == before
    assert brought.token(0).alarm == tokens.ALARM_CLONE
    again = import_of(brought)  # from now on nothing of it is taken
    assert len(again.refused_tokens) == 1 and again.pages_new == 0


def test_a_revoked_token_brings_nothing_and_the_others_do(brought: Carrying) -> None:
    with open_registry(brought.home) as registry, registry.write() as session:
        token = tokens.by_uid(session, b"\1" * 8)
        assert token is not None
        tokens.revoke(session, token, int(time.time()))
    result = import_of(brought)
    assert (result.pages_new, len(result.refused_tokens)) == (3, 1)
    assert brought.stored(0) == []


def test_rows_of_the_future_are_left_out(carrying: Carrying) -> None:
    carrying.read(0, carrying.pages(0, 1, 3), int(time.time()) + 86400)
    export_bundle(carrying.courier, carrying.bundle, quiet)
    result = import_of(carrying)
    assert (result.pages_new, result.syncs_new, result.misdated) == (3, 0, 2)
    assert carrying.counts()["clock_points"] == 0


def test_rows_of_a_computer_that_had_lost_its_date_are_left_out(carrying: Carrying) -> None:
    row = {name: None if may_be_empty else 1 for name, may_be_empty in bundle.SYNC_COLUMNS.items()}
    forged(carrying, signing_key_of(carrying), b"\1" * 8, [], syncs=[{**row, "state": "done"}])
    result = import_of(carrying)
    assert (result.syncs_new, result.misdated) == (0, 1)


@pytest.mark.parametrize(
    "change",
    [
        {"drift_bound_ppm": 1_000_000},
        {"drift_bound_ppm": -1},
        {"clock_ms": (1 << 63) - 1},
        {"uncertainty_ms": -5000},
        {"uncertainty_ms": (1 << 63) - 1},
        {"uptime_ms": -1},
        {"next_sequence": 1 << 62},
    ],
)
def test_a_reading_that_no_token_and_no_computer_can_give_is_left_out(
    carrying: Carrying, change: dict[str, int]
) -> None:
    row = {**dataclasses.asdict(Carrying.reading(int(time.time()))), **change}
    forged(carrying, signing_key_of(carrying), b"\1" * 8, carrying.pages(0, 1, 3), readings=[row])
    result = import_of(carrying)
    assert (result.pages_new, result.misdated) == (3, 1)
    assert carrying.counts()["clock_points"] == 0


def test_more_rows_of_a_token_than_a_section_takes_go_on_in_the_next(carrying: Carrying) -> None:
    """A loose plug makes a sync every few seconds."""
    row = {name: None if may_be_empty else 1 for name, may_be_empty in bundle.SYNC_COLUMNS.items()}
    now_s = int(time.time())
    syncs = [{**row, "state": "cut", "started_s": now_s - number} for number in range(bundle.SECTION_ROWS + 1)]
    readings = [dataclasses.asdict(Carrying.reading(now_s - number)) for number in range(3)]
    forged(carrying, signing_key_of(carrying), b"\1" * 8, carrying.pages(0, 1, 2), syncs=syncs, readings=readings)
    found = inspect_bundle(carrying.bundle, lambda _: signing_key_of(carrying).public_key().public_bytes_raw())
    assert (found.counts.sections, found.counts.syncs, found.counts.readings, found.tokens) == (2, len(syncs), 3, 1)


def test_a_bundle_of_no_date_is_no_bundle(carrying: Carrying, cli: Program) -> None:
    header = Header(carrying.own.number, 1 << 62)
    with carrying.bundle.open("wb") as file:
        BundleWriter(file, signing_key_of(carrying), header, secrets.token_bytes(16)).finish()
    ran = cli("bundle", "inspect", carrying.bundle)
    assert (ran.code, ran.out) == (1, "") and "the bundle is damaged" in ran.err
