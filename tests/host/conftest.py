"""What the host tests share: a fresh data folder, an open registry, sealed pages, and the command line in-process."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from bztoken.cli.main import run
from bztoken.crypto import aes_ecb
from bztoken.home import Home
from bztoken.registry.database import Registry, create_registry, open_registry
from bzwire import keys
from bzwire.bluezone import slot_id
from bzwire.page import CLOCK_SET, PageHeader, Record, seal

VECTORS = Path(__file__).parent.parent / "vectors" / "bluezone.json"
DAY_S = 86400
DAY_START_S = 1_596_844_800  # 2020-08-08 00:00 UTC, the day of the captured vectors


class Ran(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str

    def document(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out)


@pytest.fixture
def vectors() -> Any:
    return json.loads(VECTORS.read_text())


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def registry(home: Home) -> Iterator[Registry]:
    create_registry(home)
    with open_registry(home) as opened:
        yield opened


@pytest.fixture
def cli(home: Home, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Run the console script's own entry in this process."""

    def ran(*arguments: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["bztoken", "--home", str(home.path), *map(str, arguments)])
        monkeypatch.delenv("BZTOKEN_DEBUG", raising=False)
        capfd.readouterr()
        code = 0
        try:
            run()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
        captured = capfd.readouterr()
        return Ran(code, captured.out, captured.err)

    return ran


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
    ) -> bytes:
        header = PageHeader(sequence, boot_id, 300_000, window_start_s, 300, scan_period_s, CLOCK_SET, log_key_number)
        return seal(header, records, keys.next_log_key(first_log_key, log_key_number), aes_ecb)

    return make


@pytest.fixture
def make_record() -> Callable[..., Record]:
    """A record of a day key's slot, heard in every scan of a 5-minute window unless told otherwise."""

    def make(
        day_key: bytes, slot: int, scans: int = 5, rssi_mean_dbm: int = -70, tx_power_dbm: int = -15, first_s: int = 0
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
        )

    return make
