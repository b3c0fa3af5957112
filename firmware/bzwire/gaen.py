"""GAEN, the Exposure Notification protocol v1.2, on the air: keys, rolling identifiers, the advertisement both ways.

Facts and byte order: SPEC.md "On the air". TEK: the day's key; RPI: the identifier of ten minutes; AEM: its encrypted
TX power. AES comes in as `ecb(key, blocks) -> blocks`, as in `page`.
"""

import struct

from .bluezone import DAY_S, TX_POWER_UNKNOWN
from .errors import Malformed, OutOfRange
from .keys import hmac_sha256

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Buffer

INTERVAL_S = 600
INTERVALS_PER_DAY = 144
KEY_BYTES = 16
RPI_BYTES = 16
AEM_BYTES = 4
ID_BYTES = RPI_BYTES + AEM_BYTES
SERVICE_UUID = 0xFD6F
METADATA_VERSION = 0x40

# flags, complete list of 16-bit UUIDs, service data of 2 + 20 bytes
_HEAD = b"\x02\x01\x1a\x03\x03\x6f\xfd\x17\x16\x6f\xfd"
_HEAD_BYTES = 11
_ADVERTISEMENT_BYTES = 31
_AD_UUID16 = (0x02, 0x03)
_AD_SERVICE_DATA = 0x16
_UUID_LE = b"\x6f\xfd"
_MAJOR_VERSION_MASK = 0xC0


def interval_of(unix_s: int) -> int:
    """Number of the ten minutes (since 1970-01-01 UTC) that hold this second."""
    return unix_s // INTERVAL_S


def day_start_interval(unix_s: int) -> int:
    """Interval at 00:00 UTC of the day that holds this second: the rolling start of its TEK, valid 144 intervals."""
    return unix_s // DAY_S * INTERVALS_PER_DAY


def _hkdf(tek: bytes, info: bytes) -> bytes:
    """HKDF-SHA256 (RFC 5869) without salt; 16 bytes are one block. Raises OutOfRange for a key of another size."""
    if len(tek) != KEY_BYTES:
        raise OutOfRange("a GAEN key has 16 bytes")
    return hmac_sha256(hmac_sha256(b"", tek), info + b"\x01")[:KEY_BYTES]


def rpi_key(tek: bytes) -> bytes:
    """RPIK, the key of the day's identifiers (16 bytes). Raises OutOfRange for a TEK of another size."""
    return _hkdf(tek, b"EN-RPIK")


def aem_key(tek: bytes) -> bytes:
    """AEMK, the key of the day's metadata (16 bytes). Raises OutOfRange for a TEK of another size."""
    return _hkdf(tek, b"EN-AEMK")


def rpi(rpik: bytes, interval: int, ecb: "Callable[[bytes, bytes], bytes]") -> bytes:
    """The 16-byte identifier of one interval. Raises OutOfRange for an interval past 32 bits."""
    if not 0 <= interval < 1 << 32:
        raise OutOfRange("a GAEN interval is a uint32")
    return ecb(rpik, b"EN-RPI" + struct.pack("<6xI", interval))


def aem(aemk: bytes, identifier: bytes, tx_power_dbm: int, ecb: "Callable[[bytes, bytes], bytes]") -> bytes:
    """The 4 bytes of metadata that go with an RPI. Raises OutOfRange when the power does not fit a signed byte."""
    if not -128 <= tx_power_dbm < 128:
        raise OutOfRange("TX power is a signed byte")
    return _crypt(aemk, identifier, bytes([METADATA_VERSION, tx_power_dbm & 0xFF, 0, 0]), ecb)


def open_aem(aemk: bytes, identifier: bytes, metadata: bytes, ecb: "Callable[[bytes, bytes], bytes]") -> int:
    """The TX power in dBm that an AEM hides. Raises Malformed for another version: mostly it is a wrong key."""
    if len(metadata) != AEM_BYTES:
        raise Malformed("GAEN metadata has 4 bytes")
    plain = _crypt(aemk, identifier, metadata, ecb)
    if plain[0] & _MAJOR_VERSION_MASK != METADATA_VERSION:
        raise Malformed("GAEN metadata of another version")
    return plain[1] - 256 if plain[1] > 127 else plain[1]


def _crypt(aemk: bytes, identifier: bytes, data: bytes, ecb: "Callable[[bytes, bytes], bytes]") -> bytes:
    """AES-CTR whose only counter block is the RPI."""
    return bytes([a ^ b for a, b in zip(data, ecb(aemk, identifier))])


def advertisement(identifier: bytes, metadata: bytes) -> bytes:
    """The advertising payload: 31 bytes, all there are. Raises OutOfRange for lengths other than 16 and 4."""
    if len(identifier) != RPI_BYTES or len(metadata) != AEM_BYTES:
        raise OutOfRange("a GAEN identifier has 16 bytes and its metadata 4")
    return _HEAD + identifier + metadata


def parse_advertisement(data: "Buffer") -> "tuple[bytes, int] | None":
    """(RPI || AEM, TX_POWER_UNKNOWN) of a GAEN advertisement, None for anybody else's.

    Accepts the fields in any order. Raises Malformed when the payload names the GAEN service but has no data of the
    right length for it, so that a caller can count damaged packets apart from foreign ones.
    """
    view = memoryview(data)
    if len(view) == _ADVERTISEMENT_BYTES and view[:_HEAD_BYTES] == _HEAD:
        return bytes(view[_HEAD_BYTES:]), TX_POWER_UNKNOWN
    found = None
    claimed = False
    at = 0
    while at < len(view) and view[at]:  # a length of zero: the rest is padding
        end = at + 1 + view[at]
        kind = view[at + 1] if at + 1 < len(view) else 0
        value = view[at + 2 : end]
        if kind == _AD_SERVICE_DATA and value[:2] == _UUID_LE:
            claimed = True
            if end <= len(view) and len(value) == 2 + ID_BYTES:
                found = bytes(value[2:])
        elif kind in _AD_UUID16:
            claimed = claimed or _UUID_LE in [bytes(value[n : n + 2]) for n in range(0, len(value), 2)]
        at = end
    if not claimed:
        return None
    if found is None or at > len(view):
        raise Malformed("GAEN advertisement that does not add up")
    return found, TX_POWER_UNKNOWN
