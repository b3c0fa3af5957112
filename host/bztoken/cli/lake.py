"""`bztoken lake`: encounters of many clinics in one folder, for matching at the province.

The packages for it are loaded by the commands, so that without them there is a sentence and not a missing command.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

from bztoken.calendar_days import day_typed
from bztoken.cli.bars import on_stderr
from bztoken.cli.output import answer, answer_json, answer_table, say
from bztoken.cli.purge import has_terminal
from bztoken.cli.registry import AsJson
from bztoken.errors import LakeError
from bztoken.home import Home
from bztoken.lake import require_packages

if TYPE_CHECKING:
    from bztoken.bundle_import import Imported
    from bztoken.lake.adding import Added

app = typer.Typer(no_args_is_help=True, help="Encounters of many clinics in one folder, for the province.")

_EPOCH = date(1970, 1, 1)
Lake = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the lake.")]
Told = Callable[[str, int, int | None], None]


@app.command()
def add(
    ctx: typer.Context,
    lake: Lake,
    bundles: Annotated[list[Path] | None, typer.Argument(metavar="[BUNDLE]...", help="Bundles of couriers.")] = None,
    clinic: Annotated[str | None, typer.Option("--clinic", help="How the lake calls this clinic.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="The computer's date is right, however old the newest is.")] = (
        False
    ),
    as_json: AsJson = False,
) -> None:
    """Write what this registry has, or bundles hold, to a lake.

    The folder is made when it is not there. Days that did not change are left alone, days that are past their time
    removed. May be stopped and run again at any time. Bundles leave nothing in the registry but a line in the audit.
    """
    require_packages()
    from bztoken.lake.adding import Asked, add_registry
    from bztoken.lake.bundles import add_bundle

    home: Home = ctx.obj
    asked = Asked(lake, clinic, int(time.time()), yes)
    done: list[Added] = []
    problems: list[str] = []
    with _bar() as progress:
        if not bundles:
            done.append(add_registry(home, asked, progress))
        for bundle in bundles or ():
            added, imported = add_bundle(home, bundle, asked, progress)
            done.append(added)
            problems += _problems(imported)
    if as_json:
        answer_json([one.__dict__ for one in done])
    else:
        for one in done:
            answer(_sentence(one))
    if problems:
        raise LakeError("; ".join(problems))


@app.command("list")
def list_(lake: Lake, as_json: AsJson = False) -> None:
    """What a lake holds: days and sources, with their rows."""
    require_packages()
    from bztoken.lake.folder import Folder, held_still, read_clinics
    from bztoken.lake.records import read_records, unfinished_problem
    from bztoken.matching.day import day_text

    folder = Folder(lake)
    with held_still(folder):
        clinics, records = read_clinics(folder), read_records(folder)
    names = {clinic_id: clinic.name for clinic_id, clinic in clinics.items()}
    rows = [
        (day_text(day), record.name, names.get(record.clinic_id, "-"), record.kind.value, entry.rows, entry.bytes)
        for record in records
        for day, entry in record.days.items()
    ]
    headings = ("day (UTC)", "source", "clinic", "kind", "rows", "bytes")
    if as_json:
        fields = ("day", *headings[1:])
        answer_json([dict(zip(fields, row, strict=True)) for row in sorted(rows)])
    else:
        answer_table(headings, sorted(rows), "The lake is empty: `bztoken lake add DIR` adds this registry.")
    for record in records:
        problem = unfinished_problem(record)
        if problem is not None:
            say(f"{problem[0].upper()}{problem[1:]}.")


@app.command()
def check(lake: Lake, as_json: AsJson = False) -> None:
    """Read all of a lake and list what is wrong with it."""
    require_packages()
    from bztoken.lake.checking import check as check_lake
    from bztoken.lake.folder import Folder, held_still

    folder = Folder(lake)
    with held_still(folder), _bar() as progress:
        found = check_lake(folder, progress)
    if as_json:
        answer_json({"problems": found})
    else:
        for sentence in found:
            answer(sentence)
    if found:
        wrong = "one thing is" if len(found) == 1 else f"{len(found)} things are"
        raise LakeError(f"{wrong} wrong with the lake: matching does not answer before all is right")
    if not as_json:
        answer("Nothing is wrong with the lake.")


@app.command()
def forget(
    lake: Lake,
    source: Annotated[str | None, typer.Option("--source", help="As `bztoken lake list` names it.")] = None,
    before: Annotated[str | None, typer.Option("--before", help="Days (UTC) before this one, as 2026-11-30.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Take a source, or old days, out of a lake."""
    if (source is None) == (before is None):
        raise typer.BadParameter("name a --source, or a day with --before")
    require_packages()
    from bztoken.lake import forgetting
    from bztoken.lake.folder import Folder, read_clinics, written_alone
    from bztoken.lake.records import by_name, read_records
    from bztoken.lake.rewriting import settle

    folder, day = Folder(lake), None if before is None else _day_number(before)
    read_clinics(folder)
    with written_alone(folder):
        settle(folder)
        records = {record.name: record for record in read_records(folder)}
        chosen = list(records.values()) if source is None else [by_name(folder, source, records)]
        rows = sum(forgetting.rows_of(record, day) for record in chosen)
        _require_yes(rows, yes)
        if source is not None:
            forgetting.forget_named(folder, source)
        elif day is not None:
            forgetting.forget_before(folder, day)
    if as_json:
        answer_json({"rows": rows})
    else:
        answer(f"Took {rows:,} encounters out of the lake. What a registry still has, its next `lake add` brings back.")


def _day_number(text: str) -> int:
    day = day_typed(text)
    if day is None:
        raise typer.BadParameter("a day is written as 2026-11-30")
    return (day - _EPOCH).days


def _require_yes(rows: int, yes: bool) -> None:
    if yes:
        return
    if not has_terminal():
        raise LakeError("nothing was changed: without a terminal to ask on, add `--yes`")
    if not typer.confirm(f"Take {rows:,} encounters out of the lake?", err=True):
        raise LakeError("nothing was changed")


def _sentence(added: "Added") -> str:
    more = f", {added.left_out} pages left out that the lake has already" if added.left_out else ""
    expired = f" {added.expired:,} encounters were past their time and are gone." if added.expired else ""
    return (
        f"The source {added.source} has {added.rows:,} encounters of {added.days} days in the lake "
        f"({added.written} days written{more}).{expired}"
    )


def _problems(imported: "Imported") -> Iterator[str]:
    """What somebody has to look at; of a double, only an import raises the alarm."""
    if imported.clones:
        yield f"{len(imported.clones)} of the tokens have a double: run `bztoken bundle import`, which raises the alarm"
    if imported.pages_damaged:
        yield f"{imported.pages_damaged} pages do not open with their token's key: they were left out"


@contextmanager
def _bar() -> Iterator[Told]:
    with on_stderr(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    ) as progress:
        task = progress.add_task("", total=None)

        def told(what: str, done: int, total: int | None) -> None:
            progress.update(task, description=what, completed=done, total=total)

        yield told
