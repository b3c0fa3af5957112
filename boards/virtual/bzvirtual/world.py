"""Who is where and when: people, positions over time, and the true contacts that follow from them.

How a world is written down: `world_file`. Distances are metres, times of day are local, days repeat.
"""

import bisect
import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path

from .errors import WorldError

WORLDS = Path(__file__).resolve().parent / "worlds"
DAY_S = 86400
WALK_M_PER_S = 1.2
NEAR_M = 2.0  # Vietnam's rule of 2020: within 2 m


@dataclass(frozen=True)
class Position:
    """Where somebody is; place is empty on the way between places."""

    x_m: float
    y_m: float
    place: str
    indoor: bool

    def distance_m(self, other: "Position") -> float:
        """Straight line."""
        return math.hypot(self.x_m - other.x_m, self.y_m - other.y_m)


@dataclass(frozen=True)
class Options:
    """How a carrier's device is set up; empty words leave the board's own default.

    profile "continuous" or "windowed", scheme "bluezone" or "gaen", hear "both", role "person" or "site"; drift_ppm:
    error of the clock's rate; offset_s: how wrong it is set at hand-out; jumps: (second of the local day, seconds by
    which the clock jumps, None for a reset to the year 2000), each once; foreground: an iPhone's app is open.
    """

    profile: str = ""
    scheme: str = ""
    hear: str = ""
    role: str = "person"
    drift_ppm: int = 0
    offset_s: float = 0.0
    jumps: tuple[tuple[int, float | None], ...] = ()
    foreground: bool = True


@dataclass
class Person:
    """carries: "token", "phone", "iphone" or "beacon". stops: (second of the local day, position), in order; the last
    one holds over midnight until the first of the next day.
    """

    name: str
    shown: str
    carries: str
    stops: list[tuple[int, Position]] = field(default_factory=list)
    options: Options = Options()


@dataclass(frozen=True)
class TrueContact:
    """Minutes that two people really spent within NEAR_M on one UTC day."""

    a: str
    b: str
    day: int
    minutes: int
    first_s: int
    last_s: int


@dataclass
class Leg:
    """What a person does from one stop's time to the next: walk there, then stay. Times in Unix seconds."""

    origin: Position
    target: Position
    left_s: float
    next_s: float

    @property
    def arrival_s(self) -> float:
        """When the walk is over; it may be later than next_s."""
        return self.left_s + self.origin.distance_m(self.target) / WALK_M_PER_S

    def position(self, unix_s: float) -> Position:
        """A walk takes place in a straight line from the moment of the stop's time."""
        distance_m = self.origin.distance_m(self.target)
        walked_m = (unix_s - self.left_s) * WALK_M_PER_S
        if walked_m >= distance_m:
            return self.target
        share = walked_m / distance_m
        x_m = self.origin.x_m + (self.target.x_m - self.origin.x_m) * share
        y_m = self.origin.y_m + (self.target.y_m - self.origin.y_m) * share
        return Position(x_m, y_m, "", False)


@dataclass
class World:
    """loss: share of packets lost to interference whatever the distance."""

    name: str = ""
    timezone_s: int = 0
    loss: float = 0.0
    people: list[Person] = field(default_factory=list)

    def leg(self, person: Person, unix_s: float) -> Leg:
        """What the person does at this moment."""
        second = (unix_s + self.timezone_s) % DAY_S
        at = bisect.bisect_right(person.stops, second, key=lambda stop: stop[0]) - 1
        since_s, target = person.stops[at]
        origin = person.stops[(at - 1) % len(person.stops)][1]
        until_s = person.stops[(at + 1) % len(person.stops)][0]
        left_s = unix_s - (second - since_s) % DAY_S
        return Leg(origin, target, left_s, unix_s + ((until_s - second) % DAY_S or DAY_S))

    def position(self, person: Person, unix_s: float) -> Position:
        """Where a person is."""
        if len(person.stops) == 1:  # a crowd stays where it is: asked for at every scan
            return person.stops[0][1]
        return self.leg(person, unix_s).position(unix_s)

    def track(self, person: Person, start_s: int, end_s: int) -> list[tuple[float, float, float]]:
        """(Unix second, x, y) at every turn from start to end: straight lines between; two at one time are a leap."""
        points: list[tuple[float, float, float]] = []
        at_s: float = start_s
        while at_s < end_s:
            leg = self.leg(person, at_s)
            until_s = min(leg.next_s, end_s)
            for turn_s in (at_s, min(max(leg.arrival_s, at_s), until_s), until_s):
                where = leg.position(turn_s)
                if not points or points[-1] != (turn_s, where.x_m, where.y_m):
                    points.append((turn_s, where.x_m, where.y_m))
            at_s = until_s
        return points

    def true_contacts(self, start_s: int, end_s: int) -> list[TrueContact]:
        """Per pair and UTC day, the minutes within NEAR_M without a wall between, sampled once a minute. Beacons do not
        count: nobody asks whom they met.
        """
        minutes: dict[tuple[str, str, int], list[int]] = {}
        people = [person for person in self.people if person.carries != "beacon"]
        for now_s in range(start_s, end_s, 60):
            places = [(person.name, self.position(person, now_s)) for person in people]
            for (a, where_a), (b, where_b) in combinations(places, 2):
                if where_a.place == where_b.place and where_a.distance_m(where_b) <= NEAR_M:
                    minutes.setdefault((a, b, now_s // DAY_S), []).append(now_s)
        return [TrueContact(a, b, day, len(at), at[0], at[-1] + 60) for (a, b, day), at in sorted(minutes.items())]

    def token_carriers(self) -> list[Person]:
        """People with a token and sites, in the order of the file."""
        return [person for person in self.people if person.carries == "token"]

    def with_settings(self, profile: str, scheme: str) -> "World":
        """The same world with this profile and scheme for every token; empty words change nothing."""

        def changed(person: Person) -> Person:
            own = person.options
            options = replace(own, profile=profile or own.profile, scheme=scheme or own.scheme)
            return replace(person, options=options) if person.carries == "token" else person

        return replace(self, people=[changed(person) for person in self.people])


def names() -> list[str]:
    """Worlds that come with the board."""
    return sorted(path.stem for path in WORLDS.glob("*.world"))


def load(name_or_path: str) -> World:
    """A world by its name or by the path of a world file. Raises WorldError."""
    from .world_file import parse  # which builds on this module

    path = WORLDS / f"{name_or_path}.world"
    if not path.exists():
        path = Path(name_or_path)
    try:
        text = path.read_text()
    except (OSError, UnicodeError):
        raise WorldError(
            f"There is no world {name_or_path!r}: give one of {', '.join(names())}, or a world file."
        ) from None
    return parse(path.name, text)


def crowd(count: int | None, template: World) -> World:
    """The world with its first `count` token carriers (None: all) and everybody else; too few are doubled.

    A double has the same day 40 m further on, so that bigger fleets keep the shape of the village.
    """
    tokens = template.token_carriers()
    if count is None or not tokens:
        return template
    chosen = list(_doubled(tokens, count)) + [person for person in template.people if person.carries != "token"]
    return replace(template, people=chosen)


def _doubled(people: list[Person], count: int) -> Iterator[Person]:
    for index in range(count):
        person, round_number = people[index % len(people)], index // len(people)
        if round_number == 0:
            yield person
            continue
        shift_m = 40.0 * round_number
        stops = [
            (since_s, Position(at.x_m, at.y_m + shift_m, f"{at.place}+{round_number}", at.indoor))
            for since_s, at in person.stops
        ]
        suffix = round_number + 1
        yield Person(f"{person.name}-{suffix}", f"{person.shown} {suffix}", "token", stops, person.options)
