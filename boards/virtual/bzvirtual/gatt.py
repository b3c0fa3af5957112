"""Connections: what a radio that offers values is, and one that connects and reads.

Latencies are drawn, and what a peer says is asked of it at the moment of its answer. A peer that cannot be reached,
that gave its address up or offers nothing, is a time-out; one that falls out of reach is lost after the supervision
time; one that never answers holds the connection until NimBLE's ATT time-out.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .device import pipe

if TYPE_CHECKING:
    from .ether import Ether, Station

CONNECT_US = (50_000, 400_000)
ANSWER_US = (30_000, 150_000)
DISCONNECT_US = (20_000, 100_000)
SUPERVISION_US = 2_560_000  # NimBLE's default
ATT_TIMEOUT_US = 30_000_000
STATUS_TIMEOUT = 13  # BLE_HS_ETIMEOUT
STATUS_NO_HANDLE = 0x101  # ATT error "invalid handle"
NO_ADDRESS_TYPE = 0xFF  # the port tells a failed connection without the peer's address
READABLE = 2


def uuid128(text: str) -> bytes:
    """A 128-bit UUID as it goes over the air."""
    return bytes.fromhex(text.replace("-", ""))[::-1]


@dataclass
class Characteristic:
    """uuid: as it goes over the air. read: its value now."""

    uuid: bytes
    value_handle: int
    read: Callable[[], bytes]


@dataclass
class Service:
    """first and last: its range of handles."""

    uuid: bytes
    first: int
    last: int
    characteristics: list[Characteristic]


@dataclass
class GattServer:
    """What a station offers to who connects. answers False: it takes connections and says nothing."""

    services: list[Service]
    answers: bool = True
    connections: int = 0  # accepted so far
    reads: int = 0


@dataclass
class Link:
    """One connection. peer None: somebody who came to us; nothing is known of them."""

    peer: "Station | None"
    address_type: int
    address: bytes
    event: int  # pipe.CENTRAL or pipe.PERIPHERAL


@dataclass
class Central:
    """A radio's connections. What happens next waits in `_due`, in order of time."""

    links: dict[int, Link] = field(default_factory=dict)
    busy: list[tuple[int, int | None]] = field(default_factory=list)  # when it hears nobody else
    _due: list[tuple[int, int, int, Callable[["Ether", int], bytes]]] = field(default_factory=list)
    _order: int = 0
    _next_link: int = 1
    _connecting: int | None = None  # since when

    def due_us(self) -> int | None:
        """When something happens next; None: nothing is under way."""
        return self._due[0][0] if self._due else None

    def _schedule(self, at_us: int, link: int, act: Callable[["Ether", int], bytes]) -> None:
        self._order += 1
        self._due.append((at_us, self._order, link, act))
        self._due.sort(key=lambda item: item[:2])

    def _forget(self, link: int) -> None:
        self._due = [item for item in self._due if item[2] != link]

    def collect(self, ether: "Ether", until_us: int) -> bytes:
        """Events for the program up to then."""
        found = b""
        while self._due and self._due[0][0] <= until_us:
            at_us, _, _, act = self._due.pop(0)
            found += act(ether, at_us)
            self._note_busy(at_us)
        return found

    def _note_busy(self, now_us: int) -> None:
        busy = self._connecting is not None or bool(self.links)
        if busy and (not self.busy or self.busy[-1][1] is not None):
            self.busy = [*self.busy[-3:], (now_us, None)]
        elif not busy and self.busy and self.busy[-1][1] is None:
            self.busy[-1] = (self.busy[-1][0], now_us)

    def deaf_at(self, time_us: int) -> bool:
        """True while a connection takes the radio."""
        return any(start <= time_us and (end is None or time_us < end) for start, end in self.busy)

    # -- asked by the program --------------------------------------------------------------------------------------
    def connect(self, station: "Station", now_us: int, address_type: int, address: bytes, duration_ms: int) -> None:
        """Try to reach the owner of an address for so long; 0 ms: give up trying."""
        if not duration_ms:
            if self._connecting is not None:
                self._forget(pipe.NO_CONNECTION)
                self._schedule(now_us + DISCONNECT_US[0], pipe.NO_CONNECTION, self._failed)
            return
        self._connecting = now_us
        self._note_busy(now_us)
        give_up_us = now_us + duration_ms * 1000

        def attempt(ether: "Ether", at_us: int) -> bytes:
            peer = ether.owner_of(address_type, address, at_us)
            if peer is None or peer.gatt is None or not ether.reaches(peer, station, at_us):
                self._schedule(give_up_us, pipe.NO_CONNECTION, self._failed)
                return b""
            self._connecting = None
            peer.gatt.connections += 1
            return self._up(Link(peer, address_type, address, pipe.PERIPHERAL), at_us)

        at_us = now_us + station.draw.randint(*CONNECT_US)
        if at_us < give_up_us:
            self._schedule(at_us, pipe.NO_CONNECTION, attempt)
        else:
            self._schedule(give_up_us, pipe.NO_CONNECTION, self._failed)

    def accept(self, now_us: int, address: bytes) -> bytes:
        """Somebody connects to this radio: the event that its program gets."""
        found = self._up(Link(None, 1, address, pipe.CENTRAL), now_us)
        self._note_busy(now_us)
        return found

    def disconnect(self, station: "Station", now_us: int, link: int) -> None:
        """End a connection."""
        if link in self.links:
            self._forget(link)
            self._schedule(now_us + station.draw.randint(*DISCONNECT_US), link, self._down(link))

    def ask(self, station: "Station", now_us: int, link: int, what: int, handles: tuple[int, int], uuid: bytes) -> None:
        """Services, characteristics or a value of the peer."""
        if link not in self.links:
            return

        def answer(ether: "Ether", at_us: int) -> bytes:
            peer = self.links[link].peer
            if peer is None or peer.gatt is None or not ether.reaches(peer, station, at_us):
                self._forget(link)
                self._schedule(at_us + SUPERVISION_US, link, self._down(link))
                return b""
            if not peer.gatt.answers:
                self._schedule(now_us + ATT_TIMEOUT_US, link, self._unanswered(link, what, handles[0]))
                return b""
            return _answer(peer.gatt, at_us, link, what, handles, uuid)

        self._schedule(now_us + station.draw.randint(*ANSWER_US), link, answer)

    def drop_all(self, now_us: int) -> None:
        """The chip restarts."""
        self.links.clear()
        self._due.clear()
        self._connecting = None
        self._note_busy(now_us)

    # -- what comes of it ------------------------------------------------------------------------------------------
    def _up(self, link: Link, at_us: int) -> bytes:
        number = self._next_link
        self._next_link = number % 0x0FFF + 1
        self.links[number] = link
        head = struct.pack(pipe.LINK_ARGS, 1, number, link.address_type, link.address)
        return pipe.event(link.event, at_us, head)

    def _failed(self, _ether: "Ether", at_us: int) -> bytes:
        self._connecting = None
        body = struct.pack(pipe.LINK_ARGS, 0, pipe.NO_CONNECTION, NO_ADDRESS_TYPE, bytes(6))
        return pipe.event(pipe.PERIPHERAL, at_us, body)

    def _down(self, number: int) -> Callable[["Ether", int], bytes]:
        def act(_ether: "Ether", at_us: int) -> bytes:
            self._forget(number)
            link = self.links.pop(number)
            return pipe.event(
                link.event, at_us, struct.pack(pipe.LINK_ARGS, 0, number, link.address_type, link.address)
            )

        return act

    def _unanswered(self, link: int, what: int, handle: int) -> Callable[["Ether", int], bytes]:
        def act(ether: "Ether", at_us: int) -> bytes:
            return _done(at_us, link, what, handle, STATUS_TIMEOUT) + self._down(link)(ether, at_us)

        return act


def _done(at_us: int, link: int, what: int, handle: int, status: int) -> bytes:
    return pipe.event(pipe.GATT_DONE, at_us, struct.pack(pipe.GATT_DONE_ARGS, link, what, handle, status))


def _answer(server: GattServer, at_us: int, link: int, what: int, handles: tuple[int, int], uuid: bytes) -> bytes:
    first, last = handles
    if what == pipe.READ:
        return _value(server, at_us, link, first)
    found = b""
    if what == pipe.SERVICES:
        for service in server.services:
            if not uuid or uuid == service.uuid:
                head = struct.pack(pipe.SERVICE_ARGS, link, service.first, service.last)
                found += pipe.event(pipe.SERVICE, at_us, head + service.uuid)
        return found + _done(at_us, link, what, 0, 0)
    for service in server.services:
        for one in service.characteristics:
            if first <= one.value_handle <= last and (not uuid or uuid == one.uuid):
                head = struct.pack(pipe.CHARACTERISTIC_ARGS, link, service.last, one.value_handle, READABLE)
                found += pipe.event(pipe.CHARACTERISTIC, at_us, head + one.uuid)
    return found + _done(at_us, link, what, 0, 0)


def _value(server: GattServer, at_us: int, link: int, handle: int) -> bytes:
    for service in server.services:
        for one in service.characteristics:
            if one.value_handle == handle:
                server.reads += 1
                body = struct.pack(pipe.VALUE_ARGS, link, handle) + one.read()
                return pipe.event(pipe.VALUE, at_us, body) + _done(at_us, link, pipe.READ, handle, 0)
    return _done(at_us, link, pipe.READ, handle, STATUS_NO_HANDLE)
