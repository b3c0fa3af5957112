"""`bztoken provision`: give a blank token its keys and a label."""

from typing import Annotated

import typer

from bztoken.cli.output import answer, answer_json
from bztoken.cli.registry import AsJson
from bztoken.provision import provision as provision_token
from bztoken.registry.tokens import ROLE_PERSON, ROLES


def provision(
    ctx: typer.Context,
    port: Annotated[str, typer.Option("--port", help="Serial port of the blank token.")],
    label: Annotated[str, typer.Option("--label", help="What the registry calls it, for example the printed number.")],
    role: Annotated[str, typer.Option("--role", help="person: worn; site: fixed at a place.")] = ROLE_PERSON,
    as_json: AsJson = False,
) -> None:
    """Give a blank token its own keys, record it under a label, and set its clock."""
    if role not in ROLES:
        raise typer.BadParameter(f"a role is one of {', '.join(ROLES)}", param_hint="--role")
    done = provision_token(ctx.obj, port, label, role)
    if as_json:
        answer_json({"label": done.label, "role": done.role, "board": done.board, "firmware": done.firmware})
        return
    answer(f"Provisioned {done.label} ({done.role}, board {done.board}, firmware {done.firmware}). Its clock is set.")
