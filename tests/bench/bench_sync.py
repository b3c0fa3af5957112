"""Measures the sync against the "Link and clinic" table of its targets, each line with the command that repeats it.

Run by `make bench-sync`; prints the table and writes it to tests/bench/results/sync.md and sync.json. Real firmware on
the real interpreter behind pseudo terminals, real SMP, real SQLCipher. `--only LINE ..` measures some lines and keeps
what the others had; `--scale` shortens the logs.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from attached_tokens import attached_tokens
from corrupt_frames import tally_on_all_cores
from full_tokens import RECORDS_A_WINDOW, WINDOWS_A_DAY, FullTokens, environment, make
from results_table import Line, save, table

from bztoken import sync
from bztoken.link.ports import FoundPort
from bztoken.link.token_link import TokenLink
from bztoken.registry.database import open_registry
from bztoken.sync_many import ManySyncs, Outcome, State
from bzwire import messages, smp

HEAD = """# The sync against its targets

Written by `make bench-sync`: virtual tokens behind pseudo terminals, throttled to a baud rate where one is named. KiB
are those of log pages."""
BAUDS = (115_200, 921_600, None)
DAYS = 14
TOGETHER = 8
BITS_A_BYTE = 10


def framing_kib_s(baud: int) -> float:
    """What lines, length, CRC-16 and SMP header leave of a baud rate for the bytes of the largest READ answers."""
    message = messages.MAX_READ_BYTES + smp.HEADER_BYTES + smp.FRAME_OVERHEAD_BYTES
    line_share = smp.LINE_PAYLOAD_BYTES / smp.LINE_BYTES * messages.MAX_READ_BYTES / message
    return baud / BITS_A_BYTE * line_share / 1024


class _Silent:
    """Nobody watches."""

    def known(self, port: str, label: str) -> None:
        """Nothing."""

    def progress(self, port: str, done: int, total: int) -> None:
        """Nothing."""

    def over(self, outcome: Outcome, is_news: bool) -> None:
        """Nothing."""


def sync_together(full: FullTokens, ports: list[str]) -> float:
    """Seconds in which all of these were synced. Raises AssertionError when one was not, or not wholly."""

    async def run() -> list[Outcome]:
        with open_registry(full.home) as registry:
            found = [FoundPort(port, port, "") for port in ports]
            return await ManySyncs(full.home, registry, _Silent()).sync_all(found)

    began = time.monotonic()
    outcomes = asyncio.run(run())
    took_s = time.monotonic() - began
    for outcome in outcomes:
        assert outcome.state == State.SYNCED and outcome.result is not None, outcome.problem
        assert outcome.result.bytes_read >= full.log_bytes
    return took_s


async def small_request_s(port: str, count: int = 100) -> float:
    """Mean seconds of a small request."""
    async with TokenLink(port) as link:
        began = time.monotonic()
        for _ in range(count):
            await link.info()
        return (time.monotonic() - began) / count


def _one(folder: Path, scale: float) -> list[Line]:
    """One token's fortnight at each speed; a fresh registry each time."""
    days = max(1, round(DAYS * scale))
    lines = []
    for baud in BAUDS:
        full = make(folder / str(baud), 1, days)
        with attached_tokens("--from", str(full.fleet), baud=baud) as ports:
            port = ports[full.labels[0]]
            round_trip_s = asyncio.run(small_request_s(port))
            result = sync.sync(full.home, port, lambda _done, _total: None)
        lines.append(_line_of_one(baud, days, full.log_bytes / 1024, result, round_trip_s))
    return lines


def _line_of_one(baud: int | None, days: int, kib: float, result: sync.SyncResult, round_trip_s: float) -> Line:
    speed = kib / result.seconds
    measured = f"{kib:.0f} KiB in {result.seconds:.1f} s, {speed:.1f} KiB/s"
    met = None
    if baud:
        share = 100 * speed / framing_kib_s(baud)
        measured += f", {share:.1f} % of the {framing_kib_s(baud):.1f} KiB/s that the framing allows"
        met = share >= 90
    measured += f"; {result.repeats} requests repeated; small request {1000 * round_trip_s:.1f} ms"
    what = f"sync of {days} days x {WINDOWS_A_DAY * RECORDS_A_WINDOW:,} records, " + (
        f"{baud:,} baud" if baud else "unthrottled"
    )
    return Line(what, ">= 90 % of what the framing allows" if baud else "-", measured, met, _command("one"))


def _together(folder: Path, scale: float) -> list[Line]:
    """Eight side by side against one alone, one run after the other."""
    days = max(1, round(DAYS * scale))
    lines = []
    for baud in BAUDS:
        alone = make(folder / f"{baud}-1", 1, days)
        with attached_tokens("--from", str(alone.fleet), baud=baud) as ports:
            one_s = sync_together(alone, list(ports.values()))
        full = make(folder / f"{baud}-8", TOGETHER, days)
        with attached_tokens("--from", str(full.fleet), baud=baud) as ports:
            all_s = sync_together(full, list(ports.values()))
        ratio = all_s / one_s
        measured = (
            f"{all_s:.1f} s against {one_s:.1f} s: {ratio:.2f} times ({os.cpu_count()} cores for host and tokens)"
        )
        what = f"{TOGETHER} tokens side by side, {days} days each, {f'{baud:,} baud' if baud else 'unthrottled'}"
        target = "<= 1.5 times one" if baud else "-"
        lines.append(Line(what, target, measured, ratio <= 1.5 if baud else None, _command("together")))
    return lines


def _card(folder: Path, scale: float) -> list[Line]:
    """From plugging in to the line that says it is done, with a watching program that had nothing to do before."""
    days = max(1, round(7 * scale))
    full = make(folder, 1, days)
    plugged = folder / "plugged"
    words = [sys.executable, "-m", "bztoken", "--home", str(full.home.path), "sync", "--watch", "--json"]
    with attached_tokens("--from", str(full.fleet), baud=921_600) as ports:
        watching = subprocess.Popen(
            [*words, "--among", str(plugged)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        assert watching.stdout is not None and watching.stderr is not None
        watching.stderr.readline()
        began = time.monotonic()
        plugged.symlink_to(ports[full.labels[0]])
        outcome = json.loads(watching.stdout.readline())
        took_s = time.monotonic() - began
        watching.terminate()
        watching.communicate()
    assert outcome["state"] == "synced" and outcome["bytes"] >= full.log_bytes
    what = f"plug in to result, {days} days of log, 921,600 baud"
    measured = f"{took_s:.1f} s ({full.log_bytes / 1024:.0f} KiB; `sync --watch`, no page yet)"
    return [Line(what, "<= 10 s", measured, took_s <= 10, _command("card"))]


def _frames(_folder: Path, scale: float) -> list[Line]:
    found = tally_on_all_cores(round(1_000_000 * scale))
    frames = found.on_line + found.made
    measured = (
        f"{found.accepted} of {frames:,}: {found.on_line:,} damaged on the line, {found.past_crc} past the CRC-16; "
        f"{found.made:,} damaged and sent with a right CRC-16"
    )
    met = found.accepted == 0 and frames >= 1_000_000
    return [Line("corrupt frames accepted", "0 of >= 1,000,000", measured, met, _command("frames"))]


def _command(name: str) -> str:
    return f"`python tests/bench/bench_sync.py --only {name}`"


MEASURES: dict[str, Callable[[Path, float], list[Line]]] = {
    "one": _one,
    "together": _together,
    "card": _card,
    "frames": _frames,
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=list(MEASURES), default=list(MEASURES))
    parser.add_argument("--scale", type=float, default=1.0, help="of the logs and counts; below 1 nothing is saved")
    options = parser.parse_args()
    for name in options.only:
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as scratch:
            lines = MEASURES[name](Path(scratch), options.scale)
        print(f"## {name} ({time.monotonic() - began:.0f} s)\n\n{table(lines)}", flush=True)
        if options.scale >= 1:
            save("sync", HEAD, MEASURES, {name: lines})


if __name__ == "__main__":
    main()
