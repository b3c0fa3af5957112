"""Takes the day keys of an infected person from their token after the wearer held the button; no other way exists."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bztoken.connection import KnownToken, connect
from bztoken.errors import LinkError
from bztoken.formats.case_list import CaseKey
from bztoken.home import Home
from bztoken.link.token_link import TokenLink
from bztoken.registry import clock_points, logs, page_times
from bztoken.registry.database import Registry, open_registry
from bztoken.registry.models import Token
from bzwire import messages
from bzwire.bluezone import DAY_S, KEY_BYTES, SLOTS_PER_DAY, day_of
from bzwire.page import CLOCK_UNSET

POLL_S = 0.5
SCHEME_BLUEZONE = "bluezone"
SCHEME_GAEN = "gaen"


@dataclass(frozen=True)
class ReleasedKeys:
    """Keys of one token, oldest day first."""

    label: str
    keys: list[CaseKey] = field(repr=False)


def release_keys(home: Home, port: str, days: int, on_waiting: Callable[[], None]) -> ReleasedKeys:
    """Ask the token at a port for the keys of the last `days` days; on_waiting is called once the light asks.

    Raises LinkError when the wearer does not hold the button within a minute: then nothing was released; and when the
    token broadcasts GAEN, whose keys cannot be matched yet: then they are not stored.
    """
    with open_registry(home) as registry:

        async def run() -> ReleasedKeys:
            async with connect(home, registry, port) as known:
                if known.info.clock_state == CLOCK_UNSET:
                    raise LinkError(
                        f"The clock of the token at {port} is not set, so it does not know its days: run `bztoken sync "
                        f"--port {port}` first."
                    )
                await _note_clock(registry, known)
                return ReleasedKeys(known.label, await _release(known.link, days, on_waiting))

        return asyncio.run(run())


async def _note_clock(registry: Registry, known: KnownToken) -> None:
    """The keys are by the token's own clock: write down how wrong that is."""
    before_ns = time.time_ns()
    status = await known.link.command(messages.CMD_STATUS)
    told = clock_points.reading(status, before_ns, time.time_ns())
    with registry.write() as session:
        log = logs.log_of_token(session, session.get_one(Token, known.token_id))
        clock_points.record(session, log, told)
        page_times.correct(session, log)


async def _release(link: TokenLink, days: int, on_waiting: Callable[[], None]) -> list[CaseKey]:
    today = day_of(int(time.time()))
    await link.command(messages.CMD_ASK_RELEASE, f=today - days + 1, t=today)
    on_waiting()
    while True:
        answer = await link.command(messages.CMD_READ_RELEASE)
        if answer["st"] == messages.RELEASE_GRANTED:
            return case_keys(answer, int(time.time()))
        if answer["st"] == messages.RELEASE_NONE:
            raise LinkError(
                "The button was not held within a minute: nothing was released. Ask the wearer again when they are "
                "ready."
            )
        await asyncio.sleep(POLL_S)


def case_keys(answer: dict[str, Any], now_s: int) -> list[CaseKey]:
    """The keys in a granted answer of READ_RELEASE, as entries that end now at the latest. Raises LinkError."""
    scheme = answer.get("sc", SCHEME_BLUEZONE)
    if scheme == SCHEME_GAEN:
        raise LinkError(
            "This token broadcasts GAEN, and cases of GAEN tokens are not supported yet: nothing was stored, ask the "
            "province how to record this person."
        )
    if scheme != SCHEME_BLUEZONE:
        raise LinkError("The token broadcasts in a way that this program does not know: update the older one.")
    found = []
    for day, key in answer["k"]:
        if not isinstance(day, int) or not isinstance(key, bytes) or len(key) != KEY_BYTES:
            raise LinkError("The token released keys in a form this program does not know: update the older one.")
        # Today's key goes on making IDs until midnight; whoever hears one later did not meet this person before.
        end_s = min((day + 1) * DAY_S - 1, now_s)
        found.append(CaseKey(key, day * DAY_S, SLOTS_PER_DAY, end_s, answer.get("tx")))
    return found
