"""The line between a host's pseudo terminal and a token's console: USB-Serial-JTAG, or a UART of so many baud.

Neither has flow control towards the token: its input takes 260 bytes until the program reads, the rest is lost. They
differ towards the host, and what a line does with time: `due_ns` says when it wants to be called again.
"""

import os
import selectors
import time
from collections.abc import Callable

from .process import TokenProcess

CONSOLE_BYTES = 260
READ_BYTES = 65536
GIVE_UP_NS = 200_000_000  # a write to USB-Serial-JTAG that finds no room for so long is dropped
BITS_A_BYTE = 10  # 8N1
FIFO_BYTES = 128  # of the chip's UART
STEP_NS = 1_000_000  # a UART's bytes arrive in lumps of so long, or of LUMP_BYTES: a USB bridge does the same
LUMP_BYTES = 32
# A fast line has more lines waiting, so that it is not idle while this computer lets the token's process wait: 22 ms.
BAUD_A_LINE = 57_600
READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


class Line:
    """What both kinds share. plugged False: bytes of both sides are lost. `lost_to_token`, `lost_to_host`: bytes that
    found no room; due_ns: when `go_on` is wanted (monotonic), 0 for never.
    """

    def __init__(self, selector: selectors.BaseSelector, master: int, process: TokenProcess) -> None:
        self._selector = selector
        self._master = master
        self._process = process
        self.plugged = True
        self.lost_to_token = 0
        self.lost_to_host = 0
        self.due_ns = 0
        self.overhear: Callable[[bytes], None] = lambda _data: None  # told what comes from the host
        self._is_lent = False

    def lend(self) -> None:
        """Leave the terminal to a boot loader, until `take_back` and `power_up`."""
        self._watch(self._master, 0, lambda _events: None)
        self._is_lent = True

    def take_back(self) -> None:
        """The boot loader is gone."""
        self._is_lent = False

    def power_up(self) -> None:
        """The token runs: listen to its console."""
        raise NotImplementedError

    def power_down(self) -> None:
        """The token is about to end; its last words follow by `last_words`."""
        raise NotImplementedError

    def last_words(self) -> None:
        """The token has ended: carry what it had said."""
        raise NotImplementedError

    def go_on(self, now_ns: int) -> None:
        """The time of `due_ns` has come."""
        raise NotImplementedError

    def _watch(self, descriptor: int, events: int, call: Callable[[int], None]) -> None:
        """Be called for these events of a descriptor; 0 for none."""
        if descriptor == self._master and self._is_lent:
            return
        known = self._selector.get_map().get(descriptor)
        if known is None:
            if events:
                self._selector.register(descriptor, events, call)
        elif not events:
            self._selector.unregister(descriptor)
        elif known.events != events:
            self._selector.modify(descriptor, events, call)

    def _read_host(self, limit: int) -> bytes:
        try:
            data = os.read(self._master, limit)
        except OSError:
            return b""
        if self.plugged:
            self.overhear(data)
        return data

    def _give_token(self, data: bytes) -> None:
        taken = b""
        if self.plugged and self._process.running and not self._process.asleep:
            if self._process.prompt is not None:
                data = self._process.prompt.interrupt(data)
            taken = data[: max(0, CONSOLE_BYTES - self._process.unread_console_bytes())]
        self.lost_to_token += len(data) - len(taken)
        if taken:
            os.write(self._process.stdin_fd, taken)

    def _give_host(self, data: bytes) -> bytes:
        """What the pseudo terminal has no room for."""
        while data and self.plugged:
            try:
                data = data[os.write(self._master, data) :]
            except BlockingIOError:
                return data
        return b""


class UsbSerialJtag(Line):
    """As fast as both sides are. A write that the host does not fetch waits; after 200 ms it is dropped, and then all
    is dropped, in the middle of a line too, until the host fetches again.
    """

    def __init__(self, selector: selectors.BaseSelector, master: int, process: TokenProcess) -> None:
        super().__init__(selector, master, process)
        self._waiting = b""
        self._nobody_reads = False
        self._watch(master, READ, self._on_host)

    def power_up(self) -> None:
        self._listen()

    def power_down(self) -> None:
        self._watch(self._process.stdout_fd, 0, self._on_token)

    def last_words(self) -> None:
        self._carry(self._waiting + self._process.read_console())

    def _listen(self) -> None:
        """While a write waits the program stands still, as on the chip: its output is not fetched."""
        if self._process.running:
            self._watch(self._process.stdout_fd, 0 if self._waiting else READ, self._on_token)
        self._watch(self._master, READ | WRITE if self._waiting else READ, self._on_host)

    def _on_token(self, _events: int) -> None:
        self._carry(self._process.read_console())

    def _on_host(self, events: int) -> None:
        if events & WRITE and self._waiting:
            self._carry(self._waiting)
        if events & READ:
            data = self._read_host(READ_BYTES)
            if data:
                self._give_token(data)

    def _carry(self, data: bytes) -> None:
        rest = self._give_host(data)
        waited = bool(self._waiting)
        if len(rest) < len(data):
            self._nobody_reads = False
            self.due_ns = 0
        if rest and self._nobody_reads:
            self.lost_to_host += len(rest)
            rest = b""
        self._waiting = rest
        if rest and not self.due_ns:
            self.due_ns = time.monotonic_ns() + GIVE_UP_NS
        if bool(rest) != waited:
            self._listen()

    def go_on(self, now_ns: int) -> None:
        self.lost_to_host += len(self._waiting)
        self._waiting = b""
        self._nobody_reads = True
        self.due_ns = 0
        self._listen()


class Direction:
    """One direction of a UART: never idle while there is something to carry, never faster than its baud rate.

    take(limit) fetches about so much of what there is, without waiting; give(bytes) hands over what has arrived. Who is
    called late hands over more; `most_at_once` spares a receiver that would have read meanwhile.
    """

    def __init__(
        self, baud: int, take: Callable[[int], bytes], give: Callable[[bytes], None], most_at_once: int = READ_BYTES
    ) -> None:
        self._most_at_once = most_at_once
        self._byte_ns = BITS_A_BYTE * 1_000_000_000 / baud
        self._lump = max(LUMP_BYTES, int(STEP_NS / self._byte_ns))
        self._take = take
        self._give = give
        self._free_ns = 0.0  # all that was carried had arrived by then
        self.fifo = bytearray()
        self.due_ns = 0  # 0: idle

    def begin(self, now_ns: int) -> None:
        """There is something to carry."""
        if not self.due_ns:
            self._free_ns = max(self._free_ns, now_ns)
            self.go_on(now_ns)

    def go_on(self, now_ns: int) -> None:
        """Hand over what has arrived by now, fetch what is sent next."""
        arrived = min(self._most_at_once, max(0, int((now_ns - self._free_ns) / self._byte_ns)))
        limit = arrived + FIFO_BYTES - len(self.fifo)
        if limit > 0:
            self.fifo += self._take(limit)
        data = bytes(self.fifo[:arrived])
        del self.fifo[:arrived]
        if data:
            self._free_ns += len(data) * self._byte_ns
            self._give(data)
        lump = min(len(self.fifo), self._lump)
        self.due_ns = max(int(self._free_ns + lump * self._byte_ns), now_ns + STEP_NS // 2) if lump else 0


class Uart(Line):
    """A UART behind a USB bridge: both directions at `baud`; what the host has no room for is lost at once."""

    def __init__(self, selector: selectors.BaseSelector, master: int, process: TokenProcess, baud: int) -> None:
        super().__init__(selector, master, process)
        self._down = Direction(baud, self._read_host, self._give_token, CONSOLE_BYTES // 2)
        self._up = Direction(baud, self._read_token, self._lose_rest)
        process.output_lines = max(4, baud // BAUD_A_LINE)
        self._listen()

    def power_up(self) -> None:
        self._listen()

    def power_down(self) -> None:
        self._watch(self._process.stdout_fd, 0, self._on_token)

    def last_words(self) -> None:
        self._up.fifo += self._process.read_console()
        self._up.begin(time.monotonic_ns())
        self._listen()

    def _read_token(self, limit: int) -> bytes:
        found = self._process.read_console()
        while found and len(found) < limit:
            more = self._process.read_console()
            if not more:
                break
            found += more
        return found

    def _lose_rest(self, data: bytes) -> None:
        self.lost_to_host += len(self._give_host(data))

    def _on_host(self, _events: int) -> None:
        self._down.begin(time.monotonic_ns())
        self._listen()

    def _on_token(self, _events: int) -> None:
        self._up.begin(time.monotonic_ns())
        self._listen()

    def go_on(self, now_ns: int) -> None:
        for direction in (self._down, self._up):
            if direction.due_ns and direction.due_ns <= now_ns:
                direction.go_on(now_ns)
        self._listen()

    def _listen(self) -> None:
        """An idle direction waits for its source, a busy one for its time."""
        self._watch(self._master, 0 if self._down.due_ns else READ, self._on_host)
        if self._process.running:
            self._watch(self._process.stdout_fd, 0 if self._up.due_ns else READ, self._on_token)
        busy = [direction.due_ns for direction in (self._down, self._up) if direction.due_ns]
        self.due_ns = min(busy, default=0)
