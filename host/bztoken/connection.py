"""From a port to a token that is known: opens the cable, finds out which token of the registry it is, proves both
sides.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from bztoken.errors import LinkError
from bztoken.home import Home
from bztoken.link.token_link import Info, TokenLink
from bztoken.registry import tokens
from bztoken.registry.database import Registry


@dataclass(frozen=True)
class KnownToken:
    """A token of this registry at the end of an authenticated cable."""

    link: TokenLink
    token_id: int
    label: str
    keys: tokens.TokenKeys
    info: Info


@asynccontextmanager
async def connect(home: Home, registry: Registry, port: str) -> AsyncIterator[KnownToken]:
    """Raises LinkError: no such port, not a token, not provisioned, of another registry."""
    master_key = home.master_key()
    async with TokenLink(port) as link:
        info = await link.info()
        if not info.provisioned:
            raise LinkError(
                f"The token at {port} is not provisioned: run `bztoken provision --port {port} --label ..` first."
            )
        challenge = await link.challenge()
        with registry.read() as session:
            token = tokens.find_by_proof(
                session, master_key, challenge.host_nonce, challenge.token_nonce, challenge.proof
            )
            if token is None:
                raise LinkError(
                    f"The token at {port} is not of this registry: nothing was read; look in which registry it was "
                    "provisioned."
                )
            known = KnownToken(link, token.id, token.label, tokens.token_keys(master_key, token.uid), info)
        await link.open_session(challenge, known.keys.auth_key)
        yield known
