"""Requests made by hand over any SMP client: what somebody with a cable could send, not what our own link sends."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from smp.error import ErrorV1, ErrorV2
from smpclient import SMPClient

from bztoken.link import requests
from bztoken.link.transport import TokenTransport
from bzwire import keys, messages

TIMEOUT_S = 2.0


@asynccontextmanager
async def cable(port: str) -> AsyncIterator[SMPClient]:
    """A plain SMP client at a port."""
    client = SMPClient(TokenTransport(), port, TIMEOUT_S)
    await client.connect(TIMEOUT_S)
    try:
        yield client
    finally:
        await client.disconnect()


async def ask(client: SMPClient, request: Any) -> Any:
    """Any request's answer or refusal."""
    return await client.request(request, TIMEOUT_S)


def refusal(answer: Any) -> int | None:
    """The number of a refusal, None for an answer."""
    if isinstance(answer, ErrorV2):
        return int(answer.err.rc)
    if isinstance(answer, ErrorV1):
        return int(answer.rc)
    return None


async def prove(client: SMPClient, auth_key: bytes) -> tuple[bytes, Any]:
    """(session key, answer to the proof)."""
    host_nonce = secrets.token_bytes(keys.NONCE_BYTES)
    hello = await ask(client, requests.Hello(nh=host_nonce))
    proof = keys.host_proof(auth_key, host_nonce, hello.nt)
    answer = await ask(client, requests.Authenticate(m=proof))
    return keys.session_key(auth_key, host_nonce, hello.nt), answer


def sealed(session: bytes, command: int, counter: int, **fields: int) -> Any:
    """A sealed request."""
    envelope = messages.seal(session, messages.REQUEST, command, counter, fields)
    return requests.SEALED[command](c=envelope["c"], b=envelope["b"], m=envelope["m"])


def opened(session: bytes, command: int, answer: Any) -> dict[str, Any]:
    """The fields of a sealed answer."""
    envelope = {"c": answer.c, "b": answer.b, "m": answer.m}
    return messages.unseal(session, messages.RESPONSE, command, envelope)[1]
