"""Of which days a report tells. Days are those of Vietnam, whatever the computer's zone."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from bztoken.calendar_days import VIETNAM

ACTIVE_DAYS = 7  # the report's day is the last of them
OLD_AGE = 60  # "people of 60 and more", as the communes' figures count them


@dataclass(frozen=True)
class Scope:
    """day: as of the end of which day tokens are told; first, last: the days in which cases were recorded, and tokens
    went out and came back; first None: from the beginning.
    """

    day: date
    first: date | None
    last: date

    @property
    def end_s(self) -> int:
        """The first second after the day (unix)."""
        return _start_s(self.day + timedelta(days=1))

    @property
    def week_s(self) -> int:
        """The first second of the seven days that end with the day."""
        return _start_s(self.day - timedelta(days=ACTIVE_DAYS - 1))

    @property
    def first_s(self) -> int:
        """The first second of the period."""
        return 0 if self.first is None else _start_s(self.first)

    @property
    def last_s(self) -> int:
        """The first second after the period."""
        return _start_s(self.last + timedelta(days=1))

    @property
    def newest_birth_year(self) -> int:
        """Born in it or before: 60 or more by the year of birth."""
        return self.day.year - OLD_AGE


def _start_s(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=VIETNAM).timestamp())
