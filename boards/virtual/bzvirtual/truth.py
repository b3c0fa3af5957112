"""What was really so in a virtual world, written beside the logs so that they can be held against it.

`truth.json`: contacts by day (minutes within 2 m), encounters (stretches within 10 m), tracks (who walked where) and
clocks (how wrong each token's clock was when). `ids.tsv`: every ID that was on the air, whose and when.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from bzwire import bluezone, gaen
from bzwire.errors import WireError

from . import world
from .ether import Broadcast, Station
from .world import Person, Position, World

SECOND_US = 1_000_000
FILE = "truth.json"
IDS_FILE = "ids.tsv"
REACH_M = 10.0
APART_S = 120  # a stretch ends when two were apart for longer than this
SAMPLE_S = 10
CHANGED_S = 0.005  # a clock that is off its course by more was set, or has jumped
BLUEZONE, GAEN = "bluezone", "gaen"


# -- encounters -----------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Encounter:
    """A stretch in which two carriers were within REACH_M without a wall between; minutes leaves its pauses out."""

    a: str
    b: str
    start_s: int
    end_s: int
    minutes: float
    mean_m: float
    min_m: float


@dataclass
class _Stretch:
    start_s: int
    last_s: int
    samples: int
    sum_m: float
    min_m: float

    def add(self, now_s: int, distance_m: float, samples: int) -> None:
        self.last_s = now_s + (samples - 1) * SAMPLE_S
        self.samples += samples
        self.sum_m += samples * distance_m
        self.min_m = min(self.min_m, distance_m)

    def encounter(self, pair: tuple[str, str]) -> Encounter:
        minutes = round(self.samples * SAMPLE_S / 60, 2)
        mean_m, min_m = round(self.sum_m / self.samples, 2), round(self.min_m, 2)
        return Encounter(*pair, self.start_s, self.last_s + SAMPLE_S, minutes, mean_m, min_m)


class _Meetings:
    """Who is near whom, kept up to date only for those who have moved: nights cost nothing."""

    def __init__(self, place: World) -> None:
        self._world = place
        self._where: dict[str, Position] = {}
        self._still_until_s: dict[str, float] = dict.fromkeys((person.name for person in place.people), 0)
        self.near: dict[tuple[str, str], float] = {}  # distance in metres

    def move_on(self, now_s: int) -> None:
        """Bring everybody to where they are now."""
        moved = [person for person in self._world.people if self._still_until_s[person.name] <= now_s]
        for person in moved:
            leg = self._world.leg(person, now_s)
            self._where[person.name] = leg.position(now_s)
            self._still_until_s[person.name] = leg.next_s if leg.arrival_s <= now_s else now_s
        for person in moved:
            for other in self._world.people:
                if other is not person and not person.carries == other.carries == "beacon":
                    self._compare(person.name, other.name)

    def _compare(self, a: str, b: str) -> None:
        pair = (min(a, b), max(a, b))
        where_a, where_b = self._where[a], self._where[b]
        distance_m = where_a.distance_m(where_b) if where_a.place == where_b.place else REACH_M + 1
        if distance_m <= REACH_M:
            self.near[pair] = distance_m
        else:
            self.near.pop(pair, None)

    def next_move_s(self) -> float:
        """Until then nobody moves; now or earlier: somebody is on the way."""
        return min(self._still_until_s.values())


def encounters(place: World, start_s: int, end_s: int) -> list[Encounter]:
    """Of every pair but two beacons, in order of time; sampled every 10 s."""
    meetings = _Meetings(place)
    open_ones: dict[tuple[str, str], _Stretch] = {}
    found: list[Encounter] = []
    now_s = start_s
    while now_s < end_s:
        meetings.move_on(now_s)
        samples = max(1, int((min(meetings.next_move_s(), end_s) - now_s - 1) // SAMPLE_S) + 1)
        for pair, distance_m in meetings.near.items():
            open_ones.setdefault(pair, _Stretch(now_s, now_s, 0, 0.0, REACH_M)).add(now_s, distance_m, samples)
        now_s += samples * SAMPLE_S
        for pair in [pair for pair, stretch in open_ones.items() if stretch.last_s < now_s - APART_S - SAMPLE_S]:
            found.append(open_ones.pop(pair).encounter(pair))
    found += [stretch.encounter(pair) for pair, stretch in open_ones.items()]
    return sorted(found, key=lambda encounter: (encounter.start_s, encounter.a, encounter.b))


# -- clocks ---------------------------------------------------------------------------------------------------------
class ClockTrace:
    """How wrong one token's clock was: points (true Unix second, clock minus true time in s), straight between."""

    def __init__(self, drift_ppm: int) -> None:
        self._drift_ppm = drift_ppm
        self.points: list[tuple[float, float]] = []

    def _expected_s(self, now_s: float) -> float:
        since_s, error_s = self.points[-1]
        return error_s + (now_s - since_s) * self._drift_ppm / 1_000_000

    def note(self, now_s: float, error_s: float) -> None:
        """Look at the clock, as often as may be: a point is kept where it did not run on as it drifts."""
        if not self.points:
            self.points.append((now_s, error_s))
        elif abs(error_s - self._expected_s(now_s)) > CHANGED_S:
            self.points += [(now_s, round(self._expected_s(now_s), 3)), (now_s, error_s)]

    def finish(self, end_s: float) -> None:
        """The last point."""
        if self.points:
            self.points.append((end_s, round(self._expected_s(end_s), 3)))


# -- IDs ------------------------------------------------------------------------------------------------------------
def id_of(data: bytes) -> tuple[str, bytes] | None:
    """(kind, ID) of a payload: 12 bytes of Bluezone, the 16-byte RPI of GAEN; None for anybody else's."""
    try:
        parsed = bluezone.parse_advertisement(data)
        if parsed is not None:
            return BLUEZONE, parsed[0]
        parsed = gaen.parse_advertisement(data)
    except WireError:
        return None
    return None if parsed is None else (GAEN, parsed[0][:16])


@dataclass(slots=True)
class Shown:
    """When an ID was on the air. Of a carrier's newest ID the last broadcast tells the end, filled in later."""

    carrier: str
    kind: str
    rotating_id: bytes
    first_us: int
    last: Broadcast | None
    last_us: int = 0

    def settle(self, now_us: int) -> None:
        """No more of it: years of a fleet are remembered without their broadcasts."""
        if self.last is not None:
            self.last_us = now_us if self.last.end_us is None else self.last.end_us
            self.last = None

    def line(self) -> str:
        """For `ids.tsv`."""
        seconds = f"{self.first_us / SECOND_US:.1f}\t{self.last_us / SECOND_US:.1f}"
        return f"{self.carrier}\t{self.kind}\t{self.rotating_id.hex()}\t{seconds}\n"


class IdLog:
    """Every ID that was broadcast. One entry an ID, however often its carrier goes silent in between."""

    def __init__(self) -> None:
        self._shown: dict[tuple[str, bytes], Shown] = {}
        self._newest: dict[str, Shown] = {}  # by carrier

    def on_broadcast(self, station: Station, broadcast: Broadcast) -> None:
        """Told when a broadcast begins."""
        parsed = id_of(broadcast.data)
        if parsed is None:
            return
        key = (station.name, parsed[1])
        shown = self._shown.get(key)
        if shown is None:
            shown = self._shown[key] = Shown(station.name, *parsed, broadcast.start_us, broadcast)
        shown.last = broadcast
        newest = self._newest.get(station.name)
        if newest is not None and newest is not shown:
            newest.settle(broadcast.start_us)
        self._newest[station.name] = shown

    def add(self, carrier: str, rotating_id: bytes, first_s: int, last_s: int) -> None:
        """A Bluezone ID that was to be read over a connection, as an iPhone's is."""
        shown = Shown(carrier, BLUEZONE, rotating_id, first_s * SECOND_US, None, last_s * SECOND_US)
        self._shown[carrier, rotating_id] = shown

    def write(self, path: Path, end_s: int) -> None:
        """Carrier, kind, ID, first and last Unix second, by carrier and time."""
        for shown in self._newest.values():
            shown.settle(end_s * SECOND_US)
        ordered = sorted(self._shown.values(), key=lambda shown: (shown.carrier, shown.first_us))
        path.write_text("".join(shown.line() for shown in ordered))


# -- the file -------------------------------------------------------------------------------------------------------
def _track(place: World, person: Person, start_s: int, end_s: int) -> list[list[float]]:
    return [[round(value, 2) for value in point] for point in place.track(person, start_s, end_s)]


def write(path: Path, place: World, start_s: int, end_s: int, clocks: dict[str, ClockTrace]) -> None:
    """`truth.json`. Distances in metres, times in Unix seconds."""
    document = {
        "near_m": world.NEAR_M,
        "contacts": [asdict(contact) for contact in place.true_contacts(start_s, end_s)],
        "reach_m": REACH_M,
        "encounters": [asdict(encounter) for encounter in encounters(place, start_s, end_s)],
        "tracks": {person.name: _track(place, person, start_s, end_s) for person in place.people},
        "clocks": {name: clock.points for name, clock in clocks.items()},
    }
    path.write_text(json.dumps(document, indent=1) + "\n")
