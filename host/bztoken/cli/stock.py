"""`bztoken stock`: the boards that a flash desk delivered, and what became of each.

Tables show the end of a chip's number, enough to tell boards on a desk apart; whole it is in `--json` and `show`, where
it has to be compared with a record or a delivery note.
"""

import time
from datetime import tzinfo
from pathlib import Path
from typing import Annotated

import typer

from bztoken.cli.output import DEFAULT_ZONE, Zone, answer, answer_json, answer_table, local_day_and_time, zone_named
from bztoken.cli.registry import AsJson, reading_at_clinic
from bztoken.cli.token_story import event_document
from bztoken.cli.token_view import NOTHING
from bztoken.formats import flash_record
from bztoken.home import Home
from bztoken.registry import devices
from bztoken.registry.database import open_registry
from bztoken.registry.models import DeviceEvent, TokenEvent
from bztoken.stock import Happened, StockedBoard, Whereabouts, boards, history, take_in

app = typer.Typer(no_args_is_help=True, help="Boards that were flashed, and what became of each.")


@app.command()
def add(
    ctx: typer.Context,
    record: Annotated[Path, typer.Argument(help="Record that `bztoken flash --record` wrote.")],
    as_json: AsJson = False,
) -> None:
    """Take the boards of a flash record into stock.

    Lines that were taken in before change nothing.
    """
    home: Home = ctx.obj
    home.require_clinic()
    records = flash_record.read(record)
    with open_registry(home) as registry, registry.write() as session:
        done = take_in(session, record, records, int(time.time()))
    if as_json:
        told = {"new": done.new, "flashed_again": done.again, "known": done.known, "did_not_answer": done.silent}
        answer_json(told)
        return
    answer(f"New boards: {done.new}; flashed again: {done.again}; lines known from before: {done.known}.")
    if done.silent:
        answer(
            f"These did not answer after they were flashed: {', '.join(done.silent)}. Look with `bztoken info --port "
            "..`, or flash them again."
        )


@app.command("list")
def list_boards(
    ctx: typer.Context,
    state: Annotated[Whereabouts | None, typer.Option("--state", help="Only boards that are this now.")] = None,
    zone: Zone = DEFAULT_ZONE,
    as_json: AsJson = False,
) -> None:
    """List the boards: how each was flashed, and which token it is now."""
    local = zone_named(zone)
    with reading_at_clinic(ctx.obj) as session:
        found = [board for board in boards(session) if state is None or board.whereabouts == state]
    if as_json:
        answer_json({"boards": [_document(board) for board in found]})
        return
    headings = ("chip", "board", "flashed", f"on ({zone})", "is now", "token")
    nothing = "No boards are known." if state is None else f"No board is {state}."
    answer_table(headings, [_row(board, local) for board in found], nothing)


@app.command()
def show(
    ctx: typer.Context,
    digits: Annotated[str, typer.Argument(help="The last 4 or more hex digits of its chip's number.")],
    zone: Zone = DEFAULT_ZONE,
    as_json: AsJson = False,
) -> None:
    """Show one board and what happened to it.

    Also the tokens that it was, and what happened to them.
    """
    local = zone_named(zone)
    with reading_at_clinic(ctx.obj) as session:
        wanted = {device.id for device in devices.by_digits(session, digits)}
        found = [board for board in boards(session) if board.device.id in wanted]
        stories = [(board, history(session, board.device)) for board in found]
    if as_json:
        shown = [{**_document(board), "events": [_event(one) for one in happened]} for board, happened in stories]
        answer_json({"boards": shown})
        return
    for board, happened in stories:
        label = _label(board)
        now = board.whereabouts.value + (f" {label}" if label else "")
        answer(f"Board {board.device.board}, chip {board.device.hardware.hex(':')}; now: {now}.")
        rows = [
            (local_day_and_time(one.event.at_s, local), one.label or NOTHING, *_what(one.event)) for one in happened
        ]
        answer_table(("when", "token", "what", "by", "detail"), rows, "No events.")


def _what(event: DeviceEvent | TokenEvent) -> tuple[str, str, str]:
    return event.event, event.by, event.detail or ""


def _event(one: Happened) -> dict[str, object]:
    return {"token": one.label, **event_document(one.event)}


def _label(board: StockedBoard) -> str | None:
    """Of the token that the board is; a wiped one is none any more."""
    if board.token is None or board.whereabouts == Whereabouts.WIPED:
        return None
    return board.token.label


def _document(board: StockedBoard) -> dict[str, object]:
    return {
        "chip": board.device.hardware.hex(),
        "board": board.device.board,
        "added_at_s": board.device.added_at_s,
        "state": board.whereabouts.value,
        "token": _label(board),
        "flashed": None if board.flashed is None else event_document(board.flashed),
    }


def _row(board: StockedBoard, local: tzinfo) -> tuple[object, ...]:
    flashed = board.flashed
    return (
        devices.short(board.device),
        board.device.board,
        NOTHING if flashed is None else flashed.detail,
        NOTHING if flashed is None else local_day_and_time(flashed.at_s, local),
        board.whereabouts.value,
        _label(board) or NOTHING,
    )
