"""Takes day keys from a token after its wearer, or a site's keeper, held the button; no other way exists.

For a case, and for peers (`peer_release`). Asked for are only the days that somebody has a reason to know.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bztoken.connection import KnownToken, connect
from bztoken.errors import CaseError, LinkError
from bztoken.formats.tracing_key import SCHEME_BLUEZONE, SCHEME_GAEN, TracingKey
from bztoken.home import Home
from bztoken.link.token_link import TokenLink
from bztoken.registry import clock_points, logs, page_times
from bztoken.registry.database import Registry, open_registry
from bztoken.registry.models import Token
from bztoken.registry.tokens import ROLE_SITE
from bztoken.tracing.infectious_window import Window
from bzwire import bluezone, gaen, messages
from bzwire.bluezone import DAY_S, day_of
from bzwire.page import CLOCK_UNSET

POLL_S = 0.5
MAX_DAYS = 21  # for which a token keeps its keys at most
_OTHER_FORM = "The token released keys in a form this program does not know: update the older one."
_FORMS = {
    SCHEME_BLUEZONE: (bluezone.KEY_BYTES, bluezone.SLOTS_PER_DAY),
    SCHEME_GAEN: (gaen.KEY_BYTES, gaen.INTERVALS_PER_DAY),
}

Allow = Callable[[KnownToken], range]
"""Which days may be asked of this token (numbers of UTC days); raises when none may."""


@dataclass(frozen=True)
class ReleasedKeys:
    """Keys of one token, oldest day first."""

    label: str
    token_id: int
    keys: list[TracingKey] = field(repr=False)


def days_of(window: Window, now_s: int) -> range:
    """The days of a window that a token may still have keys of. Raises CaseError when there is none."""
    today = day_of(now_s)
    days = range(max(window.first_number, today - MAX_DAYS + 1), min(window.last_number, today) + 1)
    if not days:
        raise CaseError(
            f"the infectious window ended on {window.last_day}, and a token has keys of the last {MAX_DAYS} days at "
            "most: nothing was asked, look at the day of the symptoms or of the test"
        )
    return days


def last_days(days: int, now_s: int) -> range:
    """Today and the days before it."""
    return range(day_of(now_s) - days + 1, day_of(now_s) + 1)


def release_keys(home: Home, port: str, days: range | Allow, on_waiting: Callable[[], None]) -> ReleasedKeys:
    """Ask the token at a port for the keys of some days; on_waiting is called once the light asks.

    Raises LinkError when the wearer does not hold the button within a minute: then nothing was released.
    """
    with open_registry(home) as registry:

        async def run() -> ReleasedKeys:
            async with connect(home, registry, port) as known:
                if known.info.clock_state == CLOCK_UNSET:
                    raise LinkError(
                        f"The clock of the token at {port} is not set, so it does not know its days: run `bztoken sync "
                        f"--port {port}` first."
                    )
                asked = days if isinstance(days, range) else days(known)
                await _note_clock(registry, known)
                return ReleasedKeys(known.label, known.token_id, await _release(known.link, asked, on_waiting))

        return asyncio.run(run())


def release_of_person(home: Home, port: str, days: range, on_waiting: Callable[[], None]) -> ReleasedKeys:
    """The same for somebody who is ill. Raises CaseError for a site's token, which is not worn by anybody."""

    def allowed(known: KnownToken) -> range:
        with open_registry(home) as registry, registry.read() as session:
            if session.get_one(Token, known.token_id).role == ROLE_SITE:
                raise CaseError(
                    "this is a site's token, which nobody wears, so it is nobody's case: nothing was asked; its keys "
                    "are taken with `bztoken peer release`"
                )
        return days

    return release_keys(home, port, allowed, on_waiting)


async def _note_clock(registry: Registry, known: KnownToken) -> None:
    """The keys are by the token's own clock: write down how wrong that is."""
    before_ns = time.time_ns()
    status = await known.link.command(messages.CMD_STATUS)
    told = clock_points.reading(status, before_ns, time.time_ns())
    with registry.write() as session:
        log = logs.log_of_token(session, session.get_one(Token, known.token_id))
        clock_points.record(session, log, told)
        page_times.correct(session, log)


async def _release(link: TokenLink, days: range, on_waiting: Callable[[], None]) -> list[TracingKey]:
    await link.command(messages.CMD_ASK_RELEASE, f=days[0], t=days[-1])
    on_waiting()
    while True:
        answer = await link.command(messages.CMD_READ_RELEASE)
        if answer["st"] == messages.RELEASE_GRANTED:
            return tracing_keys(answer, int(time.time()))
        if answer["st"] == messages.RELEASE_NONE:
            raise LinkError(
                "The button was not held within a minute: nothing was released. Ask the wearer again when they are "
                "ready."
            )
        await asyncio.sleep(POLL_S)


def tracing_keys(answer: dict[str, Any], now_s: int) -> list[TracingKey]:
    """The keys in a granted answer of READ_RELEASE, as keys that end now at the latest. Raises LinkError."""
    scheme = answer.get("sc", SCHEME_BLUEZONE)
    if scheme not in _FORMS:
        raise LinkError("The token broadcasts in a way that this program does not know: update the older one.")
    key_bytes, slots = _FORMS[scheme]
    found = []
    for day, key in answer["k"]:
        if not isinstance(day, int) or not isinstance(key, bytes) or len(key) != key_bytes:
            raise LinkError(_OTHER_FORM)
        # Today's key goes on making IDs until midnight; whoever hears one later did not meet this person before.
        end_s = min((day + 1) * DAY_S - 1, now_s)
        found.append(TracingKey(scheme, key, day * DAY_S, slots, end_s, answer.get("tx")))
    return found
