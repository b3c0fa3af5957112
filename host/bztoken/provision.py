"""Gives a blank token its number and keys, and records it. Either both happen or neither.

The row is written first, as pending: a token whose keys nobody knows would be lost. It is taken back when the token
says that it is still blank; when nobody knows (the cable was pulled out), the same command finishes or repeats it.
"""

import asyncio
import secrets
import time
from dataclasses import dataclass

from sqlalchemy.orm import Session

from bztoken.clock_care import read_clock
from bztoken.errors import LinkError, RegistryError
from bztoken.home import Home
from bztoken.link.token_link import TokenLink
from bztoken.registry import clock_points, events, logs, tokens
from bztoken.registry.database import Registry, open_registry
from bztoken.token_care import require_possible, tell_settings
from bztoken.token_settings import Settings, Wanted
from bzwire import keys

NOTHING_WANTED = Wanted()


@dataclass(frozen=True)
class Provisioned:
    """What was done. settings: None when none were told."""

    label: str
    role: str
    board: str
    firmware: str
    settings: Settings | None = None


def provision(
    home: Home, port: str, label: str, role: str = tokens.ROLE_PERSON, wanted: Wanted = NOTHING_WANTED
) -> Provisioned:
    """Provision the blank token at a port, set its clock and tell it the wanted settings, or finish what an earlier
    try began with this token.

    Raises LinkError or RegistryError; then nothing changed, or the same command finishes what was begun.
    """
    label = tokens.new_label(label)
    require_possible(role, wanted)
    with open_registry(home) as registry:
        return asyncio.run(_provision(home, registry, port, label, role, wanted))


async def _provision(home: Home, registry: Registry, port: str, label: str, role: str, wanted: Wanted) -> Provisioned:
    master_key = home.master_key()
    settings = None
    async with TokenLink(port) as link:
        info = await link.info()
        if info.provisioned:
            uid = await _pending_on(link, registry, master_key, port, label)
        else:
            uid = _reserve(registry, label, role, info.board)
            await _hand_over(link, registry, uid, tokens.token_keys(master_key, uid), role)
        readings, _ = await read_clock(link, is_courier=False)
        if wanted.fields():
            require_possible(_role_of(registry, uid), wanted)
            settings = await tell_settings(link, wanted)
        with registry.write() as session:
            token = tokens.by_uid(session, uid)
            assert token is not None
            for reading in readings:
                clock_points.record(session, logs.log_of_token(session, token), reading)
            if token.state == tokens.STATE_PENDING:
                token.state = tokens.STATE_ACTIVE
                events.record(session, token, events.PROVISIONED, int(time.time()), f"firmware {info.firmware}")
            tokens.note_seen(session, token, int(time.time()))
            role = token.role
    return Provisioned(label, role, info.board, info.firmware, settings)


def _role_of(registry: Registry, uid: bytes) -> str:
    """As an earlier try may have given it."""
    with registry.read() as session:
        token = tokens.by_uid(session, uid)
        assert token is not None
        return token.role


def _reserve(registry: Registry, label: str, role: str, board: str) -> bytes:
    """The number of a new row. Raises RegistryError."""
    uid = secrets.token_bytes(keys.UID_BYTES)
    with registry.write() as session:
        _free_label(session, label)
        tokens.create(session, label, uid, role, board, int(time.time())).state = tokens.STATE_PENDING
    return uid


def _free_label(session: Session, label: str) -> None:
    """A pending row gives up its label, never its number: its token may turn up yet."""
    token = tokens.by_label(session, label)
    if token is not None and token.state == tokens.STATE_PENDING:
        tokens.give_up_label(session, token, "unfinished")


async def _pending_on(link: TokenLink, registry: Registry, master_key: bytes, port: str, label: str) -> bytes:
    """Open a session with a token that an earlier try reached without knowing it, and give it this label; its number.

    Raises LinkError for any other token, RegistryError when the label is taken.
    """
    challenge = await link.challenge()
    with registry.write() as session:
        token = tokens.find_by_proof(session, master_key, challenge.host_nonce, challenge.token_nonce, challenge.proof)
        if token is None or token.state != tokens.STATE_PENDING:
            raise LinkError(f"The token at {port} belongs to a registry already: it was not changed.")
        if token.label != label:
            _free_label(session, label)
            if tokens.by_label(session, label) is not None:
                raise RegistryError("another token has this label: choose a label that is used nowhere else")
            tokens.rename(session, token, label)
        uid = token.uid
    await link.open_session(challenge, tokens.token_keys(master_key, uid).auth_key)
    return uid


async def _hand_over(link: TokenLink, registry: Registry, uid: bytes, token_keys: tokens.TokenKeys, role: str) -> None:
    """Send the keys, then see that the token holds them; a lost answer is no failure if it does."""
    try:
        await link.provision(uid, token_keys.auth_key, token_keys.first_log_key, role)
    except LinkError:
        if not await _took_keys(link):
            _take_back(registry, uid)
            raise
    challenge = await link.challenge()
    expected = keys.token_proof(token_keys.auth_key, challenge.host_nonce, challenge.token_nonce)
    if not keys.same(expected, challenge.proof):
        _take_back(registry, uid)
        raise LinkError("The token does not hold the keys it was given: it was provisioned by somebody else meanwhile.")
    await link.open_session(challenge, token_keys.auth_key)


async def _took_keys(link: TokenLink) -> bool:
    try:
        return (await link.info()).provisioned
    except LinkError:
        raise LinkError(
            "The cable failed while the token was given its keys: plug it in and run the same command again, which "
            "finishes what was begun."
        ) from None


def _take_back(registry: Registry, uid: bytes) -> None:
    with registry.write() as session:
        tokens.remove_unused(session, uid)
