"""`bztoken flash`: from a bare board to a blank token."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn

from bztoken.boards import images
from bztoken.cli.bars import on_stderr
from bztoken.cli.output import answer, answer_json, say
from bztoken.cli.registry import AsJson
from bztoken.desk.board_files import Build
from bztoken.desk.esptool_program import Progress
from bztoken.desk.flash import WAITING, Desk, Flashed
from bztoken.desk.flash import flash as flash_board
from bztoken.desk.flash_plan import Plan, make
from bztoken.errors import FlashError
from bztoken.formats import flash_record
from bztoken.formats.flash_record import FlashRecord
from bztoken.home import Home
from bztoken.registry.events import operator
from bzvirtual.application import compile_file
from bzvirtual.errors import FleetError

DEBUG_VARIABLE = "BZTOKEN_DEBUG"
BAUD = 460_800
ANSWER_WITHIN_S = 20.0
LOUD = (
    "DEVELOPMENT BUILD: its cable leads to a prompt, and to every key on it. Keep it at your desk, nobody wears it; "
    "flash it again with --build production before you provision it for a wearer."
)

Board = Annotated[str, typer.Option("--board", help="Which board it is: `bztoken boards list`.")]
Port = Annotated[str, typer.Option("--port", help="Serial port of the board.")]
Image = Annotated[Path | None, typer.Option("--image", help="MicroPython image; without it the one kept.")]
WhichBuild = Annotated[
    Build, typer.Option("--build", help="production: for wearers; development: the prompt stays, for a desk.")
]
Baud = Annotated[int, typer.Option("--baud", min=9600, max=4_000_000, help="Speed of reading and writing.")]
Force = Annotated[bool, typer.Option("--force", help="Also over a token that was provisioned: what it holds is lost.")]
AnswerWithin = Annotated[
    float, typer.Option("--answer-within", min=0, help="Seconds to wait for its first answer; 0: do not ask.")
]
Record = Annotated[
    Path | None, typer.Option("--record", help="Append a line about this board to a file, for the stock.")
]


def flash(
    ctx: typer.Context,
    board: Board,
    port: Port,
    image: Image = None,
    build: WhichBuild = Build.PRODUCTION,
    baud: Baud = BAUD,
    force: Force = False,
    answer_within_s: AnswerWithin = ANSWER_WITHIN_S,
    record: Record = None,
    as_json: AsJson = False,
) -> None:
    """Write MicroPython and the firmware to a board.

    Both are checked. Refuses another chip, a smaller flash, another image, and a token that was provisioned.
    Interrupted: run it again.
    """
    if record is not None:
        home: Home = ctx.obj
        home.require_outside(record)
        flash_record.require_writable(record)
    plan = make(board, image, build, _compile)
    if build is Build.DEVELOPMENT:
        say(LOUD)
    if plan.digest is images.Digest.UNKNOWN:
        say(
            f"No digest of this image is on record; this one has the SHA-256 {plan.image.sha256}: `bztoken boards pin "
            f"{board} --image FILE` records it."
        )
    echo = say if os.environ.get(DEBUG_VARIABLE) else None
    with _bar() as progress:
        done = flash_board(plan, Desk(port, baud, force, answer_within_s), progress, echo)
    if record is not None:
        _keep(record, _record(plan, done))
    if as_json:
        answer_json(_document(plan, done, port))
    else:
        for sentence in _sentences(plan, done, port):
            answer(sentence)
    _require_answer(done, port, answer_within_s)


def _require_answer(done: Flashed, port: str, answer_within_s: float) -> None:
    """Raises FlashError for a board that was asked and stayed silent, KeyboardInterrupt where that ended the asking."""
    if done.was_stopped:
        say(
            f"The board at {port} is flashed and verified; whether it starts was not waited for: look with "
            f"`bztoken info --port {port}`."
        )
        raise KeyboardInterrupt
    if done.answered is False:
        raise FlashError(
            f"The board at {port} is flashed and verified, but has not answered within {answer_within_s:g} s: unplug "
            f"it, plug it in again, then look with `bztoken info --port {port}`; flash it again if it stays silent."
        )


def _keep(path: Path, record: FlashRecord) -> None:
    """Raises FlashError with the line, so that it can be added by hand: the board need not be flashed again."""
    try:
        flash_record.append(path, record)
    except OSError as error:
        why = (error.strerror or "the system refused").lower()
        raise FlashError(
            f"The board was flashed, but {path} cannot be written ({why}): make room, then add this line to it: "
            f"{flash_record.line_of(record)}"
        ) from None


def _compile(source: Path, target: Path, arch: str) -> None:
    try:
        compile_file(source, target, arch)
    except FleetError as error:
        raise FlashError(str(error)) from None


def _sentences(plan: Plan, done: Flashed, port: str) -> Iterator[str]:
    yield (
        f"Flashed {port} as {plan.board.name}: MicroPython {plan.image.release or 'of no known release'}, firmware "
        f"{plan.firmware}, {plan.build} build, {done.bytes_written / 1024:,.0f} KiB in {done.seconds:.1f} s. Both were "
        "held against their digests in the flash."
    )
    if done.info is not None and plan.build is Build.DEVELOPMENT:
        yield f"It answers, and is blank: `make deploy PORT={port}` brings changes to it."
    elif done.info is not None:
        yield f"It answers, and is blank: `bztoken provision --port {port} --label ..` makes it somebody's."


def _document(plan: Plan, done: Flashed, port: str) -> dict[str, object]:
    return {
        "port": port,
        "hardware": done.found.hardware.hex(),
        "board": plan.board.name,
        "chip": plan.board.chip.name,
        "flash_bytes": done.flash_bytes,
        "micropython": plan.image.release,
        "image_sha256": plan.image.sha256,
        "image_digest": plan.digest.value,
        "firmware": plan.firmware,
        "build": plan.build.value,
        "bytes": done.bytes_written,
        "seconds": round(done.seconds, 3),
        "answered": done.answered,
    }


def _record(plan: Plan, done: Flashed) -> FlashRecord:
    return FlashRecord(
        hardware=done.found.hardware.hex(),
        board=plan.board.name,
        chip=plan.board.chip.name,
        flash_bytes=done.flash_bytes,
        micropython=plan.image.release,
        image_sha256=plan.image.sha256,
        firmware=plan.firmware,
        build=plan.build.value,
        at_s=int(time.time()),
        by=operator(),
        answered=done.answered,
    )


@contextmanager
def _bar() -> Iterator[Progress]:
    with on_stderr(TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()) as bar:
        task = bar.add_task("Looking at the board", total=None)

        def told(name: str, fraction: float) -> None:
            bar.update(task, description=name if name == WAITING else f"Writing {name}", completed=fraction, total=1.0)

        yield told
