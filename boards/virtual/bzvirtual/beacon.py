"""Broadcasters without a process: what fills a crowd. They cost next to nothing, hear nothing and keep what they were.

`Beacon` broadcasts as a token does (Bluezone ID and TX power, every 250 ms, new ID and address at each 15-minute slot);
`GaenPhone` as a phone with Exposure Notification does; `AppleDevice` is an iPhone without our app in the background.
"""

import random
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from bzwire import bluezone, gaen

from .ether import Ether, Station
from .gatt import GattServer
from .phone import APPLE_INTERVAL_US, apple_background, private_address

SECOND_US = 1_000_000
INTERVAL_US = 250_000


@dataclass(frozen=True)
class Broadcasted:
    """One ID and when it was on the air."""

    rotating_id: bytes
    first_s: int
    last_s: int


@dataclass
class Beacon:
    """next_us: from when on. ids: all it has broadcast, the last one until the end of its slot."""

    station: Station
    draw: random.Random
    next_us: int
    ids: list[Broadcasted] = field(default_factory=list)

    def step(self, ether: Ether) -> None:
        """A new ID and address until the next slot."""
        now_s = self.next_us // SECOND_US
        ends_s = now_s - now_s % bluezone.SLOT_S + bluezone.SLOT_S
        rotating_id = self.draw.randbytes(bluezone.ID_BYTES)
        self.station.stop_advertising(self.next_us)
        self.station.address = private_address(self.draw)
        payload = bluezone.advertisement(rotating_id, self.station.tx_power_dbm)
        self.station.advertise(self.next_us, INTERVAL_US, payload)
        self.ids.append(Broadcasted(rotating_id, now_s, ends_s - 1))
        self.next_us = ends_s * SECOND_US


def _encrypt(key: bytes, block: bytes) -> bytes:
    return Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(block)


@dataclass
class GaenPhone:
    """Keys are one a UTC day; identifier and address change together every 10 minutes."""

    station: Station
    draw: random.Random
    next_us: int
    ids: list[Broadcasted] = field(default_factory=list)
    keys: dict[int, bytes] = field(default_factory=dict)  # day -> TEK

    def step(self, ether: Ether) -> None:
        """A new identifier until the next interval."""
        now_s = self.next_us // SECOND_US
        interval = gaen.interval_of(now_s)
        tek = self.keys.setdefault(bluezone.day_of(now_s), self.draw.randbytes(gaen.KEY_BYTES))
        identifier = gaen.rpi(gaen.rpi_key(tek), interval, _encrypt)
        metadata = gaen.aem(gaen.aem_key(tek), identifier, self.station.tx_power_dbm, _encrypt)
        ends_s = (interval + 1) * gaen.INTERVAL_S
        self.station.stop_advertising(self.next_us)
        self.station.address = private_address(self.draw)
        self.station.advertise(self.next_us, INTERVAL_US, gaen.advertisement(identifier, metadata), connectable=False)
        self.ids.append(Broadcasted(identifier, now_s, ends_s - 1))
        self.next_us = ends_s * SECOND_US


@dataclass
class AppleDevice:
    """Broadcasts Apple's background mask and accepts connections, but serves nothing of ours: a waste of time."""

    station: Station
    draw: random.Random
    next_us: int

    def __post_init__(self) -> None:
        self.station.gatt = GattServer([])

    def step(self, ether: Ether) -> None:
        """A new address until the next slot."""
        self.station.stop_advertising(self.next_us)
        self.station.address = private_address(self.draw)
        self.station.advertise(self.next_us, APPLE_INTERVAL_US, apple_background(self.draw))
        slot_us = bluezone.SLOT_S * SECOND_US
        self.next_us = self.next_us - self.next_us % slot_us + slot_us
