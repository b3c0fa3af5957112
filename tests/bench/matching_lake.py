"""Writes a world of the matching benchmark to disk: its records as a lake, its IDs as the engines need them that join.

The lake is one that `bztoken lake add` might have left, a source a clinic, written by the same code; IDs are one file a
day, as some other program would derive them beforehand.
"""

import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from matching_data import Derive, Lot, keys_of, lots
from matching_shapes import FIRST_DAY, Shape

from bztoken.lake.columns import COLUMNS, ROW_GROUP_ROWS
from bztoken.lake.day_file import DayWriter, entry_of
from bztoken.lake.folder import Clinic, Folder, make, write_clinics
from bztoken.lake.records import DayEntry, Kind, SourceRecord, write_record
from bzwire.bluezone import DAY_S

ID_ROW_GROUP = 1 << 20


class Materialised(NamedTuple):
    """What it took to derive all IDs and to write them."""

    derive_s: float
    write_s: float
    size_bytes: int

    @property
    def seconds(self) -> float:
        """Both."""
        return self.derive_s + self.write_s


def write_lake(path: Path, shape: Shape, derive: Derive, workers: int = 1) -> None:
    """All clinics of a shape."""
    folder = _made(path, range(1, shape.clinics + 1))
    write = partial(_write_clinic, folder, shape, derive)
    if workers == 1:
        records = [write(clinic) for clinic in range(1, shape.clinics + 1)]
    else:
        with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
            records = list(pool.map(write, range(1, shape.clinics + 1)))
    for record in records:
        write_record(folder, record)


def part_of_lake(path: Path, whole: Path, shape: Shape, clinics: int) -> None:
    """A lake of the first clinics of another one: its files are the other one's, under a second name."""
    folder, other = _made(path, range(1, clinics + 1)), Folder(whole)
    for clinic in range(1, clinics + 1):
        record = SourceRecord(_name(clinic), _name(clinic), Kind.REGISTRY, whole=True)
        for day in range(FIRST_DAY, FIRST_DAY + shape.days):
            folder.day_folder(day).mkdir(exist_ok=True)
            mine = folder.day_file(day, record.name)
            os.link(other.day_file(day, record.name), mine)
            record.days[day] = _entry(mine, pq.read_metadata(mine).num_rows)
        write_record(folder, record)


def _made(path: Path, clinics: Sequence[int]) -> Folder:
    folder = Folder(path)
    make(folder)
    write_clinics(folder, {_name(number): Clinic(number, f"clinic {number}") for number in clinics})
    return folder


def _name(clinic: int) -> str:
    return f"{clinic:032x}"


def _write_clinic(folder: Folder, shape: Shape, derive: Derive, clinic: int) -> SourceRecord:
    record = SourceRecord(_name(clinic), _name(clinic), Kind.REGISTRY, whole=True)
    for lot in lots(shape, keys_of(shape), clinic, derive):
        record.days[lot.day] = _write_lot(folder, record.name, lot)
    return record


def _write_lot(folder: Folder, source: str, lot: Lot) -> DayEntry:
    rows = {column.name: getattr(lot.columns, column.field) if column.field else lot.page for column in COLUMNS}
    folder.day_folder(lot.day).mkdir(exist_ok=True)
    path = folder.day_file(lot.day, source)
    with path.open("wb") as file:
        writer = DayWriter(file, source, lot.day)
        for at in range(0, len(lot.page), ROW_GROUP_ROWS):
            writer.add({name: column[at : at + ROW_GROUP_ROWS] for name, column in rows.items()})
        writer.finish()
    return _entry(path, len(lot.page))


def _entry(path: Path, rows: int) -> DayEntry:
    return entry_of(path, rows, mark="", places_only=False)


def write_ids(folder: Path, shape: Shape, derive: Derive) -> Materialised:
    """The IDs of all keys, one file a day."""
    keys = keys_of(shape)
    folder.mkdir(parents=True)
    derive_s = write_s = 0.0
    for day in range(FIRST_DAY, FIRST_DAY + shape.days):
        began = time.perf_counter()
        ids = derive(keys, np.flatnonzero(keys.start_s == day * DAY_S))
        derived = time.perf_counter()
        columns = {
            "id_hi": ids.hi,
            "id_lo": ids.lo,
            "slot_start_s": ids.slot_start_s,
            "key": ids.key_index,
            "key_uncertainty_s": ids.uncertainty_s,
        }
        _write_columns(folder / f"{day}.parquet", columns)
        write_s += time.perf_counter() - derived
        derive_s += derived - began
    return Materialised(derive_s, write_s, sum(path.stat().st_size for path in folder.iterdir()))


def _write_columns(path: Path, columns: dict[str, np.ndarray]) -> None:
    """The halves of an ID are random: compressing them or looking for equal ones costs time and saves nothing."""
    plain = ("id_hi", "id_lo")
    pq.write_table(
        pa.table(columns),
        path,
        row_group_size=ID_ROW_GROUP,
        compression={name: "none" if name in plain else "zstd" for name in columns},
        use_dictionary=[name for name in columns if name not in plain],
    )
