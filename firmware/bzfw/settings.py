"""What a station may choose for a token, in one file: power profile, scheme, what it hears, retention, the notice.

The board's file gives the defaults. A damaged file falls back on them: a token that lives by the wrong profile is
better than one that does not live.
"""

from micropython import const

from bzwire import cbor
from bzwire.errors import WireError
from bzwire.messages import PROFILE_CONTINUOUS, PROFILE_WINDOWED, SCHEME_BLUEZONE

from . import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SETTINGS_PATH = "/settings"
_RETENTION_DAYS = const(14)
_SITE_RETENTION_DAYS = const(21)
_LONGEST_RETENTION_DAYS = const(21)
# Field on the wire and in the file: (name of the attribute, lowest, highest).
FIELDS = {
    "p": ("profile", PROFILE_CONTINUOUS, PROFILE_WINDOWED),
    "s": ("scheme", 0, 1),
    "h": ("hear_both", 0, 1),
    "rd": ("retention_days", 1, _LONGEST_RETENTION_DAYS),
    "no": ("notice", 0, 1),
}


class Settings:
    """profile, scheme: numbers of bzwire.messages; hear_both, notice: 0 or 1.

    A site is on the mains, and asked about longer ago: always continuous, and 21 days unless told otherwise.
    """

    def __init__(self, default_profile: int) -> None:
        self.profile = default_profile
        self.scheme = SCHEME_BLUEZONE
        self.hear_both = 0
        self.retention_days = _RETENTION_DAYS
        self.notice = 0
        self._is_site = False
        self._told = False  # by a station
        try:
            raw = files.read_whole(SETTINGS_PATH)
            if raw:
                self._take(cbor.loads(raw))
        except (WireError, AttributeError):
            return

    def make_site(self) -> None:
        """From now on these are a site's."""
        self._is_site = True
        self.profile = PROFILE_CONTINUOUS
        if not self._told:
            self.retention_days = _SITE_RETENTION_DAYS

    def _take(self, content: "dict[str, Any]") -> None:
        for field, (name, low, high) in FIELDS.items():
            value = content.get(field)
            if isinstance(value, int) and low <= value <= high:
                setattr(self, name, value)
        self._told = True
        if self._is_site:
            self.profile = PROFILE_CONTINUOUS

    def fields(self) -> "dict[str, int]":
        """As they stand, for an answer and for the file."""
        return {field: getattr(self, FIELDS[field][0]) for field in FIELDS}

    def change(self, wanted: "dict[str, int]") -> bool:
        """Write what differs, then take it; True when something did. Raises OSError, and nothing has changed then."""
        content = self.fields()
        before = dict(content)
        content.update(wanted)
        if content == before:
            return False
        files.write_whole(SETTINGS_PATH, cbor.dumps(content))
        self._take(content)
        return True
