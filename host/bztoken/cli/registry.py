"""`bztoken registry`: make, upgrade and count the registry of this computer."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from sqlalchemy.orm import Session

from bztoken.cli.output import answer, answer_json
from bztoken.home import Home
from bztoken.registry.database import create_registry, open_registry, upgrade_registry
from bztoken.registry.exposures import count_everything
from bztoken.registry.migrating import head_revision

app = typer.Typer(no_args_is_help=True, help="Make, upgrade and count the registry of this computer.")

AsJson = Annotated[bool, typer.Option("--json", help="Answer with one JSON document.")]


@contextmanager
def reading_at_clinic(home: Home) -> Iterator[Session]:
    """One snapshot of the registry. Raises HomeError on a courier's computer, RegistryError."""
    home.require_clinic()
    with open_registry(home) as registry, registry.read() as session:
        yield session


@contextmanager
def changing_at_clinic(home: Home) -> Iterator[Session]:
    """One transaction, also for looks that are recorded. Raises HomeError on a courier's computer, RegistryError."""
    home.require_clinic()
    with open_registry(home) as registry, registry.write() as session:
        yield session


@app.command()
def init(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Make the data folder, its keys and an empty registry.

    The registry is encrypted; one that is there is never overwritten.
    """
    home: Home = ctx.obj
    create_registry(home)
    if as_json:
        answer_json({"home": str(home.path), "migration": head_revision()})
        return
    answer(
        f"Made a registry in {home.path}. Back up registry.key and master.key now, in two places: "
        "without them nobody reads the registry or the tokens again."
    )


@app.command()
def upgrade(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Bring a registry of an older version up to this version."""
    home: Home = ctx.obj
    before, after = upgrade_registry(home)
    if as_json:
        answer_json({"from": before, "to": after})
    elif before == after:
        answer(f"The registry is up to date (migration {after}).")
    else:
        answer(f"Upgraded the registry from migration {before} to {after}.")


@app.command()
def status(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Count tokens, logs, pages, sightings, cases and exposures."""
    home: Home = ctx.obj
    with open_registry(home) as registry, registry.read() as session:
        counts = count_everything(session)
    if as_json:
        answer_json(counts)
    else:
        answer(", ".join(f"{count} {name}" for name, count in counts.items()))
