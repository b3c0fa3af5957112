"""Gives a blank token its number and keys, and records it. Either both happen or neither.

The row is written first: a token whose keys nobody knows would be lost, a row without a token is taken back.
"""

import asyncio
import secrets
import time
from dataclasses import dataclass

from bztoken.errors import LinkError
from bztoken.home import Home
from bztoken.link.token_link import TokenLink
from bztoken.registry import tokens
from bztoken.registry.database import Registry, open_registry
from bzwire import keys, messages


@dataclass(frozen=True)
class Provisioned:
    """What was done."""

    label: str
    role: str
    board: str
    firmware: str


def provision(home: Home, port: str, label: str, role: str = tokens.ROLE_PERSON) -> Provisioned:
    """Provision the blank token at a port, set its clock. Raises LinkError or RegistryError; then nothing changed."""
    with open_registry(home) as registry:
        return asyncio.run(_provision(home, registry, port, label, role))


async def _provision(home: Home, registry: Registry, port: str, label: str, role: str) -> Provisioned:
    uid = secrets.token_bytes(keys.UID_BYTES)
    token_keys = tokens.token_keys(home.master_key(), uid)
    async with TokenLink(port) as link:
        info = await link.info()
        if info.provisioned:
            raise LinkError(f"The token at {port} belongs to a registry already: it was not changed.")
        with registry.write() as session:
            tokens.create(session, label, uid, role, info.board, int(time.time()))
        try:
            await _hand_over(link, uid, token_keys, role)
        except LinkError:
            with registry.write() as session:
                tokens.remove_unused(session, uid)
            raise
        await link.command(messages.CMD_SET_CLOCK, t=time.time_ns() // 1_000_000)
    return Provisioned(label, role, info.board, info.firmware)


async def _hand_over(link: TokenLink, uid: bytes, token_keys: tokens.TokenKeys, role: str) -> None:
    """Send the keys, then see that the token holds them; a lost answer is no failure if it does."""
    try:
        await link.provision(uid, token_keys.auth_key, token_keys.first_log_key, role)
    except LinkError:
        if not (await link.info()).provisioned:
            raise
    challenge = await link.challenge()
    expected = keys.token_proof(token_keys.auth_key, challenge.host_nonce, challenge.token_nonce)
    if not keys.same(expected, challenge.proof):
        raise LinkError("The token does not hold the keys it was given: it was provisioned by somebody else meanwhile.")
    await link.open_session(challenge, token_keys.auth_key)
