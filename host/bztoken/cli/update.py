"""`bztoken update`: give a token a new application."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn

from bztoken.cli.bars import on_stderr
from bztoken.cli.output import answer, answer_json
from bztoken.cli.registry import AsJson
from bztoken.formats import application_archive
from bztoken.update import Outcome, UpdateResult
from bztoken.update import Progress as Told
from bztoken.update import update as update_token


def update(
    ctx: typer.Context,
    port: Annotated[str, typer.Option("--port", help="Serial port of the token.")],
    archive: Annotated[Path, typer.Option("--archive", help="Application, as `bztoken firmware build` writes it.")],
    force: Annotated[
        bool, typer.Option("--force", help="Send it also when the token has this version, or a newer one.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the token has confirmed the new version.")] = False,
    as_json: AsJson = False,
) -> None:
    """Give a token a new application.

    It goes back to the old one by itself if the new one does not live. May be interrupted or repeated at any time. Log,
    keys and settings stay.
    """
    found = application_archive.read(archive)
    with _bar() as progress:
        result = update_token(ctx.obj, port, found, progress, force, wait)
    if as_json:
        answer_json(_document(result))
        return
    answer(_sentence(result))


def _sentence(result: UpdateResult) -> str:
    if result.outcome == Outcome.SAME:
        return f"{result.label} runs {result.after} already: nothing was sent."
    sent = f"{result.label} runs {result.after} now, before {result.before} ({result.bytes_sent / 1024:.1f} KiB in "
    if result.outcome == Outcome.CONFIRMED:
        return f"{sent}{result.seconds:.1f} s), and has confirmed it."
    return f"{sent}{result.seconds:.1f} s). It confirms that by itself after a minute, or goes back."


def _document(result: UpdateResult) -> dict[str, object]:
    return {
        "label": result.label,
        "before": result.before,
        "after": result.after,
        "outcome": result.outcome.value,
        "bytes": result.bytes_sent,
        "seconds": round(result.seconds, 3),
    }


@contextmanager
def _bar() -> Iterator[Told]:
    what = TextColumn("Sending the application")
    with on_stderr(what, BarColumn(), DownloadColumn(), TimeRemainingColumn()) as progress:
        task = progress.add_task("", total=None)

        def told(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        yield told
