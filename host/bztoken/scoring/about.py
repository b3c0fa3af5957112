"""What every preset is, whatever its arithmetic: a description, a score of sightings, a judgement of windows."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from bztoken.matching.rules import Heard, Score
from bztoken.scoring.heard_time import WINDOW_S
from bztoken.scoring.windows import ExposureWindow


class About(NamedTuple):
    """sources: where its numbers are from; our_choices: what no source says; max_age_days: how old an encounter may be,
    None where the rule has no limit.
    """

    name: str
    version: int
    kind: str
    title: str
    sources: tuple[str, ...]
    our_choices: tuple[str, ...]
    max_age_days: int | None

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "About":
        """From a preset file whose shape was checked."""
        return cls(
            name=document["name"],
            version=document["version"],
            kind=document["kind"],
            title=document["title"],
            sources=tuple(document["sources"]),
            our_choices=tuple(document["our_choices"]),
            max_age_days=document.get("max_age_days"),
        )


class DayJudged(NamedTuple):
    """A day of exposure windows: its age, the minutes that the preset counts (weighted where it weighs), and what it
    calls that, None when it is nothing.
    """

    age_days: int
    minutes: float
    level: str | None


@dataclass(frozen=True)
class Described(ABC):
    """A preset; fulfils `bztoken.matching.rules.Preset`."""

    about: About

    @property
    def name(self) -> str:
        """As `bztoken scoring choose` takes it."""
        return self.about.name

    @property
    def version(self) -> int:
        """Of the file, another one whenever it may answer differently."""
        return self.about.version

    @property
    def window_s(self) -> int:
        """Length of the windows of our records."""
        return WINDOW_S

    @abstractmethod
    def score(self, heard: Sequence[Heard]) -> Score:
        """Score at least one sighting; the order does not matter."""

    @abstractmethod
    def judge(self, windows: Sequence[ExposureWindow]) -> list[DayJudged]:
        """Judge exposure windows of other systems, day by day, the youngest first; days of which nothing counts are
        left out.
        """

    def young_enough(self, windows: Iterable[ExposureWindow]) -> list[ExposureWindow]:
        """Those that are not older than the rule looks back."""
        limit = self.about.max_age_days
        return [window for window in windows if limit is None or window.age_days <= limit]
