"""Who is where and when: a plain text world file, positions over time, and the true contacts that follow from them.

Format (see worlds/village.world): `world NAME`, `timezone +H`, `loss SHARE`, `place NAME X Y indoor|outdoor`, `spot
PLACE NAME DX DY`, `person NAME "Shown name" token|phone` followed by indented `HH:MM PLACE/SPOT` lines. Days repeat.
Distances are metres, times are local.
"""

import bisect
import math
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
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


@dataclass
class Person:
    """carries: "token" or "phone". stops: (second of the local day, position), in order; the last one holds over
    midnight until the first of the next day."""

    name: str
    shown: str
    carries: str
    stops: list[tuple[int, Position]] = field(default_factory=list)


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
class World:
    """loss: share of packets lost to interference whatever the distance."""

    name: str = ""
    timezone_s: int = 0
    loss: float = 0.0
    people: list[Person] = field(default_factory=list)

    def position(self, person: Person, unix_s: float) -> Position:
        """Where a person is; a walk takes place in a straight line from the moment of the stop's time."""
        second = (unix_s + self.timezone_s) % DAY_S
        at = bisect.bisect_right(person.stops, second, key=lambda stop: stop[0]) - 1
        since_s, target = person.stops[at]
        origin = person.stops[(at - 1) % len(person.stops)][1]
        distance_m = origin.distance_m(target)
        walked_m = ((second - since_s) % DAY_S) * WALK_M_PER_S
        if walked_m >= distance_m:
            return target
        share = walked_m / distance_m
        x_m = origin.x_m + (target.x_m - origin.x_m) * share
        y_m = origin.y_m + (target.y_m - origin.y_m) * share
        return Position(x_m, y_m, "", False)

    def true_contacts(self, start_s: int, end_s: int) -> list[TrueContact]:
        """Per pair and UTC day, the minutes within NEAR_M without a wall between, sampled once a minute."""
        minutes: dict[tuple[str, str, int], list[int]] = {}
        for now_s in range(start_s, end_s, 60):
            places = [(person.name, self.position(person, now_s)) for person in self.people]
            for (a, where_a), (b, where_b) in combinations(places, 2):
                if where_a.place == where_b.place and where_a.distance_m(where_b) <= NEAR_M:
                    minutes.setdefault((a, b, now_s // DAY_S), []).append(now_s)
        return [TrueContact(a, b, day, len(at), at[0], at[-1] + 60) for (a, b, day), at in sorted(minutes.items())]


def names() -> list[str]:
    """Worlds that come with the board."""
    return sorted(path.stem for path in WORLDS.glob("*.world"))


def load(name_or_path: str) -> World:
    """A world by its name or by the path of a world file. Raises WorldError."""
    path = WORLDS / f"{name_or_path}.world"
    if not path.exists():
        path = Path(name_or_path)
    try:
        text = path.read_text()
    except (OSError, UnicodeError):
        raise WorldError(
            f"There is no world {name_or_path!r}: give one of {', '.join(names())}, or a world file."
        ) from None
    return _Parser(path.name).parse(text)


class _Parser:
    """Reads a world file line by line; complaints carry the line number."""

    def __init__(self, file_name: str) -> None:
        self._file = file_name
        self._line = 0
        self._world = World()
        self._places: dict[str, Position] = {}
        self._spots: dict[str, Position] = {}

    def _fail(self, what: str) -> WorldError:
        return WorldError(f"{self._file}, line {self._line}: {what}.")

    def parse(self, text: str) -> World:
        for line in text.splitlines():
            self._line += 1
            try:
                words = shlex.split(line, comments=True)
            except ValueError:
                raise self._fail("a quotation mark is not closed") from None
            if words:
                self._take(words, line[:1].isspace())
        for person in self._world.people:
            if not person.stops:
                raise self._fail(f"person {person.name} has no stops")
            person.stops.sort(key=lambda stop: stop[0])
        if not self._world.people:
            raise self._fail("a world needs people")
        return self._world

    def _take(self, words: list[str], indented: bool) -> None:
        takers = {
            "world": (2, self._take_world),
            "timezone": (2, self._take_timezone),
            "loss": (2, self._take_loss),
            "place": (5, self._take_place),
            "spot": (5, self._take_spot),
            "person": (4, self._take_person),
        }
        if indented:
            self._take_stop(words)
            return
        count, taker = takers.get(words[0], (0, None))
        if taker is None:
            raise self._fail(f"unknown word {words[0]!r}")
        if len(words) != count:
            raise self._fail(f"{words[0]!r} takes {count - 1} words")
        taker(words[1:])

    def _number(self, text: str) -> float:
        try:
            return float(text)
        except ValueError:
            raise self._fail(f"{text!r} is not a number") from None

    def _take_world(self, words: list[str]) -> None:
        self._world.name = words[0]

    def _take_timezone(self, words: list[str]) -> None:
        self._world.timezone_s = int(self._number(words[0]) * 3600)

    def _take_loss(self, words: list[str]) -> None:
        self._world.loss = self._number(words[0])
        if not 0 <= self._world.loss < 1:
            raise self._fail("loss is a share from 0 to below 1")

    def _take_place(self, words: list[str]) -> None:
        if words[3] not in ("indoor", "outdoor"):
            raise self._fail("a place is indoor or outdoor")
        self._places[words[0]] = Position(
            self._number(words[1]), self._number(words[2]), words[0], words[3] == "indoor"
        )

    def _take_spot(self, words: list[str]) -> None:
        place = self._places.get(words[0])
        if place is None:
            raise self._fail(f"there is no place {words[0]!r}")
        x_m, y_m = place.x_m + self._number(words[2]), place.y_m + self._number(words[3])
        self._spots[f"{words[0]}/{words[1]}"] = Position(x_m, y_m, place.place, place.indoor)

    def _take_person(self, words: list[str]) -> None:
        if words[2] not in ("token", "phone"):
            raise self._fail("a person carries a token or a phone")
        if any(person.name == words[0] for person in self._world.people):
            raise self._fail(f"person {words[0]} is there twice")
        self._world.people.append(Person(words[0], words[1], words[2]))

    def _take_stop(self, words: list[str]) -> None:
        if not self._world.people or len(words) != 2:
            raise self._fail("an indented line is `HH:MM PLACE/SPOT` under a person")
        hour, _, minute = words[0].partition(":")
        if not (hour.isdigit() and minute.isdigit() and int(hour) < 24 and int(minute) < 60):
            raise self._fail(f"{words[0]!r} is not a time of day")
        spot = self._spots.get(words[1])
        if spot is None:
            raise self._fail(f"there is no spot {words[1]!r}")
        self._world.people[-1].stops.append((int(hour) * 3600 + int(minute) * 60, spot))


def crowd(count: int, template: World) -> World:
    """The world with its first `count` token carriers and its phones; too few of them are doubled as neighbours.

    A double has the same day 40 m further on, so that bigger fleets keep the shape of the village.
    """
    tokens = [person for person in template.people if person.carries == "token"]
    chosen = list(_doubled(tokens, count)) + [person for person in template.people if person.carries != "token"]
    return World(template.name, template.timezone_s, template.loss, chosen)


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
        yield Person(f"{person.name}-{round_number + 1}", f"{person.shown} {round_number + 1}", "token", stops)
