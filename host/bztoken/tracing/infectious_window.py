"""When a case may have infected others, from the day of the first symptoms or of the test: `infectious_windows.toml`.

Days of the window are UTC days, as those of keys and exposures are; which day it is today, people say by their own
clock, so "not in the future" is judged in Vietnam's time.
"""

import tomllib
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from importlib import resources

from bztoken.calendar_days import day_of
from bztoken.errors import CaseError
from bzwire.bluezone import DAY_S

RULES_FILE = "infectious_windows.toml"
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class Rules:
    """Days after onset and after the test, first and last; and how long ago either may be."""

    onset: tuple[int, int]
    test: tuple[int, int]
    oldest_days: int


@dataclass(frozen=True)
class Window:
    """UTC days, both of which count."""

    first_day: date
    last_day: date

    @property
    def first_number(self) -> int:
        """Its first UTC day, counted since 1970-01-01."""
        return (self.first_day - _EPOCH).days

    @property
    def last_number(self) -> int:
        """Its last UTC day."""
        return (self.last_day - _EPOCH).days

    def holds(self, start_s: int, end_s: int) -> bool:
        """Whether a second of a stretch (its last second included) is within the window."""
        return start_s < (self.last_number + 1) * DAY_S and end_s >= self.first_number * DAY_S


@cache
def rules() -> Rules:
    """As published; see the file."""
    table = tomllib.loads(resources.files("bztoken.tracing").joinpath(RULES_FILE).read_text(encoding="utf-8"))
    onset, test = ((table[name]["first_day"], table[name]["last_day"]) for name in ("onset", "test"))
    return Rules(onset, test, table["limits"]["oldest_days"])


def window(onset: date | None, test: date | None, now_s: int) -> Window:
    """The infectious window. Raises CaseError: neither day, or one in the future or too long ago."""
    spans = [
        (day + timedelta(days=first), day + timedelta(days=last))
        for day, (first, last) in ((onset, rules().onset), (test, rules().test))
        if day is not None
    ]
    if not spans:
        raise CaseError(
            "a case needs the day of the first symptoms or of the test, since only keys of the days around it are "
            "recorded: give --onset or --test"
        )
    for name, day in (("the first symptoms", onset), ("the test", test)):
        if day is not None:
            _require_plausible(name, day, now_s)
    return Window(min(first for first, _ in spans), max(last for _, last in spans))


def _require_plausible(name: str, day: date, now_s: int) -> None:
    today = day_of(now_s)
    if day > today:
        raise CaseError(f"the day of {name} is in the future: nothing was changed, correct it")
    if (today - day).days > rules().oldest_days:
        raise CaseError(
            f"the day of {name} is more than {rules().oldest_days} days ago, of which no keys and logs are left: "
            "nothing was changed, correct it"
        )
