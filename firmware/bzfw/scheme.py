"""What differs between broadcast schemes: the ID of a slot, its payload, and how to read one.

A scheme has `kind`, `id_bytes`, `slot_s`, `own_id`, `payload` and `parse`. GAEN is loaded only when a token needs it.
"""

from bzwire import bluezone
from bzwire.errors import WireError
from bzwire.page_format import KIND_BLUEZONE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from .day_keys import DayKeys

    class Scheme(Protocol):
        """For the type checker. IDs are bytes of `id_bytes` length."""

        kind: int
        id_bytes: int
        slot_s: int

        def own_id(self, unix_s: int) -> bytes:
            """The ID to broadcast at this time. Raises OSError when its key cannot be stored."""
            ...

        def payload(self, own_id: bytes) -> bytes:
            """The advertising data that carries it."""
            ...

        def parse(self, payload: memoryview) -> "tuple[bytes, int] | None":
            """(ID, TX power) of a packet of this scheme, None for any other or a damaged one."""
            ...


class BluezoneScheme:
    """A new ID in each slot of `bluezone.SLOT_S` seconds. day_keys None: hears only."""

    kind = KIND_BLUEZONE
    id_bytes = bluezone.ID_BYTES
    slot_s = bluezone.SLOT_S

    def __init__(self, day_keys: "DayKeys | None", tx_power_dbm: int) -> None:
        self._day_keys = day_keys
        self._tx_power_dbm = tx_power_dbm

    def own_id(self, unix_s: int) -> bytes:
        assert self._day_keys is not None
        return bluezone.slot_id(self._day_keys.of_day(bluezone.day_of(unix_s)), bluezone.slot_of(unix_s))

    def payload(self, own_id: bytes) -> bytes:
        return bluezone.advertisement(own_id, self._tx_power_dbm)

    def parse(self, payload: memoryview) -> "tuple[bytes, int] | None":
        try:
            return bluezone.parse_advertisement(payload)
        except WireError:
            return None
