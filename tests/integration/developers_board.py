"""A blank virtual board that runs a development build, and the same flash made one of production again."""

from pathlib import Path

from littlefs import LittleFS
from tests.integration.clinic import SECTOR_BYTES

from bzvirtual.fleet import Manifest, Member
from bzvirtual.token_folder import TokenFolder

BOARD = "board"
_MARK = "/development"


def developers_fleet(folder: Path) -> Path:
    """A fleet of one, under the label BOARD."""
    folder.mkdir()
    image = TokenFolder.create(folder / "token-1").flash
    flash = LittleFS(block_size=SECTOR_BYTES, block_count=image.stat().st_size // SECTOR_BYTES, read_size=32,
                     prog_size=32)  # fmt: skip
    with flash.open(_MARK, "wb"):
        pass
    flash.unmount()
    image.write_bytes(bytes(flash.context.buffer))
    Manifest("desk", 0, 0, 0, [Member("", BOARD, "token", "token-1")]).save(folder)
    return folder


def make_production(fleet: Path) -> None:
    """Take the mark away, while nobody runs the board: identity and keys stay."""
    image = TokenFolder(fleet / "token-1").flash
    flash = LittleFS(block_size=SECTOR_BYTES, block_count=image.stat().st_size // SECTOR_BYTES, mount=False)
    flash.context.buffer = bytearray(image.read_bytes())
    flash.mount()
    flash.remove(_MARK)
    flash.unmount()
    image.write_bytes(bytes(flash.context.buffer))
