"""`bztoken notice`: the light that asks a wearer to come to the clinic for news."""

from enum import StrEnum
from typing import Annotated

import typer

from bztoken.cli.output import answer, answer_json
from bztoken.cli.registry import AsJson
from bztoken.cli.settings import document
from bztoken.token_care import set_notice


class Action(StrEnum):
    """What to do with the notice."""

    SET = "set"
    CLEAR = "clear"


def notice(
    ctx: typer.Context,
    action: Annotated[Action, typer.Argument(help="set: the light shows it; clear: it does no longer.")],
    port: Annotated[str, typer.Option("--port", help="Serial port of the token.")],
    as_json: AsJson = False,
) -> None:
    """Set or clear the exposure notice on a token.

    It is a calm amber double blink every ten seconds.
    """
    told = set_notice(ctx.obj, port, action == Action.SET)
    if as_json:
        answer_json(document(told))
        return
    if told.settings.notice:
        answer(f"{told.label} shows the exposure notice: amber, twice every ten seconds.")
    else:
        answer(f"{told.label} does not show an exposure notice.")
