"""`bztoken ports`: which serial ports would be asked for a token, and which are left alone. Opens none of them."""

from typing import Annotated

import typer

from bztoken.cli.output import answer_json, answer_table
from bztoken.cli.registry import AsJson
from bztoken.link.ports import VARIABLE, look

NOTHING = f"No port here may have a token: plug one in, or name ports in {VARIABLE}."


def ports(
    patterns: Annotated[
        list[str] | None, typer.Argument(help=f"Ports to try, wildcards allowed (default: {VARIABLE}, or USB numbers).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the serial ports that may have a token.

    Also those that are left alone, with the reason.
    """
    found = look(patterns or ())
    if as_json:
        answer_json(
            {
                "ports": [{"port": port.path, "description": port.description} for port in found.tried],
                "left_alone": [
                    {"port": port.path, "description": port.description, "why": port.why} for port in found.left_alone
                ],
            }
        )
        return
    answer_table(("port", "device"), [(port.path, port.description) for port in found.tried], NOTHING)
    if found.left_alone:
        rows = [(port.path, port.description, port.why) for port in found.left_alone]
        answer_table(("left alone", "device", "why"), rows, "")
