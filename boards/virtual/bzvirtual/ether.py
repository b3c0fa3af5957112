"""The air all stations share: who broadcasts what since when, and which packets a scan has caught.

A packet is worked out only when a scanner's results are asked for. Results are given up to a moment that every station
has already lived through, so no station can be heard with a payload it had not yet set or had already given up.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from .channel import Channel, Traffic, event_us, packet_us
from .gatt import Central, GattServer
from .world import Position

ADVERTISING_DELAY_US = 10_000  # Bluetooth adds 0 to 10 ms to each interval
MEAN_DELAY_US = ADVERTISING_DELAY_US // 2
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
    public: bool = False  # the address is the chip's fixed one

    def on_air_at(self, time_us: int) -> bool:
        """True while it lasts."""
        return self.start_us <= time_us and (self.end_us is None or time_us < self.end_us)


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
    public: bool = False  # the address is the chip's fixed one
    gatt: GattServer | None = None  # None: nothing to connect to
    central: Central = field(default_factory=Central)

    def advertise(self, now_us: int, interval_us: int, data: bytes, connectable: bool = True) -> None:
        """Broadcast from now on."""
        self.stop_advertising(now_us)
        begun = Broadcast(now_us, max(20_000, interval_us), self.address, data, connectable, public=self.public)
        self.broadcasts.append(begun)
        if self.on_broadcast is not None:
            self.on_broadcast(self, begun)

    def stop_advertising(self, now_us: int) -> None:
        """Silence from now on."""
        if self.broadcasts and self.broadcasts[-1].end_us is None:
            self.broadcasts[-1].end_us = now_us

    def start_scan(self, now_us: int, duration_us: int) -> None:
        """Listen from now on; a duration of 0 is for ever."""
        self.scan = Scan(now_us, now_us + (duration_us or FOR_EVER_US), now_us)


@dataclass
class _Sender:
    """Somebody in reach of a listener. spans: from when to when it broadcast what."""

    mean_dbm: float
    spans: list[tuple[int, int, Broadcast]]
    own: Traffic


def _spans(station: Station, since_us: int, until_us: int) -> list[tuple[int, int, Broadcast]]:
    """(begin, end, broadcast) for what a station had on the air within this time."""
    found = []
    for broadcast in station.broadcasts:
        begin_us = max(since_us, broadcast.start_us)
        end_us = until_us if broadcast.end_us is None else min(until_us, broadcast.end_us)
        if begin_us < end_us:
            found.append((begin_us, end_us, broadcast))
    return found


def _traffic(spans: list[tuple[int, int, Broadcast]], lasting_us: int) -> Traffic:
    """Mean over the time: who was silent for half of it sent half as much."""
    traffic = Traffic()
    for begin_us, end_us, broadcast in spans:
        rate = (end_us - begin_us) / lasting_us / (broadcast.interval_us + MEAN_DELAY_US)
        traffic.add(rate, packet_us(len(broadcast.data)))
    return traffic


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

    def owner_of(self, address_type: int, address: bytes, now_us: int) -> Station | None:
        """Who may be connected to under this address now."""
        for station in self.stations:
            last = station.broadcasts[-1] if station.broadcasts else None
            if last is not None and last.connectable and last.address == address and last.on_air_at(now_us):
                return station if last.public == (address_type == 0) else None
        return None

    def reaches(self, sender: Station, listener: Station, now_us: int) -> bool:
        """True when one of three packets gets through."""
        now_s = now_us // 1_000_000
        here, there = listener.where(now_s), sender.where(now_s)
        loss_db = self._channel.attenuation_db(listener.name, here, sender.name, there, now_s)
        mean_dbm = sender.tx_power_dbm - loss_db
        return any(self._channel.receive(mean_dbm, listener.draw) is not None for _ in range(3))

    def hear(self, listener: Station, until_us: int) -> list[Packet]:
        """Packets of the running scan that were not given out yet, in time order, up to `until_us`."""
        scan = listener.scan
        if scan is None:
            return []
        since_us, until_us = scan.given_us, min(until_us, scan.end_us)
        if until_us <= since_us:
            return []
        scan.given_us = until_us
        senders = self._audible(listener, since_us, until_us)
        traffic = Traffic()
        for sender in senders:
            traffic.rate += sender.own.rate
            traffic.load += sender.own.load
        sending = self._sending(listener, since_us, until_us)
        packets: list[Packet] = []
        for sender in senders:
            packets += self._packets_of(sender, listener.draw, traffic, sending)
        if listener.central.busy:
            packets = [packet for packet in packets if not listener.central.deaf_at(packet.time_us)]
        packets.sort(key=lambda packet: packet.time_us)
        return packets

    def _audible(self, listener: Station, since_us: int, until_us: int) -> list[_Sender]:
        """Everybody who broadcasts in reach of the listener."""
        now_s = since_us // 1_000_000
        where = listener.where(now_s)
        found = []
        for station in self.stations:
            if station is listener:
                continue
            self._forget_old(station, since_us)
            spans = _spans(station, since_us, until_us)
            if not spans:
                continue
            there = station.where(now_s)
            loss_db = self._channel.attenuation_db(listener.name, where, station.name, there, now_s)
            mean_dbm = station.tx_power_dbm - loss_db
            if not self._channel.out_of_reach(mean_dbm):
                found.append(_Sender(mean_dbm, spans, _traffic(spans, until_us - since_us)))
        return found

    @staticmethod
    def _sending(listener: Station, since_us: int, until_us: int) -> tuple[float, float]:
        """(events per microsecond that the listener sends itself, and that times their length): it is deaf then."""
        rate = busy = 0.0
        for begin_us, end_us, broadcast in _spans(listener, since_us, until_us):
            own = (end_us - begin_us) / (until_us - since_us) / (broadcast.interval_us + MEAN_DELAY_US)
            rate += own
            busy += own * event_us(len(broadcast.data))
        return rate, busy

    def _packets_of(
        self, sender: _Sender, draw: random.Random, traffic: Traffic, sending: tuple[float, float]
    ) -> Iterator[Packet]:
        receive, random_share = self._channel.receive, draw.random
        for begin_us, end_us, broadcast in sender.spans:
            length_us = packet_us(len(broadcast.data))
            spared = (1 - self._channel.loss) * (1 - traffic.collision(sender.own, length_us))
            lost = 1 - spared * max(0.0, 1 - sending[0] * length_us - sending[1])
            time_us = begin_us + int(random_share() * broadcast.interval_us)
            while time_us < end_us:
                rssi_dbm = receive(sender.mean_dbm, draw, lost)
                if rssi_dbm is not None:
                    yield Packet(time_us, rssi_dbm, broadcast)
                time_us += broadcast.interval_us + int(random_share() * ADVERTISING_DELAY_US)

    @staticmethod
    def _forget_old(sender: Station, now_us: int) -> None:
        while len(sender.broadcasts) > 1 and (sender.broadcasts[0].end_us or now_us) < now_us - FORGET_US:
            sender.broadcasts.pop(0)
