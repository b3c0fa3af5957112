"""What the air does to a packet: path loss over distance, walls, bodies in between, fading, interference.

attenuation = 60 dB at 1 m (two small boards, antenna losses included) + 20..22 log10(distance) + walls + body + fading.
Simplifications: no reflections, one draw of the body's shadow per pair and 5 minutes, fading normal in dB.
"""

import math
import random

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

    def receive(self, mean_rssi_dbm: float, draw: random.Random) -> int | None:
        """RSSI of one packet in dBm, None when it is lost."""
        rssi_dbm = draw.gauss(mean_rssi_dbm, FADING_DB)
        if rssi_dbm < SENSITIVITY_DBM or (self.loss and draw.random() < self.loss):
            return None
        return round(rssi_dbm)
