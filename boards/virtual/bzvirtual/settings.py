"""Tells a virtual token, right after its hand-out, the settings that a world names for it."""

from typing import Any

from bzwire import cbor, messages, smp

from .errors import FleetError
from .lockstep import Lockstep, Token
from .world import Options

COUNTER = 2  # the hand-out took the first of its session
CODES = {
    "profile": ("p", ("continuous", "windowed")),
    "scheme": ("s", ("bluezone", "gaen")),
    "hear": ("h", ("own", "both")),
}


def fields_of(options: Options) -> dict[str, int]:
    """Fields of the settings command: only what the world names."""
    named = {word: getattr(options, word) for word in CODES}
    return {CODES[word][0]: CODES[word][1].index(value) for word, value in named.items() if value}


def tell_settings(lockstep: Lockstep, token: Token, session: bytes, options: Options) -> None:
    """One sealed command, or none when the world names no settings. Raises FleetError when the token refuses."""
    fields = fields_of(options)
    if not fields:
        return
    command = messages.CMD_SETTINGS
    envelope = messages.seal(session, messages.REQUEST, command, COUNTER, fields)
    request = smp.Message(smp.OP_WRITE, smp.GROUP_TOKEN, command, COUNTER, cbor.dumps(envelope))
    answer: dict[str, Any] = cbor.loads(smp.unpack_message(lockstep.exchange(token, request.pack())).body)
    if "err" in answer or "rc" in answer:
        raise FleetError(f"A virtual token refused its settings: {answer}.")
    messages.unseal(session, messages.RESPONSE, command, answer)
