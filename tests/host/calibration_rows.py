"""Makes recordings with known offsets, as files that `bztoken calibrate` reads."""

import csv
import random
from collections.abc import Iterable, Mapping, Sequence
from math import log10
from pathlib import Path
from typing import NamedTuple

COLUMNS = ("receiver", "transmitter", "time_s", "rssi_dbm", "distance_m")
DISTANCES_M = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0)
HEAD = ",".join(COLUMNS)


class Radio(NamedTuple):
    """How the air and the devices of a made-up world are. deaf_db: how much less a receiver hears; weak_db: how much
    weaker a transmitter is; noise_db: of each packet.
    """

    deaf_db: Mapping[str, float]
    weak_db: Mapping[str, float]
    noise_db: float = 0.0
    at_1_m_dbm: float = -60.0
    exponent: float = 2.0

    def rssi_dbm(self, receiver: str, transmitter: str, distance_m: float, noise: random.Random) -> float:
        """What is heard of one packet."""
        path_db = 10 * self.exponent * log10(distance_m) + self.deaf_db[receiver] + self.weak_db[transmitter]
        return self.at_1_m_dbm - path_db + noise.gauss(0, self.noise_db)


def packets(
    radio: Radio,
    pairs: Iterable[tuple[str, str]],
    distances_m: Sequence[float] = DISTANCES_M,
    windows: int = 2,
    seed: int = 1,
) -> list[tuple[object, ...]]:
    """Lines of COLUMNS: for each pair and distance so many windows of 150 s, with a packet each 10 s."""
    noise = random.Random(seed)
    return [
        (receiver, transmitter, 10 * at, round(radio.rssi_dbm(receiver, transmitter, metres, noise), 3), metres)
        for receiver, transmitter in pairs
        for metres in distances_m
        for at in range(15 * windows)
    ]


def write(path: Path, rows: Iterable[Sequence[object]], columns: Sequence[str] = COLUMNS) -> Path:
    """The file."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
    return path


def write_groups(path: Path, groups: Mapping[str, Iterable[Sequence[object]]]) -> Path:
    """The file, with a column group."""
    rows = [(*row, group) for group, of_group in groups.items() for row in of_group]
    return write(path, rows, (*COLUMNS, "group"))
