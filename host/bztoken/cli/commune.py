"""`bztoken commune`: where people live, and how many of 60 and more live there, for the report of the roll-out."""

import time
from pathlib import Path
from typing import Annotated

import typer

from bztoken.cli.output import answer, answer_json, answer_table
from bztoken.cli.registry import AsJson, changing_at_clinic, reading_at_clinic
from bztoken.formats.commune_list import read_communes
from bztoken.home import Home
from bztoken.people import commune_import
from bztoken.registry import communes
from bztoken.registry.models import Commune

NOTHING = "-"

app = typer.Typer(no_args_is_help=True, help="Communes: where people and places are.")

Over60 = Annotated[int | None, typer.Option("--over60", min=0, help="How many people of 60 and more live there.")]
Source = Annotated[str | None, typer.Option("--source", help="Who says so, and when; a figure needs it.")]


@app.command()
def add(
    ctx: typer.Context,
    name: Annotated[str, typer.Option("--name", help="Name of the commune, with xã or phường before it.")],
    over60: Over60 = None,
    source: Source = None,
    as_json: AsJson = False,
) -> None:
    """Add a commune."""
    with changing_at_clinic(ctx.obj) as session:
        commune = communes.add(session, name, int(time.time()), over60, source)
    if as_json:
        answer_json(_document(commune))
    else:
        answer(f"Added {commune.name}.")


@app.command()
def change(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="Name of the commune, with accents or without.")],
    over60: Over60 = None,
    source: Source = None,
    as_json: AsJson = False,
) -> None:
    """Put its figure right."""
    if over60 is None and source is None:
        raise typer.BadParameter("say what is to be changed: --over60 with --source")
    with changing_at_clinic(ctx.obj) as session:
        commune = communes.by_known_name(session, name)
        is_changed = communes.change(session, commune, int(time.time()), over60, source)
    if as_json:
        answer_json({**_document(commune), "changed": is_changed})
    else:
        answer(f"Changed {commune.name}." if is_changed else f"{commune.name} was so already.")


@app.command("list")
def list_communes(ctx: typer.Context, as_json: AsJson = False) -> None:
    """List the communes."""
    with reading_at_clinic(ctx.obj) as session:
        found = communes.all_communes(session)
    if as_json:
        answer_json({"communes": [_document(commune) for commune in found]})
        return
    rows = [(one.name, NOTHING if one.over60 is None else one.over60, one.source or NOTHING) for one in found]
    answer_table(("name", "people of 60 and more", "source"), rows, "No commune is here yet.")


@app.command("import")
def import_communes(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="CSV file with the columns name, over60 and source.")],
    as_json: AsJson = False,
) -> None:
    """Add the communes of a list, and put figures right.

    All of the list, or nothing; it may be repeated.
    """
    home: Home = ctx.obj
    home.require_clinic()
    lines = read_communes(file)
    with changing_at_clinic(home) as session:
        done = commune_import.take_in(session, file, lines, int(time.time()))
    if as_json:
        answer_json({"added": done.added, "changed": done.changed, "known": done.known})
    else:
        answer(f"Added {done.added} communes, changed {done.changed}; {done.known} were so already.")


def _document(commune: Commune) -> dict[str, object]:
    return {"name": commune.name, "over60": commune.over60, "source": commune.source}
