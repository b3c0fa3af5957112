"""`bztoken courier`: passes for computers without the master key, which read tokens and cannot read what they carry."""

from pathlib import Path
from typing import Annotated

import typer

from bztoken import courier
from bztoken.cli.output import answer, answer_json, answer_table
from bztoken.cli.registry import AsJson
from bztoken.home import Home
from bztoken.registry import couriers
from bztoken.registry.database import open_registry

DEFAULT_DAYS = 30

app = typer.Typer(no_args_is_help=True, help="Computers that bring logs without reading them.")


@app.command()
def add(
    ctx: typer.Context,
    name: Annotated[str, typer.Option("--name", help="What the registry calls the courier.")],
    out: Annotated[Path, typer.Option("--out", help="Pass file to write; hand it over like a key.")],
    days: Annotated[
        int, typer.Option("--days", min=1, max=courier.MAX_DAYS, help="How many days the pass is good, with today.")
    ] = DEFAULT_DAYS,
    as_json: AsJson = False,
) -> None:
    """At the clinic: make a courier and write its pass.

    The pass is for all tokens that are in use now.
    """
    home: Home = ctx.obj
    home.require_outside(out)
    issued = courier.issue(home, name, days, out)
    if as_json:
        answer_json({"name": issued.name, "last_day": issued.last_day.isoformat(), "tokens": issued.tokens})
        return
    answer(
        f"Wrote {out}: a pass for {issued.tokens} tokens, until {issued.last_day} (UTC). On the courier's computer: "
        f"`bztoken courier accept {out.name}`; then delete the file."
    )


@app.command("list")
def list_couriers(ctx: typer.Context, as_json: AsJson = False) -> None:
    """At the clinic: list the couriers."""
    home: Home = ctx.obj
    home.require_clinic()
    with open_registry(home) as registry, registry.read() as session:
        found = [(row.name, row.last_day, _state(row.state, row.last_day)) for row in couriers.all_couriers(session)]
    if as_json:
        answer_json({"couriers": [{"name": name, "last_day": day, "state": state} for name, day, state in found]})
        return
    answer_table(("courier", "last day (UTC)", "state"), found, "No couriers are in the registry.")


@app.command()
def revoke(
    ctx: typer.Context,
    name: Annotated[str, typer.Option("--name", help="Which courier.")],
    as_json: AsJson = False,
) -> None:
    """At the clinic: take no bundle of a courier any more.

    Tokens learn nothing of it.
    """
    row = courier.revoke(ctx.obj, name)
    if as_json:
        answer_json({"name": row.name, "state": row.state, "last_day": row.last_day})
        return
    answer(
        f"Bundles of {row.name} are refused from now on. Tokens do not know that: until {row.last_day} (UTC) whoever "
        "has the pass can still read their encrypted pages, which only this registry opens."
    )


@app.command()
def accept(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="Pass that the clinic wrote.")],
    as_json: AsJson = False,
) -> None:
    """On the courier's computer: take a pass.

    A later one takes the place of an earlier one.
    """
    own = courier.accept(ctx.obj, file)
    if as_json:
        answer_json({"last_day": own.last_day.isoformat(), "tokens": len(own.tokens)})
        return
    answer(
        f"This is a courier's computer now: {len(own.tokens)} tokens, until {own.last_day} (UTC). `bztoken sync` reads "
        f"them, `bztoken bundle export` writes what to bring to the clinic. Delete {file} now."
    )


def _state(state: str, last_day: str) -> str:
    over = state == couriers.STATE_ACTIVE and last_day < courier.today().isoformat()
    return "over" if over else state
