"""Bluezone phones. Android's app scans 40 s in every 300 s in batches of 10 s, advertises 15 s on and 15 s off at low
power, and keeps a contact history. On an iPhone the app cannot put its ID into an advertisement: who wants it connects
and reads it.
"""

import hashlib
import random
from dataclasses import dataclass, field

from bzwire import bluezone

from .ether import Ether, Station
from .gatt import Characteristic, GattServer, Service, uuid128

SECOND_US = 1_000_000
ADVERTISE_ON_S = 15
SCAN_S = 40
SCAN_CYCLE_S = 300
BATCH_S = 10
ADVERTISE_INTERVAL_US = 100_000  # Android's low-latency mode
TX_POWER_DBM = -15  # Android's low power level
# Two of the intervals that Apple recommends to makers of accessories; what iOS itself uses is not published.
IPHONE_INTERVAL_US = 152_500
APPLE_INTERVAL_US = 1_022_500
_FLAGS = b"\x02\x01\x06"
_APPLE_HEAD = b"\x14\xff\x4c\x00\x01"  # 20 bytes of manufacturer data: Apple, a mask of services in the background


def private_address(draw: random.Random) -> bytes:
    """A non-resolvable private address: the two top bits are 0."""
    return bytes([draw.randrange(64)]) + draw.randbytes(5)


def apple_background(draw: random.Random) -> bytes:
    """What an iPhone broadcasts for an app in the background: one bit in a mask that apps share."""
    mask = bytearray(16)
    mask[draw.randrange(16)] = 1 << draw.randrange(8)
    return _FLAGS + _APPLE_HEAD + bytes(mask)


@dataclass
class Phone:
    """Keys are the app's chain: SHA-256 of the day before."""

    station: Station
    draw: random.Random
    next_us: int
    _base_key: bytes = b""
    _base_day: int = 0
    _slot: int = -1
    _own_id: bytes = b""
    _heard: dict[bytes, list[int]] = field(default_factory=dict)
    history: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._base_key = self.draw.randbytes(bluezone.KEY_BYTES)
        self._base_day = bluezone.day_of(self.next_us // SECOND_US)
        self._scan_phase_s = self.draw.randrange(SCAN_CYCLE_S // BATCH_S) * BATCH_S

    def day_key(self, day: int) -> bytes:
        """Key of a UTC day from the phone's first day on."""
        key = self._base_key
        for _ in range(day - self._base_day):
            key = hashlib.sha256(key).digest()
        return key

    def step(self, ether: Ether) -> None:
        """Live through the next 5 seconds' boundary at `next_us`."""
        now_us = self.next_us
        now_s = now_us // SECOND_US
        self._keep_batch(ether, now_us)
        self._advertise(now_us, now_s)
        phase_s = (now_s - self._scan_phase_s) % SCAN_CYCLE_S
        if phase_s == 0:
            self.station.start_scan(now_us, SCAN_S * SECOND_US)
        self.next_us = now_us + 5 * SECOND_US

    def _change_id(self, now_us: int, now_s: int) -> bool:
        """A new ID and address when a slot begins; True when one did."""
        slot = now_s // bluezone.SLOT_S
        if slot == self._slot:
            return False
        self._slot = slot
        day = bluezone.day_of(now_s)
        self._own_id = bluezone.slot_id(self.day_key(day), bluezone.slot_of(now_s))
        self.station.stop_advertising(now_us)
        self.station.address = private_address(self.draw)
        return True

    def _advertise(self, now_us: int, now_s: int) -> None:
        self._change_id(now_us, now_s)
        on = now_s % (2 * ADVERTISE_ON_S) < ADVERTISE_ON_S
        broadcasting = bool(self.station.broadcasts) and self.station.broadcasts[-1].end_us is None
        if on and not broadcasting:
            self.station.advertise(now_us, ADVERTISE_INTERVAL_US, bluezone.advertisement(self._own_id))
        elif not on:
            self.station.stop_advertising(now_us)

    def _keep_batch(self, ether: Ether, now_us: int) -> None:
        """Every 10 s of a scan: one history line per ID, with the batch's mean RSSI and last time."""
        scan = self.station.scan
        if scan is None or (now_us - scan.start_us) % (BATCH_S * SECOND_US):
            return
        heard: dict[bytes, list[int]] = {}
        last_us: dict[bytes, int] = {}
        for packet in ether.hear(self.station, now_us):
            parsed = bluezone.parse_advertisement(packet.broadcast.data)
            if parsed is not None:
                heard.setdefault(parsed[0], []).append(packet.rssi_dbm)
                last_us[parsed[0]] = packet.time_us
        for contact_id, values in heard.items():
            mean_dbm = round(sum(values) / len(values))
            columns = (
                self._own_id.hex().upper(),
                contact_id.hex().upper(),
                str(mean_dbm),
                str(last_us[contact_id] // 1000),
            )
            self.history.append("\t".join(columns))
        if now_us >= scan.end_us:
            self.station.scan = None


@dataclass
class IPhone(Phone):
    """foreground: names the service, else Apple's mask for apps in the background. stubborn: takes connections and says
    nothing. It hears tokens as an Android phone does."""

    foreground: bool = True
    stubborn: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        own_id = Characteristic(uuid128(bluezone.CHARACTERISTIC_UUID128), 22, lambda: self._own_id)
        ours = Service(uuid128(bluezone.SERVICE_UUID128), 20, 24, [own_id])
        # Every iPhone has these two before any app's.
        generic = [Service(b"\x00\x18", 1, 9, []), Service(b"\x01\x18", 10, 19, [])]
        self.station.gatt = GattServer([*generic, ours], answers=not self.stubborn)

    def _advertise(self, now_us: int, now_s: int) -> None:
        if not self._change_id(now_us, now_s):
            return
        if self.foreground:
            data = _FLAGS + b"\x11\x07" + uuid128(bluezone.SERVICE_UUID128)
            self.station.advertise(now_us, IPHONE_INTERVAL_US, data)
        else:
            self.station.advertise(now_us, APPLE_INTERVAL_US, apple_background(self.draw))
