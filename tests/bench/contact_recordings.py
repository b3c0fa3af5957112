"""The public recordings in `tests/data/contact`: signal strength of phones at known distances, as groups with a mean.

A group is one arrangement that was left alone: who carried what where, at which angle and distance, heard by what.
"""

import csv
import gzip
from collections.abc import Iterator
from math import sqrt
from pathlib import Path
from typing import NamedTuple

DATA = Path(__file__).parents[1] / "data" / "contact"
LEAST_PACKETS = 10
FOOT_M = 0.3048
_PHONES = {f"TestPhone{number}" for number in range(1, 5)}


class Group(NamedTuple):
    """One arrangement: receiver, sender, the file that it is from, distance, and its packets' number, mean, spread."""

    receiver: str
    sender: str
    recording: str
    distance_m: float
    packets: int
    mean_dbm: float
    spread_db: float


def static_6ft() -> list[Group]:
    """MIT-LL at 6 feet: 5 places, 8 angles, 4 places on the body, 2 receivers."""
    found: dict[tuple[str, ...], list[tuple[int, int]]] = {}
    for row in _rows("mitll_static_6ft/static_6ft_rssi_histogram.csv.gz"):
        # packets were recorded damaged too: a name that nobody has, or in one row a signal that is no number
        if row["device"] in _PHONES and row["rssi_dbm"].removeprefix("-").isdigit():
            where = (row["receiver"], row["device"], f"{row['environment']}, {row['user_angle_deg']}")
            found.setdefault(where, []).append((int(row["rssi_dbm"]), int(row["count"])))
    return [group for (r, s, where), seen in found.items() for group in _group(r, s, where, 6 * FOOT_M, seen)]


def range_angle() -> list[Group]:
    """MIT-LL at 2 to 15 feet and 8 angles; receiver and sender are the pair of one person's recordings."""
    found: dict[tuple[str, str, str], list[tuple[int, int]]] = {}
    for row in rows_of_range_angle():
        where = (row["source_file"].partition("/")[0], row["source_file"], f"{row['range_ft']}/{row['angle_deg']}")
        found.setdefault(where, []).append((int(row["rssi_dbm"]), 1))
    return [
        group
        for (who, file, where), seen in found.items()
        for group in _group(who, who, file, int(where.partition("/")[0]) * FOOT_M, seen)
    ]


def rows_of_range_angle() -> Iterator[dict[str, str]]:
    """Its packets as they were published."""
    return _rows("mitll_range_angle/range_angle_beacon_rssi.csv.gz")


def edison() -> list[Group]:
    """Herald's cable car, 0 to 3.5 m: pairs of phones, each a receiver and a sender in turn."""
    phones = phones_of()
    return [
        group
        for (file, distance_cm), seen in histogram_rows().items()
        if file in phones  # the last test has no line in the table of phones
        for group in _group(*phones[file][:2], file, distance_cm / 100, seen)
    ]


def phones_of() -> dict[str, tuple[str, str, int]]:
    """By a file of the cable car: the phone that heard, the phone that was heard, minutes spent at each distance."""
    phones = {}
    with (DATA / "herald_edison/metadata.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            minutes = int(row["durationmins"])
            phones[row["filenamephonea"]] = row["phoneaname"], row["phonebname"], minutes
            phones[row["filenamephoneb"]] = row["phonebname"], row["phoneaname"], minutes
    return phones


def histogram_rows() -> dict[tuple[str, int], list[tuple[int, int]]]:
    """By a file of the cable car and centimetres: signal strength in dBm, and how many packets had it."""
    found: dict[tuple[str, int], list[tuple[int, int]]] = {}
    for row in _rows("herald_edison/edison_rssi_histogram.csv.gz"):
        found.setdefault((row["source_file"], int(row["distance_cm"])), []).append(
            (int(row["rssi_dbm"]), int(row["count"]))
        )
    return found


def raw_rows() -> Iterator[tuple[str, str, int, int]]:
    """The files of the cable car that are here with their times: file, time, dBm, centimetres."""
    for path in sorted((DATA / "herald_edison").glob("2*.csv.gz")):
        for row in _rows(f"herald_edison/{path.name}"):
            yield path.name.removesuffix(".gz"), row["time"], int(float(row["rssi"])), int(row["distance"])


def _rows(name: str) -> Iterator[dict[str, str]]:
    with gzip.open(DATA / name, "rt", encoding="utf-8", errors="replace", newline="") as file:
        yield from csv.DictReader(file)


def _group(
    receiver: str, sender: str, recording: str, distance_m: float, seen: list[tuple[int, int]]
) -> Iterator[Group]:
    """None where there are too few packets to say anything."""
    packets = sum(count for _, count in seen)
    if packets < LEAST_PACKETS:
        return
    mean = sum(rssi * count for rssi, count in seen) / packets
    variance = sum(count * (rssi - mean) ** 2 for rssi, count in seen) / packets
    yield Group(receiver, sender, recording, distance_m, packets, mean, sqrt(variance))
