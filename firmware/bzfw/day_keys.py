"""The token's own day keys: random and independent each day, kept 14 days, then gone.

Independent keys look like any others on the air and in a case list, but publishing Monday's says nothing about Tuesday.
A key is in flash before its first ID is broadcast: one that was heard can always be released.
"""

import struct

from micropython import const

from bzwire.bluezone import KEY_BYTES
from bzwire.errors import WireError

from . import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .clock import Clock
    from .hal import Hal

KEYS_PATH = "/day_keys"
_RETENTION_DAYS = const(14)
_ENTRY_BYTES = const(36)  # day, key


class DayKeys:
    """Days are UTC days since 1970."""

    def __init__(self, hal: "Hal", clock: "Clock") -> None:
        self._hal = hal
        self._clock = clock
        self._keys: "dict[int, bytes]" = {}
        try:
            raw = files.read_whole(KEYS_PATH) or b""
        except WireError:
            raw = b""
        for at in range(0, len(raw) - _ENTRY_BYTES + 1, _ENTRY_BYTES):
            (day,) = struct.unpack_from("<I", raw, at)
            self._keys[day] = raw[at + 4 : at + _ENTRY_BYTES]

    def of_day(self, day: int) -> bytes:
        """The key of this day, drawn and stored if there is none; older ones than the retention are deleted then."""
        if day not in self._keys:
            oldest = min(day, self._clock.retention_day()) - _RETENTION_DAYS
            kept = {d: k for d, k in self._keys.items() if oldest < d <= day + _RETENTION_DAYS}
            kept[day] = self._hal.random_bytes(KEY_BYTES)
            files.write_whole(KEYS_PATH, b"".join([struct.pack("<I", d) + kept[d] for d in sorted(kept)]))
            self._keys = kept
        return self._keys[day]

    def between(self, first_day: int, last_day: int) -> "list[tuple[int, bytes]]":
        """[day, key] of the days that are kept, in order."""
        return [(day, self._keys[day]) for day in sorted(self._keys) if first_day <= day <= last_day]
