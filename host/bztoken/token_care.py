"""What a station does for a token beside reading its log: status, settings, exposure notice, self-test, finding it."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, TypeVar

from bztoken.connection import KnownToken, connect
from bztoken.errors import LinkError
from bztoken.home import Home
from bztoken.link.token_link import TokenLink
from bztoken.registry import events, notices
from bztoken.registry.database import Registry, open_registry
from bztoken.registry.models import Token
from bztoken.registry.tokens import ROLE_SITE
from bztoken.token_settings import Hear, Profile, Settings, Wanted
from bztoken.token_status import TokenStatus, from_fields
from bzwire import messages

SELF_TEST_LIMIT_S = 30.0
POLL_S = 0.5

_Found = TypeVar("_Found")


@dataclass(frozen=True)
class Told:
    """A token's settings, as they stand now."""

    label: str
    settings: Settings


class Neighbour(StrEnum):
    """Whether the token on the other cable has heard this one. Only NOT_HEARD is a fault."""

    NOT_ASKED = "not asked"
    HEARD = "heard"
    NOT_HEARD = "not heard"
    TOO_MANY = "too many others are near to tell"
    OTHER_SCHEME = "it does not hear this scheme"


@dataclass(frozen=True)
class SelfTest:
    """One token's examination of itself; firmware/SPEC.md "Self-test".

    ids_heard: in 4 s; None without a radio (safe mode). battery_mv: 0 when the board cannot tell.
    """

    label: str
    flash: bool
    clock: bool
    ids_heard: int | None
    button_pressed: bool
    battery_mv: int
    neighbour: Neighbour = Neighbour.NOT_ASKED

    def failed(self) -> list[str]:
        """The parts that failed; a button that nobody pressed is none."""
        parts = {
            "flash": self.flash,
            "clock": self.clock,
            "radio": self.ids_heard is not None and self.neighbour != Neighbour.NOT_HEARD,
        }
        return [part for part, is_right in parts.items() if not is_right]


def read_status(home: Home, port: str) -> TokenStatus:
    """What the token at a port says of itself. Raises LinkError or RegistryError."""
    with open_registry(home) as registry:
        return _with_token(home, registry, port, _read_status)


async def _read_status(known: KnownToken) -> TokenStatus:
    before_ns = time.time_ns()
    fields = await known.link.command(messages.CMD_STATUS)
    return from_fields(known.label, known.info, fields, (before_ns + time.time_ns()) // 2_000_000)


def change_settings(home: Home, port: str, wanted: Wanted) -> Told:
    """Change what is wanted, all or none; with nothing wanted only read. Raises LinkError or RegistryError."""

    async def change(known: KnownToken) -> Told:
        if wanted.profile is not None:
            require_possible(str((await known.link.command(messages.CMD_STATUS))["r"]), wanted)
        told = Told(known.label, await tell_settings(known.link, wanted))
        if wanted.fields():
            with registry.write() as session:
                token = session.get_one(Token, known.token_id)
                events.record(session, token, events.SETTINGS, int(time.time()), wanted.in_words())
                if wanted.notice is not None:
                    notices.note_told(session, token)
        return told

    with open_registry(home) as registry:
        return _with_token(home, registry, port, change)


def locate(home: Home, port: str, seconds: int) -> str:
    """Let the light show for so long where the token is, 0: no longer; its label. Raises LinkError or RegistryError.

    Also of a token that is not believed any more: somebody looks for it.
    """

    async def show(known: KnownToken) -> str:
        await known.link.command(messages.CMD_LOCATE, s=seconds)
        return known.label

    with open_registry(home) as registry:
        return _with_token(home, registry, port, show, must_be_trusted=False)


def require_possible(role: str, wanted: Wanted) -> None:
    """Raises LinkError for a site that should sleep."""
    if role == ROLE_SITE and wanted.profile == Profile.WINDOWED:
        raise LinkError("The token of a site is always on: the profile windowed is for tokens that people wear.")


async def tell_settings(link: TokenLink, wanted: Wanted) -> Settings:
    """In an open session. Raises LinkError; TokenTooOld for firmware without settings."""
    return Settings.from_fields(await link.command(messages.CMD_SETTINGS, **wanted.fields()))


def set_notice(home: Home, port: str, shown: bool) -> Told:
    """Let the light show, or no longer show, that there was an exposure. Raises LinkError or RegistryError."""
    return change_settings(home, port, Wanted(notice=shown))


def _with_token(
    home: Home,
    registry: Registry,
    port: str,
    act: Callable[[KnownToken], Awaitable[_Found]],
    must_be_trusted: bool = True,
) -> _Found:
    async def run() -> _Found:
        async with connect(home, registry, port, must_be_trusted) as known:
            return await act(known)

    return asyncio.run(run())


def self_test(home: Home, ports: list[str], on_begin: Callable[[], None]) -> list[SelfTest]:
    """Let the token at a port, or two at once that listen for each other, examine themselves; takes about 8 s.

    on_begin is called just before the lights show their colours. Raises LinkError or RegistryError.
    """
    with open_registry(home) as registry:

        async def run() -> list[SelfTest]:
            async with AsyncExitStack() as stack:
                tokens = [await stack.enter_async_context(connect(home, registry, port)) for port in ports]
                settings = [await tell_settings(known.link, Wanted()) for known in tokens]
                on_begin()
                answers = await asyncio.gather(*(_examine(known) for known in tokens))
            found = [_result(known.label, answer) for known, answer in zip(tokens, answers, strict=True)]
            if len(found) == 2:
                return [
                    replace(
                        found[own], neighbour=neighbour_of(answers[own], answers[other], settings[own], settings[other])
                    )
                    for own, other in ((0, 1), (1, 0))
                ]
            return found

        return asyncio.run(run())


async def _examine(known: KnownToken) -> dict[str, Any]:
    """The answer of a test that is over."""
    link, label = known.link, known.label
    await link.command(messages.CMD_SELF_TEST)
    until_s = time.monotonic() + SELF_TEST_LIMIT_S
    while time.monotonic() < until_s:
        await asyncio.sleep(POLL_S)
        answer = await link.command(messages.CMD_READ_SELF_TEST)
        if answer["st"] == messages.SELF_TEST_DONE:
            return answer
        if answer["st"] == messages.SELF_TEST_NONE:
            raise LinkError(
                f"{label} restarted during its self-test: repeat it, and if it does so again let a "
                "technician look at it."
            )
    raise LinkError(f"{label} did not end its self-test within {SELF_TEST_LIMIT_S:.0f} s: let a technician look at it.")


def _result(label: str, answer: dict[str, Any]) -> SelfTest:
    return SelfTest(label, bool(answer["fl"]), bool(answer["ck"]), answer.get("rx"), bool(answer["bt"]), answer["bv"])


def neighbour_of(own: dict[str, Any], other: dict[str, Any], own_settings: Settings, others: Settings) -> Neighbour:
    """Whether the other token has heard this one, from the answers and settings of both."""
    if "rx" not in other:
        return Neighbour.NOT_ASKED
    if own.get("id") in other["t"]:
        return Neighbour.HEARD
    if own_settings.scheme != others.scheme and others.hear != Hear.BOTH:
        return Neighbour.OTHER_SCHEME
    return Neighbour.TOO_MANY if other["rx"] > len(other["t"]) else Neighbour.NOT_HEARD
