"""The air all stations share: who broadcasts what since when, and which packets a scan has caught.

A packet is worked out only when a scanner's results are asked for. Results are given up to a moment that every station
has already lived through, so no station can be heard with a payload it had not yet set or had already given up.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from .channel import Channel
from .world import Position

ADVERTISING_DELAY_US = 10_000  # Bluetooth adds 0 to 10 ms to each interval
# Broadcasts that ended longer ago than any scan lasts are forgotten.
FORGET_US = 120 * 1_000_000
FOR_EVER_US = 1 << 60


@dataclass
class Broadcast:
    """One payload under one address, from start until end (None: still on)."""

    start_us: int
    interval_us: int
    address: bytes
    data: bytes
    connectable: bool
    end_us: int | None = None


@dataclass
class Scan:
    """given_us: results up to here were handed out."""

    start_us: int
    end_us: int
    given_us: int


@dataclass
class Packet:
    """One packet heard."""

    time_us: int
    rssi_dbm: int
    broadcast: Broadcast


@dataclass
class Station:
    """A radio: token or phone. `where` tells its position at a Unix second."""

    name: str
    tx_power_dbm: int
    where: Callable[[float], Position]
    draw: random.Random
    address: bytes = b"\x00" * 6
    broadcasts: list[Broadcast] = field(default_factory=list)
    scan: Scan | None = None
    on_broadcast: Callable[["Station", Broadcast], None] | None = None  # the ether's, once the station has joined

    def advertise(self, now_us: int, interval_us: int, data: bytes, connectable: bool = True) -> None:
        """Broadcast from now on."""
        self.stop_advertising(now_us)
        self.broadcasts.append(Broadcast(now_us, max(20_000, interval_us), self.address, data, connectable))
        if self.on_broadcast is not None:
            self.on_broadcast(self, self.broadcasts[-1])

    def stop_advertising(self, now_us: int) -> None:
        """Silence from now on."""
        if self.broadcasts and self.broadcasts[-1].end_us is None:
            self.broadcasts[-1].end_us = now_us

    def start_scan(self, now_us: int, duration_us: int) -> None:
        """Listen from now on; a duration of 0 is for ever."""
        self.scan = Scan(now_us, now_us + (duration_us or FOR_EVER_US), now_us)


class Ether:
    """All stations in the order in which they joined."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self.stations: list[Station] = []
        # A sniffer may listen: it is told each broadcast when it begins; its end is filled in later.
        self.on_broadcast: Callable[[Station, Broadcast], None] | None = None

    def join(self, station: Station) -> None:
        """A radio is there from now on."""
        self.stations.append(station)
        station.on_broadcast = self._tell_sniffer

    def _tell_sniffer(self, station: Station, broadcast: Broadcast) -> None:
        if self.on_broadcast is not None:
            self.on_broadcast(station, broadcast)

    def hear(self, listener: Station, until_us: int) -> list[Packet]:
        """Packets of the running scan that were not given out yet, in time order, up to `until_us`."""
        scan = listener.scan
        if scan is None:
            return []
        since_us, until_us = scan.given_us, min(until_us, scan.end_us)
        if until_us <= since_us:
            return []
        scan.given_us = until_us
        now_s = since_us // 1_000_000
        where = listener.where(now_s)
        packets: list[Packet] = []
        for sender in self.stations:
            if sender is not listener:
                packets += self._packets_of(sender, listener, where, since_us, until_us)
        packets.sort(key=lambda packet: packet.time_us)
        return packets

    def _packets_of(
        self, sender: Station, listener: Station, where: Position, since_us: int, until_us: int
    ) -> Iterator[Packet]:
        self._forget_old(sender, since_us)
        on_air = [b for b in sender.broadcasts if b.start_us < until_us and (b.end_us or until_us) > since_us]
        if not on_air:
            return
        now_s = since_us // 1_000_000
        there = sender.where(now_s)
        loss_db = self._channel.attenuation_db(listener.name, where, sender.name, there, now_s)
        mean_dbm = sender.tx_power_dbm - loss_db
        if self._channel.out_of_reach(mean_dbm):
            return
        draw = listener.draw
        for broadcast in on_air:
            end_us = min(until_us, broadcast.end_us or until_us)
            time_us = max(since_us, broadcast.start_us) + int(draw.random() * broadcast.interval_us)
            while time_us < end_us:
                rssi_dbm = self._channel.receive(mean_dbm, draw)
                if rssi_dbm is not None:
                    yield Packet(time_us, rssi_dbm, broadcast)
                time_us += broadcast.interval_us + int(draw.random() * ADVERTISING_DELAY_US)

    @staticmethod
    def _forget_old(sender: Station, now_us: int) -> None:
        while len(sender.broadcasts) > 1 and (sender.broadcasts[0].end_us or now_us) < now_us - FORGET_US:
            sender.broadcasts.pop(0)
