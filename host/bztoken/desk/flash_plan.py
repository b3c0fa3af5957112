"""What a board is to be flashed with, put together and checked before any board is touched."""

from dataclasses import dataclass
from pathlib import Path

from bztoken import boards
from bztoken.boards import Board, images
from bztoken.boards.images import Digest
from bztoken.desk import application_build, board_files, flash_image, manifests
from bztoken.desk.application_build import Compile
from bztoken.desk.board_files import Build
from bztoken.desk.esptool_program import Part
from bztoken.errors import FlashError
from bztoken.formats import micropython_image, partition_table
from bztoken.formats.micropython_image import MicroPythonImage

INTERPRETER = "MicroPython"
APPLICATION = "the application"


@dataclass(frozen=True)
class Plan:
    """firmware: version of the application; files: path to content; digest: whether that of the image is on record."""

    board: Board
    image: MicroPythonImage
    digest: Digest
    build: Build
    firmware: str
    files: dict[str, bytes]

    @property
    def esptool_chip(self) -> str:
        """The board's chip, as esptool calls it."""
        return self.board.chip.esptool_name or ""

    def parts(self, flash_bytes: int) -> list[Part]:
        """What to write into a flash of this size. Raises BoardError, FlashError when it does not fit."""
        require_fitting(self.board, self.image, flash_bytes)
        place = self.board.vfs(flash_bytes)
        content = flash_image.build(self.files, place.size or 0)
        return [
            Part(INTERPRETER, self.board.chip.image_offset, self.image.content),
            Part(APPLICATION, place.offset, content),
        ]


def make(board_name: str, image: Path | None, build: Build, compile_file: Compile) -> Plan:
    """image: None for the one in the cache. Raises BoardError, FormatError, FlashError, what the compiler raises."""
    board = boards.load(board_name)
    if board.chip.esptool_name is None:
        raise FlashError(f"Board {board.name} is none that can be flashed: it has a chip that exists in programs only.")
    path = image or images.find(board)
    if path is None:
        raise FlashError(images.what_to_fetch(board))
    digest = images.check(board, path)
    images.require_image(board, path)
    found = micropython_image.read(path, board.chip.image_offset)
    _require_release(board, found)
    if board.flash_bytes is not None:
        require_fitting(board, found, board.flash_bytes)
    files = board_files.files(build, board.arch, compile_file, boards.device_file(board))
    return Plan(board, found, digest, build, application_build.version_of(manifests.FIRMWARE), files)


def _require_release(board: Board, found: MicroPythonImage) -> None:
    """An image whose digest nobody knows must be of the release that the board is pinned to all the same."""
    pinned = images.image_of(board).release
    if found.release is not None and found.release != pinned:
        raise FlashError(
            f"{found.path} is MicroPython {found.release}, and board {board.name} is pinned to {pinned}: "
            f"take {images.image_of(board).file}, or change image in the board's file."
        )


def require_fitting(board: Board, image: MicroPythonImage, flash_bytes: int) -> None:
    """Hold the image's own partition table against the board's file. Raises BoardError, FlashError."""
    wanted = board.vfs(flash_bytes)
    try:
        found = partition_table.file_system(image.partitions, flash_bytes)
    except ValueError as error:
        raise FlashError(f"{image.path} does not fit board {board.name} ({error}): {_other_image(board)}.") from None
    if (found.offset, found.size) != (wanted.offset, wanted.size):
        raise FlashError(
            f"{image.path} keeps its files at {found.offset:#x}, {found.size} bytes, and board {board.name} at "
            f"{wanted.offset:#x}, {wanted.size} bytes: {_other_image(board)}."
        )
    if image.flash_bytes > flash_bytes:
        raise FlashError(f"{image.path} starts on a larger flash only than {flash_bytes} bytes: {_other_image(board)}.")
    if board.chip.image_offset + len(image.content) > wanted.offset:
        raise FlashError(f"{image.path} is so long that it reaches into the files behind it: {_other_image(board)}.")


def _other_image(board: Board) -> str:
    name = board.image.file if board.image is not None else "the right image"
    return f"take {name}, or mend flash_map in the board's file"
