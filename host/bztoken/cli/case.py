"""`bztoken case`: record infected people (F0) from a case list or, with consent, from their token."""

import time
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy.orm import Session

from bztoken.cli.output import (
    DEFAULT_ZONE,
    Zone,
    answer,
    answer_json,
    answer_table,
    local_day_and_time,
    say,
    zone_named,
)
from bztoken.cli.registry import AsJson, reading_at_clinic
from bztoken.formats.case_list import CaseKey, read_case_list
from bztoken.home import Home
from bztoken.registry import cases, tokens
from bztoken.registry.database import Registry, open_registry
from bztoken.registry.models import Token

app = typer.Typer(no_args_is_help=True, help="Record infected people (F0) and list them.")


@app.command()
def add(
    ctx: typer.Context,
    name: Annotated[str, typer.Option("--name", help="Name of the case, for example F0-12.")],
    case_list: Annotated[Path | None, typer.Option("--list", help="Case list (InfoF, JSON) with the keys.")] = None,
    port: Annotated[str | None, typer.Option("--port", help="Port of the wearer's token; asks for consent.")] = None,
    days: Annotated[int, typer.Option("--days", min=1, max=21, help="With --port: how many days back.")] = 14,
    as_json: AsJson = False,
) -> None:
    """Record a case.

    From a case list (--list), or from the wearer's token (--port).
    """
    if (case_list is None) == (port is None):
        raise typer.BadParameter("give exactly one of --list and --port")
    home: Home = ctx.obj
    home.require_clinic()
    with open_registry(home) as registry:
        with registry.read() as session:
            name = cases.free_name(session, name)
        if case_list is not None:
            keys = read_case_list(case_list)
            _record(registry, name, cases.SOURCE_LIST, None, keys)
        elif port is not None:
            label, keys = _release(home, port, days)
            _record(registry, name, cases.SOURCE_TOKEN, label, keys)
    if as_json:
        answer_json({"case": name, "keys": len(keys)})
    else:
        answer(f"Recorded case {name} with {len(keys)} day keys. `bztoken match` finds who was near.")


@app.command("list")
def list_cases(
    ctx: typer.Context,
    zone: Zone = DEFAULT_ZONE,
    as_json: AsJson = False,
) -> None:
    """List the cases, never their keys."""
    local = zone_named(zone)
    with reading_at_clinic(ctx.obj) as session:
        found = cases.with_key_counts(session)
        documents = [
            {
                "case": case.name,
                "source": case.source,
                "recorded_at_s": case.recorded_at_s,
                "keys": keys,
                "state": case.state,
            }
            for case, keys in found
        ]
        rows = [
            (case.name, case.source, local_day_and_time(case.recorded_at_s, local), keys, case.state)
            for case, keys in found
        ]
    if as_json:
        answer_json({"cases": documents})
    else:
        answer_table(("case", "source", f"recorded ({zone})", "day keys", "state"), rows, "No cases are recorded.")


def _release(home: Home, port: str, days: int) -> tuple[str, list[CaseKey]]:
    # Imported here: a case list needs neither the serial libraries nor their start-up time.
    from bztoken.case_release import release_keys

    released = release_keys(home, port, days, lambda: say("Waiting: the wearer holds the token's button to consent."))
    return released.label, released.keys


def _record(registry: Registry, name: str, source: str, label: str | None, keys: list[CaseKey]) -> None:
    with registry.write() as session:
        token = _token(session, label)
        cases.add_case(session, name, source, token, keys, int(time.time()))


def _token(session: Session, label: str | None) -> Token | None:
    return None if label is None else tokens.by_label(session, label)
