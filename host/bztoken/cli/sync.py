"""`bztoken sync`: read a token's log into the registry."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bztoken.cli.output import answer, answer_json
from bztoken.cli.registry import AsJson
from bztoken.sync import Progress as Told
from bztoken.sync import SyncResult
from bztoken.sync import sync as sync_token


def sync(
    ctx: typer.Context,
    port: Annotated[str, typer.Option("--port", help="Serial port of the token, for example /dev/ttyACM0.")],
    as_json: AsJson = False,
) -> None:
    """Read a token's log into the registry, set its clock, let it delete what is safe here.

    May be interrupted or repeated at any time: nothing is lost and nothing is stored twice.
    """
    with _bar() as progress:
        result = sync_token(ctx.obj, port, progress)
    if as_json:
        answer_json(_document(result))
        return
    known = f", {result.pages_known} known already" if result.pages_known else ""
    answer(
        f"Synced {result.label}: {result.pages_new} new pages{known} ({result.bytes_read / 1024:.1f} KiB in "
        f"{result.seconds:.1f} s). {_clock(result)}"
    )
    if result.kept_from is not None:
        answer(f"An earlier sync found page {result.kept_from} damaged: the token keeps it for a technician.")


def _document(result: SyncResult) -> dict[str, object]:
    return {
        "label": result.label,
        "pages_new": result.pages_new,
        "pages_known": result.pages_known,
        "bytes": result.bytes_read,
        "seconds": round(result.seconds, 3),
        "repeats": result.repeats,
        "clock_offset_ms": result.clock_offset_ms,
        "round_trip_ms": result.round_trip_ms,
        "heap_bytes": result.heap_bytes,
        "kept_from": result.kept_from,
    }


def _clock(result: SyncResult) -> str:
    if result.clock_offset_ms is None:
        return "Its clock was not set; it is now."
    return f"Its clock was {abs(result.clock_offset_ms) / 1000:.1f} s off; it is right now."


@contextmanager
def _bar() -> Iterator[Told]:
    """A progress bar on stderr; silent when that is no terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("Reading the log"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=None)

        def told(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        yield told
