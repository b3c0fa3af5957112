"""What the host tests share: a fresh data folder, an open registry, sealed pages, and the command line in-process."""

import json
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.host.carried_pages import HEARD_KEY, Carrying, quiet
from tests.program import Program, program

from bztoken.bundle_export import export_bundle
from bztoken.crypto import aes_ecb
from bztoken.home import Home
from bztoken.registry.database import Registry, create_registry, open_registry
from bzwire import keys
from bzwire.bluezone import slot_id
from bzwire.page import CLOCK_SET, PageHeader, Record, seal

VECTORS = Path(__file__).parent.parent / "vectors" / "bluezone.json"
DAY_S = 86400
DAY_START_S = 1_596_844_800  # 2020-08-08 00:00 UTC, the day of the captured vectors


@pytest.fixture
def vectors() -> Any:
    return json.loads(VECTORS.read_text())


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture(scope="session")
def new_registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder as `registry init` leaves it; each test gets a copy, which takes a tenth of the time."""
    made = Home(tmp_path_factory.mktemp("new") / "home")
    create_registry(made)
    return made.path


@pytest.fixture
def registry(home: Home, new_registry: Path) -> Iterator[Registry]:
    shutil.copytree(new_registry, home.path)
    with open_registry(home) as opened:
        yield opened


@pytest.fixture
def cli(home: Home, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Program:
    """Run the console script's own entry on the test's data folder."""
    return partial(program(monkeypatch, capfd), home.path)


@pytest.fixture
def make_page() -> Callable[..., bytes]:
    """Seal a page as a token does."""

    def make(
        first_log_key: bytes,
        records: list[Record],
        sequence: int = 0,
        boot_id: int = 1,
        window_start_s: int = DAY_START_S,
        log_key_number: int = 0,
        scan_period_s: int = 60,
        listened_ds: int = 200,
        state: int = 0,
    ) -> bytes:
        header = PageHeader(sequence, boot_id, 300_000, window_start_s, 300, scan_period_s, CLOCK_SET, log_key_number)
        header.listened_ds, header.state = listened_ds, state
        return seal(header, records, keys.next_log_key(first_log_key, log_key_number), aes_ecb)

    return make


@pytest.fixture
def make_record() -> Callable[..., Record]:
    """A record of a day key's slot, heard in every scan of a 5-minute window unless told otherwise."""

    def make(
        day_key: bytes,
        slot: int,
        scans: int = 5,
        rssi_mean_dbm: int = -70,
        tx_power_dbm: int = -15,
        first_s: int = 0,
        flags: int = 0,
    ) -> Record:
        return Record(
            slot_id(day_key, slot),
            first_s,
            first_s + 240,
            scans * 3,
            scans,
            rssi_mean_dbm + 4,
            rssi_mean_dbm,
            tx_power_dbm,
            flags=flags,
        )

    return make


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a clinic and a courier, to be copied: making registries takes longer than a test."""
    return Carrying(tmp_path_factory.mktemp("made"), lambda *_: b"", []).folder


@pytest.fixture
def carrying(
    made_once: Path, tmp_path: Path, make_page: Callable[..., bytes], make_record: Callable[..., Record]
) -> Carrying:
    """Nothing read yet."""
    shutil.copytree(made_once, tmp_path, dirs_exist_ok=True)
    return Carrying(tmp_path, make_page, [make_record(HEARD_KEY, 3), make_record(HEARD_KEY, 4)])


@pytest.fixture
def brought(carrying: Carrying) -> Carrying:
    """Two tokens were read, and a bundle was written."""
    carrying.read(0, carrying.pages(0, 1, 5))
    carrying.read(1, carrying.pages(1, 1, 3))
    export_bundle(carrying.courier, carrying.bundle, quiet)
    return carrying
