"""Reads a world file line by line; complaints carry the line number.

    world NAME            timezone +H            loss SHARE (of packets, lost whatever the distance)
    profile WORD          scheme WORD            for every token that has none of its own
    place NAME X Y indoor|outdoor                spot PLACE NAME DX DY
    person NAME "Shown name" token|site|phone|iphone|beacon [key=value ..]
      HH:MM PLACE/SPOT [every MINUTES until HH:MM]
    crowd NAME COUNT token|phone|iphone|beacon PLACE RADIUS [key=value ..]

Keys, and what they mean: `world.Options`; `jump=HH:MM:SECONDS` (or `:reset`) may come more than once. A site is a token
of role site. A crowd stands within RADIUS of its place, each where its name says: the same in every run.
"""

import math
import random
import shlex
from collections.abc import Callable
from dataclasses import replace

from .errors import WorldError
from .world import DAY_S, Options, Person, Position, World

PROFILES = ("continuous", "windowed")
SCHEMES = ("bluezone", "gaen")
CARRIED = ("token", "site", "phone", "iphone", "beacon")
MAX_CROWD = 1000
MAX_DRIFT_PPM = 200_000


def parse(file_name: str, text: str) -> World:
    """The world of a file's text. Raises WorldError."""
    return _Parser(file_name).parse(text)


class _Parser:
    def __init__(self, file_name: str) -> None:
        self._file = file_name
        self._line = 0
        self._world = World()
        self._places: dict[str, Position] = {}
        self._spots: dict[str, Position] = {}
        self._defaults: dict[str, str] = {}

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
            self._finish(person)
        if not self._world.people:
            raise self._fail("a world needs people")
        return self._world

    def _finish(self, person: Person) -> None:
        if not person.stops:
            raise self._fail(f"person {person.name} has no stops")
        person.stops.sort(key=lambda stop: stop[0])
        if person.carries == "token":
            own = person.options
            person.options = replace(
                own,
                profile=own.profile or self._defaults.get("profile", ""),
                scheme=own.scheme or self._defaults.get("scheme", ""),
            )

    def _take(self, words: list[str], indented: bool) -> None:
        # word: (words on its line, may key=value words follow, who takes them)
        takers: dict[str, tuple[int, bool, Callable[[list[str]], None]]] = {
            "world": (2, False, self._take_world),
            "timezone": (2, False, self._take_timezone),
            "loss": (2, False, self._take_loss),
            "profile": (2, False, lambda rest: self._take_default("profile", rest[0], PROFILES)),
            "scheme": (2, False, lambda rest: self._take_default("scheme", rest[0], SCHEMES)),
            "place": (5, False, self._take_place),
            "spot": (5, False, self._take_spot),
            "person": (4, True, self._take_person),
            "crowd": (6, True, self._take_crowd),
        }
        if indented:
            self._take_stop(words)
            return
        if words[0] not in takers:
            raise self._fail(f"unknown word {words[0]!r}")
        count, more, taker = takers[words[0]]
        if len(words) < count or (len(words) > count and not more):
            raise self._fail(f"{words[0]!r} takes {count - 1} words")
        taker(words[1:])

    def _number(self, text: str) -> float:
        try:
            found = float(text)
        except ValueError:
            found = math.nan
        if not math.isfinite(found):
            raise self._fail(f"{text!r} is not a number")
        return found

    def _time(self, text: str) -> int:
        hour, _, minute = text.partition(":")
        if not (hour.isdigit() and minute.isdigit() and int(hour) < 24 and int(minute) < 60):
            raise self._fail(f"{text!r} is not a time of day")
        return int(hour) * 3600 + int(minute) * 60

    def _one_of(self, key: str, word: str, known: tuple[str, ...]) -> str:
        if word not in known:
            raise self._fail(f"{key} is {' or '.join(known)}")
        return word

    def _take_world(self, words: list[str]) -> None:
        self._world.name = words[0]

    def _take_timezone(self, words: list[str]) -> None:
        self._world.timezone_s = int(self._number(words[0]) * 3600)

    def _take_loss(self, words: list[str]) -> None:
        self._world.loss = self._number(words[0])
        if not 0 <= self._world.loss < 1:
            raise self._fail("loss is a share from 0 to below 1")

    def _take_default(self, key: str, word: str, known: tuple[str, ...]) -> None:
        self._defaults[key] = self._one_of(key, word, known)

    def _take_place(self, words: list[str]) -> None:
        if words[3] not in ("indoor", "outdoor"):
            raise self._fail("a place is indoor or outdoor")
        x_m, y_m = self._number(words[1]), self._number(words[2])
        self._places[words[0]] = Position(x_m, y_m, words[0], words[3] == "indoor")

    def _place(self, name: str) -> Position:
        place = self._places.get(name)
        if place is None:
            raise self._fail(f"there is no place {name!r}")
        return place

    def _take_spot(self, words: list[str]) -> None:
        place = self._place(words[0])
        x_m, y_m = place.x_m + self._number(words[2]), place.y_m + self._number(words[3])
        self._spots[f"{words[0]}/{words[1]}"] = Position(x_m, y_m, place.place, place.indoor)

    def _new(self, name: str, shown: str, carries: str, options: list[str]) -> Person:
        if carries not in CARRIED:
            raise self._fail("a person carries a token or a phone, an iphone or a beacon, or is a site")
        if any(person.name == name for person in self._world.people):
            raise self._fail(f"person {name} is there twice")
        if "/" in name or name.startswith("."):
            raise self._fail("a name becomes a file's name and has no slash")
        person = Person(name, shown, carries, options=self._options(carries, options))
        if carries == "site":
            person.carries, person.options = "token", replace(person.options, role="site")
        self._world.people.append(person)
        return person

    def _take_person(self, words: list[str]) -> None:
        self._new(words[0], words[1], words[2], words[3:])

    def _options(self, carries: str, words: list[str]) -> Options:
        found = Options()
        for word in words:
            key, _, value = word.partition("=")
            if carries not in (("iphone",) if key == "foreground" else ("token", "site")):
                raise self._fail(f"{word!r} does not fit a {carries}")
            found = self._with_option(found, key, value)
        return found

    def _with_option(self, options: Options, key: str, value: str) -> Options:
        if key == "profile":
            return replace(options, profile=self._one_of(key, value, PROFILES))
        if key == "scheme":
            return replace(options, scheme=self._one_of(key, value, SCHEMES))
        if key == "hear":
            return replace(options, hear=self._one_of(key, value, ("own", "both")))
        if key == "role":
            return replace(options, role=self._one_of(key, value, ("person", "site")))
        if key == "foreground":
            return replace(options, foreground=self._one_of(key, value, ("yes", "no")) == "yes")
        if key == "drift_ppm":
            if abs(drift := self._number(value)) > MAX_DRIFT_PPM:
                raise self._fail(f"drift is at most {MAX_DRIFT_PPM} ppm")
            return replace(options, drift_ppm=round(drift))
        if key == "offset_s":
            return replace(options, offset_s=self._number(value))
        if key == "jump":
            time, _, by = value.rpartition(":")
            jump = (self._time(time), None if by == "reset" else self._number(by))
            return replace(options, jumps=(*options.jumps, jump))
        raise self._fail(f"unknown option {key!r}")

    def _take_crowd(self, words: list[str]) -> None:
        name, place, radius_m = words[0], self._place(words[3]), self._number(words[4])
        if not words[1].isdigit() or not 1 <= int(words[1]) <= MAX_CROWD:
            raise self._fail(f"a crowd has 1 to {MAX_CROWD} people")
        for number in range(1, int(words[1]) + 1):
            person = self._new(f"{name}-{number}", f"{name} {number}", words[2], words[5:])
            draw = random.Random(person.name)
            angle, from_centre_m = draw.uniform(0, math.tau), radius_m * math.sqrt(draw.random())
            x_m, y_m = place.x_m + from_centre_m * math.cos(angle), place.y_m + from_centre_m * math.sin(angle)
            person.stops.append((0, Position(x_m, y_m, place.place, place.indoor)))

    def _take_stop(self, words: list[str]) -> None:
        repeated = len(words) == 6 and (words[2], words[4]) == ("every", "until")
        if not self._world.people or not (len(words) == 2 or repeated):
            raise self._fail("an indented line is `HH:MM PLACE/SPOT [every MINUTES until HH:MM]` under a person")
        first_s = self._time(words[0])
        spot = self._spots.get(words[1])
        if spot is None:
            raise self._fail(f"there is no spot {words[1]!r}")
        step_s, last_s = DAY_S, first_s
        if repeated:
            step_s, last_s = round(self._number(words[3]) * 60), self._time(words[5])
            if step_s < 60 or last_s < first_s:
                raise self._fail("a stop repeats every minute or less often, until a later time of the same day")
        self._world.people[-1].stops += [(at_s, spot) for at_s in range(first_s, last_s + 1, step_s)]
