"""The file system that a board is flashed with, and what a flash that is on a board already holds.

LittleFS with the numbers that MicroPython's VfsLfs2 has unless told otherwise, written by another implementation than
the token's. The image covers the whole partition, so that nothing of earlier files is left behind it.
"""

from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import Any

from littlefs import LittleFS
from littlefs.context import UserContext
from littlefs.errors import LittleFSError

from bztoken.errors import BztokenError

SECTOR_BYTES = 4096
READ_BYTES = 32
CACHE_BYTES = 128
LOOKAHEAD_BYTES = 32
IDENTITY = "/identity"
SIZE_AS_WRITTEN = 0  # as the file system itself says

# Told (offset in the partition, bytes); gives the flash's content there.
ReadFlash = Callable[[int, int], bytes]


def build(files: Mapping[str, bytes], vfs_bytes: int) -> bytes:
    """A file system with these files (path from the root: content), as long as its partition.

    Raises BztokenError when the partition is no whole number of sectors, or too small for them.
    """
    if vfs_bytes <= 0 or vfs_bytes % SECTOR_BYTES:
        raise BztokenError(f"a partition for files is a multiple of {SECTOR_BYTES} bytes, not {vfs_bytes}")
    context = UserContext(buffer=bytearray(b"\xff" * vfs_bytes))
    flash = _file_system(context, vfs_bytes)
    try:
        flash.format()
        flash.mount()
        for path, content in sorted(files.items()):
            _write(flash, PurePosixPath("/") / path, content)
        flash.unmount()
    except LittleFSError:
        raise BztokenError(
            f"the application does not fit into the board's file system of {vfs_bytes // 1024} KiB"
        ) from None
    return bytes(context.buffer)


def _write(flash: LittleFS, path: PurePosixPath, content: bytes) -> None:
    flash.makedirs(str(path.parent), exist_ok=True)
    with flash.open(str(path), "wb") as file:
        file.write(content)


def _file_system(context: UserContext, vfs_bytes: int) -> LittleFS:
    return LittleFS(
        context=context,
        block_size=SECTOR_BYTES,
        block_count=vfs_bytes // SECTOR_BYTES,
        read_size=READ_BYTES,
        prog_size=READ_BYTES,
        cache_size=CACHE_BYTES,
        lookahead_size=LOOKAHEAD_BYTES,
        mount=False,
    )


class _OnBoard(UserContext):
    """Fetches from the board what LittleFS asks for, and changes nothing there.

    LittleFS cannot pass an exception on: the first one is kept, and nothing is asked for after it.
    """

    def __init__(self, read_flash: ReadFlash) -> None:
        super().__init__(buffer=bytearray())
        self._read_flash = read_flash
        self.failure: BztokenError | None = None

    def read(self, cfg: Any, block: int, off: int, size: int) -> bytearray:
        if self.failure is None:
            try:
                return bytearray(self._read_flash(block * SECTOR_BYTES + off, size))
            except BztokenError as error:
                self.failure = error
        return bytearray(b"\xff" * size)

    def prog(self, cfg: Any, block: int, off: int, data: bytes) -> int:
        return int(LittleFSError.Error.LFS_ERR_IO)

    def erase(self, cfg: Any, block: int) -> int:
        return int(LittleFSError.Error.LFS_ERR_IO)


def holds_identity(read_flash: ReadFlash) -> bool:
    """True when a token lives there that was provisioned. False also for what is no file system.

    read_flash: of a partition, in which a file system begins. Raises what it raises.
    """
    context = _OnBoard(read_flash)
    flash = _file_system(context, SIZE_AS_WRITTEN)
    try:
        flash.mount()
        flash.stat(IDENTITY)
        found = True
    except LittleFSError:
        found = False
    if context.failure is not None:
        raise context.failure
    return found
