"""The GAEN scheme: a new RPI and AEM every ten minutes from the first 16 bytes of the day's key."""

from bzwire import gaen
from bzwire.bluezone import day_of
from bzwire.errors import WireError
from bzwire.page_format import KIND_GAEN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .day_keys import DayKeys
    from .hal import Hal


class GaenScheme:
    """An ID here is RPI and AEM, 20 bytes. day_keys None: hears only."""

    kind = KIND_GAEN
    id_bytes = gaen.ID_BYTES
    slot_s = gaen.INTERVAL_S

    def __init__(self, hal: "Hal", day_keys: "DayKeys | None", tx_power_dbm: int) -> None:
        self._hal = hal
        self._day_keys = day_keys
        self._tx_power_dbm = tx_power_dbm

    def own_id(self, unix_s: int) -> bytes:
        assert self._day_keys is not None
        key = self._day_keys.of_day(day_of(unix_s))[: gaen.KEY_BYTES]
        rpi = gaen.rpi(gaen.rpi_key(key), gaen.interval_of(unix_s), self._hal.encrypt_blocks)
        return rpi + gaen.aem(gaen.aem_key(key), rpi, self._tx_power_dbm, self._hal.encrypt_blocks)

    def payload(self, own_id: bytes) -> bytes:
        return gaen.advertisement(own_id[: gaen.RPI_BYTES], own_id[gaen.RPI_BYTES :])

    def parse(self, payload: memoryview) -> "tuple[bytes, int] | None":
        try:
            return gaen.parse_advertisement(payload)
        except WireError:
            return None
