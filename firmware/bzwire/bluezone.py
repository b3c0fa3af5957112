"""Bluezone on the air: key schedule, 12-byte rotating IDs, the legacy advertisement in both directions.

Facts and byte order: SPEC.md "On the air". A day starts at 00:00 UTC and has 96 slots of 900 s.
"""

import hashlib
import struct

from .errors import Malformed, OutOfRange

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Buffer

DAY_S = 86400
SLOT_S = 900
SLOTS_PER_DAY = 96
KEY_BYTES = 32
ID_BYTES = 12
SALT = b"bluzonesubkey"  # sic: the misspelling is part of the protocol
SELECTED_BYTES = (0, 4, 8, 12, 16, 18, 20, 22, 24, 26, 28, 30)

SERVICE_UUID = 0x4E56  # "VN"
COMPANY_ID = 8885
TX_POWER_UNKNOWN = 127  # Bluetooth's own value for "not available"
# iPhones cannot advertise an ID: a peer connects and reads it from this characteristic of this service.
SERVICE_UUID128 = "00004E56-73F5-4BC4-A12F-17D1AD07A667"
CHARACTERISTIC_UUID128 = "00004E56-73F5-4BC4-A12F-17D1AD07A689"

# flags "LE general discoverable, no BR/EDR", complete list of 16-bit UUIDs, manufacturer data of 2 + 12 bytes
_HEAD = b"\x02\x01\x06\x03\x03\x56\x4e\x0f\xff\xb5\x22"
_HEAD_AFTER_FLAGS = _HEAD[3:]  # made once: this is looked at for every packet
_TX_HEAD = b"\x02\x0a"
_AD_MANUFACTURER = 0xFF
_AD_UUID16_SOME = 0x02
_AD_UUID16_ALL = 0x03
_AD_TX_POWER = 0x0A
_AD_UUID128 = (0x06, 0x07)  # some of them, all of them
_UUID128_LE = b"\x67\xa6\x07\xad\xd1\x17\x2f\xa1\xc4\x4b\xf5\x73\x56\x4e\x00\x00"
_APPLE_OVERFLOW = b"\x4c\x00\x01"  # Apple, the area for services of apps in the background: a mask of 16 bytes follows
_COMPANY_LE = b"\xb5\x22"
_UUID_LE = b"\x56\x4e"


def day_of(unix_s: int) -> int:
    """Number of the UTC day (days since 1970-01-01) that holds this second."""
    return unix_s // DAY_S


def slot_of(unix_s: int) -> int:
    """Slot 0..95 of the UTC day that holds this second."""
    return unix_s % DAY_S // SLOT_S


def next_day_key(day_key: bytes) -> bytes:
    """The phone app's chain: SHA-256 of the day key. Tokens never use it, case lists of phones do."""
    return hashlib.sha256(day_key).digest()


def _select(sub_key: bytes) -> bytes:
    return bytes([sub_key[i] for i in SELECTED_BYTES])


def slot_ids(day_key: bytes, slots: int = SLOTS_PER_DAY) -> "Iterator[bytes]":
    """The 12-byte IDs of slots 0, 1, .. of a day.

    Raises OutOfRange when the key is not 32 bytes or slots is not 0..96.
    """
    if len(day_key) != KEY_BYTES:
        raise OutOfRange("a Bluezone day key has 32 bytes")
    if not 0 <= slots <= SLOTS_PER_DAY:
        raise OutOfRange("a day has 0 to 96 slots")
    sub_key = hashlib.sha256(day_key + SALT).digest()
    for _ in range(slots):
        yield _select(sub_key)
        sub_key = hashlib.sha256(sub_key).digest()


def slot_id(day_key: bytes, slot: int) -> bytes:
    """The 12-byte ID of one slot (0..95)."""
    if not 0 <= slot < SLOTS_PER_DAY:
        raise OutOfRange("a slot is 0 to 95")
    ids = slot_ids(day_key, slot + 1)
    for _ in range(slot):
        next(ids)
    return next(ids)


def advertisement(rotating_id: bytes, tx_power_dbm: "int | None" = None) -> bytes:
    """The advertising payload: 23 bytes, or 26 with the TX power field.

    Raises OutOfRange when the ID is not 12 bytes or the power does not fit a signed byte.
    """
    if len(rotating_id) != ID_BYTES:
        raise OutOfRange("a Bluezone ID has 12 bytes")
    if tx_power_dbm is None:
        return _HEAD + rotating_id
    if not -127 <= tx_power_dbm <= 126:
        raise OutOfRange("TX power is -127 to 126 dBm")
    return _HEAD + rotating_id + _TX_HEAD + struct.pack("b", tx_power_dbm)


def parse_advertisement(data: "Buffer") -> "tuple[bytes, int] | None":
    """(ID, TX power in dBm or TX_POWER_UNKNOWN) of a Bluezone advertisement, None for anybody else's.

    Accepts the fields in any order, as phones may send them. Raises Malformed when the payload claims to be Bluezone
    but its lengths do not add up, so that a caller can count damaged packets apart from foreign ones.
    """
    view = memoryview(data)
    # Tokens always send this very layout; the general walk below is for phones.
    if len(view) >= 23 and view[3:11] == _HEAD_AFTER_FLAGS:
        if len(view) == 23:
            return bytes(view[11:23]), TX_POWER_UNKNOWN
        if len(view) == 26 and view[23:25] == _TX_HEAD:
            return bytes(view[11:23]), _signed(view[25])
    return _parse_fields(view)


def _signed(byte: int) -> int:
    return byte - 256 if byte > 127 else byte


def _parse_fields(view: memoryview) -> "tuple[bytes, int] | None":
    found = None
    tx_power_dbm = TX_POWER_UNKNOWN
    service_seen = False
    at = 0
    while at < len(view):
        length = view[at]
        if length == 0:  # early end: the rest is padding
            break
        end = at + 1 + length
        if end > len(view):
            if service_seen or found is not None:
                raise Malformed("advertisement field runs past the end")
            return None
        kind = view[at + 1]
        value = view[at + 2 : end]
        if kind == _AD_MANUFACTURER and len(value) == 2 + ID_BYTES and value[:2] == _COMPANY_LE:
            found = bytes(value[2:])
        elif kind in (_AD_UUID16_SOME, _AD_UUID16_ALL):
            service_seen = service_seen or _holds_uuid(value)
        elif kind == _AD_TX_POWER and len(value) == 1:
            tx_power_dbm = _signed(value[0])
        at = end
    if found is None or not service_seen:
        return None
    return found, tx_power_dbm


def _holds_uuid(value: memoryview) -> bool:
    for at in range(0, len(value) - 1, 2):
        if value[at : at + 2] == _UUID_LE:
            return True
    return False


def is_iphone(data: "Buffer") -> bool:
    """True for the advertisement of an iPhone that may carry Bluezone, to be asked over a connection.

    In the foreground it names the service; in the background a bit in a mask that other apps share stands for it, so
    every such mask is taken. A damaged payload is nobody's.
    """
    view = memoryview(data)
    at = 0
    while at + 2 < len(view) and view[at]:
        end = at + 1 + view[at]
        value = view[at + 2 : end]
        if view[at + 1] == _AD_MANUFACTURER:
            if len(value) == 19 and value[:3] == _APPLE_OVERFLOW:
                return True
        elif view[at + 1] in _AD_UUID128:
            for n in range(0, len(value), 16):
                if value[n : n + 16] == _UUID128_LE:
                    return True
        at = end
    return False
