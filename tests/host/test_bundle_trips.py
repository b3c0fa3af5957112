"""Bundles on their way: interrupted, written one after another on a courier's computer, and what the commands say."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.host.carried_pages import COURIER, HEARD_KEY, Carrying, forged, import_of, quiet, signing_key_of
from tests.program import Program, Ran, program

from bztoken.bundle_export import export_bundle, forget_exported
from bztoken.bundle_import import import_bundle
from bztoken.errors import FormatError, HomeError, RegistryError
from bztoken.formats import bundle_file
from bztoken.registry import carried, couriers, tokens
from bztoken.registry.database import open_registry
from bzwire.page import read_header


@pytest.fixture
def cli(carrying: Carrying, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Program:
    """At the clinic, unless `home` names another."""
    run = program(monkeypatch, capfd)

    def ran(*arguments: object, home: Path | None = None) -> Ran:
        return run(home or carrying.home.path, *arguments)

    return ran


# -- interrupted -------------------------------------------------------------------------------------------------------
KILLED = """
import os, signal, sys
from pathlib import Path
from bztoken.bundle_import import import_bundle
from bztoken.home import Home

def progress(what, done, total):
    if what == "Importing" and done >= 8:
        os.kill(os.getpid(), signal.SIGKILL)

import_bundle(Home(Path(sys.argv[1])), Path(sys.argv[2]), progress)
"""


def test_a_killed_import_is_finished_by_the_next(carrying: Carrying, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle_file, "SECTION_PAGES", 4)
    carrying.read(0, carrying.pages(0, 1, 14))
    export_bundle(carrying.courier, carrying.bundle, quiet)
    words = [sys.executable, "-c", KILLED, str(carrying.home.path), str(carrying.bundle)]
    assert subprocess.run(words, check=False).returncode == -signal.SIGKILL
    assert carrying.stored(0) == carrying.pages(0, 1, 8)
    result = import_of(carrying)
    assert (result.pages_new, result.pages_known) == (6, 8)
    assert carrying.stored(0) == carrying.pages(0, 1, 14)


def test_a_file_that_changes_while_it_is_read_stops_before_the_change(
    carrying: Carrying, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle_file, "SECTION_PAGES", 100)
    carrying.read(0, carrying.pages(0, 1, 300))
    export_bundle(carrying.courier, carrying.bundle, quiet)
    other = carrying.folder / "other"
    shutil.copy(carrying.bundle, other)
    forged(carrying, signing_key_of(carrying), b"\1" * 8, carrying.pages(0, 1, 100) + carrying.pages(0, 500, 200))
    changed = carrying.bundle.read_bytes()
    shutil.copy(other, carrying.bundle)

    def swap(what: str, done: int, _total: int | None) -> None:
        if what == "Importing" and done == 100:
            with carrying.bundle.open("r+b") as file:
                file.write(changed)
                file.truncate()

    with pytest.raises(FormatError, match="changed|damaged|cut short"):
        import_bundle(carrying.home, carrying.bundle, swap)
    assert carrying.stored(0) == carrying.pages(0, 1, 100)


@contextmanager
def full_disk(bytes_left: int, path: Path) -> Iterator[None]:
    """No file may grow beyond what this one has and so much more."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + bytes_left, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_stops_an_import_in_one_sentence_and_it_can_go_on(carrying: Carrying, cli: Program) -> None:
    carrying.read(0, carrying.pages(0, 1, 700))
    export_bundle(carrying.courier, carrying.bundle, quiet)
    with full_disk(20_000, carrying.home.registry_path):
        ran = cli("bundle", "import", carrying.bundle)
    assert ran.code == 1 and ran.out == ""
    assert len(ran.err.splitlines()) == 1 and "check disk space" in ran.err
    assert carrying.stored(0) == []
    assert import_of(carrying).pages_new == 700


def test_a_full_disk_leaves_no_half_bundle(carrying: Carrying, cli: Program) -> None:
    carrying.read(0, carrying.pages(0, 1, 300))
    with full_disk(0, carrying.courier.registry_key_path):
        ran = cli("bundle", "export", "--out", carrying.bundle, home=carrying.courier.path)
    assert ran.code == 1 and len(ran.err.splitlines()) == 1
    assert not list(carrying.folder.glob("bundle*"))
    assert cli("bundle", "export", "--out", carrying.bundle, home=carrying.courier.path).code == 0


# -- on the courier's computer -----------------------------------------------------------------------------------------
def test_a_second_bundle_holds_only_what_came_since(brought: Carrying) -> None:
    second = brought.folder / "second"
    brought.read(0, brought.pages(0, 6, 2), int(time.time()) + 1)
    assert export_bundle(brought.courier, second, quiet).counts.pages == 2
    everything = export_bundle(brought.courier, brought.folder / "all", quiet, everything=True)
    assert everything.counts.pages == 10
    import_of(brought)
    assert import_bundle(brought.home, second, quiet).pages_new == 2


def test_nothing_new_is_said_and_no_bundle_written(brought: Carrying, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda now=time.time: now() + 5)
    with pytest.raises(RegistryError, match="--all"):
        export_bundle(brought.courier, brought.folder / "second", quiet)
    assert not (brought.folder / "second").exists()


def test_a_bundle_that_is_there_is_not_overwritten(brought: Carrying) -> None:
    before = brought.bundle.read_bytes()
    with pytest.raises(HomeError, match="exists already"):
        export_bundle(brought.courier, brought.bundle, quiet)
    assert brought.bundle.read_bytes() == before


def test_a_bundle_is_its_owners_only(brought: Carrying) -> None:
    assert os.stat(brought.bundle).st_mode & 0o777 == 0o600


def test_only_what_a_bundle_holds_is_forgotten(brought: Carrying) -> None:
    brought.read(0, brought.pages(0, 6, 2), int(time.time()) + 1)
    assert forget_exported(brought.courier) == 7  # all but the last of each token
    assert brought.stored(0, brought.courier) == brought.pages(0, 6, 2)
    assert brought.stored(1, brought.courier) == brought.pages(1, 3, 1)
    assert export_bundle(brought.courier, brought.folder / "second", quiet, forget=True).forgotten == 1


def test_pages_are_deleted_after_three_weeks_and_later_ones_still_come_into_a_bundle(
    brought: Carrying, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = time.time() + 22 * 86400
    monkeypatch.setattr(time, "time", lambda: later)
    brought.change_courier(last_day="2999-01-01")
    brought.start_s = int(later) - 7200
    with pytest.raises(RegistryError, match="nothing was read"):
        export_bundle(brought.courier, brought.folder / "none", quiet)
    assert brought.stored(0, brought.courier) == brought.stored(1, brought.courier) == []
    brought.read(1, brought.pages(1, 4, 2), int(later))  # rows with numbers that were used before
    assert export_bundle(brought.courier, brought.folder / "later", quiet).counts.pages == 2


def test_syncs_delete_what_is_old_once_a_day(brought: Carrying) -> None:
    """It reads every page: not at each of the fifty syncs of a morning."""
    midnight_s = (int(time.time()) // 86400 + 22) * 86400
    kept = brought.pages(1, 1, 3)

    def delete(now_s: int) -> list[bytes]:
        with open_registry(brought.courier) as registry, registry.write() as session:
            carried.delete_old_once_a_day(session, now_s)
        return brought.stored(1, brought.courier)

    brought.read(0, [], midnight_s - 1)
    assert delete(midnight_s - 1) == kept
    assert delete(midnight_s) == []


# -- the command line --------------------------------------------------------------------------------------------------
def test_the_commands_say_what_they_did(brought: Carrying, cli: Program) -> None:
    inspected = cli("bundle", "inspect", brought.bundle, "--json").document()
    assert {name: inspected[name] for name in ("pages", "syncs", "readings", "tokens", "signature")} == {
        "pages": 8,
        "syncs": 2,
        "readings": 2,
        "tokens": 2,
        "signature": "right",
    }
    elsewhere = cli("bundle", "inspect", brought.bundle, home=brought.folder / "nobody")
    assert "unchecked" in elsewhere.out
    assert "Imported 8 new pages, of 2 tokens; 2 new syncs." in cli("bundle", "import", brought.bundle).out
    assert cli("bundle", "import", brought.bundle, "--json").document()["pages_known"] == 8
    forgotten = cli("bundle", "forget", "--json", home=brought.courier.path)
    assert json.loads(forgotten.out) == {"forgotten": 6}


def test_a_problem_is_told_after_what_was_done(carrying: Carrying, cli: Program) -> None:
    carrying.read(0, carrying.pages(0, 1, 2) + carrying.pages(0, 3, 1, key=b"\5" * 32))
    export_bundle(carrying.courier, carrying.bundle, quiet)
    ran = cli("bundle", "import", carrying.bundle)
    assert ran.code == 1
    assert "Imported 2 new pages" in ran.out and "1 pages do not open" in ran.err


def test_bundles_go_one_way(brought: Carrying, cli: Program) -> None:
    ran = cli("bundle", "export", "--out", brought.folder / "x")
    assert ran.code == 1 and "no courier's computer" in ran.err
    ran = cli("bundle", "import", brought.bundle, home=brought.courier.path)
    assert ran.code == 1 and "do this at the clinic" in ran.err


def test_no_secret_of_the_clinic_is_in_a_bundle(brought: Carrying) -> None:
    raw = brought.bundle.read_bytes()
    master_key = brought.home.master_key()
    for number in range(2):
        held = tokens.token_keys(master_key, bytes([number + 1]) * 8)
        assert held.auth_key not in raw and held.first_log_key not in raw
    assert master_key not in raw and HEARD_KEY not in raw
    assert all(token.key not in raw for token in brought.own.tokens)
    assert all(name.encode() not in raw for name in ("Bà An", "Ông Bình", COURIER))
    assert read_header(brought.stored(0, brought.courier)[0]).count == 2
    with open_registry(brought.home) as registry, registry.read() as session:
        assert len(couriers.all_couriers(session)) == 1
