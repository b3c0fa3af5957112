"""What a set of keys is called when people must be sure to mean the same one: a digest, which gives no key away.

Two persons on a telephone compare 24 letters and digits of it, in groups of four; programs compare all of it.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable

from bztoken.formats.case_list import CaseKey, day_keys
from bztoken.formats.tracing_key import TracingKey

SAID_BYTES = 15  # 120 bits: nobody makes two sets of keys that are called the same
_GROUP = 4
_BASE32_CHARACTERS = SAID_BYTES * 8 // 5
_HEX = re.compile(r"[0-9a-fA-F]{64}")


def digest_of(keys: Iterable[TracingKey | CaseKey], ids: Iterable[tuple[bytes, int]] = ()) -> bytes:
    """SHA-256 over scheme, day key, start and slots of each, whatever their order; ids: (ID, start of its slot in unix
    s).

    Entries of a chain count day by day, so that a list has the digest of the keys that are recorded from it. When a
    key was last on the air is left out: today's ends at another second for each who asks.
    """
    lines = {_line(key) for one in keys for key in _by_day(one)}
    lines |= {f"id {rotating_id.hex()} {slot_start_s}" for rotating_id, slot_start_s in ids}
    return hashlib.sha256("\n".join(sorted(lines)).encode()).digest()


def said(digest: bytes) -> str:
    """As people read it out: six groups of four capital letters and digits 2 to 7."""
    text = base64.b32encode(digest[:SAID_BYTES]).decode()
    return "-".join(text[at : at + _GROUP] for at in range(0, len(text), _GROUP))


def parse(text: str) -> bytes | None:
    """The first 15 bytes of a digest, from its groups or from all its hex digits; None for what is neither."""
    plain = "".join(text.split()).replace("-", "")
    if _HEX.fullmatch(plain):
        return bytes.fromhex(plain)[:SAID_BYTES]
    if len(plain) != _BASE32_CHARACTERS:
        return None
    try:
        return base64.b32decode(plain.upper())
    except binascii.Error:
        return None


def _line(key: TracingKey) -> str:
    return f"{key.scheme} {key.key.hex()} {key.time_start_s} {key.slots_per_day}"


def _by_day(key: TracingKey | CaseKey) -> Iterable[TracingKey]:
    return day_keys(key) if isinstance(key, CaseKey) else (key,)
