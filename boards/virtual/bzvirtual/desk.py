"""The hand-out desk of a virtual fleet: provisions tokens over their consoles in virtual time.

It speaks the same commands as the host's `bztoken provision`, but synchronously and without a clock of its own, so that
a run can be repeated.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

from bzwire import cbor, keys, messages, registry_keys, smp

from .errors import FleetError
from .lockstep import Lockstep, Token


@dataclass(frozen=True)
class Identity:
    """What a token is given. label: what is printed on it; uid 8 bytes; keys 32 bytes each."""

    label: str
    uid: bytes
    auth_key: bytes
    first_log_key: bytes
    role: str = "person"

    @classmethod
    def derive(cls, label: str, uid: bytes, master_key: bytes, role: str = "person") -> "Identity":
        """From a registry's master key."""
        root = registry_keys.token_root(master_key, uid)
        return cls(label, uid, registry_keys.auth_key(root), registry_keys.first_log_key(root), role)


def identities_from_seed(labels: list[str], seed: int) -> tuple[bytes, list[Identity]]:
    """(master key, identities) that depend on the seed alone: for fleets that belong to no registry."""
    master_key = hashlib.sha256(f"virtual fleet {seed}".encode()).digest()
    numbers = [hashlib.sha256(f"virtual token {seed} {index}".encode()).digest()[:8] for index in range(len(labels))]
    return master_key, [Identity.derive(label, uid, master_key) for label, uid in zip(labels, numbers, strict=True)]


class Desk:
    """Serves one token after the other."""

    def __init__(self, lockstep: Lockstep) -> None:
        self._lockstep = lockstep
        self._sequence = 0

    def _ask(self, token: Token, command: int, fields: dict[str, Any]) -> dict[str, Any]:
        self._sequence = (self._sequence + 1) % 256
        request = smp.Message(smp.OP_WRITE, smp.GROUP_TOKEN, command, self._sequence, cbor.dumps(fields))
        answer = cbor.loads(smp.unpack_message(self._lockstep.exchange(token, request.pack())).body)
        if not isinstance(answer, dict) or "err" in answer or "rc" in answer:
            raise FleetError(f"A virtual token refused command {command}: {answer}.")
        return answer

    def hand_out(self, token: Token, identity: Identity, unix_ms: int) -> bytes:
        """Provision a blank token and set its clock; the key of the session, of which counter 1 is used."""
        self._ask(
            token,
            messages.CMD_PROVISION,
            {"u": identity.uid, "k": identity.auth_key, "l": identity.first_log_key, "r": identity.role},
        )
        session = self._open(token, identity)
        envelope = messages.seal(session, messages.REQUEST, messages.CMD_SET_CLOCK, 1, {"t": unix_ms})
        answer = self._ask(token, messages.CMD_SET_CLOCK, envelope)
        messages.unseal(session, messages.RESPONSE, messages.CMD_SET_CLOCK, answer)
        return session

    def _open(self, token: Token, identity: Identity) -> bytes:
        host_nonce = hashlib.sha256(identity.uid).digest()[: keys.NONCE_BYTES]
        hello = self._ask(token, messages.CMD_HELLO, {"nh": host_nonce})
        token_nonce = hello["nt"]
        if not keys.same(hello["m"], keys.token_proof(identity.auth_key, host_nonce, token_nonce)):
            raise FleetError("A virtual token does not hold the key that it was given.")
        proof = keys.host_proof(identity.auth_key, host_nonce, token_nonce)
        self._ask(token, messages.CMD_AUTHENTICATE, {"m": proof})
        return keys.session_key(identity.auth_key, host_nonce, token_nonce)
