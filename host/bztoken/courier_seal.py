"""The seal of a courier's pass on the courier's computer: it opens with the registry key of that computer only."""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bzwire import keys

_NONCE_BYTES = 12
_SEAL = b"bztoken courier pass"


def seal_pass(registry_key: bytes, raw: bytes) -> bytes:
    """The content of `courier.pass`."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(_sealing_key(registry_key)).encrypt(nonce, raw, _SEAL)


def unseal_pass(registry_key: bytes, sealed: bytes) -> bytes | None:
    """What was sealed; None when it was changed, or sealed under another key."""
    try:
        return AESGCM(_sealing_key(registry_key)).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _SEAL)
    except (InvalidTag, ValueError):
        return None


def _sealing_key(registry_key: bytes) -> bytes:
    return keys.hmac_sha256(registry_key, _SEAL)
