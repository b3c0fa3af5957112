"""The log pages in a token's flash image, read with another LittleFS implementation than the token's own."""

from pathlib import Path

from littlefs import LittleFS
from littlefs.context import UserContext
from littlefs.errors import LittleFSError

from bztoken.errors import BztokenError
from bzwire.errors import WireError
from bzwire.page import check_page

LOG_FOLDER = "/log"
SECTOR_BYTES = 4096


def read_pages(image: Path) -> list[bytes]:
    """Every whole page, file by file; what a power cut left at a file's end is passed over.

    Raises BztokenError when there is no image or no file system in it.
    """
    try:
        content = image.read_bytes()
        context = UserContext(len(content))
        context.buffer[:] = content
        # What MicroPython's VfsLfs2 uses unless told otherwise.
        flash = LittleFS(
            context=context,
            block_size=SECTOR_BYTES,
            block_count=len(content) // SECTOR_BYTES,
            read_size=32,
            prog_size=32,
            cache_size=128,
            lookahead_size=32,
            mount=True,
        )
        names = sorted(flash.listdir(LOG_FOLDER))
        files = [bytes(_content(flash, f"{LOG_FOLDER}/{name}")) for name in names if name.endswith(".bzl")]
    except (OSError, LittleFSError) as error:
        raise BztokenError(f"{image} holds no token's file system ({error}).") from error
    return [page for file in files for page in _split(file)]


def _content(flash: LittleFS, path: str) -> bytes:
    with flash.open(path, "rb") as file:
        return bytes(file.read())


def _split(content: bytes) -> list[bytes]:
    view, at = memoryview(content), 0
    found = []
    while at < len(view):
        try:
            length = check_page(view[at:]).length
        except WireError:
            break
        found.append(bytes(view[at : at + length]))
        at += length
    return found
