"""`bztoken history`: take contact histories of phones into the registry."""

import time
from pathlib import Path
from typing import Annotated

import typer

from bztoken.cli.output import DEFAULT_ZONE, Zone, answer, answer_json, answer_table, local_day_and_time, zone_named
from bztoken.cli.registry import AsJson, reading_at_clinic
from bztoken.home import Home
from bztoken.registry.database import open_registry
from bztoken.registry.histories import add_history
from bztoken.registry.logs import phone_logs

app = typer.Typer(no_args_is_help=True, help="Take contact histories of phones into the registry.")


@app.command()
def add(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="Contact history as the Bluezone app uploads it.")],
    label: Annotated[str, typer.Option("--label", help='Whose phone it is, for example "Phone of Lan".')],
    as_json: AsJson = False,
) -> None:
    """Add one history, all of it or nothing.

    The same file is never added twice.
    """
    home: Home = ctx.obj
    home.require_clinic()
    with open_registry(home) as registry, registry.write() as session:
        log, lines = add_history(session, file, label, int(time.time()))
        stored_label = log.label
    if as_json:
        answer_json({"label": stored_label, "lines": lines, "known": lines == 0})
    elif lines == 0:
        answer(f"This file is in the registry already, as {stored_label}; nothing was added.")
    else:
        answer(f"Added {lines} contacts as {stored_label}.")


@app.command("list")
def list_histories(
    ctx: typer.Context,
    zone: Zone = DEFAULT_ZONE,
    as_json: AsJson = False,
) -> None:
    """List the contact histories of phones."""
    local = zone_named(zone)
    with reading_at_clinic(ctx.obj) as session:
        found = [(log.label, log.imported_at_s) for log in phone_logs(session)]
    if as_json:
        answer_json({"histories": [{"label": label, "imported_at_s": at_s} for label, at_s in found]})
        return
    rows = [(label, local_day_and_time(at_s, local)) for label, at_s in found]
    answer_table(("phone", f"added ({zone})"), rows, "No contact histories are in the registry.")
