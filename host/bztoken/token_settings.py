"""What a station may choose for a token, in words and as the numbers of firmware/SPEC.md "Commands", SETTINGS."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from bztoken.errors import LinkError
from bzwire import messages

SHORTEST_RETENTION_DAYS = 1
LONGEST_RETENTION_DAYS = 21


class Profile(StrEnum):
    """How a token spends its battery."""

    CONTINUOUS = "continuous"
    WINDOWED = "windowed"


class Scheme(StrEnum):
    """What a token broadcasts."""

    BLUEZONE = "bluezone"
    GAEN = "gaen"


class Hear(StrEnum):
    """What a token records: its own scheme, or both."""

    OWN = "own"
    BOTH = "both"


_PROFILES = {messages.PROFILE_CONTINUOUS: Profile.CONTINUOUS, messages.PROFILE_WINDOWED: Profile.WINDOWED}
_SCHEMES = {messages.SCHEME_BLUEZONE: Scheme.BLUEZONE, messages.SCHEME_GAEN: Scheme.GAEN}
_HEARS = {0: Hear.OWN, 1: Hear.BOTH}


def _number(words: Mapping[int, StrEnum], wanted: StrEnum) -> int:
    return next(number for number, word in words.items() if word == wanted)


@dataclass(frozen=True)
class Settings:
    """As they stand on a token."""

    profile: Profile
    scheme: Scheme
    hear: Hear
    retention_days: int
    notice: bool  # the light shows that there was an exposure

    @classmethod
    def from_fields(cls, fields: dict[str, Any]) -> "Settings":
        """From an answer of SETTINGS or STATUS. Raises LinkError for values that this program does not know."""
        try:
            return cls(
                _PROFILES[fields["p"]],
                _SCHEMES[fields["s"]],
                _HEARS[fields["h"]],
                int(fields["rd"]),
                bool(fields["no"]),
            )
        except KeyError:
            raise LinkError("The token has settings that this program does not know: update the older one.") from None


@dataclass(frozen=True)
class Wanted:
    """Those to change; None: as it is."""

    profile: Profile | None = None
    scheme: Scheme | None = None
    hear: Hear | None = None
    retention_days: int | None = None
    notice: bool | None = None

    def fields(self) -> dict[str, int]:
        """As SETTINGS takes them."""
        fields: dict[str, int] = {}
        if self.profile is not None:
            fields["p"] = _number(_PROFILES, self.profile)
        if self.scheme is not None:
            fields["s"] = _number(_SCHEMES, self.scheme)
        if self.hear is not None:
            fields["h"] = _number(_HEARS, self.hear)
        if self.retention_days is not None:
            fields["rd"] = self.retention_days
        if self.notice is not None:
            fields["no"] = int(self.notice)
        return fields

    def in_words(self) -> str:
        """What is to change, in one line."""
        said = [str(word) for word in (self.profile, self.scheme) if word is not None]
        if self.hear is not None:
            said.append(f"hears {self.hear}")
        if self.retention_days is not None:
            said.append(f"{self.retention_days} days")
        if self.notice is not None:
            said.append("notice set" if self.notice else "notice cleared")
        return ", ".join(said)
