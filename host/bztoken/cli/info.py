"""`bztoken info`: what any token tells anybody."""

import asyncio
from typing import Annotated

import typer

from bztoken.cli.output import answer, answer_json
from bztoken.cli.registry import AsJson
from bztoken.link.token_link import Info, TokenLink
from bzwire.page import CLOCK_KEPT, CLOCK_RTC, CLOCK_SET, CLOCK_UNSET

CLOCKS = {
    CLOCK_UNSET: "not set",
    CLOCK_SET: "set",
    CLOCK_KEPT: "kept over a restart",
    CLOCK_RTC: "kept by the clock chip",
}


def info(
    port: Annotated[str, typer.Option("--port", help="Serial port of the token.")],
    as_json: AsJson = False,
) -> None:
    """Show what a token tells anybody.

    Firmware, board, provisioned or not, clock. It never says who it is.
    """
    found = asyncio.run(_read(port))
    clock = CLOCKS.get(found.clock_state, "unknown")
    if as_json:
        answer_json(
            {
                "firmware": found.firmware,
                "board": found.board,
                "protocol": found.protocol,
                "provisioned": found.provisioned,
                "clock": clock,
                "safe_mode": found.safe_mode,
                "build": "development" if found.development else "production",
            }
        )
        return
    state = "provisioned" if found.provisioned else "blank: give it an identity with `bztoken provision`"
    if found.development and not found.provisioned:
        state = "blank"
    answer(f"A token with firmware {found.firmware} on board {found.board}; {state}; clock {clock}.")
    if found.development:
        answer("It is a developer's board: its cable leads to a prompt, and so to its keys. Nobody should wear it.")
    if found.safe_mode:
        answer("It is in safe mode: bring it to a technician. Its log can still be read with `bztoken sync`.")


async def _read(port: str) -> Info:
    async with TokenLink(port) as link:
        return await link.info()
