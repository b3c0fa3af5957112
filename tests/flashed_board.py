"""A virtual board that was flashed: it runs from its own file system, behind a port, until closed."""

import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bztoken import boards
from bztoken.desk import board_files, flash_image
from bztoken.desk.application_build import Arch
from bztoken.desk.board_files import Build
from bzvirtual.application import compile_file
from bzvirtual.attach import attach
from bzvirtual.realtime import order
from bzvirtual.token_folder import FLASH_BYTES
from bzwire import cbor, messages, smp

PROMPTS = (b">>> ", b"raw REPL", b'Type "help()"', b"R\x01")


def files_of(build: Build) -> dict[str, bytes]:
    """What `bztoken flash` would put on a virtual board."""
    return board_files.files(build, Arch.X64, compile_file, boards.device_file(boards.load("virtual")))


def compiled(text: str, folder: Path) -> bytes:
    """A program as a board carries it."""
    source = folder / "program.py"
    source.write_text(text)
    compile_file(source, folder / "program.mpy")
    return (folder / "program.mpy").read_bytes()


class FlashedBoard:
    """One board in a fleet of its own."""

    def __init__(self, folder: Path, files: Mapping[str, bytes]) -> None:
        self.folder = folder
        self._fleet = attach(folder, blank=1, flash=flash_image.build(files, FLASH_BYTES))
        ready = threading.Event()
        self._runner = threading.Thread(target=self._fleet.run, args=(lambda _ports: ready.set(),))
        self._runner.start()
        assert ready.wait(60)
        self.port = self._fleet.ports[0].path
        self.flash = self._fleet.ports[0].process.folder.flash

    def order(self, action: str) -> dict[str, Any]:
        """See `realtime.order`."""
        return order(self.folder, do=action, token=self.port)

    def talk(self, seconds: float, flood: bytes = b"", until: bytes | None = None) -> bytes:
        """What the board says in this time, or until it says so, while its line is flooded with these bytes."""
        line = os.open(self.port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        said, end_s = b"", time.monotonic() + seconds
        try:
            while time.monotonic() < end_s and (until is None or until not in said):
                try:
                    os.write(line, flood)
                    said += os.read(line, 4096)
                except BlockingIOError:
                    time.sleep(0.001)
        finally:
            os.close(line)
        return said

    def info(self, patience_s: float = 8) -> dict[str, Any] | None:
        """Its INFO; None when it does not answer."""
        packed = smp.Message(smp.OP_WRITE, smp.GROUP_TOKEN, messages.CMD_INFO, 1, cbor.dumps({})).pack()
        end_s = time.monotonic() + patience_s
        while time.monotonic() < end_s:
            self.send(b"\n" + b"".join(smp.encode_lines(packed)))
            for answer in smp.LineDecoder().feed(self.talk(0.4)):
                return dict(cbor.loads(smp.unpack_message(answer).body))
        return None

    def send(self, data: bytes) -> None:
        """Over the cable."""
        line = os.open(self.port, os.O_RDWR | os.O_NOCTTY)
        try:
            os.write(line, data)
        finally:
            os.close(line)

    def close(self) -> None:
        """Power down."""
        order(self.folder, do="stop")
        self._runner.join(10)
        self._fleet.close()


@contextmanager
def flashed(folder: Path, files: Mapping[str, bytes]) -> Iterator[FlashedBoard]:
    """A board that is powered down whatever happens."""
    board = FlashedBoard(folder, files)
    try:
        yield board
    finally:
        board.close()
