"""Bare boards behind ports, and what tests of `bztoken flash` ask of them."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bzvirtual import realtime
from bzvirtual.attach import Bare, attach

BOARDS = Path(__file__).parent.parent / "data" / "boards"
MIB = 1024 * 1024


class BareBoards:
    """A fleet of them. ports: in order."""

    def __init__(self, folder: Path, ports: list[str]) -> None:
        self.folder = folder
        self.ports = ports

    @property
    def port(self) -> str:
        """The first one's."""
        return self.ports[0]

    def look(self) -> dict[str, Any]:
        """What the fleet tells of the first board."""
        return realtime.order(self.folder, do="look", token="bare-1")

    def chip_flash(self, number: int = 1) -> bytes:
        """The whole flash as the boot loader sees it."""
        return (self.folder / f"token-{number}" / "chip.bin").read_bytes()

    def files(self, number: int = 1) -> Path:
        """The image of MicroPython's files, once something runs."""
        return self.folder / f"token-{number}" / "flash.bin"


@contextmanager
def bare_boards(folder: Path, chip: str = "esp32c3", flash_mib: int = 4, count: int = 1) -> Iterator[BareBoards]:
    """Boards with nothing in their flash, until the end of the block."""
    fleet = attach(folder, bare=Bare(count, chip, flash_mib * MIB))
    ready = threading.Event()
    thread = threading.Thread(target=fleet.run, args=(lambda _ports: ready.set(),), name="bare boards")
    thread.start()
    try:
        assert ready.wait(60)
        yield BareBoards(folder, [port.path for port in fleet.ports])
    finally:
        fleet.stop()
        thread.join()
        fleet.close()
