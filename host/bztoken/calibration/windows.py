"""Windows of recordings as columns: the mean of what one arrangement heard in 150 s or 900 s.

Windows are counted from the first 30 s in which something of the arrangement was heard, wherever the clock stood.
Means are of dB, as the matching's are.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bztoken.calibration.recordings import TICK_S, Arrangement, Recordings, Tick
from bztoken.errors import FormatError

WITHIN_M = 2.0
SHORT_S, LONG_S = 150, 900
WINDOWS_S = (SHORT_S, LONG_S)

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Windows:
    """Columns of one length, a window. receiver, transmitter, group: places in the tuples of names; heard_db: default
    TX power less the mean RSSI; loss_db: the same with the power that packets told; span_s: from first to last packet.
    dropped: windows with too few packets.
    """

    window_s: int
    receivers: tuple[str, ...]
    transmitters: tuple[str, ...]
    groups: tuple[str, ...]
    receiver: Codes
    transmitter: Codes
    group: Codes
    distance_m: Floats
    heard_db: Floats
    loss_db: Floats
    span_s: Floats
    dropped: int

    @property
    def within(self) -> Flags:
        """Which are of arrangements within 2 m."""
        return self.distance_m <= WITHIN_M

    def __len__(self) -> int:
        return len(self.distance_m)


def windows_of(path: Path, found: Recordings, window_s: int, least_packets: int, default_tx_dbm: float) -> Windows:
    """Windows with at least so many packets. Raises FormatError where none is within 2 m, or none beyond."""
    _require_both(path, {where.distance_m for where in found.ticks}, "no line is", "record on both sides")
    kept: list[tuple[Arrangement, Tick]] = []
    dropped = 0
    for where, ticks in sorted(found.ticks.items()):
        for window in _joined(ticks, window_s // TICK_S):
            if window.packets >= least_packets:
                kept.append((where, window))
            else:
                dropped += 1
    none_is = f"no window of {window_s} s with {least_packets} packets is"
    _require_both(path, {where.distance_m for where, _ in kept}, none_is, "record longer, or lower --least-packets")
    return _columns(kept, window_s, dropped, default_tx_dbm)


def _joined(ticks: dict[int, Tick], count: int) -> list[Tick]:
    first = min(ticks)
    joined: dict[int, Tick] = {}
    for number, tick in sorted(ticks.items()):
        window = joined.setdefault((number - first) // count, Tick())
        window.packets += tick.packets
        window.rssi_dbm += tick.rssi_dbm
        window.told += tick.told
        window.told_dbm += tick.told_dbm
        window.first_s = min(window.first_s, tick.first_s)
        window.last_s = max(window.last_s, tick.last_s)
    return list(joined.values())


def _require_both(path: Path, distances_m: set[float], none_is: str, remedy: str) -> None:
    for there, side in (
        (any(metres <= WITHIN_M for metres in distances_m), "within"),
        (any(metres > WITHIN_M for metres in distances_m), "beyond"),
    ):
        if not there:
            raise FormatError(path, None, f"{none_is} {side} {WITHIN_M:g} m, so nothing can be told apart: {remedy}")


def _columns(kept: list[tuple[Arrangement, Tick]], window_s: int, dropped: int, default_tx_dbm: float) -> Windows:
    places = [where for where, _ in kept]
    groups, group = _coded([where.group for where in places])
    receivers, receiver = _coded([where.receiver for where in places])
    transmitters, transmitter = _coded([where.transmitter for where in places])
    packets = np.array([tick.packets for _, tick in kept], np.float64)
    heard_db = default_tx_dbm - np.array([tick.rssi_dbm for _, tick in kept], np.float64) / packets
    more_db = np.array([tick.told_dbm - tick.told * default_tx_dbm for _, tick in kept], np.float64) / packets
    return Windows(
        window_s=window_s,
        receivers=receivers,
        transmitters=transmitters,
        groups=groups,
        receiver=receiver,
        transmitter=transmitter,
        group=group,
        distance_m=np.array([where.distance_m for where in places], np.float64),
        heard_db=heard_db,
        loss_db=heard_db + more_db,
        span_s=np.array([tick.last_s - tick.first_s for _, tick in kept], np.float64),
        dropped=dropped,
    )


def _coded(names: list[str]) -> tuple[tuple[str, ...], Codes]:
    ordered = tuple(sorted(set(names)))
    place = {name: at for at, name in enumerate(ordered)}
    return ordered, np.array([place[name] for name in names], np.int64)
