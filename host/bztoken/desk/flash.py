"""From a bare board to one that runs our firmware: looks at the board, refuses the wrong one before it writes, writes,
holds what was written against its digest, and asks the board how it is.
"""

import asyncio
import fcntl
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bztoken.desk import esptool_program, flash_image
from bztoken.desk.board_files import Build
from bztoken.desk.esptool_program import Echo, Esptool, Found, Progress
from bztoken.desk.flash_plan import Plan
from bztoken.errors import FlashError, LinkError
from bztoken.formats import partition_table
from bztoken.link.token_link import Info, TokenLink
from bztoken.link.transport import why_closed

BOOT_S = 1.5  # before the first question: a board needs about a second
ASK_AGAIN_S = 0.5
WAITING = "Waiting for its first answer"
CHUNK_BYTES = 16 * 1024  # of a look at a flash: what esptool's start costs is spread over it

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Flashed:
    """What became of a board. seconds: until it was written and held against its digest; info: what it said of itself
    afterwards, None when it said nothing or was not asked; answered: None when it was not asked, or Ctrl-C came before
    an answer (was_stopped)."""

    found: Found
    flash_bytes: int
    bytes_written: int
    seconds: float
    info: Info | None
    answered: bool | None
    was_stopped: bool


@dataclass(frozen=True)
class Desk:
    """The board at the cable. baud: for reading and writing; force: write over a token that was provisioned;
    answer_within_s: how long to wait for its first answer, 0 for not at all."""

    port: str
    baud: int
    force: bool
    answer_within_s: float


def flash(plan: Plan, desk: Desk, progress: Progress, echo: Echo | None = None) -> Flashed:
    """Raises FlashError, LinkError: whether something was written to the board is in the sentence."""
    esptool_program.require_installed()
    _require_port(desk.port)
    began = time.monotonic()
    board = Esptool(desk.port, desk.baud, echo)
    with _restarted_after(board, KeyboardInterrupt):
        found = board.identify()
    with _restarted_after(board, BaseException):
        flash_bytes = _require_board(plan, found)
        parts = plan.parts(flash_bytes)
        if not desk.force:
            _require_no_token(board, plan, desk.port, flash_bytes)
        board.write(plan.esptool_chip, parts, progress)
    seconds = time.monotonic() - began
    info, was_stopped = _asked(desk, progress)
    if info is not None:
        _require_same(plan, desk.port, info)
    answered = None if was_stopped or desk.answer_within_s <= 0 else info is not None
    written = sum(len(part.content) for part in parts)
    return Flashed(found, flash_bytes, written, seconds, info, answered, was_stopped)


@contextmanager
def _restarted_after(board: Esptool, errors: type[BaseException]) -> Iterator[None]:
    """A board that nothing was written to would wait in its boot loader for ever, a token among them."""
    try:
        yield
    except errors as error:
        if isinstance(error, KeyboardInterrupt):
            _log.warning(board.left_as("it was stopped here"))
        if not board.has_begun:
            board.restart()
        raise


def _require_port(port: str) -> None:
    """Raises LinkError with what to do: esptool has one sentence for all that can be wrong with a port."""
    try:
        descriptor = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError as error:
        raise LinkError(why_closed(port, error)) from None
    try:
        if not os.isatty(descriptor):
            raise LinkError(f"{port} is not a serial port.")
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # as every program of ours holds it
    except OSError as error:
        raise LinkError(why_closed(port, error)) from None
    finally:
        os.close(descriptor)


def _require_board(plan: Plan, found: Found) -> int:
    """Bytes of the flash. Raises FlashError for another chip than the board's, or a smaller flash."""
    board = plan.board
    if found.chip != plan.esptool_chip:
        raise FlashError(
            f"The board at the cable has the chip {found.chip}, and board {board.name} has {plan.esptool_chip}: "
            "nothing was written. Name the right board with --board."
        )
    flash_bytes = found.flash_bytes or board.flash_bytes
    if flash_bytes is None:
        raise FlashError(f"Nobody knows how large the flash is: add flash_bytes to {board.path}. Nothing was written.")
    if board.flash_bytes is not None and flash_bytes < board.flash_bytes:
        raise FlashError(
            f"The board at the cable has {_mib(flash_bytes)} of flash, and board {board.name} has "
            f"{_mib(board.flash_bytes)}: nothing was written. Name the right board with --board."
        )
    return flash_bytes


def _mib(count: int) -> str:
    return f"{count / esptool_program.MIB:g} MiB"


# -- what is on the board now ----------------------------------------------------------------------------------------
def _require_no_token(board: Esptool, plan: Plan, port: str, flash_bytes: int) -> None:
    """Raises FlashError."""
    if _holds_token(board, plan, flash_bytes):
        raise FlashError(
            f"The board at {port} is a token that was provisioned, and flashing would take its keys and its log: "
            f"nothing was written. Run `bztoken sync --port {port}` and `bztoken token wipe --port {port}`, then flash "
            "it; or give --force to lose what it holds."
        )


def _holds_token(board: Esptool, plan: Plan, flash_bytes: int) -> bool:
    """True when the flash holds the identity of a token. Its own partition table says where that would be."""
    raw = board.read(partition_table.TABLE_AT, flash_image.SECTOR_BYTES)
    if raw.count(0xFF) == len(raw):
        return False  # never flashed
    place = plan.board.vfs(flash_bytes)
    begin, end = place.offset, flash_bytes
    try:
        own = partition_table.file_system(partition_table.read(raw), flash_bytes)
        begin, end = (own.offset, own.end) if own.end <= flash_bytes else (begin, end)
    except ValueError:  # damaged by a flashing that was interrupted, say
        _log.debug("no partition table on the board")
    return flash_image.holds_identity(_Window(board, begin, end).read)


class _Window:
    """A stretch of the board's flash, read piece by piece and each piece once."""

    def __init__(self, board: Esptool, begin: int, end: int) -> None:
        self._board = board
        self._begin = begin
        self._end = end
        self._chunks: dict[int, bytes] = {}

    def read(self, offset: int, size: int) -> bytes:
        """Raises FlashError."""
        first, last = offset // CHUNK_BYTES, (offset + size - 1) // CHUNK_BYTES
        joined = b"".join(self._chunk(number) for number in range(first, last + 1))
        at = offset - first * CHUNK_BYTES
        return joined[at : at + size]

    def _chunk(self, number: int) -> bytes:
        if number not in self._chunks:
            begin = self._begin + number * CHUNK_BYTES
            self._chunks[number] = self._board.read(begin, min(CHUNK_BYTES, self._end - begin))
        return self._chunks[number]


# -- after writing ---------------------------------------------------------------------------------------------------
def _asked(desk: Desk, progress: Progress) -> tuple[Info | None, bool]:
    """(what the board says, whether Ctrl-C came first): by now it is flashed, and that must not be lost."""
    if desk.answer_within_s <= 0:
        return None, False
    try:
        progress(WAITING, 1.0)
        return asyncio.run(_first_answer(desk.port, desk.answer_within_s)), False
    except KeyboardInterrupt:
        return None, True


async def _first_answer(port: str, within_s: float) -> Info | None:
    """INFO, asked until the board answers: its port may go and come while it starts. None: silent."""
    end_s = time.monotonic() + within_s
    await asyncio.sleep(min(BOOT_S, within_s))
    while (left_s := end_s - time.monotonic()) > 0:
        try:
            async with asyncio.timeout(left_s), TokenLink(port) as link:
                return await link.info()
        except LinkError:
            await asyncio.sleep(ASK_AGAIN_S)
        except TimeoutError:
            break
    return None


def _require_same(plan: Plan, port: str, info: Info) -> None:
    """Raises FlashError when something else answers than what was flashed."""
    told = (info.firmware, info.board, info.development)
    if told != (plan.firmware, plan.board.name, plan.build is Build.DEVELOPMENT):
        raise FlashError(
            f"{port} was flashed and verified, but answers as firmware {info.firmware} on board {info.board}: "
            "look whether another token is at this port."
        )
