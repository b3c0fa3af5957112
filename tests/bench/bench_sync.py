"""Measures a sync of a full log over an unthrottled virtual port: KiB/s, against what the link alone does.

Run by `make bench-sync`. The log is made outside the token, sealed with its keys, and put into its flash image.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO

from littlefs import LittleFS

from bztoken import provision, sync
from bztoken.crypto import aes_ecb
from bztoken.home import Home
from bztoken.link.token_link import TokenLink
from bztoken.registry import tokens
from bztoken.registry.database import create_registry, open_registry
from bzwire import keys, page

WINDOWS_A_DAY = 288
DAY_S = 86400
LABEL = "bench"


def attach(folder: Path) -> tuple["subprocess.Popen[str]", str]:
    """The fleet in this folder behind a port."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bztoken", "fleet", "attach", "--from", str(folder), "--json"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, _first_port(process.stdout)


def _first_port(stream: IO[str]) -> str:
    text = ""
    for line in stream:
        text += line
        if line.rstrip() == "}":
            return str(json.loads(text)["tokens"][0]["port"])
    raise AssertionError("the fleet did not start")


def blank_fleet(folder: Path) -> None:
    """A folder that `fleet attach --from` takes: one blank token."""
    from bzvirtual.fleet import Manifest, Member
    from bzvirtual.process import TokenFolder

    folder.mkdir()
    TokenFolder.create(folder / "token-1")
    Manifest("bench", 0, 0, 0, [Member("", LABEL, "token", "token-1")]).save(folder)


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
                raw = _page(sequence, day * DAY_S + window * 300, records, first_log_key)
                file.write(raw)
                written += len(raw)
                sequence += 1
    image.write_bytes(bytes(fs.context.buffer))
    return written


def _page(sequence: int, start_s: int, records: int, first_log_key: bytes) -> bytes:
    header = page.PageHeader(sequence, 1, sequence * 300_000, start_s, 300, 60, page.CLOCK_SET, 0)
    heard = [
        page.Record(keys.hmac_sha256(b"bench", bytes([n]), start_s.to_bytes(8, "big"))[:12], 5, 250, 60, 4, -60, -66, 0)
        for n in range(records)
    ]
    return page.seal(header, heard, first_log_key, aes_ecb)


async def echo_round_trips(port: str, count: int = 50) -> float:
    """Mean seconds of a small request: the floor under every frame of a sync."""
    async with TokenLink(port) as link:
        began = time.monotonic()
        for _ in range(count):
            await link.info()
        return (time.monotonic() - began) / count


def measure(scratch: Path, days: int, records: int) -> dict[str, float | int]:
    """One sync of a full log into an empty registry."""
    home = Home(scratch / "home")
    create_registry(home)
    blank_fleet(scratch / "fleet")
    process, port = attach(scratch / "fleet")
    provision.provision(home, port, LABEL)
    process.terminate()
    process.wait()
    with open_registry(home) as registry, registry.read() as session:
        token = tokens.by_label(session, LABEL)
        assert token is not None
        log_key = tokens.token_keys(home.master_key(), token.uid).first_log_key
    written = fill_log(scratch / "fleet" / "token-1" / "flash.bin", log_key, days, records)
    process, port = attach(scratch / "fleet")
    try:
        round_trip_s = asyncio.run(echo_round_trips(port))
        result = sync.sync(home, port, lambda done, total: None)
    finally:
        process.terminate()
        process.wait()
    return {
        "days": days,
        "records": days * WINDOWS_A_DAY * records,
        "page_kib": round(written / 1024, 1),
        "pages": result.pages_new,
        "seconds": round(result.seconds, 2),
        "kib_per_s": round(written / 1024 / result.seconds, 1),
        "repeats": result.repeats,
        "small_request_ms": round(round_trip_s * 1000, 1),
    }


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=14)
    parser.add_argument("--records", type=int, default=7, help="records a window; 7 is about 2,000 a day")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        json.dump(measure(Path(scratch), options.days, options.records), sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
