"""Virtual time: a discrete-event loop in which every token runs its real program, repeatably from a seed.

A token that waits says until when, and until then its radio does not change. So a token that does not listen may run on
ahead of the others; one that listens runs only when all others have lived as far as it has, and then hears exactly what
was on the air. The order in which processes happen to run cannot matter, and the two cores of a small machine are busy.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from bzwire import smp

from .device import pipe
from .errors import TokenDied
from .ether import Ether, Packet, Station
from .process import EPOCH_2000_US, Command, TokenProcess
from .token_folder import HARD_RESET, POWER_ON
from .usage import Meter, Usage

AHEAD_US = 20_000_000  # how far a token that does not listen may run ahead: bounds what the air must remember
BOOT_LOOP = 20  # restarts in a row without ever waiting
CONNECTABLE, NOT_CONNECTABLE = 0, 3  # advertising types of a scan result
PUBLIC_ADDRESS, RANDOM_ADDRESS = 0, 1


def result_event(packet: Packet) -> bytes:
    """A packet as the event that a token's process takes."""
    kind = CONNECTABLE if packet.broadcast.connectable else NOT_CONNECTABLE
    address_type = PUBLIC_ADDRESS if packet.broadcast.public else RANDOM_ADDRESS
    head = struct.pack(pipe.RESULT_ARGS, address_type, kind, packet.rssi_dbm, packet.broadcast.address)
    return pipe.event(pipe.SCAN_RESULT, packet.time_us, head + packet.broadcast.data)


def apply_command(station: Station, state_of: TokenProcess, command: Command) -> None:
    """What a token told its radio or its board; WAIT and RESET are the caller's."""
    now_us, payload = command.time_us, command.payload
    if command.kind == pipe.ADVERTISE:
        interval_us, connectable = struct.unpack_from(pipe.ADVERTISE_ARGS, payload)
        station.advertise(now_us, interval_us, payload[pipe.ADVERTISE_ARGS_BYTES :], bool(connectable))
    elif command.kind == pipe.ADVERTISE_STOP:
        station.stop_advertising(now_us)
    elif command.kind == pipe.SCAN:
        station.start_scan(now_us, struct.unpack(pipe.SCAN_ARGS, payload)[0] * 1000)
    elif command.kind == pipe.SCAN_STOP:
        station.scan = None
    elif command.kind == pipe.ADDRESS:
        station.public = payload[0] == PUBLIC_ADDRESS
        station.address = payload[1:]
    elif command.kind == pipe.RTC_SET:
        state_of.note_clock(now_us, struct.unpack(pipe.RTC_ARGS, payload)[0])
    elif command.kind == pipe.RTC_MEMORY:
        state_of.folder.state.rtc_memory = payload.hex()
    elif command.kind == pipe.SLEEP:
        state_of.asleep = payload[0] != pipe.AWAKE
    elif command.kind == pipe.CHIP_CLOCK:
        state_of.note_chip_clock(now_us, struct.unpack(pipe.RTC_ARGS, payload)[0])
    else:
        apply_connection(station, command)


def apply_connection(station: Station, command: Command) -> None:
    """What a token told its radio about connections."""
    now_us, payload = command.time_us, command.payload
    if command.kind == pipe.CONNECT:
        station.central.connect(station, now_us, *struct.unpack(pipe.CONNECT_ARGS, payload))
    elif command.kind == pipe.DISCONNECT:
        station.central.disconnect(station, now_us, *struct.unpack(pipe.CONNECTION_ARGS, payload))
    elif command.kind == pipe.GATT:
        link, what, first, last = struct.unpack_from(pipe.GATT_ARGS, payload)
        uuid = payload[struct.calcsize(pipe.GATT_ARGS) :]
        station.central.ask(station, now_us, link, what, (first, last), uuid)


class Neighbour(Protocol):
    """What lives in the ether without a process: a phone, a beacon."""

    station: Station
    next_us: int

    def step(self, ether: Ether) -> None:
        """Live on from `next_us`, and say when next."""
        ...


@dataclass
class Token:
    """A token in virtual time. next_us: when it wants to run again."""

    process: TokenProcess
    station: Station
    next_us: int
    usage: Meter
    wakes: int = 0
    pins: Callable[[int, int, int], None] | None = None  # told time_us, pin, level

    def due_us(self) -> int:
        """When it runs next: its own wish, its scan's end, or news of a connection. Until then its radio stays as it
        is."""
        scan, central_us = self.station.scan, self.station.central.due_us()
        due_us = self.next_us if scan is None else min(self.next_us, scan.end_us)
        return due_us if central_us is None else min(due_us, central_us)

    def held(self) -> bool:
        """True when what it hears depends on others: then it must not run ahead of them."""
        return self.station.scan is not None or self.station.central.due_us() is not None


class Lockstep:
    """Owns time for a set of tokens and phones."""

    def __init__(self, ether: Ether, now_us: int) -> None:
        self.ether = ether
        self.now_us = now_us
        self.tokens: list[Token] = []
        self.phones: list[Neighbour] = []

    def add_token(self, process: TokenProcess, station: Station) -> Token:
        """Power a token up now and let it run until it first waits."""
        self.ether.join(station)
        # In a drawer until somebody plugs it in.
        self._set_plug(process, False)
        process.start(self.now_us)
        token = Token(process, station, self.now_us, Meter(self.now_us))
        token.usage.count("boots")
        self.tokens.append(token)
        self._take_turn(token)
        return token

    def add_phone(self, phone: Neighbour) -> None:
        """A phone or a beacon is on from now on."""
        self.ether.join(phone.station)
        self.phones.append(phone)

    def run_until(self, end_us: int, progress: Callable[[int], None] | None = None) -> None:
        """Let the world live until then. Raises TokenDied."""
        while True:
            dues_us = [token.due_us() for token in self.tokens] + [phone.next_us for phone in self.phones]
            due_us = min(dues_us, default=end_us)
            if due_us >= end_us:
                break
            if progress is not None and due_us // 60_000_000 != self.now_us // 60_000_000:
                progress(due_us)
            self.now_us = max(self.now_us, due_us)
            self._run_round(due_us, end_us)
        self.now_us = end_us

    def _run_round(self, due_us: int, end_us: int) -> None:
        """Run whoever may: all that are due now, and those that do not listen a little ahead."""
        ahead_us = min(due_us + AHEAD_US, end_us)
        group = [
            (token, at_us)
            for token in self.tokens
            if (at_us := token.due_us()) == due_us or (not token.held() and at_us < ahead_us)
        ]
        # What phones and listeners hear lies before due_us, so what the group does from then on cannot reach them.
        for phone in self.phones:
            if phone.next_us == due_us:
                phone.step(self.ether)
        for token, at_us in group:
            token.wakes += 1
            token.process.wake(at_us, self._events(token, at_us))
        for token, _ in group:
            self._take_turn(token)

    def _events(self, token: Token, until_us: int) -> bytes:
        if not token.held():
            return b""
        scan = token.station.scan
        events = [result_event(packet) for packet in self.ether.hear(token.station, until_us)]
        if scan is not None and scan.end_us <= until_us:
            token.station.scan = None
            token.usage.end("listen_us", scan.end_us)
            events.append(pipe.event(pipe.SCAN_DONE, scan.end_us))
        events.append(token.station.central.collect(self.ether, until_us))
        self._note_links(token, until_us)
        return b"".join(events)

    @staticmethod
    def _note_links(token: Token, now_us: int) -> None:
        if not token.station.central.links:
            token.usage.end("connected_us", now_us)
        elif not token.usage.is_on("connected_us"):
            token.usage.begin("connected_us", now_us)

    def _take_turn(self, token: Token) -> None:
        """Take commands until the token waits again. Raises TokenDied for one that restarts without end."""
        for _ in range(BOOT_LOOP):
            if self._waits(token):
                return
        raise TokenDied(f"The token in {token.process.folder.path.name} restarts without end.")

    def _waits(self, token: Token) -> bool:
        """Take commands until the token waits (True) or begins anew (False)."""
        while True:
            for command in token.process.read_commands():
                if command.kind == pipe.WAIT:
                    (token.next_us,) = struct.unpack(pipe.WAIT_ARGS, command.payload)
                    return True
                if command.kind == pipe.POWER_CUT:
                    self._go_dark(token, command.time_us)
                    return True
                if command.kind == pipe.RESET:
                    cause, reason = struct.unpack(pipe.RESET_ARGS, command.payload)
                    self._boot(token, cause, command.time_us, reason)
                    return False  # nothing that the old program said after its reset counts
                if command.kind == pipe.PIN_OUT:
                    if token.pins is not None:
                        token.pins(command.time_us, *struct.unpack(pipe.PIN_ARGS, command.payload))
                else:
                    token.usage.take(command.kind, command.time_us, command.payload)
                    apply_command(token.station, token.process, command)

    def _boot(self, token: Token, cause: int, now_us: int, wake_reason: int = 0) -> None:
        token.process.halt(now_us)
        self._silence(token, now_us)
        token.usage.end("off_us", now_us)
        token.usage.count("boots")
        token.process.folder.state.boot_cause = cause
        token.process.folder.state.wake_reason = wake_reason
        token.process.start(now_us)

    @staticmethod
    def _silence(token: Token, now_us: int) -> None:
        token.usage.stop(now_us)
        token.station.stop_advertising(now_us)
        token.station.scan = None
        token.station.central.drop_all(now_us)

    def restart(self, token: Token, cause: int = HARD_RESET) -> None:
        """Reset a token, or power it up again: its program begins again, flash stays, and the clock if it is on."""
        self._boot(token, cause, self.now_us)
        self._take_turn(token)

    def cut_power(self, token: Token) -> None:
        """Off this instant, even in the middle of a computation; the clock is lost. `restart` powers it up."""
        self._go_dark(token, self.now_us)

    def _go_dark(self, token: Token, now_us: int) -> None:
        token.process.kill()
        token.process.power_cut_after_bytes = None
        token.process.folder.state.rtc_offset_us = None
        token.process.folder.state.rtc_memory = ""
        self._silence(token, now_us)
        token.usage.begin("off_us", now_us)
        token.next_us = pipe.FOR_EVER

    def brown_out(self, token: Token) -> None:
        """The battery gave way for a moment: the clock is lost, and the chip calls it a power-on."""
        self.cut_power(token)
        self.restart(token, POWER_ON)

    def usage_of(self, token: Token) -> Usage:
        """What it has spent since it joined, up to now."""
        return token.usage.at(self.now_us)

    def press_button(self, token: Token, pin: int, level: int) -> None:
        """A level at the button, or at any other pin that something outside drives, from now on."""
        token.process.pins[pin] = level
        self._deliver(token, pipe.event(pipe.PIN_IN, self.now_us, struct.pack(pipe.PIN_ARGS, pin, level)))

    def plug(self, token: Token) -> None:
        """The cable is in, as far as the board can tell its program."""
        self._change_plug(token, True)

    def unplug(self, token: Token) -> None:
        """The cable is out."""
        self._change_plug(token, False)

    def _change_plug(self, token: Token, plugged: bool) -> None:
        sense = token.process.usb_sense(plugged)
        if sense is not None:
            self.press_button(token, *sense)

    @staticmethod
    def _set_plug(process: TokenProcess, plugged: bool) -> None:
        sense = process.usb_sense(plugged)
        if sense is not None:
            process.pins[sense[0]] = sense[1]

    def set_battery_mv(self, token: Token, millivolts: int) -> None:
        """The battery has this voltage from now on."""
        token.process.folder.state.battery_mv = millivolts
        self._deliver(token, pipe.event(pipe.BATTERY, self.now_us, struct.pack(pipe.BATTERY_ARGS, millivolts)))

    def jump_clock(self, token: Token, delta_us: int | None = None) -> None:
        """The chip's clock jumps without a reset by so much; None: back to 2000."""
        if delta_us is None:
            delta_us = EPOCH_2000_US - token.process.clock_us(self.now_us)
        token.process.jump_clock(delta_us)
        self._deliver(token, pipe.event(pipe.CLOCK_JUMP, self.now_us, struct.pack(pipe.JUMP_ARGS, delta_us)))

    def connect_to(self, token: Token, address: bytes = bytes(range(6))) -> bool:
        """A stranger connects to a token. False when it does not broadcast that it can be connected to."""
        last = token.station.broadcasts[-1] if token.station.broadcasts else None
        if last is None or not last.connectable or not last.on_air_at(self.now_us):
            return False
        token.station.stop_advertising(self.now_us)
        token.usage.end("advertise_us", self.now_us)
        events = token.station.central.accept(self.now_us, address)
        self._note_links(token, self.now_us)
        self._deliver(token, events)
        return True

    def _deliver(self, token: Token, events: bytes) -> None:
        """Events for a token whose power is on."""
        if token.process.running:
            token.process.wake(self.now_us, events)
            self._take_turn(token)

    def type_in(self, token: Token, data: bytes) -> None:
        """Bytes of any kind for a token's console; only this token runs on them. What it says lies in its process."""
        token.process.write_console(data)
        self._deliver(token, pipe.event(pipe.SERIAL, self.now_us))

    def exchange(self, token: Token, request: bytes, patience: int = 50) -> bytes:
        """Send a packed SMP message over the token's console and return the packed answer.

        Only this token runs meanwhile. Raises TokenDied when it does not answer, as one that sleeps: its console is
        deaf, and what was sent is lost.
        """
        if token.process.asleep:
            raise TokenDied(f"The token in {token.process.folder.path.name} sleeps and hears nothing on its console.")
        decoder = smp.LineDecoder()
        self.type_in(token, b"".join(smp.encode_lines(request)))
        for _ in range(patience):
            found = decoder.feed(token.process.read_console())
            if found:
                return found[0]
            self._deliver(token, pipe.event(pipe.SERIAL, self.now_us))
        raise TokenDied(f"The token in {token.process.folder.path.name} does not answer on its console.")

    def stop(self) -> None:
        """Power everything down and keep what a board keeps."""
        for token in self.tokens:
            token.process.halt(self.now_us)
            token.process.folder.state.boot_cause = HARD_RESET
            token.process.folder.save()
