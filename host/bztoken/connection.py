"""From a port to a token that is known: opens the cable, finds out which token of the registry it is, proves both
sides, with the master key, or with the pass of a courier's computer.
"""

import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from sqlalchemy.orm import Session

from bztoken import courier
from bztoken.errors import LinkError
from bztoken.formats.courier_pass import CourierPass, day_number
from bztoken.home import Home
from bztoken.link.refusals import TokenTooOld
from bztoken.link.token_link import Challenge, Info, TokenLink
from bztoken.registry import tokens
from bztoken.registry.database import Registry
from bztoken.registry.models import Token
from bzwire import keys


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
    """Raises LinkError: no such port, not a token, not provisioned, of another registry; NotTrusted.

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
            if must_be_trusted:
                tokens.require_trusted(match.token)
            token, auth_key, first_log_key = match
            is_courier = keyring.courier is not None
            known = KnownToken(link, token.id, token.label, info, auth_key, first_log_key, is_courier)
        await link.open_session(challenge, auth_key)
        yield known


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
