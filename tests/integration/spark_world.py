"""What tests of engines match: a few days of sightings in files, some of them of keys. Executors import this too."""

import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bztoken.crypto import aes_ecb
from bztoken.errors import LakeError
from bztoken.formats.tracing_key import SCHEME_BLUEZONE, SCHEME_GAEN, TracingKey
from bztoken.matching.day import NO_AEM, TX_POWER_UNTOLD, DayColumns, HeldSlice, day_text
from bztoken.matching.kernel import halves
from bztoken.matching.peers import CaseFacts, Entry, Kind, Owner, Peers
from bztoken.matching.task import Context, Task
from bztoken.matching.tolerance import Tolerance
from bztoken.scoring import load
from bzwire import bluezone, gaen

FIRST_DAY = 20_000
DAYS = 3
LOGS = 12
ROWS = 400  # sightings of a day that are of nobody's key
CANARY = b"canary of a day key, 32 bytes ok"
TEK = b"canary of a tek!"
CASE, OTHER_CASE, CONTACT, SITE = (
    Owner(Kind.CASE, 1, 0),
    Owner(Kind.CASE, 2, 0),
    Owner(Kind.CONTACT, 1, 7),
    Owner(Kind.SITE, 0, 9),
)
DAMAGED_DAY, MISTAKEN_DAY, DEADLY_DAY = FIRST_DAY + 10, FIRST_DAY + 11, FIRST_DAY + 12
MEETING_DAY = FIRST_DAY + 13
_PATIENCE_S = 60.0


class FolderSource:
    """A file a day. The days beyond are those of mishaps."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        if not folder.is_dir():
            raise LakeError(f"{folder} is not there: give the folder of a lake")

    def rows_by_day(self) -> dict[int, int]:
        return {int(path.stem): len(np.load(path)["hi"]) for path in self._folder.glob("*.npz")}

    def mark(self, day: int) -> str:
        return str(day)

    def slice(self, task: Task) -> HeldSlice:
        if task.day == DAMAGED_DAY:
            raise LakeError(f"{day_text(task.day)} cannot be read: a file is damaged")
        if task.day == MISTAKEN_DAY:
            raise RuntimeError(CANARY.decode())
        if task.day == DEADLY_DAY:
            os._exit(3)
        if task.day == MEETING_DAY:
            meet(self._folder, task)
            return HeldSlice(made_day(FIRST_DAY, 1))
        with np.load(self._folder / f"{task.day}.npz") as columns:
            mine = columns["log_id"] % task.shards == task.shard
            return HeldSlice(DayColumns(*(columns[name][mine] for name in DayColumns._fields)))

    def close(self) -> None:
        return


@dataclass(frozen=True)
class FolderFactory:
    """Opens it where a task runs."""

    folder: Path

    def __call__(self) -> FolderSource:
        return FolderSource(self.folder)

    @contextmanager
    def held(self) -> Iterator[None]:
        yield


def meet(folder: Path, task: Task) -> None:
    """Comes back when all shards of the day are under way at the same time; else an error."""
    (folder / f"begun-{task.shards}-{task.shard}").touch()
    until = time.monotonic() + _PATIENCE_S
    while len(list(folder.glob(f"begun-{task.shards}-*"))) < task.shards:
        if time.monotonic() > until:
            raise LakeError("the others never began")
        time.sleep(0.05)


def written(folder: Path) -> Path:
    """The days, in files."""
    for day in range(FIRST_DAY, FIRST_DAY + DAYS):
        np.savez(folder / f"{day}.npz", **made_day(day, day)._asdict())
    return folder


def context(folder: Path, more_keys: int = 0) -> Context:
    """more_keys: of which nobody heard."""
    start_s = FIRST_DAY * bluezone.DAY_S
    end_s = start_s + DAYS * bluezone.DAY_S - 1
    chance = random.Random(5)
    entries = [
        Entry(CASE, TracingKey(SCHEME_BLUEZONE, CANARY, start_s, 96, end_s)),
        *(Entry(OTHER_CASE, tek) for tek in teks()),
        Entry(CONTACT, TracingKey(SCHEME_BLUEZONE, b"c" * 32, start_s, 96, end_s)),
        Entry(SITE, TracingKey(SCHEME_BLUEZONE, b"s" * 32, start_s, 96, end_s)),
        *(Entry(CASE, TracingKey(SCHEME_BLUEZONE, chance.randbytes(32), start_s, 96, end_s)) for _ in range(more_keys)),
    ]
    facts = {1: CaseFacts(report_type=1), 2: CaseFacts(report_type=1)}
    return Context(FolderFactory(folder), Peers.of(entries, facts=facts), Tolerance(), load("bluezone"))


def every_task(shards: int = 2) -> list[Task]:
    """Of all days that are written."""
    return [Task(day, shard, shards) for day in range(FIRST_DAY, FIRST_DAY + DAYS) for shard in range(shards)]


def teks() -> list[TracingKey]:
    """One a day."""
    starts = [(FIRST_DAY + at) * bluezone.DAY_S for at in range(DAYS)]
    return [
        TracingKey(SCHEME_GAEN, TEK[:-1] + bytes([at]), start_s, 144, start_s + bluezone.DAY_S - 1, tx_power_dbm=-5)
        for at, start_s in enumerate(starts)
    ]


def made_day(day: int, seed: int) -> DayColumns:
    """Sightings in order of time: of all four owners by several logs, and of nobody."""
    chance = random.Random(seed)
    rows = [_row(chance, day, chance.randbytes(16), chance.randrange(bluezone.DAY_S), gaen=False) for _ in range(ROWS)]
    for key in (CANARY, b"c" * 32, b"s" * 32):
        for _ in range(day - FIRST_DAY):
            key = bluezone.next_day_key(key)
        for at_s in range(1000, bluezone.DAY_S, 1900):
            rows.append(_row(chance, day, bluezone.slot_id(key, at_s // bluezone.SLOT_S), at_s, gaen=False))
    rpi_key = gaen.rpi_key(teks()[(day - FIRST_DAY) % DAYS].key)
    for at_s in range(1000, bluezone.DAY_S, 2100):
        rpi = gaen.rpi(rpi_key, gaen.interval_of(day * bluezone.DAY_S + at_s), aes_ecb)
        rows.append(_row(chance, day, rpi, at_s, gaen=True))
    rows.sort(key=lambda row: row[2])
    return DayColumns(*(np.array(column, dtype=np.int64) for column in zip(*rows, strict=True)))


def _row(chance: random.Random, day: int, rotating_id: bytes, at_s: int, gaen: bool) -> tuple[int, ...]:
    first_s = day * bluezone.DAY_S + at_s
    hi, lo = (int(half[0]) for half in halves([rotating_id]))
    rssi_dbm = -50 - chance.randrange(40)
    return DayColumns(
        hi=hi,
        lo=lo,
        first_s=first_s,
        last_s=first_s + 120,
        log_id=1 + chance.randrange(LOGS),
        window_start_s=first_s // 300 * 300,
        packets=5,
        scans=3,
        scan_period_s=60,
        rssi_max_dbm=rssi_dbm,
        rssi_mean_dbm=rssi_dbm - 3,
        stale=0,
        tx_power_dbm=TX_POWER_UNTOLD,
        uncertainty_s=30,
        gaen=int(gaen),
        aem=NO_AEM,
        rssi_offset_db=2,
    )  # type: ignore[arg-type,return-value]
