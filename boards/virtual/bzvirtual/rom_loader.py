"""The boot loader in a chip's ROM, for one session of a program that flashes; `main` says how to run it.

A program of its own, on the terminal that the fleet lends it: esp32-mock-bootloader, which it is built from, loads
esptool, and nothing else of ours may. A pseudo terminal has no reset line: the session is over when no command came for
a second and nobody holds the port, or when plain text comes instead.
"""

import fcntl
import importlib
import mmap
import os
import select
import sys
import threading
import time
from typing import Any

SILENCE_NS = 1_000_000_000
STEP_MS = 50
PATIENCE_S = 5.0  # within a stream: for what the host owes
LAST_PRINTABLE = 0x7E  # what a token's console is sent has nothing beyond; a command ends in 0xC0
MAKER_AND_KIND = 0x4020  # of the flash, as the mock's own says
SYNC = b"\x07\x07\x12\x20" + b"\x55" * 8  # in the middle of the command with which every session begins
GO = b"go\n"


class _Terminal:
    """What `handle_client` wants of a connection: the lent end of a terminal."""

    def __init__(self, master: int, slave: int, over: threading.Event) -> None:
        self._master = master
        self._slave = slave
        self._over = over
        self._last_ns = 0  # when the last command came; 0: none yet
        self._is_text = False
        self._is_synced = False
        self._poll = select.poll()
        self._poll.register(master, select.POLLIN)
        self._poll.register(sys.stdin.fileno(), 0)  # hangs up when the fleet ends

    def set_timeout(self, _timeout_s: float) -> None:
        """Patience is ours."""

    def recv(self, size: int) -> bytes:
        """Raises TimeoutError when nothing comes, or the session is over."""
        give_up_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < give_up_s:
            for descriptor, events in self._poll.poll(STEP_MS):
                if descriptor != self._master or not events & select.POLLIN:
                    self._over.set()
                elif data := self._noted(os.read(self._master, size)):
                    return data
            if self._is_over():
                self._over.set()
            if self._over.is_set():
                break
        raise TimeoutError

    def _noted(self, data: bytes) -> bytes:
        """What the loader takes of it: nothing before SYNC, as after a power cut in the middle of a session."""
        self._is_text = max(data, default=0) <= LAST_PRINTABLE
        if not self._is_text:
            self._last_ns = time.monotonic_ns()
        self._is_synced |= SYNC in data
        return data if self._is_synced else b""

    def _is_over(self) -> bool:
        if not self._last_ns or time.monotonic_ns() - self._last_ns < SILENCE_NS:
            return False
        return self._is_text or not self._is_held()

    def _is_held(self) -> bool:
        """Programs that speak over a serial port lock it."""
        try:
            fcntl.flock(self._slave, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        fcntl.flock(self._slave, fcntl.LOCK_UN)
        return False

    def sendall(self, data: bytes) -> None:
        """Raises OSError when the host does not read."""
        room = select.poll()
        room.register(self._master, select.POLLOUT)
        while data:
            if not room.poll(int(PATIENCE_S * 1000)):
                raise OSError("the host does not read")
            try:
                data = data[os.write(self._master, data) :]
            except BlockingIOError:
                continue

    def close(self) -> None:
        """The terminal is the fleet's."""

    def abort_empty_session(self) -> bool:
        """Nobody comes and goes without a word here."""
        return False

    def ignore_eof_for_disconnect(self) -> bool:
        """A terminal of the fleet's has no end."""
        return True


def main() -> None:
    """MASTER SLAVE (descriptors) CHIP FLASH (file, as large as the chip's) MAC (hex). Begins when told on stdin."""
    master, slave, chip, flash_path, mac = int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:6]
    # By name: it is there on a developer's computer only.
    server: Any = importlib.import_module("esp32_mock_bootloader.server")
    protocol: Any = importlib.import_module("esp32_mock_bootloader.protocol")
    registers: Any = importlib.import_module("esp32_mock_bootloader.registers")
    if sys.stdin.buffer.readline() != GO:
        return
    with open(flash_path, "r+b") as file, mmap.mmap(file.fileno(), 0) as content:
        # The mock has one address and one size for all chips of a kind; a board has its own.
        registers.mac_bytes_for_chip = lambda _chip: tuple(bytes.fromhex(mac))
        protocol.MOCK_FLASH_ID = (len(content) - 1).bit_length() << 16 | MAKER_AND_KIND
        flash = server.FlashImage()
        flash.data = content
        over = threading.Event()
        server.handle_client(_Terminal(master, slave, over), over, chip, exit_on_disconnect=True, flash=flash)


if __name__ == "__main__":
    main()
