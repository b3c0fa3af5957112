"""The audit's anchor: number and digest of its last entry in a file beside the database, under a key that follows from
the registry key, so that entries taken off the end are missed.

It is written after the commit: a crash lets it lag behind, never lead. Whoever has the registry key can write another.
"""

import hashlib
import hmac
import json
import logging
from collections.abc import Callable
from typing import NamedTuple

from bztoken.errors import BztokenError, RegistryError
from bztoken.home import Home, private_file

NAME = "audit.head"
_PURPOSE = b"bztoken audit head 1"
_log = logging.getLogger(__name__)


class Head(NamedTuple):
    """The last entry that is known: its number, 0 before there is any, and its digest."""

    number: int
    digest: bytes


NOTHING_YET = Head(0, bytes(32))


class Keeper:
    """Moves the anchor of one open registry on; never back, and never over a chain that does not fit it."""

    def __init__(self, home: Home, registry_key: bytes) -> None:
        self._home = home
        self._key = registry_key

    def advance(self, head: Head, digest_of_entry: Callable[[int], bytes | None]) -> None:
        """After a commit. Where the file cannot be written it lags, which is told: what was committed stays.

        A file that is missing is not made anew, nor one changed that does not fit: `audit verify` must find that.
        """
        try:
            known = _read(self._home, [self._key], or_none=True) or read(self._home)
            if known is None or (known.number and digest_of_entry(known.number) != known.digest):
                _log.warning("The audit is not as it was written: `bztoken audit verify` says more.")
            elif known.number < head.number:
                put(self._home, self._key, head)
        except (BztokenError, OSError):
            _log.warning("The anchor of the audit could not be moved on: `bztoken audit verify` says more.")


def put(home: Home, registry_key: bytes, head: Head) -> None:
    """Write it whole or not at all, whatever was there. Raises OSError."""
    document = {"number": head.number, "digest": head.digest.hex(), "mac": _mac(registry_key, head).hex()}
    with private_file(home.path / NAME) as file:
        file.write(json.dumps(document).encode() + b"\n")


def read(home: Home) -> Head | None:
    """None where there is no file. Raises RegistryError for one that was not written under a key of this registry, a
    key of before included; HomeError, OSError.
    """
    head = _read(home, [home.registry_key()], or_none=True)
    if head is not None:
        return head
    before = [path for path in home.key_files() if path.name.startswith(f"{home.registry_key_path.name}.before-")]
    return _read(home, [home.open_key(path)[0] for path in before])


def _read(home: Home, registry_keys: list[bytes], or_none: bool = False) -> Head | None:
    """or_none: answer None, too, for one that was written under none of these keys."""
    path = home.path / NAME
    if not path.exists():
        return None
    try:
        document = json.loads(path.read_bytes())
        head = Head(int(document["number"]), bytes.fromhex(document["digest"]))
        mac = bytes.fromhex(document["mac"])
    except (ValueError, KeyError, TypeError) as error:
        raise _not_ours() from error
    if any(hmac.compare_digest(mac, _mac(key, head)) for key in registry_keys):
        return head
    if or_none:
        return None
    raise _not_ours()


def _not_ours() -> RegistryError:
    return RegistryError(
        f"{NAME} was not written by this registry, or was changed: nothing was changed; keep it, and compare the audit "
        "with that of a backup"
    )


def _mac(registry_key: bytes, head: Head) -> bytes:
    key = hmac.digest(registry_key, _PURPOSE, hashlib.sha256)
    return hmac.digest(key, b"%d:" % head.number + head.digest, hashlib.sha256)
