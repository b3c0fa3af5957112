"""Keys of a token: what follows from its root key, the log-key ratchet, the session of one cable connection.

A token holds only its auth key and the log key of the present day (both from `registry_keys`); who reads its flash can
therefore neither compute older log keys nor another token's keys.
"""

import hashlib
import struct

from .cbor import Pieces
from .errors import OutOfRange

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing_extensions import Buffer

KEY_BYTES = 32
NONCE_BYTES = 16
MAC_BYTES = 16
UID_BYTES = 8
MAX_RATCHET_STEPS = 36525  # a hundred years of days: bounds what a forged header can make a reader compute

_BLOCK_BYTES = 64
_IPAD = bytes([0x36] * _BLOCK_BYTES)
_OPAD = bytes([0x5C] * _BLOCK_BYTES)


def _xor_pad(key: bytes, pad: bytes) -> bytes:
    return bytes([a ^ b for a, b in zip(key, pad)]) + pad[len(key) :]


def hmac_sha256(key: bytes, *parts: "Buffer | Pieces") -> bytes:
    """HMAC-SHA256 (RFC 2104) over the parts in order; MicroPython has no hmac module built in."""
    if len(key) > _BLOCK_BYTES:
        key = hashlib.sha256(key).digest()
    inner = hashlib.sha256(_xor_pad(key, _IPAD))
    for part in Pieces(parts):
        inner.update(part)
    return hashlib.sha256(_xor_pad(key, _OPAD) + inner.digest()).digest()


def same(a: bytes, b: bytes) -> bool:
    """Compare two secrets in a time that does not depend on where they differ."""
    if len(a) != len(b):
        return False
    difference = 0
    for x, y in zip(a, b):
        difference |= x ^ y
    return difference == 0


def next_log_key(log_key: bytes, steps: int = 1) -> bytes:
    """The log key `steps` days later. There is no way back.

    Raises OutOfRange for a negative number of steps or more than MAX_RATCHET_STEPS.
    """
    if not 0 <= steps <= MAX_RATCHET_STEPS:
        raise OutOfRange("log key number out of range")
    for _ in range(steps):
        log_key = hashlib.sha256(log_key).digest()
    return log_key


def page_keys(log_key: bytes) -> "tuple[bytes, bytes]":
    """(AES-128 key, tag key) of the pages written under one log key."""
    return hmac_sha256(log_key, b"bz-page-enc")[:16], hmac_sha256(log_key, b"bz-page-tag")


def courier_key(auth: bytes, courier_id: bytes, last_day: int) -> bytes:
    """The auth key of one courier's computer with one token, until `last_day` (UTC day number) is over (32 bytes).

    The token computes it from what the courier says of itself; the courier holds nothing from which the auth key
    follows. Raises OutOfRange for a day past 32 bits.
    """
    if not 0 <= last_day < 1 << 32:
        raise OutOfRange("day out of range")
    return hmac_sha256(auth, b"bz-courier", courier_id, struct.pack(">I", last_day))


def update_mac(auth: bytes, digest: bytes, size: int, forced: bool, version: str) -> bytes:
    """What a station shows to let a token take an application archive (32 bytes).

    digest: SHA-256 of the archive; size: its bytes; forced: also when it is older. Raises OutOfRange for a size past
    32 bits.
    """
    if not 0 <= size < 1 << 32:
        raise OutOfRange("archive size out of range")
    key = hmac_sha256(auth, b"bz-update")
    return hmac_sha256(key, digest, struct.pack(">IB", size, 1 if forced else 0), version.encode())


def token_proof(auth: bytes, host_nonce: bytes, token_nonce: bytes) -> bytes:
    """What the token shows to prove that it holds the auth key (16 bytes)."""
    return hmac_sha256(auth, b"T", host_nonce, token_nonce)[:MAC_BYTES]


def host_proof(auth: bytes, host_nonce: bytes, token_nonce: bytes) -> bytes:
    """What the host shows (16 bytes); the letter keeps one side's proof from serving as the other's."""
    return hmac_sha256(auth, b"H", host_nonce, token_nonce)[:MAC_BYTES]


def session_key(auth: bytes, host_nonce: bytes, token_nonce: bytes) -> bytes:
    """The key of the MACs of this connection only (32 bytes)."""
    return hmac_sha256(auth, b"S", host_nonce, token_nonce)


def message_mac(session: bytes, direction: bytes, command: int, counter: int, body: "Buffer | Pieces") -> bytes:
    """MAC of one sealed message (16 bytes); direction is b"Q" for a request, b"R" for a response.

    Raises OutOfRange for a command past 8 bits or a counter past 32, which MicroPython's struct would cut to one that
    was used before.
    """
    if not 0 <= command < 1 << 8 or not 0 <= counter < 1 << 32:
        raise OutOfRange("command or message counter out of range")
    return hmac_sha256(session, direction, struct.pack(">BI", command, counter), body)[:MAC_BYTES]
