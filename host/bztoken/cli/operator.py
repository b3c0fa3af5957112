"""`bztoken operator`: who works with this registry, under which role, and their passwords."""

import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated

import typer

from bztoken.cli.output import DEFAULT_ZONE, Zone, answer, answer_json, answer_table, local_day_and_time, zone_named
from bztoken.cli.passwords import PasswordFile, new_password_of, password_of
from bztoken.cli.registry import AsJson, reading_at_clinic
from bztoken.errors import NotAllowed
from bztoken.home import Home
from bztoken.registry import operators
from bztoken.registry.database import Registry, open_registry
from bztoken.registry.permissions import NAMES, WITH_ARTICLE, Role

app = typer.Typer(no_args_is_help=True, help="Who works with this registry, and may do what.")

Name = Annotated[str, typer.Argument(help="Name of the operator, as BZTOKEN_OPERATOR will give it.")]
AsAdmin = Annotated[str | None, typer.Option("--as", help="Name of the admin who does this.")]
AsPasswordFile = Annotated[
    Path | None, typer.Option("--as-password-file", help="File with the password of --as; else it is asked for.")
]


@app.command()
def add(
    ctx: typer.Context,
    name: Name,
    role: Annotated[Role, typer.Option("--role", help="What for: a doctor draws codes, a tracer records cases.")],
    password_file: PasswordFile = None,
    admin: AsAdmin = None,
    as_password_file: AsPasswordFile = None,
    as_json: AsJson = False,
) -> None:
    """Register an operator and their password.

    The first is an admin, who adds the others.
    """
    home: Home = ctx.obj
    home.require_clinic()
    with open_registry(home) as registry:
        with registry.read() as session:
            is_first = operators.is_empty(session)
        with nullcontext() if is_first else _as_admin(registry, admin, as_password_file):
            password = new_password_of(name, password_file)
            with registry.write() as session:
                if is_first and not operators.is_empty(session):
                    raise NotAllowed("somebody else was registered meanwhile: nothing was changed, try again")
                stored = operators.add(session, name, role, password, int(time.time())).name
    if as_json:
        answer_json({"operator": stored, "role": role.value})
    else:
        answer(f"Registered {stored} as {WITH_ARTICLE[role]}. At work, BZTOKEN_OPERATOR is set to this name.")


@app.command("list")
def list_operators(ctx: typer.Context, zone: Zone = DEFAULT_ZONE, as_json: AsJson = False) -> None:
    """List the operators, never their passwords."""
    local = zone_named(zone)
    with reading_at_clinic(ctx.obj) as session:
        found = operators.all_operators(session)
    if as_json:
        documents = [
            {
                "operator": row.name,
                "role": row.role,
                "locked": operators.is_locked(row),
                "added_at_s": row.added_at_s,
                "added_by": row.by,
            }
            for row in found
        ]
        answer_json({"operators": documents})
        return
    rows = [
        (
            row.name,
            NAMES[Role(row.role)],
            "locked: too many wrong passwords" if operators.is_locked(row) else "",
            local_day_and_time(row.added_at_s, local),
            row.by,
        )
        for row in found
    ]
    nobody = (
        "Nobody is registered: everybody works here as a health worker. `bztoken operator add` begins with an admin."
    )
    answer_table(("operator", "role", "", f"added ({zone})", "by"), rows, nobody)


@app.command()
def password(
    ctx: typer.Context,
    name: Name,
    password_file: PasswordFile = None,
    admin: Annotated[
        str | None, typer.Option("--as", help="Name of the admin who does this; else the operator does.")
    ] = None,
    as_password_file: AsPasswordFile = None,
    as_json: AsJson = False,
) -> None:
    """Set a new password.

    The operator gives the old one first; an admin (--as) gives their own, which also unlocks.
    """
    home: Home = ctx.obj
    home.require_clinic()
    with open_registry(home) as registry:
        role = None if admin is None else Role.ADMIN
        with _acting(registry, admin or name, as_password_file, role):
            chosen = new_password_of(name, password_file)
            with registry.write() as session:
                operators.set_password(session, name, chosen, int(time.time()))
    if as_json:
        answer_json({"operator": name, "password": "changed"})
    else:
        answer(f"The password of {name} is changed.")


@app.command()
def remove(
    ctx: typer.Context,
    name: Name,
    admin: AsAdmin = None,
    as_password_file: AsPasswordFile = None,
    as_json: AsJson = False,
) -> None:
    """Take an operator off the list; what they did keeps their name."""
    home: Home = ctx.obj
    home.require_clinic()
    with open_registry(home) as registry, _as_admin(registry, admin, as_password_file), registry.write() as session:
        operators.remove(session, name, int(time.time()))
    if as_json:
        answer_json({"operator": name, "state": operators.STATE_REMOVED})
    else:
        answer(f"{name} works here no more.")


def _as_admin(registry: Registry, admin: str | None, file: Path | None) -> AbstractContextManager[None]:
    if admin is None:
        raise NotAllowed("only an admin does this: nothing was changed, say who you are with --as NAME")
    return _acting(registry, admin, file, Role.ADMIN)


def _acting(registry: Registry, name: str, file: Path | None, role: Role | None) -> AbstractContextManager[None]:
    return operators.acting(registry, name, password_of(name, file), role, int(time.time()))
