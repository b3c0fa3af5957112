"""Keys of a token that follow from the registry's master key. No token computes one of these, or loads this.

root = what the registry derives per token and never stores on it.
"""

from .errors import OutOfRange
from .keys import KEY_BYTES, UID_BYTES, hmac_sha256


def token_root(master_key: bytes, uid: bytes) -> bytes:
    """Root key (32 bytes) of one token: HMAC-SHA256(master, "bz-token" || uid)."""
    if len(master_key) != KEY_BYTES or len(uid) != UID_BYTES:
        raise OutOfRange("a master key has 32 bytes and a token number 8")
    return hmac_sha256(master_key, b"bz-token", uid)


def auth_key(root: bytes) -> bytes:
    """The key of the challenge-response."""
    return hmac_sha256(root, b"bz-auth")


def first_log_key(root: bytes) -> bytes:
    """Log key 0, used on the day of provisioning."""
    return hmac_sha256(root, b"bz-log")
