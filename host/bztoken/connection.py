"""From a port to a token that is known: opens the cable, finds out which token of the registry it is, proves both
sides, with the master key, or with the pass of a courier's computer; at the clinic also on which board it lives.
"""

import asyncio
import hmac
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from sqlalchemy.orm import Session

from bztoken import courier
from bztoken.errors import LinkError, NotTrusted
from bztoken.formats.courier_pass import CourierPass, day_number
from bztoken.home import Home
from bztoken.link.refusals import TokenTooOld
from bztoken.link.token_link import Challenge, Info, TokenLink
from bztoken.registry import devices, losses, person_rows, tokens
from bztoken.registry.database import Registry
from bztoken.registry.models import Token
from bzwire import keys, messages


class SecondBoard(NotTrusted):
    """A token's identity is on another board than before. token_id: its row."""

    def __init__(self, token_id: int) -> None:
        super().__init__(
            "This token's identity was on another board before: somebody copied it, and nothing was read; keep it, "
            "look for the other, then wipe both and provision one anew with `bztoken token reissue`."
        )
        self.token_id = token_id


@dataclass(frozen=True)
class KnownToken:
    """A token of this registry at the end of an authenticated cable.

    On a courier's computer auth_key serves this courier only, and there is no first_log_key: its pages stay closed.
    """

    link: TokenLink
    token_id: int
    label: str
    info: Info
    auth_key: bytes = field(repr=False)
    first_log_key: bytes | None = field(repr=False)
    is_courier: bool = False


class _Match(NamedTuple):
    token: Token
    auth_key: bytes
    first_log_key: bytes | None


class _Keyring(Protocol):
    """Which tokens this computer knows. courier: number and last day, to be told to the token."""

    @property
    def courier(self) -> tuple[bytes, int] | None:
        """None at the clinic."""

    def find(self, session: Session, challenge: Challenge) -> _Match | None:
        """The token that made this proof, and its keys."""

    def stranger(self, port: str, info: Info) -> LinkError:
        """What to say of a token that nobody here knows."""


@asynccontextmanager
async def connect(home: Home, registry: Registry, port: str, must_be_trusted: bool = True) -> AsyncIterator[KnownToken]:
    """Raises LinkError: no such port, not a token, not provisioned, of another registry; NotTrusted, of which
    SecondBoard.

    must_be_trusted: False lets a token in that was revoked, or has a double: to find or wipe it.
    """
    keyring = _keyring(home)
    async with TokenLink(port, keyring.courier) as link:
        info = await link.info()
        if not info.provisioned:
            raise LinkError(
                f"The token at {port} is not provisioned: run `bztoken provision --port {port} --label ..` first."
            )
        challenge = await link.challenge()
        with registry.read() as session:
            match = keyring.find(session, challenge)
        if match is None:
            raise keyring.stranger(port, info)
        token, auth_key, first_log_key = match
        if must_be_trusted:
            await _require_trusted(registry, token)
        is_courier = keyring.courier is not None
        known = KnownToken(link, token.id, token.label, info, auth_key, first_log_key, is_courier)
        await link.open_session(challenge, auth_key)
        if must_be_trusted and not is_courier:
            await _require_its_board(registry, known)
        if must_be_trusted and info.development != token.development:
            await asyncio.to_thread(_note_build, registry, known)
        yield known


async def _require_trusted(registry: Registry, token: Token) -> None:
    """Raises NotTrusted, also for who withdrew; that a revoked token was plugged in is remembered."""
    if not tokens.is_trusted(token):
        await asyncio.to_thread(_note_refusal, registry, token.id)
        tokens.require_trusted(token)
    with registry.read() as session:
        person_rows.require_consent(session, token)


def _note_refusal(registry: Registry, token_id: int) -> None:
    with registry.write() as session:
        losses.note_seen(session, session.get_one(Token, token_id), int(time.time()))


async def _require_its_board(registry: Registry, known: KnownToken) -> None:
    """Raises SecondBoard. Written is only what is new: the first time, or an alarm."""
    hardware = devices.told(await known.link.command(messages.CMD_STATUS))
    with registry.read() as session:
        is_news = devices.is_news(session, session.get_one(Token, known.token_id), hardware)
    if is_news and not await asyncio.to_thread(_note_board, registry, known.token_id, hardware):
        raise SecondBoard(known.token_id)


def _note_board(registry: Registry, token_id: int, hardware: bytes) -> bool:
    with registry.write() as session:
        return devices.note(session, session.get_one(Token, token_id), hardware, int(time.time()))


def _note_build(registry: Registry, known: KnownToken) -> None:
    """Only after both have proven who they are, and on the same board as before: it may say less than before."""
    with registry.write() as session:
        tokens.note_build(session, session.get_one(Token, known.token_id), known.info.development)


def _keyring(home: Home) -> _Keyring:
    if not home.is_courier:
        return _Clinic(home.master_key())
    own = courier.own_pass(home)
    courier.require_valid(own)
    return _Courier(own)


class _Clinic:
    """Every key follows from the master key."""

    courier = None

    def __init__(self, master_key: bytes) -> None:
        self._master_key = master_key

    def find(self, session: Session, challenge: Challenge) -> _Match | None:
        token = tokens.find_by_proof(
            session, self._master_key, challenge.host_nonce, challenge.token_nonce, challenge.proof
        )
        if token is None:
            return None
        found = tokens.token_keys(self._master_key, token.uid)
        return _Match(token, found.auth_key, found.first_log_key)

    def stranger(self, port: str, info: Info) -> LinkError:
        return LinkError(
            f"The token at {port} is not of this registry: nothing was read; look in which registry it was provisioned."
        )


class _Courier:
    """A key of its own for each token of the pass."""

    def __init__(self, own: CourierPass) -> None:
        self._own = own
        self.courier = (own.number, day_number(own.last_day))

    def find(self, session: Session, challenge: Challenge) -> _Match | None:
        for entry in self._own.tokens:
            proof = keys.token_proof(entry.key, challenge.host_nonce, challenge.token_nonce)
            if hmac.compare_digest(proof, challenge.proof):
                token = tokens.by_uid(session, entry.uid)
                return None if token is None else _Match(token, entry.key, None)
        return None

    def stranger(self, port: str, info: Info) -> LinkError:
        if info.mpy is None:  # before 0.3, which greets a courier as it greets a station
            return TokenTooOld()
        return LinkError(
            f"The token at {port} is not on this courier's pass: nothing was read, bring it to the clinic."
        )
