"""What the air does to a packet: path loss over distance, walls, bodies in between, fading, interference, collisions.

attenuation = 60 dB at 1 m (two small boards, antenna losses included) + 20..22 log10(distance) + walls + body + fading.
Collisions are pure ALOHA (N. Abramson, "The ALOHA System", 1970): a packet is lost when another begins on its channel
within the length of either, which at random moments spares it with exp(-rate * (own length + other's length)), or
exp(-2 * rate * length) for equal ones. Simplifications: no capture of the stronger packet (hard on crowds), no
reflections, one draw of the body's shadow per pair and 5 minutes, fading normal in dB.
"""

import math
import random
from dataclasses import dataclass

from .world import Position

REFERENCE_DB = 60.0
EXPONENT_OUTDOOR = 2.0
EXPONENT_INDOOR = 2.2
WALL_DB = 8.0
BODY_DB = 8.0  # the most a body in between takes; drawn evenly from 0
BODY_BLOCK_S = 300
FADING_DB = 4.0
SENSITIVITY_DBM = -94.0
STRONGEST_FADE_DB = 4 * FADING_DB
# One advertising packet at 1 Mbit/s: preamble 1, access address 4, header 2, address 6, CRC 3 bytes, and the payload.
PACKET_OVERHEAD_BYTES = 16
US_PER_BYTE = 8
CHANNELS = 3  # an advertising event sends on one after the other
TURNAROUND_US = 150  # between two of them; the radio's change from sending to listening


def packet_us(payload_bytes: int) -> int:
    """How long one packet is on its channel."""
    return (PACKET_OVERHEAD_BYTES + payload_bytes) * US_PER_BYTE


def event_us(payload_bytes: int) -> int:
    """How long an advertising event takes the sender's radio."""
    return CHANNELS * (packet_us(payload_bytes) + TURNAROUND_US)


@dataclass
class Traffic:
    """Packets per microsecond on one channel, and that times their length: a sum over senders."""

    rate: float = 0.0
    load: float = 0.0

    def add(self, rate: float, length_us: int) -> None:
        """One more sender."""
        self.rate += rate
        self.load += rate * length_us

    def collision(self, own: "Traffic", length_us: int) -> float:
        """Chance that a packet of this length meets another; own: the part of the traffic that its sender makes."""
        met = (self.rate - own.rate) * length_us + self.load - own.load
        return -math.expm1(-met) if met > 0 else 0.0


class Channel:
    """Same seed, same air."""

    def __init__(self, seed: int, loss: float) -> None:
        self._seed = seed
        self.loss = loss
        self._bodies: dict[tuple[str, str, int], float] = {}

    def _body_db(self, a: str, b: str, now_s: int) -> float:
        key = (min(a, b), max(a, b), now_s // BODY_BLOCK_S)
        found = self._bodies.get(key)
        if found is None:
            if len(self._bodies) > 100_000:
                self._bodies.clear()
            found = random.Random(f"{self._seed}:{key}").uniform(0, BODY_DB)
            self._bodies[key] = found
        return found

    def attenuation_db(self, a: str, where_a: Position, b: str, where_b: Position, now_s: int) -> float:
        """Mean attenuation between two stations, before fading."""
        distance_m = max(0.1, where_a.distance_m(where_b))
        together = where_a.place == where_b.place
        exponent = EXPONENT_INDOOR if where_a.indoor and together else EXPONENT_OUTDOOR
        walls = 0 if together else int(where_a.indoor) + int(where_b.indoor)
        loss_db = REFERENCE_DB + 10 * exponent * math.log10(distance_m) + walls * WALL_DB
        return loss_db + self._body_db(a, b, now_s)

    def out_of_reach(self, mean_rssi_dbm: float) -> bool:
        """True when not even the luckiest packet would be decoded."""
        return mean_rssi_dbm + STRONGEST_FADE_DB < SENSITIVITY_DBM

    def receive(self, mean_rssi_dbm: float, draw: random.Random, lost: float | None = None) -> int | None:
        """RSSI of one packet in dBm, None when it is lost. lost: the chance of that besides fading, if not the air's
        own."""
        rssi_dbm = draw.gauss(mean_rssi_dbm, FADING_DB)
        chance = self.loss if lost is None else lost
        if rssi_dbm < SENSITIVITY_DBM or (chance and draw.random() < chance):
            return None
        return round(rssi_dbm)
