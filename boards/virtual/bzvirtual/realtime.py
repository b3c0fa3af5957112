"""Real time: the same tokens, each behind a pseudo terminal that a host opens like a USB serial port.

One loop carries bytes between the ports and the tokens' consoles (`serial_line`) and the radio, and takes orders (press
a button, pull a cable) over a socket in the fleet's folder.
"""

import contextlib
import json
import os
import selectors
import socket
import struct
import time
import tty
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .bare_board import BareBoard
from .device import pipe
from .errors import FleetError, TokenDied
from .ether import Ether, Station
from .lockstep import apply_command, result_event
from .port_links import PortLinks
from .process import TokenProcess
from .serial_line import Line, Uart, UsbSerialJtag
from .token_folder import HARD_RESET, SOFT_RESET

TICK_NS = 50_000_000
SOCKET_NAME = "control.sock"
BUTTON_PRESSED, BUTTON_RELEASED = 0, 1  # active low
SECOND_US = 1_000_000
SECOND_NS = 1_000_000_000


def now_us() -> int:
    """True time of the real-time world: the host's clock."""
    return time.time_ns() // 1000


@dataclass
class Port:
    """One token, its pseudo terminal and the line between them."""

    label: str
    process: TokenProcess
    station: Station
    button_pin: int
    master: int
    slave: int  # stays open here, or the first host to close it would end the line
    line: Line
    releases_us: int = 0  # when a pressed button comes up again; 0: not pressed
    pins: dict[int, int] = field(default_factory=dict)
    bare: BareBoard | None = None  # of a board that was attached without anything in its flash

    @property
    def path(self) -> str:
        """What a host opens."""
        return os.ttyname(self.slave)

    def close(self) -> None:
        """Remove the pseudo terminal."""
        os.close(self.master)
        os.close(self.slave)


class RealTimeFleet:
    """Runs until `stop` is called or an order says so. baud: of UARTs; None: as fast as it goes, USB-Serial-JTAG."""

    def __init__(self, folder: Path, ether: Ether, baud: int | None = None) -> None:
        self._folder = folder
        self._ether = ether
        self._baud = baud
        self._selector = selectors.DefaultSelector()
        self._stopping = False
        self._socket: socket.socket | None = None
        self._links = PortLinks(folder)
        self.ports: list[Port] = []

    def add(self, label: str, process: TokenProcess, station: Station, button_pin: int) -> Port:
        """Power a token up behind a new port."""
        port = self._new_port(label, process, station, button_pin)
        self._start(port)
        return port

    def add_bare(
        self, label: str, process: TokenProcess, station: Station, button_pin: int, chip: str, flash_bytes: int
    ) -> Port:
        """A board with nothing in its flash, behind a new port."""
        port = self._new_port(label, process, station, button_pin)
        port.bare = BareBoard(process.folder, chip, flash_bytes, port.master, port.slave)
        port.line.overhear = port.bare.overhear
        port.line.lend()
        port.bare.serve()
        return port

    def _new_port(self, label: str, process: TokenProcess, station: Station, button_pin: int) -> Port:
        master, slave = os.openpty()
        tty.setraw(slave)
        os.set_blocking(master, False)
        if self._baud is None:
            line: Line = UsbSerialJtag(self._selector, master, process)
        else:
            line = Uart(self._selector, master, process, self._baud)
        port = Port(label, process, station, button_pin, master, slave, line)
        self._ether.join(station)
        self.ports.append(port)
        return port

    def _start(self, port: Port) -> None:
        sense = port.process.usb_sense(port.line.plugged)
        if sense is not None:
            port.process.pins[sense[0]] = sense[1]
        port.process.start(now_us())
        port.line.power_up()
        self._selector.register(port.process.command_fd, selectors.EVENT_READ, lambda _events: self._commands(port))

    def _halt(self, port: Port, softly: bool = False) -> None:
        if not port.process.running:
            return
        self._selector.unregister(port.process.command_fd)
        port.line.power_down()
        if softly:
            port.process.end_softly(now_us())
        else:
            port.process.halt(now_us())
        port.line.last_words()
        port.station.stop_advertising(now_us())
        port.station.scan = None
        port.station.central.drop_all(now_us())

    def _attend(self, port: Port, bare: BareBoard) -> None:
        """Whose turn it is on a bare board: the boot loader's, or that of what was flashed."""
        if bare.is_called:
            self._halt(port)
            port.line.lend()
            bare.serve()
        elif bare.is_over():
            if not bare.boot():
                bare.serve()
                return
            port.process.folder.state.boot_cause = HARD_RESET
            port.line.take_back()
            self._start(port)

    # -- radio and board -----------------------------------------------------------------------------------------
    def _commands(self, port: Port) -> None:
        try:
            commands = port.process.read_commands()
        except TokenDied:
            if port.process.prompt is None:
                raise
            self._reset(port, HARD_RESET)  # what a developer does to the interpreter resets a chip
            return
        for command in commands:
            if command.kind == pipe.RESET:
                self._reset(port, *struct.unpack(pipe.RESET_ARGS, command.payload))
                return
            if command.kind == pipe.PIN_OUT:
                pin, level = struct.unpack(pipe.PIN_ARGS, command.payload)
                port.pins[pin] = level
            elif command.kind == pipe.PORT:
                port.process.has_port()
            else:
                apply_command(port.station, port.process, command)

    def _reset(self, port: Port, cause: int, wake_reason: int = 0) -> None:
        self._halt(port, cause == SOFT_RESET)
        port.process.folder.state.boot_cause = cause
        port.process.folder.state.wake_reason = wake_reason
        self._start(port)

    def _tick(self) -> None:
        """Every 50 ms: hand out what the radios caught, let buttons up."""
        time_us = now_us()
        for port in self.ports:
            if port.bare is not None:
                self._attend(port, port.bare)
            if not port.process.running:
                continue
            scan = port.station.scan
            events = [result_event(packet) for packet in self._ether.hear(port.station, time_us)]
            if scan is not None and scan.end_us <= time_us:
                port.station.scan = None
                events.append(pipe.event(pipe.SCAN_DONE, scan.end_us))
            if port.releases_us and port.releases_us <= time_us:
                port.releases_us = 0
                events.append(self._pin_event(port, port.button_pin, BUTTON_RELEASED))
            events.append(port.station.central.collect(self._ether, time_us))
            if any(events):
                port.process.wake(time_us, b"".join(events))

    @staticmethod
    def _pin_event(port: Port, pin: int, level: int) -> bytes:
        port.process.pins[pin] = level
        return pipe.event(pipe.PIN_IN, now_us(), struct.pack(pipe.PIN_ARGS, pin, level))

    # -- orders --------------------------------------------------------------------------------------------------
    def _listen(self) -> None:
        path = self._folder / SOCKET_NAME
        path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen()
        self._selector.register(self._socket, selectors.EVENT_READ, self._accept)

    def _accept(self, _events: int) -> None:
        assert self._socket is not None
        connection, _ = self._socket.accept()
        with connection:
            connection.settimeout(1)
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
                order = json.loads(connection.recv(4096))
                connection.sendall(json.dumps(self._obey(order)).encode())

    def _obey(self, order: dict[str, Any]) -> dict[str, Any]:
        if order.get("do") == "stop":
            self._stopping = True
            return {"ok": True}
        port = next((port for port in self.ports if order.get("token") in (port.label, port.path)), None)
        if port is None:
            labels = ", ".join(port.label for port in self.ports)
            return {"ok": False, "why": f"there is no such token in this fleet, give one of {labels}"}
        return self._obey_for(port, order)

    def _obey_for(self, port: Port, order: dict[str, Any]) -> dict[str, Any]:
        action = order.get("do")
        if port.bare is not None and not port.process.running:
            return self._obey_for_loader(port.bare, action)
        if action == "press":
            port.releases_us = now_us() + int(float(order["hold_s"]) * SECOND_US)
            port.process.wake(now_us(), self._pin_event(port, port.button_pin, BUTTON_PRESSED))
        elif action in ("plug", "unplug"):
            port.line.plugged = action == "plug"
            self._show(port)
            sense = port.process.usb_sense(port.line.plugged)
            if sense is not None:
                port.process.wake(now_us(), self._pin_event(port, *sense))
        elif action == "battery":
            port.process.folder.state.battery_mv = millivolts = int(order["mv"])
            event = pipe.event(pipe.BATTERY, now_us(), struct.pack(pipe.BATTERY_ARGS, millivolts))
            port.process.wake(now_us(), event)
        elif action == "reset":
            self._reset(port, HARD_RESET)
        elif action == "look":
            return {
                "ok": True,
                "pins": port.pins,
                "lost_bytes": port.line.lost_to_token,
                "lost_output_bytes": port.line.lost_to_host,
                "pid": port.process.pid,
                "battery_mv": port.process.folder.state.battery_mv,
                "asleep": port.process.asleep,
            }
        else:
            return {"ok": False, "why": "unknown order"}
        return {"ok": True}

    @staticmethod
    def _obey_for_loader(bare: BareBoard, action: object) -> dict[str, Any]:
        if action == "look":
            return {"ok": True, "loader_pid": bare.loader_pid}
        return {"ok": False, "why": "its boot loader has the port, flash the board first"}

    # -- life ----------------------------------------------------------------------------------------------------
    def run(self, ready: Callable[[list[Port]], None]) -> None:
        """Serve until stopped. `ready` is told the ports once they can be opened."""
        self._listen()
        self._links.begin()
        for port in self.ports:
            self._show(port)
        ready(self.ports)
        next_tick_ns = time.monotonic_ns()
        while not self._stopping:
            for key, events in self._selector.select(self._idle_s(next_tick_ns)):
                if self._selector.get_map().get(key.fd) is key:  # unless the one before it has ended it
                    key.data(events)
            now_ns = time.monotonic_ns()
            for port in self.ports:
                if port.line.due_ns and port.line.due_ns <= now_ns:
                    port.line.go_on(now_ns)
            if now_ns >= next_tick_ns:
                self._tick()
                next_tick_ns = now_ns + TICK_NS

    def _idle_s(self, next_tick_ns: int) -> float:
        """How long nothing needs to be done but what a descriptor asks for."""
        due_ns = min((port.line.due_ns for port in self.ports if port.line.due_ns), default=next_tick_ns)
        return max(0.0, (min(due_ns, next_tick_ns) - time.monotonic_ns()) / SECOND_NS)

    def _show(self, port: Port) -> None:
        """By name, while the cable is in."""
        if port.line.plugged:
            self._links.show(port.process.folder.path.name, port.path)
        else:
            self._links.hide(port.process.folder.path.name)

    def stop(self) -> None:
        """Leave `run` soon; safe in a signal handler."""
        self._stopping = True

    def close(self) -> None:
        """Power everything down, keep what a board keeps, remove ports and socket."""
        self._links.end()
        for port in self.ports:
            self._halt(port)
            if port.bare is not None:
                port.bare.end()
            state = port.process.folder.state
            state.boot_cause = HARD_RESET
            port.process.folder.save()
            port.close()
        if self._socket is not None:
            self._socket.close()
            (self._folder / SOCKET_NAME).unlink(missing_ok=True)


def is_attached(folder: Path) -> bool:
    """True when a fleet runs in this folder: its flash images must not be opened twice."""
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(str(folder / SOCKET_NAME))
        except OSError:
            return False
        return True


def order(folder: Path, **what: Any) -> dict[str, Any]:
    """Give an order to the fleet that runs in this folder. Raises FleetError when none runs or it refuses."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(str(folder / SOCKET_NAME))
            connection.sendall(json.dumps(what).encode())
            answer: dict[str, Any] = json.loads(connection.recv(65536))
    except (OSError, ValueError):
        raise FleetError(f"No attached fleet runs in {folder}: start one with `bztoken fleet attach`.") from None
    if not answer.get("ok"):
        raise FleetError(f"The fleet refused: {answer.get('why')}.")
    return answer
