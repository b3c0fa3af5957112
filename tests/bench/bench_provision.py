"""Measures how long it takes to flash a bare board, and a batch: blank virtual tokens and `bztoken provision --batch`.

Run by `make bench-provision`; prints the table and writes it to tests/bench/results/provision.md and provision.json.
Counted is the whole command, from its start to its end: keys, clock and settings of each token, proofs, registry, label
sheet and list; of a flash, until the board has answered. `--count` takes other numbers than 100; with fewer nothing is
saved.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from attached_tokens import attached_tokens
from full_tokens import environment
from results_table import Line, save, table

from bztoken.home import Home
from bztoken.registry.database import create_registry

HEAD = """# Flashing one, provisioning a hundred

Written by `make bench-provision`: one bare virtual board, on which erasing takes no time, and the whole command
`bztoken flash` with an image of 64 KiB; then blank virtual tokens behind pseudo terminals, throttled to a baud rate
where one is named, and the whole command `bztoken provision --batch` with label sheet and list."""
HUNDRED = 100
TARGET_S = 600
AT_ONCE = 8
SCRIPT = Path(sys.executable).parent / "bztoken"
REPOSITORY = Path(__file__).parents[2]
FLASH = "flash"
# Name of the line, baud rate of the ports (None: as fast as it goes), tokens at a time.
LINES: dict[str, tuple[int | None, int]] = {
    "usb": (None, AT_ONCE),
    "uart": (115_200, AT_ONCE),
    "one-by-one": (115_200, 1),
}
ORDER = [FLASH, *LINES]


def measure_flash(scratch: Path) -> Line:
    """One bare board. Raises AssertionError when it was not flashed, or does not answer."""
    image = scratch / "image.bin"
    subprocess.run([sys.executable, "-m", "tests.synthetic_image", str(image)], cwd=REPOSITORY, check=True)
    boards = {"BZTOKEN_BOARDS": str(REPOSITORY / "tests/data/boards")}
    with attached_tokens("--bare", "1") as ports:
        (port,) = ports.values()
        words = [str(SCRIPT), "flash", "--board", "bench", "--port", port, "--image", str(image), "--json"]
        began = time.monotonic()
        ran = subprocess.run(words, capture_output=True, text=True, env=environment() | boards, check=False)
        took_s = time.monotonic() - began
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert told["answered"] is True
    measured = f"{took_s:.1f} s, of which {told['seconds']:.1f} s look, write and check {told['bytes'] / 1024:,.0f} KiB"
    return Line("one flash of a bare board", "-", measured, None, _command(FLASH))


def measure(scratch: Path, name: str, count: int) -> Line:
    """One batch. Raises AssertionError when a token failed, or a file is missing."""
    baud, at_once = LINES[name]
    home = Home(scratch / name)
    create_registry(home)
    pdf, listed = scratch / f"{name}.pdf", scratch / f"{name}.csv"
    words = [str(SCRIPT), "--home", str(home.path), "provision", "--batch", "bench", "--count", str(count), "--json"]
    words += ["--labels", str(pdf), "--csv", str(listed), "--at-once", str(at_once)]
    with attached_tokens(str(count), baud=baud) as ports:
        for port in ports.values():
            words += ["--among", port]
        began = time.monotonic()
        ran = subprocess.run(words, capture_output=True, text=True, env=environment(), check=False)
        took_s = time.monotonic() - began
    *tokens, last = [json.loads(line) for line in ran.stdout.splitlines()]
    assert ran.returncode == 0 and last["tokens"] == count, ran.stderr
    assert [token["state"] for token in tokens] == ["provisioned"] * count
    sizes = f"labels {pdf.stat().st_size / 1024:.0f} KiB, list {listed.stat().st_size / 1024:.0f} KiB"
    measured = f"{took_s:.1f} s, {took_s / count:.2f} s a token; {sizes} ({os.cpu_count()} cores for host and tokens)"
    speed = f"{baud:,} baud" if baud else "unthrottled"
    what = f"{count} tokens, {at_once} at a time, {speed}"
    is_target = count >= HUNDRED and at_once > 1
    met = took_s < TARGET_S if is_target else None
    return Line(what, "< 10 min" if is_target else "-", measured, met, _command(name))


def _command(name: str) -> str:
    return f"`python tests/bench/bench_provision.py --only {name}`"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=ORDER, default=ORDER)
    parser.add_argument("--count", type=int, default=HUNDRED, help="tokens; below 100 nothing is saved")
    options = parser.parse_args()
    for name in options.only:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            line = measure_flash(folder) if name == FLASH else measure(folder, name, options.count)
        print(f"## {name}\n\n{table([line])}", flush=True)
        if options.count >= HUNDRED:
            save("provision", HEAD, ORDER, {name: [line]})


if __name__ == "__main__":
    main()
