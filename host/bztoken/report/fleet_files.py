"""The folder of a virtual fleet as `bztoken fleet run` left it: who took part, what was true, who was heard where.

Read as plain files, so that scoring needs no simulation. Layout: `bzvirtual.fleet` and `bzvirtual.truth`.
"""

import bisect
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bztoken.errors import BztokenError

BLUEZONE, GAEN = "bluezone", "gaen"


@dataclass(frozen=True)
class Carrier:
    """One who took part. carries: "token", "phone", "iphone" or "beacon"; scheme: what it broadcasts; hears: which."""

    name: str
    label: str
    carries: str
    folder: str
    scheme: str
    hears: frozenset[str]


@dataclass(frozen=True)
class Encounter:
    """A true stretch within 10 m without a wall; times in Unix seconds, mean_m over the stretch."""

    a: str
    b: str
    start_s: float
    end_s: float
    minutes: float
    mean_m: float


@dataclass(frozen=True)
class OnAir:
    """Whose an ID was, and from when to when (true Unix seconds) it was on the air."""

    carrier: str
    kind: str
    first_s: float
    last_s: float


class Track:
    """Where somebody was: (true Unix second, x, y) at each turn, straight lines between."""

    def __init__(self, points: list[list[float]]) -> None:
        self._times = [point[0] for point in points]
        self._points = points

    def at(self, unix_s: float) -> tuple[float, float]:
        """(x, y) in metres; the ends hold for earlier and later times."""
        after = bisect.bisect_right(self._times, unix_s)
        if after == 0 or after == len(self._points):
            _, x_m, y_m = self._points[max(0, after - 1)]
            return x_m, y_m
        (from_s, x_m, y_m), (to_s, to_x_m, to_y_m) = self._points[after - 1], self._points[after]
        share = (unix_s - from_s) / (to_s - from_s)
        return x_m + (to_x_m - x_m) * share, y_m + (to_y_m - y_m) * share


@dataclass(frozen=True)
class FleetFiles:
    """Everything but the logs. ids: 12 bytes of Bluezone or the 16-byte RPI of GAEN; clocks: points (true Unix second,
    clock minus true time in seconds) by carrier; log_keys: first log key by carrier; air: the sniffer's report.
    """

    folder: Path
    start_s: int
    end_s: int
    carriers: dict[str, Carrier]
    encounters: list[Encounter]
    ids: dict[bytes, OnAir]
    tracks: dict[str, Track]
    clocks: dict[str, list[tuple[float, float]]]
    log_keys: dict[str, bytes]
    air: dict[str, Any]

    def distance_m(self, a: str, b: str, unix_s: float) -> float:
        """Between two carriers at a true time."""
        return math.dist(self.tracks[a].at(unix_s), self.tracks[b].at(unix_s))


def _carrier(member: dict[str, Any]) -> Carrier:
    scheme = member.get("scheme") or BLUEZONE
    hears = {scheme, BLUEZONE, GAEN} if member.get("hear") == "both" else {scheme}
    if member["carries"] == "beacon":
        hears = set()
    return Carrier(member["person"], member["label"], member["carries"], member["folder"], scheme, frozenset(hears))


def _ids(path: Path) -> dict[bytes, OnAir]:
    found = {}
    for line in path.read_text().splitlines():
        carrier, kind, rotating_id, first_s, last_s = line.split("\t")
        found[bytes.fromhex(rotating_id)] = OnAir(carrier, kind, float(first_s), float(last_s))
    return found


def _encounter(fields: dict[str, Any]) -> Encounter:
    return Encounter(fields["a"], fields["b"], fields["start_s"], fields["end_s"], fields["minutes"], fields["mean_m"])


def read(folder: Path) -> FleetFiles:
    """Raises BztokenError when the folder holds no fleet, or one of a version that wrote less."""
    try:
        manifest, truth = _json(folder / "fleet.json"), _json(folder / "truth.json")
        identities = _json(folder / "identities.json")["tokens"]
        return FleetFiles(
            folder,
            manifest["start_s"],
            manifest["end_s"],
            {member["person"]: _carrier(member) for member in manifest["members"]},
            [_encounter(fields) for fields in truth["encounters"]],
            _ids(folder / "ids.tsv"),
            {name: Track(points) for name, points in truth["tracks"].items()},
            {name: [(at_s, offset_s) for at_s, offset_s in points] for name, points in truth["clocks"].items()},
            {entry["person"]: bytes.fromhex(entry["first_log_key"]) for entry in identities},
            _json(folder / "air.json"),
        )
    except (OSError, ValueError, KeyError, TypeError):
        raise BztokenError(
            f"{folder} holds no fleet whose logs can be scored: make one with `bztoken fleet run --out`."
        ) from None


def _json(path: Path) -> Any:
    return json.loads(path.read_text())
