"""Virtual tokens with full logs behind ports, and a registry that knows them: what the sync is measured with.

The logs are made outside the tokens, sealed with their keys, and put into their flash images.
"""

import os
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from attached_tokens import attached_tokens
from littlefs import LittleFS

from bztoken import provision
from bztoken.crypto import aes_ecb
from bztoken.home import Home
from bztoken.registry import tokens
from bztoken.registry.database import create_registry, open_registry
from bzvirtual.fleet import Manifest, Member
from bzvirtual.token_folder import TokenFolder
from bzwire import keys, page

WINDOWS_A_DAY = 288
DAY_S = 86400
RECORDS_A_WINDOW = 7  # 2,016 a day


@dataclass(frozen=True)
class FullTokens:
    """home: the registry's folder; fleet: the tokens'; log_bytes: pages of one token."""

    home: Home
    fleet: Path
    labels: list[str]
    log_bytes: int


def make(scratch: Path, count: int, days: int, records: int = RECORDS_A_WINDOW) -> FullTokens:
    """So many provisioned tokens, each with `days` whole days of pages before today."""
    home = Home(scratch / "home")
    create_registry(home)
    fleet = scratch / "fleet"
    fleet.mkdir(parents=True)
    labels = [f"bench-{n + 1}" for n in range(count)]
    members = [Member("", label, "token", f"token-{n + 1}") for n, label in enumerate(labels)]
    for member in members:
        TokenFolder.create(fleet / member.folder)
    Manifest("bench", 0, 0, 0, members).save(fleet)
    with attached_tokens("--from", str(fleet)) as ports:
        for label, port in ports.items():
            provision.provision(home, port, label)
    log_keys = {label: _first_log_key(home, label) for label in labels}
    with ProcessPoolExecutor() as pool:
        jobs = [
            pool.submit(fill_log, fleet / member.folder / "flash.bin", log_keys[member.label], days, records)
            for member in members
        ]
        log_bytes = [job.result() for job in jobs][0]
    return FullTokens(home, fleet, labels, log_bytes)


def _first_log_key(home: Home, label: str) -> bytes:
    with open_registry(home) as registry, registry.read() as session:
        token = tokens.by_label(session, label)
        assert token is not None
        return tokens.token_keys(home.master_key(), token.uid).first_log_key


def fill_log(image: Path, first_log_key: bytes, days: int, records: int) -> int:
    """Write `days` of pages with `records` records each into a flash image; bytes of pages."""
    fs = LittleFS(block_size=4096, block_count=image.stat().st_size // 4096, read_size=32, prog_size=32, mount=False)
    fs.context.buffer = bytearray(image.read_bytes())
    fs.mount()
    for name in fs.listdir("/log"):
        fs.remove(f"/log/{name}")
    today = int(time.time()) // DAY_S
    sequence, written = 1, 0
    for day in range(today - days, today):
        with fs.open(f"/log/{day:06d}-{sequence:010d}.bzl", "wb") as file:
            for window in range(WINDOWS_A_DAY):
                raw = sealed_page(sequence, day * DAY_S + window * 300, records, first_log_key)
                file.write(raw)
                written += len(raw)
                sequence += 1
    image.write_bytes(bytes(fs.context.buffer))
    return written


def sealed_page(sequence: int, start_s: int, records: int, first_log_key: bytes) -> bytes:
    """A page as a token would have written it."""
    header = page.PageHeader(sequence, 1, sequence * 300_000, start_s, 300, 60, page.CLOCK_SET, 0)
    heard = [
        page.Record(keys.hmac_sha256(b"bench", bytes([n]), start_s.to_bytes(8, "big"))[:12], 5, 250, 60, 4, -60, -66, 0)
        for n in range(records)
    ]
    return page.seal(header, heard, first_log_key, aes_ecb)


def environment() -> dict[str, str]:
    """For programs that are measured: without what a user's shell would not have."""
    return {name: value for name, value in os.environ.items() if name != "BZTOKEN_PORTS"}
