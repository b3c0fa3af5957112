"""How commands speak: answers on stdout (a table, a sentence or one JSON document), everything else on stderr."""

import json
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bztoken.cli.bars import console_of_bars

DEFAULT_ZONE = "Asia/Ho_Chi_Minh"
Zone = Annotated[str, typer.Option("--zone", help="Time zone of the times shown.")]
_PIPE_WIDTH = 160  # a table in a pipe is not squeezed into a terminal's 80 columns


def answer(sentence: str) -> None:
    """A plain sentence on stdout."""
    _line(sentence, is_answer=True)


def answer_json(document: object) -> None:
    """The one JSON document of a command on stdout."""
    typer.echo(json.dumps(document, ensure_ascii=False, indent=2))


def answer_json_line(document: object) -> None:
    """One JSON document of several on stdout, on a line of its own, at once."""
    _line(json.dumps(document, ensure_ascii=False), is_answer=True)
    sys.stdout.flush()


def answer_table(headings: Sequence[str], rows: Sequence[Sequence[object]], nothing: str) -> None:
    """A table on stdout, or the sentence `nothing` when there are no rows. Cells are never read as markup."""
    if not rows:
        answer(nothing)
        return
    console = Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH)
    table = Table()
    for heading in headings:
        table.add_column(Text(heading))
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    console.print(table)


def say(sentence: str) -> None:
    """Progress or a remark on stderr."""
    _line(sentence, is_answer=False)


def _line(text: str, is_answer: bool) -> None:
    """Above the progress bars, when both are on one screen."""
    console = console_of_bars()
    if console is None or (is_answer and not sys.stdout.isatty()):
        typer.echo(text, err=not is_answer)
    else:
        console.print(Text(text), soft_wrap=True)


def zone_named(name: str) -> tzinfo:
    """The time zone of this name. Raises a usage error for a name nobody knows."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        if name == DEFAULT_ZONE:  # computers without a zone database; Vietnam has had UTC+7 throughout
            return timezone(timedelta(hours=7), name)
        raise typer.BadParameter(f"no time zone has the name {name}") from error


def local_time(unix_s: int, zone: tzinfo) -> str:
    """Hours and minutes in a zone."""
    return datetime.fromtimestamp(unix_s, zone).strftime("%H:%M")


def local_day_and_time(unix_s: int, zone: tzinfo) -> str:
    """Date, hours and minutes in a zone."""
    return datetime.fromtimestamp(unix_s, zone).strftime("%Y-%m-%d %H:%M")


def local_span(first_s: int, last_s: int, zone: tzinfo) -> str:
    """From when to when in a zone; the day once when it is the same."""
    first, last = local_day_and_time(first_s, zone), local_day_and_time(last_s, zone)
    return f"{first} - {local_time(last_s, zone) if first[:10] == last[:10] else last}"
