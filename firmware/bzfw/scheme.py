"""What differs between broadcast schemes: the ID of a slot, its payload, and how to read one.

Bluezone is the only scheme so far; another one gives the same three things.
"""

from bzwire import bluezone
from bzwire.errors import WireError

from .day_keys import DayKeys


class BluezoneScheme:
    """A new ID in each slot of `bluezone.SLOT_S` seconds."""

    def __init__(self, day_keys: DayKeys, tx_power_dbm: int) -> None:
        self._day_keys = day_keys
        self._tx_power_dbm = tx_power_dbm

    def own_id(self, unix_s: int) -> bytes:
        """The ID to broadcast at this time."""
        return bluezone.slot_id(self._day_keys.of_day(bluezone.day_of(unix_s)), bluezone.slot_of(unix_s))

    def payload(self, own_id: bytes) -> bytes:
        """The advertising data that carries it."""
        return bluezone.advertisement(own_id, self._tx_power_dbm)

    def parse(self, payload: memoryview) -> "tuple[bytes, int] | None":
        """(ID, TX power) of a packet of this scheme, None for any other or a damaged one."""
        try:
            return bluezone.parse_advertisement(payload)
        except WireError:
            return None
