"""`bztoken provision`: give a blank token its keys and a label."""

from typing import Annotated

import typer

from bztoken.cli.output import answer, answer_json
from bztoken.cli.registry import AsJson
from bztoken.cli.settings import in_words, settings_document
from bztoken.provision import Provisioned
from bztoken.provision import provision as provision_token
from bztoken.registry.tokens import ROLE_PERSON, ROLE_SITE, ROLES
from bztoken.token_settings import Profile, Scheme, Wanted


def provision(
    ctx: typer.Context,
    port: Annotated[str, typer.Option("--port", help="Serial port of the blank token.")],
    label: Annotated[str, typer.Option("--label", help="What the registry calls it, for example the printed number.")],
    role: Annotated[str, typer.Option("--role", help="person: worn; site: fixed at a place.")] = ROLE_PERSON,
    profile: Annotated[
        Profile | None, typer.Option("--profile", help="continuous or windowed; without it as the board's file says.")
    ] = None,
    scheme: Annotated[Scheme | None, typer.Option("--scheme", help="What it broadcasts (else Bluezone).")] = None,
    as_json: AsJson = False,
) -> None:
    """Give a blank token its own keys, record it under a label, and set its clock."""
    if role not in ROLES:
        raise typer.BadParameter(f"a role is one of {', '.join(ROLES)}", param_hint="--role")
    if role == ROLE_SITE and profile == Profile.WINDOWED:
        raise typer.BadParameter("a site is always on: windowed is for tokens that people wear", param_hint="--profile")
    done = provision_token(ctx.obj, port, label, role, Wanted(profile, scheme))
    if as_json:
        answer_json(_document(done))
        return
    answer(f"Provisioned {done.label} ({done.role}, board {done.board}, firmware {done.firmware}). Its clock is set.")
    if done.settings is not None:
        answer(f"Settings: {in_words(done.settings)}.")


def _document(done: Provisioned) -> dict[str, object]:
    document: dict[str, object] = {
        "label": done.label,
        "role": done.role,
        "board": done.board,
        "firmware": done.firmware,
    }
    if done.settings is not None:
        document["settings"] = settings_document(done.settings)
    return document
