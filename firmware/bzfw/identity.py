"""Who the token is: number, keys of the link, log key of the present day. Written by the station at provisioning.

The log key goes forward one SHA-256 a day and is never kept back; its number tells the host how often.
"""

from bzwire import cbor, keys
from bzwire.bluezone import day_of
from bzwire.errors import WireError

from . import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

IDENTITY_PATH = "/identity"
LOG_KEY_PATH = "/log_key"


class Identity:
    """uid: 8 bytes; auth_key: 32 bytes; role: "person" or "site"."""

    def __init__(self, uid: bytes, auth_key: bytes, role: str) -> None:
        self.uid = uid
        self.auth_key = auth_key
        self.role = role

    def save(self) -> None:
        """Write it. Raises OSError."""
        content = {"v": 1, "u": self.uid, "k": self.auth_key, "r": self.role}
        files.write_whole(IDENTITY_PATH, cbor.dumps(content))


def load_identity() -> "Identity | None":
    """None when the token was never provisioned, or the file is damaged: both need a station."""
    content = _load(IDENTITY_PATH)
    if content is None:
        return None
    return Identity(content["u"], content["k"], content["r"])


def _load(path: str) -> "dict[str, Any] | None":
    try:
        raw = files.read_whole(path)
        return None if raw is None else cbor.loads(raw)
    except WireError:
        return None


class LogKey:
    """The key that seals today's pages. number: days since provisioning; day: UTC day that `key` belongs to."""

    def __init__(self, number: int, day: int, key: bytes) -> None:
        self.number = number
        self.day = day
        self.key = key

    def save(self) -> None:
        """Write it over the older one. Raises OSError."""
        files.write_whole(LOG_KEY_PATH, cbor.dumps({"v": 1, "n": self.number, "d": self.day, "k": self.key}))

    def advance_to(self, unix_s: int) -> None:
        """Go forward to this day; a clock that went back changes nothing, for there is no way back."""
        steps = day_of(unix_s) - self.day
        if self.day == 0:  # provisioned before the clock was set: number 0 is the first day that is known
            self.day = day_of(unix_s)
            self.save()
        elif steps > 0:
            steps = min(steps, keys.MAX_RATCHET_STEPS - self.number)
            self.key = keys.next_log_key(self.key, steps)
            self.number += steps
            self.day = day_of(unix_s)
            self.save()


def load_log_key() -> "LogKey | None":
    """None when there is none or it is damaged."""
    content = _load(LOG_KEY_PATH)
    return None if content is None else LogKey(content["n"], content["d"], content["k"])
