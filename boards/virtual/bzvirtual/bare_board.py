"""A board as it comes from the shop: nothing in its flash but what a flashing program puts there.

Either its boot loader has the port (`rom_loader`), or what was flashed runs. The loader comes when its SYNC command is
seen on the line, where a real board has a reset line, and goes when its session is over: then the board starts anew.
"""

import hashlib
import struct
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from .errors import FleetError
from .rom_loader import GO, SYNC
from .token_folder import TokenFolder

# From where a chip boots, where it is not 0: ESP-IDF, CONFIG_BOOTLOADER_OFFSET_IN_FLASH.
BOOT_AT = {"esp32": 0x1000}
MIB = 1024 * 1024
TABLE_AT = 0x8000
ENTRY = "<2sBBII16sI"
ENTRY_BYTES = struct.calcsize(ENTRY)
MAX_ENTRIES = 95
APP_KIND = 0
IMAGE_MAGIC = 0xE9
IMAGE_HEADER_BYTES = 24
DIGEST_BYTES = 32


def require_installed() -> None:
    """Raises FleetError."""
    if find_spec("esp32_mock_bootloader") is None:
        raise FleetError("Bare boards need the package esp32-mock-bootloader: run `make setup` in a source checkout.")


class BareBoard:
    """The chip behind one port. Its flash is the file `chip.bin`, of which the token's `flash.bin` is a part."""

    def __init__(self, folder: TokenFolder, chip: str, flash_bytes: int, master: int, slave: int) -> None:
        self._folder = folder
        self._chip = chip
        self._terminal = (master, slave)
        self._image: Path = folder.path / "chip.bin"
        if not self._image.exists():
            self._image.write_bytes(b"\xff" * flash_bytes)
        self._heard = b""
        self._loader = self._next_loader()
        self.is_called = False  # somebody wants to speak to the boot loader
        self.is_serving = False  # the boot loader has the port

    @property
    def loader_pid(self) -> int:
        """Of the boot loader's process, for tests that cut the power."""
        return self._loader.pid

    def overhear(self, data: bytes) -> None:
        """What comes over the line while the firmware has it."""
        self._heard = self._heard[-len(SYNC) :] + data
        if SYNC in self._heard:
            self._heard = b""
            self.is_called = True

    # -- boot loader ---------------------------------------------------------------------------------------------
    def _next_loader(self) -> "subprocess.Popen[bytes]":
        """Waits, loaded, until it is told to begin."""
        arguments = [*map(str, self._terminal), self._chip, str(self._image), self._folder.state.mac]
        return subprocess.Popen(
            [sys.executable, "-m", "bzvirtual.rom_loader", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=self._terminal,
        )

    def serve(self) -> None:
        """Give the port to the boot loader. What the firmware has written is in the flash by then."""
        self._put_files_back()
        if self._loader.poll() is not None:  # ended while it waited
            self._loader = self._next_loader()
        assert self._loader.stdin is not None
        self._loader.stdin.write(GO)
        self._loader.stdin.flush()
        self.is_called = False
        self.is_serving = True

    def is_over(self) -> bool:
        """True once the boot loader's session has ended, or its power was cut."""
        return self.is_serving and self._loader.poll() is not None

    def boot(self) -> bool:
        """Restart: True when something can run now, and the token's flash is laid out; else `serve` again."""
        self.end()
        self._loader = self._next_loader()
        content = self._image.read_bytes()
        part = self._files(content)
        if part is None:
            return False
        self._folder.flash.write_bytes(content[part[0] : part[1]])
        return True

    def end(self) -> None:
        """No boot loader is left."""
        self.is_serving = False
        self._loader.kill()
        self._loader.wait()
        if self._loader.stdin is not None:
            self._loader.stdin.close()

    def _files(self, content: bytes) -> tuple[int, int] | None:
        return file_system(content, BOOT_AT.get(self._chip, 0))

    def _put_files_back(self) -> None:
        part = self._files(self._image.read_bytes())
        if part is not None:
            with self._image.open("r+b") as file:
                file.seek(part[0])
                file.write(self._folder.flash.read_bytes())


# -- what a chip does with its flash ---------------------------------------------------------------------------------
def file_system(flash: bytes, boot_at: int) -> tuple[int, int] | None:
    """(begin, end) of MicroPython's files in a flash that boots; None for one that does not.

    As the chip and its second boot loader do: an image at boot_at, a partition table, an application that is whole.
    """
    entries = _partitions(flash)
    programs = [offset for _name, kind, offset, _size in entries if kind == APP_KIND]
    if not _is_whole(flash, boot_at) or not programs or not _is_whole(flash, programs[0]):
        return None
    for name, _kind, offset, size in entries:
        if name == "vfs":
            return offset, min(offset + size, len(flash))
    begin = max(offset + size for _name, _kind, offset, size in entries)
    return (begin, len(flash)) if begin < len(flash) else None


def _partitions(flash: bytes) -> list[tuple[str, int, int, int]]:
    """Name, kind, offset, size."""
    found = []
    for number in range(MAX_ENTRIES):
        magic, kind, _, offset, size, name, _ = struct.unpack_from(ENTRY, flash, TABLE_AT + number * ENTRY_BYTES)
        if magic != b"\xaa\x50":
            break
        found.append((name.rstrip(b"\0").decode("ascii", "replace"), kind, offset, size))
    return found


def _is_whole(flash: bytes, at: int) -> bool:
    """An image of ESP-IDF whose digest fits: header, segments, a checksum at the end of 16 bytes, SHA-256."""
    if at + IMAGE_HEADER_BYTES > len(flash) or flash[at] != IMAGE_MAGIC:
        return False
    end = at + IMAGE_HEADER_BYTES
    for _ in range(flash[at + 1]):
        if end + 8 > len(flash):
            return False
        end += 8 + struct.unpack_from("<I", flash, end + 4)[0]
    end = at + (end - at) // 16 * 16 + 16
    return hashlib.sha256(flash[at:end]).digest() == flash[end : end + DIGEST_BYTES]
