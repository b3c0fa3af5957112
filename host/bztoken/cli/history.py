"""`bztoken history`: take contact histories of phones into the registry, write a token's log as one."""

import time
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy.orm import Session

from bztoken.cli.output import DEFAULT_ZONE, Zone, answer, answer_json, answer_table, local_day_and_time, zone_named
from bztoken.cli.registry import AsJson
from bztoken.home import Home
from bztoken.registry import audit, consents, persons
from bztoken.registry.database import open_registry
from bztoken.registry.histories import add_history
from bztoken.registry.logs import phone_logs
from bztoken.tracing.case_export import export_history

app = typer.Typer(no_args_is_help=True, help="Contact histories of phones, in and out.")


@app.command()
def add(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="Contact history as the Bluezone app uploads it.")],
    label: Annotated[str, typer.Option("--label", help='Whose phone it is, for example "Phone of Lan".')],
    person: Annotated[str | None, typer.Option("--person", help="The same: number or name of a person.")] = None,
    as_json: AsJson = False,
) -> None:
    """Add one history, all of it or nothing.

    The same file is never added twice. A person has agreed before (`bztoken person consent`).
    """
    home: Home = ctx.obj
    home.require_clinic()
    with open_registry(home) as registry, registry.write() as session:
        now_s = int(time.time())
        log, lines = add_history(session, file, label, now_s, None if person is None else _who_agreed(session, person))
        audit.record(session, audit.Action.IMPORT, audit.What.HISTORY, now_s, log.id, f"{lines} lines")
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
    home: Home = ctx.obj
    home.require_clinic()
    with open_registry(home) as registry, registry.write() as session:
        found = [(log.label, log.imported_at_s) for log in phone_logs(session)]
        audit.record(session, audit.Action.LOOK, audit.What.HISTORY, int(time.time()), None, "list")
    if as_json:
        answer_json({"histories": [{"label": label, "imported_at_s": at_s} for label, at_s in found]})
        return
    rows = [(label, local_day_and_time(at_s, local)) for label, at_s in found]
    answer_table(("phone", f"added ({zone})"), rows, "No contact histories are in the registry.")


@app.command()
def export(
    ctx: typer.Context,
    token: Annotated[str, typer.Option("--token", help="Label of the token.")],
    out: Annotated[Path, typer.Option("--out", help="File to write.")],
    as_json: AsJson = False,
) -> None:
    """Write a token's log as a contact history.

    As a phone of the Bluezone app would have.
    A line needs the ID that the token itself had then: only times of which it released keys are written.
    """
    home: Home = ctx.obj
    home.require_clinic()
    home.require_outside(out)
    with open_registry(home) as registry:
        done = export_history(registry, token, out, int(time.time()))
    if as_json:
        answer_json({"out": str(out), "lines": done.lines, "left_out": done.left_out})
    else:
        answer(f"Wrote {out}: {done.lines} lines; {done.left_out} without a known ID of the token's own were left out.")


def _who_agreed(session: Session, text: str) -> int:
    """The person's row. Raises PersonError, also for who withdrew or never agreed: their phone is not taken in."""
    found = persons.by_reference(session, text)
    consents.require_open(session, found)
    return found.id
