"""Measures the token against the "Token" table of its targets, each line with the command that repeats it.

Run by `make bench-token`; prints the table and writes it to tests/bench/results/token.md and token.json. Virtual days
run on the real firmware; power is computed from cited currents. `--only LINE ..` measures some lines and keeps what the
others had; `--scale` shortens or lengthens the virtual spans.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from fleet_rows import bztoken, live
from results_table import Line, save, table
from token_rooms import SEED, START_S, Room, board_heap_bytes, smallest_heap

from bzvirtual import world
from bzvirtual.desk import identities_from_seed
from bzvirtual.fleet import FleetRun
from bzvirtual.process import FIRMWARE_HEAP_BYTES, NAMES_HEAP_BYTES, STAND_INS_HEAP_BYTES

HEAD = "# The token against its targets\n\nWritten by `make bench-token`; virtual board, virtual days."
POWER_BOARD = "xiao-esp32c3"
NEAR_PAIRS = ("a1", "a2", "a3", "a4", "a5", "a6")  # of the world `instep`: clocks up to 2 s apart
FAR_PAIRS = ("a7", "a8", "a9", "a10")  # 5 to 30 s apart


def _pairs(folder: Path, scale: float) -> list[Line]:
    lived = live(folder, "instep", 1.5 * scale, "--profile", "continuous")
    long, short = lived.both("15-30"), lived.both("5-10")
    what = "`continuous`: contacts of {} min at 1.5 m recorded by both"
    return [
        Line(what.format(16), ">= 99.9 %", str(long), long.percent >= 99.9, lived.command),
        Line(what.format(6), "-", str(short), None, lived.command),
    ]


def _sleepers(folder: Path, scale: float) -> list[Line]:
    lived = live(folder, "instep", scale)
    lines = []
    for clocks, pairs, least in (("up to 2 s", NEAR_PAIRS, 99.0), ("5 to 30 s", FAR_PAIRS, 95.0)):
        found = lived.both("15-30", pairs)
        what = f"`windowed`, clocks {clocks} apart, some in step: contacts of 16 min recorded by both"
        lines.append(Line(what, f">= {least:g} %", str(found), found.percent >= least, lived.command))
    for clocks, pairs in (("up to 2 s", NEAR_PAIRS), ("5 to 30 s", FAR_PAIRS)):
        found = lived.both("5-10", pairs)
        what = f"`windowed`, clocks {clocks} apart: contacts of 6 min recorded by both"
        lines.append(Line(what, ">= 95 %", str(found), found.percent >= 95, lived.command))
    return lines


def _phones(folder: Path, scale: float) -> list[Line]:
    lived = live(folder, "phones", scale)
    lines = []
    for profile, names, least in (("continuous", ("a1", "a2", "a3"), 99.0), ("windowed", ("a4", "a5", "a6"), 95.0)):
        for who in ("token hears phone", "phone hears token"):
            found = lived.one_way(who, "15-30", names)
            what = f"`{profile}`, Bluezone phone beside it for 16 min: {who}"
            lines.append(Line(what, f">= {least:g} %", str(found), found.percent >= least, lived.command))
    return lines


def _power(_folder: Path, _scale: float) -> list[Line]:
    words = ("power", "--board", POWER_BOARD, "--profile", "windowed", "--battery-mah", "1000")
    answer = bztoken(*words)
    total_ma, days = answer["as_run"]["total_ma"], answer["as_run"]["days"]
    measured = f"{total_ma:.2f} mA, {days:.1f} days on 1000 mAh (computed from cited currents, not measured on a board)"
    met = total_ma <= 5 and days >= 7
    what = f"average current, `windowed`, {POWER_BOARD} with its stock image"
    return [Line(what, "<= 5 mA: >= 1 week on 1000 mAh", measured, met, f"`bztoken {' '.join(words)}`")]


def _rotations(folder: Path, scale: float) -> list[Line]:
    """Many tokens that are all alone; GAEN changes its ID most often."""
    tokens, days = 40, scale  # --scale 35 sees 200,000
    lived = live(folder, str(_solitude(folder, tokens)), days, "--scheme", "gaen", "--tokens", str(tokens))
    measured = f"{lived.linked} of {lived.rotations:,}"
    met = lived.linked == 0 and lived.rotations >= 200_000
    target = "0 of >= 200,000 rotations"
    command = "`python tests/bench/bench_token.py --only rotations` (`--scale 35` sees 200,000)"
    return [Line("IDs or addresses linked across a rotation", target, measured, met, command)]


def _solitude(folder: Path, tokens: int) -> Path:
    path = folder / "solitude.world"
    people = [f'place p{n} {n * 1000} 0 outdoor\nspot p{n} seat 0 0\nperson t{n} "T {n}" token' for n in range(tokens)]
    stops = [f"{person}\n  00:00 p{n}/seat" for n, person in enumerate(people)]
    path.write_text("world solitude\n" + "\n".join(stops) + "\n")
    return path


def _flash(folder: Path, scale: float) -> list[Line]:
    lines = []
    for others, retention_days, a_day in ((7, 21, 2000), (18, 14, 5000)):
        room = Room(folder / str(others), others)
        room.ask(10, {"rd": retention_days})
        days = (retention_days + 1) * scale
        room.live(24 * days)
        status = room.status()
        room.close()
        kept = status["n"] - status["f"]
        measured = (
            f"{others * 288:,} a day for {days:g} days: {kept // 288} whole days kept, {status['sz'] // 1024:,} KiB of "
            f"pages, {status['dd']} days given up, {status['fw']} failed writes"
        )
        met = kept >= 288 * retention_days - 1 and status["dd"] == 0 and status["fw"] == 0
        what = f"flash: {a_day:,} window-records a day for {retention_days} days in 2 MiB"
        lines.append(Line(what, "kept", measured, met, "`python tests/bench/bench_token.py --only flash`"))
    return lines


def _crowd(folder: Path, scale: float) -> list[Line]:
    room = Room(folder, 300)
    room.live(24 * scale + 0.05)  # the last window's page is written in the minute after it
    status = room.status()
    room.close()
    windows = int(288 * scale)
    nights = status["bo"] - 1
    measured = (
        f"{status['n'] - 1} pages of {windows} windows, {status['fw']} failed writes, {status['lo']:,} scan results "
        f"lost since boot, {nights} restart (the planned one of the night), {status['sz'] // 1024} KiB of pages"
    )
    met = status["fw"] == 0 and status["n"] - 1 >= windows and nights <= 1 and status["fb"] == 0
    what = f"crowd: 300 advertisers in range for {24 * scale:g} h"
    target = "no reset, no lost window, 64 strongest kept"
    return [Line(what, target, measured, met, "`python tests/bench/bench_token.py --only crowd`")]


def _heap(folder: Path, scale: float) -> list[Line]:
    stand_ins = board_heap_bytes(folder)
    base = stand_ins + NAMES_HEAP_BYTES
    command = "`python tests/bench/bench_token.py --only heap`"
    lines = []
    for profile, name in ((0, "continuous"), (1, "windowed")):
        room = Room(folder / name, 7, profile=profile)
        held = []
        days = max(2, round(14 * scale))
        for _ in range(days):
            room.live(24)
            held.append(room.status()["hp"] - base)
        room.close()
        least = smallest_heap(folder / f"least-{name}", 100, 1.5, profile)  # a log long enough for the longest READ
        measured = f"smallest heap that works among 100 advertisers {least:,} B; held {held[0]:,} B after a day, "
        measured += f"{held[-1]:,} B after {days} (64-bit)"
        met = least <= FIRMWARE_HEAP_BYTES and held[-1] - held[0] <= 2048 and stand_ins <= STAND_INS_HEAP_BYTES
        what = f"heap, `{name}`"
        lines.append(Line(what, "<= 163,840 B (80 KiB on an ESP32), no growth in 14 days", measured, met, command))
    return lines


def _clock(folder: Path, scale: float) -> list[Line]:
    lines = []
    for profile in ("continuous", "windowed"):
        lived = live(folder / profile, "drift", 7 * scale, "--profile", profile, "--tokens", "6")
        for minutes, length in (("15-30", 16), ("5-10", 6)):
            found = lived.both(minutes, ("a1", "a2", "a3"))
            what = f"clock, `{profile}`: 5 % drift for a week: contacts of {length} min found at their true time"
            lines.append(Line(what, ">= 99 %", str(found), found.percent >= 99, lived.command))
        lived = live(folder / f"{profile}-jumps", "drift", 1 * scale, "--profile", profile)
        jumps = lived.both("15-30", ("a6", "a7", "a8", "a9"))
        what = f"clock, `{profile}`: jumps and a reset to 2000: contacts of 16 min found at their true time"
        lines.append(Line(what, "nothing lost", str(jumps), jumps.found == jumps.of, lived.command))
    return lines


def _speed(folder: Path, scale: float) -> list[Line]:
    place = world.crowd(20, world.load("village"))
    labels = [person.shown for person in place.people if person.carries == "token"]
    run = FleetRun(folder / "fleet", place, identities_from_seed(labels, SEED)[1], SEED, START_S)
    run.prepare()
    began = time.monotonic()
    run.run(0.5 * scale)
    speed = 43200 * scale / (time.monotonic() - began)
    measured = f"{speed:,.0f} virtual seconds a second ({20 * speed:,.0f} token-seconds)"
    what = f"simulation, 20 tokens of the village for {12 * scale:g} h"
    return [Line(what, "-", measured, None, "`python tests/bench/bench_token.py --only speed`")]


MEASURES: dict[str, Callable[[Path, float], list[Line]]] = {
    "pairs": _pairs,
    "sleepers": _sleepers,
    "phones": _phones,
    "power": _power,
    "rotations": _rotations,
    "flash": _flash,
    "crowd": _crowd,
    "heap": _heap,
    "clock": _clock,
    "speed": _speed,
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=list(MEASURES), default=list(MEASURES))
    parser.add_argument("--scale", type=float, default=1.0, help="of the virtual spans; below 1 nothing is saved")
    options = parser.parse_args()
    measured = {}
    for name in options.only:
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as scratch:
            measured[name] = MEASURES[name](Path(scratch), options.scale)
        print(f"## {name} ({time.monotonic() - began:.0f} s)\n\n{table(measured[name])}", flush=True)
        if options.scale >= 1:
            save("token", HEAD, MEASURES, {name: measured[name]})


if __name__ == "__main__":
    main()
