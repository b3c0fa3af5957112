"""Lets a token forget who it is, and provisions it again under another identity.

That it was told to is recorded before it is told: whoever pulls the cable out meanwhile finishes with the same
command. It counts as wiped when it answers as a blank token, not before.
"""

import asyncio
import logging
import time
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bztoken.connection import KnownToken, connect
from bztoken.errors import LinkError, RegistryError
from bztoken.home import Home
from bztoken.link.refusals import TokenRefused, TokenTooOld
from bztoken.link.requests import TokenRefusal
from bztoken.link.token_link import Info, TokenLink
from bztoken.provision import Provisioned, provision
from bztoken.registry import devices, events, logs, pages, tokens
from bztoken.registry.database import Registry, open_registry
from bztoken.registry.models import Token, TokenEvent
from bzwire import messages

WIPE_LIMIT_S = 180.0
SILENCE_LIMIT_S = 45.0  # to restart, and for a sleeping token to hear its cable
ERASE_LIMIT_S = 600.0  # 2 MiB take up to 4 minutes on a slow flash
GONE_AFTER_S = 5.0  # longer than a flash keeps a token from answering
TOLD_AFTER_S = 3.0
POLL_S = 0.5

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class WipePlan:
    """What a wipe would do. pages_lost: on the token and not here; is_blank: the token has forgotten already;
    is_trusted: its log could be read before; is_development: it is a developer's board; place: of a site; hardware: its
    board's number, empty while that is not told.
    """

    token_id: int
    label: str
    role: str
    pages_lost: int
    is_blank: bool
    is_trusted: bool = True
    is_development: bool = False
    place: str | None = None
    hardware: bytes = b""


def plan_wipe(home: Home, port: str) -> WipePlan:
    """What a wipe of the token at a port would do. Raises LinkError or RegistryError; for a blank token, too, unless
    one of the registry was told to forget and was not seen since.
    """
    home.require_clinic()
    with open_registry(home) as registry:
        return asyncio.run(_plan(home, registry, port))


def wipe(home: Home, port: str, plan: WipePlan) -> bool:
    """Wipe the token at a port, see that it is blank, record it, and wait until it has written over what was deleted:
    False when it was pulled out before, or takes long; it goes on by itself then. Raises LinkError or RegistryError;
    when the cable failed before it was blank, the same command finishes.
    """
    with open_registry(home) as registry:
        asyncio.run(_wipe(home, registry, port, plan))
    return asyncio.run(_wait_until_erased(port))


def free_label(home: Home, label: str, plan: WipePlan) -> str:
    """As it is stored. Raises RegistryError for one that no token can have, or that a token has which is not wiped."""
    label = tokens.new_label(label)
    with open_registry(home) as registry, registry.read() as session:
        token = tokens.by_label(session, label)
        if token is not None and token.id != plan.token_id and token.state != tokens.STATE_PENDING:
            raise RegistryError("another token has this label: choose a label that is used nowhere else")
    return label


def hand_out_again(
    home: Home, port: str, plan: WipePlan, label: str, role: str, place: str | None = None
) -> Provisioned:
    """Give the wiped token a new identity under a label; both rows say so. Raises LinkError or RegistryError."""
    cure = "plug that one in and run `bztoken provision`, for it has forgotten already"
    _require_same_board(port, asyncio.run(_info(port)), plan.hardware, cure)
    done = provision(home, port, label, role, place=place, may_be_development=plan.is_development)
    with open_registry(home) as registry, registry.write() as session:
        old, new = session.get_one(Token, plan.token_id), tokens.by_known_label(session, label)
        now_s = int(time.time())
        events.record(session, old, events.REISSUED, now_s, f"is now token {new.id}")
        events.record(session, new, events.REISSUED, now_s, f"was token {old.id}")
    return done


async def _plan(home: Home, registry: Registry, port: str) -> WipePlan:
    info = await _info(port)
    if not info.provisioned:
        return _plan_of_blank(registry, port, info)
    async with connect(home, registry, port, must_be_trusted=False) as known:
        await _require_wipe(known)
        status = await known.link.command(messages.CMD_STATUS)
    _link_board(registry, known.token_id, devices.told(status))
    with registry.read() as session:
        token = session.get_one(Token, known.token_id)
        stored = pages.next_sequence(session, logs.log_of_token(session, token))
        first, end, acknowledged = int(status["f"]), int(status["n"]), int(status["a"])
        # Not acknowledged counts as lost even when it is stored: a damaged page may lie before it.
        lost = end - max(first, min(acknowledged + 1, stored))
        is_trusted = tokens.is_trusted(token)
        return WipePlan(
            token.id,
            token.label,
            token.role,
            pages_lost=max(0, lost),
            is_blank=False,
            is_trusted=is_trusted,
            is_development=info.development,
            place=token.place,
            hardware=devices.told(status),
        )


def _plan_of_blank(registry: Registry, port: str, info: Info) -> WipePlan:
    """To finish what was begun. Raises LinkError when no token was told to forget and waited for."""
    with registry.read() as session:
        token = _waited_for(session, info)
        if token is None:
            raise LinkError(
                f"The token at {port} is blank: there is nothing to wipe; `bztoken provision` gives it an identity."
            )
        return WipePlan(
            token.id,
            token.label,
            token.role,
            pages_lost=0,
            is_blank=True,
            is_development=info.development,
            place=token.place,
            hardware=info.hardware,
        )


def _link_board(registry: Registry, token_id: int, hardware: bytes) -> None:
    """So that the story of the board is whole; a second board with this identity is no reason not to wipe it."""
    with registry.read() as session:
        is_known = session.get_one(Token, token_id).device_id is not None
    if not is_known:
        with registry.write() as session:
            devices.note(session, session.get_one(Token, token_id), hardware, int(time.time()))


async def _require_wipe(known: KnownToken) -> None:
    """Raises TokenTooOld: LOCATE came with the same version as WIPE, and to end it is harmless."""
    await known.link.command(messages.CMD_LOCATE, s=0)


async def _info(port: str) -> Info:
    async with TokenLink(port) as link:
        return await link.info()


def _waited_for(session: Session, info: Info) -> Token | None:
    """The token of such a board that was told to forget and was not seen since; None when it is not the only one. Where
    boards told their numbers, it is the one of this board.
    """
    last = select(func.max(TokenEvent.id)).group_by(TokenEvent.token_id)
    query = (
        select(Token)
        .join(TokenEvent, TokenEvent.token_id == Token.id)
        .where(TokenEvent.id.in_(last), TokenEvent.event == events.WIPE_BEGUN, Token.board == info.board)
        .where(func.coalesce(Token.last_seen_s, 0) <= TokenEvent.at_s)
    )
    device = devices.by_hardware(session, info.hardware)
    may_be = {None} if device is None else {None, device.id}
    found = [token for token in session.scalars(query) if not info.hardware or token.device_id in may_be]
    return found[0] if len(found) == 1 else None


async def _wipe(home: Home, registry: Registry, port: str, plan: WipePlan) -> None:
    if not plan.is_blank:
        async with connect(home, registry, port, must_be_trusted=False) as known:
            if known.token_id != plan.token_id:
                raise LinkError("Another token was plugged in meanwhile: nothing was wiped, start again.")
            await _tell(registry, known)
        await _wait_until_blank(port, plan.hardware)
    with registry.write() as session:
        tokens.wiped(session, session.get_one(Token, plan.token_id), int(time.time()))


async def _tell(registry: Registry, known: KnownToken) -> None:
    """A lost answer does not matter: whether it obeys shows when it is asked who it is."""
    await _require_wipe(known)
    with registry.write() as session:
        token = session.get_one(Token, known.token_id)
        events.record(session, token, events.WIPE_BEGUN, int(time.time()))
        uid = token.uid
    try:
        await known.link.command(messages.CMD_WIPE, u=uid)
    except TokenTooOld:
        raise
    except TokenRefused as refused:
        if refused.code != TokenRefusal.NOT_PROVISIONED:
            raise
    except LinkError:
        return


async def _wait_until_blank(port: str, hardware: bytes) -> None:
    """Raises LinkError when the token is gone, goes on holding its identity, or another board is blank in its place."""
    heard_s = time.monotonic()
    until_s = heard_s + WIPE_LIMIT_S
    while time.monotonic() < until_s:
        await asyncio.sleep(POLL_S)
        try:
            info = await _info(port)
            if not info.provisioned:
                break
            heard_s = time.monotonic()
        except LinkError as error:  # it restarts, and a chip's own USB goes with it for a moment
            if time.monotonic() - heard_s > SILENCE_LIMIT_S:
                raise LinkError(
                    "The token did not come back after it was told to forget: plug it in again and run the same "
                    "command, which finishes what was begun."
                ) from error
    else:
        raise LinkError("The token still holds its identity: run the same command again, or let a technician erase it.")
    cure = "plug that one in and run the same command, which finishes what was begun"
    _require_same_board(port, info, hardware, cure)


def _require_same_board(port: str, info: Info, hardware: bytes, cure: str) -> None:
    """Raises LinkError for a blank token on another board than the one that was told to forget, as far as both tell."""
    if info.hardware and hardware and info.hardware != hardware:
        raise LinkError(
            f"The blank token at {port} is another board than the one that was told to forget: nothing was done to "
            f"it; {cure}."
        )


async def _wait_until_erased(port: str) -> bool:
    began_s = heard_s = time.monotonic()
    told = False
    while time.monotonic() - began_s < ERASE_LIMIT_S:
        try:
            if not (await _info(port)).erasing:
                return True
            heard_s = time.monotonic()
        except LinkError:
            if time.monotonic() - heard_s > GONE_AFTER_S:
                return False
        if not told and time.monotonic() - began_s > TOLD_AFTER_S:
            told = True
            _log.warning("The token writes over what was deleted, which takes some minutes: leave it plugged in.")
        await asyncio.sleep(POLL_S)
    return False
