"""Writes the public recordings in `tests/data/contact` as the CSV that `bztoken calibrate` reads.

Run: `python tests/bench/recordings_csv.py FOLDER`. Range_Angle and three files of the cable car have real times. The
rest of the cable car is histograms: the packets of a distance are spread evenly over the minutes that were spent there,
each strength by itself, so a window holds what the whole distance held, and looks calmer than it was.
A group is a test of the cable car (both phones), or a file of Range_Angle. A device is a phone, or in Range_Angle the
pair, which heard nobody else.
"""

import csv
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from contact_recordings import FOOT_M, histogram_rows, phones_of, raw_rows, rows_of_range_angle

COLUMNS = ("group", "receiver", "transmitter", "time_s", "rssi_dbm", "tx_dbm", "distance_m")
_MINUTE_S = 60
_GOLDEN = (5**0.5 - 1) / 2


class Packet(NamedTuple):
    """A line of the CSV. tx_dbm: empty where nobody told it."""

    group: str
    receiver: str
    transmitter: str
    time_s: float
    rssi_dbm: int
    tx_dbm: str
    distance_m: float


def range_angle() -> Iterator[Packet]:
    """MIT-LL, carried: real times; a group is one file."""
    for row in rows_of_range_angle():
        pair, _, file = row["source_file"].partition("/")
        told = "" if row["adv_tx_power"] == "-999.0" else row["adv_tx_power"]
        metres = round(int(row["range_ft"]) * FOOT_M, 3)
        yield Packet(file, pair, pair, _unix_s(row["time"]), int(row["rssi_dbm"]), told, metres)


def cable_car() -> Iterator[Packet]:
    """Herald's: real times where the log is here, else spread evenly."""
    yield from cable_car_with_times()
    yield from _spread_files({file for file, _ in histogram_rows()} - _files_with_times())


def cable_car_with_times(spread: bool = False) -> Iterator[Packet]:
    """The logs that are here with their times; spread: evenly all the same, to see what that changes."""
    phones = phones_of()
    if spread:
        yield from _spread_files(_files_with_times())
        return
    for file, time, rssi_dbm, distance_cm in raw_rows():
        yield Packet(_test(file), *phones[file][:2], _unix_s(time), rssi_dbm, "", distance_cm / 100)


def _files_with_times() -> set[str]:
    return {file for file, *_ in raw_rows()}


def _spread_files(files: set[str]) -> Iterator[Packet]:
    phones = phones_of()
    for (file, distance_cm), seen in sorted(histogram_rows().items()):
        if file in files and file in phones:  # the last test has no line in the table of phones
            receiver, transmitter, minutes = phones[file]
            start_s = distance_cm * 100 * _MINUTE_S  # any time does: each distance has its own
            for time_s, rssi_dbm in _spread(start_s, minutes * _MINUTE_S, seen):
                yield Packet(_test(file), receiver, transmitter, time_s, rssi_dbm, "", distance_cm / 100)


def _test(file: str) -> str:
    """20210109-2342 of 20210109-2342-A.csv: both phones of it were left in the same place."""
    return file.rpartition("-")[0]


def _spread(start_s: int, spent_s: int, seen: list[tuple[int, int]]) -> Iterator[tuple[float, int]]:
    """Each strength begins elsewhere, by golden sections, or all that were heard once would be heard at one moment."""
    for at, (rssi_dbm, count) in enumerate(seen, 1):
        first = at * _GOLDEN % 1
        for place in range(count):
            yield round(start_s + spent_s * (place + first) / count, 2), rssi_dbm


def _unix_s(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def write(path: Path, packets: Iterator[Packet]) -> Path:
    """The file that `bztoken calibrate` reads."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(packets)
    return path


def main(folder: Path) -> None:
    """Write all of them."""
    for name, packets in (
        ("range_angle", range_angle()),
        ("cable_car", cable_car()),
        ("cable_car_with_times", cable_car_with_times()),
    ):
        print(write(folder / f"{name}.csv", packets))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
