"""Real time: the same tokens, each behind a pseudo terminal that a host opens like a USB serial port.

One loop moves bytes between the ports and the tokens' consoles, carries the radio, and takes orders (press a button,
pull a cable) over a socket in the fleet's folder. A console takes 260 bytes and no more until the program reads: like
the chip's, it has no flow control, and what does not fit is lost without a word.
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

from .device import pipe
from .errors import FleetError
from .ether import Ether, Station
from .lockstep import apply_command, result_event
from .process import HARD_RESET, TokenProcess

CONSOLE_BYTES = 260
TICK_S = 0.05
SOCKET_NAME = "control.sock"
BUTTON_PRESSED, BUTTON_RELEASED = 0, 1  # active low
SECOND_US = 1_000_000


def now_us() -> int:
    """True time of the real-time world: the host's clock."""
    return time.time_ns() // 1000


@dataclass
class Port:
    """One token and its pseudo terminal. `plugged` False: the cable is out, bytes of both sides are lost."""

    label: str
    process: TokenProcess
    station: Station
    button_pin: int
    plugged: bool = True
    master: int = -1
    slave: int = -1
    lost_bytes: int = 0
    releases_us: int = 0  # when a pressed button comes up again; 0: not pressed
    pins: dict[int, int] = field(default_factory=dict)

    def open(self) -> None:
        """Make the pseudo terminal. The slave stays open here, or the first host to close it would end the line."""
        self.master, self.slave = os.openpty()
        tty.setraw(self.slave)
        os.set_blocking(self.master, False)

    @property
    def path(self) -> str:
        """What a host opens."""
        return os.ttyname(self.slave)

    def close(self) -> None:
        """Remove the pseudo terminal."""
        os.close(self.master)
        os.close(self.slave)


class RealTimeFleet:
    """Runs until `stop` is called or an order says so."""

    def __init__(self, folder: Path, ether: Ether) -> None:
        self._folder = folder
        self._ether = ether
        self._selector = selectors.DefaultSelector()
        self._stopping = False
        self._socket: socket.socket | None = None
        self.ports: list[Port] = []

    def add(self, label: str, process: TokenProcess, station: Station, button_pin: int) -> Port:
        """Power a token up behind a new port."""
        port = Port(label, process, station, button_pin)
        port.open()
        self._ether.join(station)
        self.ports.append(port)
        self._selector.register(port.master, selectors.EVENT_READ, lambda: self._from_host(port))
        self._start(port)
        return port

    def _start(self, port: Port) -> None:
        sense = port.process.usb_sense(port.plugged)
        if sense is not None:
            port.process.pins[sense[0]] = sense[1]
        port.process.start(now_us())
        self._selector.register(port.process.stdout_fd, selectors.EVENT_READ, lambda: self._from_token(port))
        self._selector.register(port.process.command_fd, selectors.EVENT_READ, lambda: self._commands(port))

    def _halt(self, port: Port) -> None:
        self._selector.unregister(port.process.stdout_fd)
        self._selector.unregister(port.process.command_fd)
        port.process.halt(now_us())
        self._from_token(port)
        port.station.stop_advertising(now_us())
        port.station.scan = None
        port.station.central.drop_all(now_us())

    # -- console -------------------------------------------------------------------------------------------------
    def _from_host(self, port: Port) -> None:
        try:
            data = os.read(port.master, 4096)
        except OSError:
            return
        room = CONSOLE_BYTES - port.process.unread_console_bytes()
        taken = data[: max(0, room)] if port.plugged and not port.process.asleep else b""
        port.lost_bytes += len(data) - len(taken)
        if taken:
            os.write(port.process.stdin_fd, taken)

    def _from_token(self, port: Port) -> None:
        data = port.process.read_console()
        while data and port.plugged:
            try:
                data = data[os.write(port.master, data) :]
            except BlockingIOError:  # nobody reads: the USB side gives up, as USB-Serial-JTAG does
                return

    # -- radio and board -----------------------------------------------------------------------------------------
    def _commands(self, port: Port) -> None:
        for command in port.process.read_commands():
            if command.kind == pipe.RESET:
                self._reset(port, *struct.unpack(pipe.RESET_ARGS, command.payload))
                return
            if command.kind == pipe.PIN_OUT:
                pin, level = struct.unpack(pipe.PIN_ARGS, command.payload)
                port.pins[pin] = level
            else:
                apply_command(port.station, port.process, command)

    def _reset(self, port: Port, cause: int, wake_reason: int = 0) -> None:
        self._halt(port)
        port.process.folder.state.boot_cause = cause
        port.process.folder.state.wake_reason = wake_reason
        self._start(port)

    def _tick(self) -> None:
        """Every 50 ms: hand out what the radios caught, let buttons up."""
        time_us = now_us()
        for port in self.ports:
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

    def _accept(self) -> None:
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
            return {"ok": False, "why": "there is no such token in this fleet"}
        return self._obey_for(port, order)

    def _obey_for(self, port: Port, order: dict[str, Any]) -> dict[str, Any]:
        action = order.get("do")
        if action == "press":
            port.releases_us = now_us() + int(float(order["hold_s"]) * SECOND_US)
            port.process.wake(now_us(), self._pin_event(port, port.button_pin, BUTTON_PRESSED))
        elif action in ("plug", "unplug"):
            port.plugged = action == "plug"
            sense = port.process.usb_sense(port.plugged)
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
                "lost_bytes": port.lost_bytes,
                "pid": port.process.pid,
                "battery_mv": port.process.folder.state.battery_mv,
                "asleep": port.process.asleep,
            }
        else:
            return {"ok": False, "why": "unknown order"}
        return {"ok": True}

    # -- life ----------------------------------------------------------------------------------------------------
    def run(self, ready: Callable[[list[Port]], None]) -> None:
        """Serve until stopped. `ready` is told the ports once they can be opened."""
        self._listen()
        ready(self.ports)
        next_tick = time.monotonic() + TICK_S
        while not self._stopping:
            for key, _ in self._selector.select(max(0.0, next_tick - time.monotonic())):
                key.data()
            if time.monotonic() >= next_tick:
                self._tick()
                next_tick += TICK_S

    def stop(self) -> None:
        """Leave `run` soon; safe in a signal handler."""
        self._stopping = True

    def close(self) -> None:
        """Power everything down, keep what a board keeps, remove ports and socket."""
        for port in self.ports:
            self._halt(port)
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
