"""The file system for a board: what another LittleFS reads of it, and what is found on a flash that is looked at."""

import subprocess
from pathlib import Path

import pytest
from littlefs import LittleFS

from bztoken.desk import flash_image
from bztoken.errors import BztokenError, FlashError
from bzvirtual.application import interpreter

KIB = 1024
VFS_BYTES = 512 * KIB
FILES = {"boot.py": b"import gc\n", "bzfw/app.mpy": bytes(range(256)) * 20, "board.json": b"{}", "development": b""}
SUPERBLOCK_BYTES = 60  # of a fresh file system, up to its checksum
REVISION_BYTES = 4  # counts how often the block was written

# What the port's own boot does with an empty partition.
FORMAT = """
import vfs
class Flash:
    def __init__(self, path):
        self.file = open(path, "r+b")
    def readblocks(self, block, buf, offset=0):
        self.file.seek(block * 4096 + offset)
        self.file.readinto(buf)
    def writeblocks(self, block, buf, offset=0):
        self.file.seek(block * 4096 + offset)
        self.file.write(buf)
    def ioctl(self, command, argument):
        if command == 4:
            return COUNT
        if command == 5:
            return 4096
        if command == 6:
            self.writeblocks(argument, b"\\xff" * 4096)
            return 0
flash = Flash("PATH")
vfs.VfsLfs2.mkfs(flash)
flash.file.close()
"""


def reader(content: bytes, asked: list[int] | None = None) -> flash_image.ReadFlash:
    """Reads an image as if it were on a board; asked: at which offsets."""

    def read(offset: int, size: int) -> bytes:
        if asked is not None:
            asked.append(offset)
        return content[offset : offset + size]

    return read


def test_an_image_reads_back_as_it_was_put_together() -> None:
    image = flash_image.build(FILES, VFS_BYTES)
    assert len(image) == VFS_BYTES
    flash = LittleFS(block_size=4096, block_count=VFS_BYTES // 4096, read_size=32, prog_size=32, mount=False)
    flash.context.buffer = bytearray(image)
    flash.mount()
    found = {}
    for folder, _folders, names in flash.walk("/"):
        for name in names:
            path = f"{folder.rstrip('/')}/{name}"
            with flash.open(path, "rb") as file:
                found[path.lstrip("/")] = bytes(file.read())
    assert found == FILES


def test_its_first_blocks_are_those_that_micropython_itself_writes(tmp_path: Path) -> None:
    own = tmp_path / "own.bin"
    own.write_bytes(b"\xff" * VFS_BYTES)
    program = FORMAT.replace("COUNT", str(VFS_BYTES // 4096)).replace("PATH", str(own))
    subprocess.run([interpreter(), "-c", program], check=True)
    image = flash_image.build({}, VFS_BYTES)
    for block in (0, 4096):
        begin, end = block + REVISION_BYTES, block + SUPERBLOCK_BYTES
        assert image[begin:end] == own.read_bytes()[begin:end]


def test_the_same_files_make_the_same_image() -> None:
    turned = dict(reversed(FILES.items()))
    assert flash_image.build(FILES, VFS_BYTES) == flash_image.build(turned, VFS_BYTES)


def test_files_that_do_not_fit_are_refused() -> None:
    with pytest.raises(BztokenError, match="does not fit into the board's file system of 64 KiB"):
        flash_image.build({"big": bytes(80 * KIB)}, 64 * KIB)


@pytest.mark.parametrize("size", [0, -4096, 4097])
def test_a_partition_of_no_whole_sectors_is_refused(size: int) -> None:
    with pytest.raises(BztokenError, match="multiple of 4096"):
        flash_image.build(FILES, size)


def test_an_identity_is_found_without_reading_the_whole_flash() -> None:
    asked: list[int] = []
    image = flash_image.build({**FILES, "identity": b"keys"}, VFS_BYTES)
    assert flash_image.holds_identity(reader(image, asked))
    assert len({offset // 4096 for offset in asked}) < 8


def test_a_blank_token_holds_none() -> None:
    assert not flash_image.holds_identity(reader(flash_image.build(FILES, VFS_BYTES)))


@pytest.mark.parametrize("content", [b"\xff" * VFS_BYTES, bytes(VFS_BYTES), bytes(range(256)) * 2048])
def test_what_is_no_file_system_holds_none(content: bytes) -> None:
    assert not flash_image.holds_identity(reader(content))


def test_a_flash_that_cannot_be_read_is_told_once() -> None:
    calls = []

    def broken(offset: int, _size: int) -> bytes:
        calls.append(offset)
        raise FlashError("the cable is out")

    with pytest.raises(FlashError, match="the cable is out"):
        flash_image.holds_identity(broken)
    assert len(calls) == 1
