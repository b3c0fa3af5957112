"""iPhones: they cannot broadcast their ID, so it is read over a connection, once for each address and slot.

Bounded in everything: candidates, connections a window, time. Many devices look like an iPhone with the app in the
background; what an address has answered (also nothing) is kept until the slot ends, when addresses change anyway.
"""

from micropython import const

from bzwire.bluezone import CHARACTERISTIC_UUID128, ID_BYTES, SERVICE_UUID128

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .hal import Hal

_CACHE = const(32)  # addresses
_CANDIDATES = const(8)  # waiting to be read
_CONNECTIONS_A_WINDOW = const(6)
_CONNECTIONS_A_SCAN = const(2)
_TIMEOUT_MS = const(3000)  # for connecting and reading together
_FAREWELL_MS = const(1000)  # until the connection is closed
_WEAKEST_DBM = const(-90)  # further away a connection would mostly fail


class Phones:
    """connections, failures: since boot."""

    def __init__(self, hal: "Hal") -> None:
        self._hal = hal
        self._ids: "dict[bytes, bytes]" = {}  # address with its type -> ID, empty when it has none
        self._waiting: "dict[bytes, int]" = {}  # address -> RSSI in dBm
        self._left = _CONNECTIONS_A_WINDOW
        self.connections = 0
        self.failures = 0

    def begin_slot(self) -> None:
        """Addresses and IDs change: forget."""
        self._ids.clear()
        self._waiting.clear()

    def begin_window(self) -> None:
        """A new budget of connections."""
        self._left = _CONNECTIONS_A_WINDOW

    def seen(self, address: bytes, rssi_dbm: int) -> bytes:
        """The ID behind an address, empty when it is not known (yet); then it waits to be read."""
        found = self._ids.get(address)
        if found is not None:
            return found
        if rssi_dbm >= _WEAKEST_DBM and (address in self._waiting or len(self._waiting) < _CANDIDATES):
            self._waiting[address] = rssi_dbm
        return b""

    async def read(self, left_ms: int) -> "list[tuple[bytes, int]]":
        """Read the strongest that wait, as many as surely fit; (ID, RSSI) of those that answered. left_ms: until the
        slot's end, when the own ID must be off the air. The radio must not be scanning.
        """
        found: "list[tuple[bytes, int]]" = []
        for _ in range(_CONNECTIONS_A_SCAN):
            left_ms -= _TIMEOUT_MS + _FAREWELL_MS
            if not self._waiting or not self._left or left_ms < 0:
                break
            address = max(self._waiting, key=lambda one: self._waiting[one])
            rssi_dbm = self._waiting.pop(address)
            self._left -= 1
            self.connections += 1
            value = await self._hal.read_characteristic(address, SERVICE_UUID128, CHARACTERISTIC_UUID128, _TIMEOUT_MS)
            if len(value) != ID_BYTES:
                self.failures += 1
                value = b""
            else:
                found.append((value, rssi_dbm))
            if len(self._ids) < _CACHE:
                self._ids[address] = value
        return found
