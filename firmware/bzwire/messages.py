"""The token group of SMP: command numbers, field names, and the sealed envelope that carries a MAC.

A sealed body is {"c": counter, "b": CBOR bytes, "m": MAC}. The MAC covers direction, command, counter and the very
bytes of "b", so no canonical form is needed. Requests count upwards; a token refuses a counter that is not higher than
the last one it took, a host accepts only the counter it sent. Fields of each command: SPEC.md "Commands".
"""

from . import cbor
from .errors import BadChecksum, Malformed
from .keys import message_mac, same

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PROTOCOL_VERSION = 1

# public
CMD_INFO = 0
CMD_PROVISION = 1
CMD_HELLO = 2
CMD_AUTHENTICATE = 3
# sealed
CMD_STATUS = 4
CMD_READ = 5
CMD_ACKNOWLEDGE = 6
CMD_SET_CLOCK = 7
CMD_ASK_RELEASE = 8
CMD_READ_RELEASE = 9
CMD_SETTINGS = 10
CMD_SELF_TEST = 11
CMD_READ_SELF_TEST = 12
CMD_LOCATE = 13
CMD_WIPE = 14
CMD_UPDATE_BEGIN = 15
CMD_UPDATE_WRITE = 16
CMD_UPDATE_FINISH = 17

# What a courier's computer, which holds no key of the registry, may ask of a token; the clock only while it is unset.
COURIER_COMMANDS = (CMD_STATUS, CMD_READ, CMD_SET_CLOCK)

# The times that a clock may be set to. Before the first, 2026-01-01 UTC, no token was made: a clock that says less was
# never set. After the second, 2100-01-01 UTC, nobody wears one, and window starts would not fit 32 bits.
EARLIEST_UNIX_MS = 1767225600000
LATEST_UNIX_MS = 4102444800000

REQUEST = b"Q"
RESPONSE = b"R"

# Values of the settings' fields `p` and `s`.
PROFILE_CONTINUOUS = 0
PROFILE_WINDOWED = 1
SCHEME_BLUEZONE = 0
SCHEME_GAEN = 1

SELF_TEST_NONE = 0
SELF_TEST_RUNNING = 1
SELF_TEST_DONE = 2

RELEASE_NONE = 0  # nothing was asked, the minute is over, or the cable session ended
RELEASE_WAITING = 1  # the light asks, the wearer has not answered
RELEASE_GRANTED = 2

RELEASE_TIMEOUT_S = 60
MAX_READ_BYTES = 2048  # what INFO tells as `rb`
OLD_MAX_READ_BYTES = 1024  # of tokens that do not tell it: versions 0.1 and 0.2
MAX_LOCATE_S = 120
COURIER_ID_BYTES = 8
MAX_COUNTER = 0xFFFFFFFF


def seal(session: bytes, direction: bytes, command: int, counter: int, fields: "dict[str, Any]") -> "dict[str, Any]":
    """The SMP map of a sealed message."""
    body = cbor.dumps(fields)
    return {"c": counter, "b": body, "m": message_mac(session, direction, command, counter, body)}


def seal_in_pieces(
    session: bytes, direction: bytes, command: int, counter: int, fields: "dict[str, Any]"
) -> "dict[str, Any]":
    """`seal` for one that has no room for a copy of a long answer: "b" is a `cbor.Pieces`."""
    body = cbor.dump_pieces(fields)
    return {"c": counter, "b": body, "m": message_mac(session, direction, command, counter, body)}


def unseal(session: bytes, direction: bytes, command: int, envelope: "dict[str, Any]") -> "tuple[int, dict[str, Any]]":
    """(counter, fields) of a sealed message. Raises Malformed for a wrong shape, BadChecksum for a wrong MAC."""
    counter, body, mac = envelope.get("c"), envelope.get("b"), envelope.get("m")
    # True is an int on CPython, but not on MicroPython
    if isinstance(counter, bool) or not isinstance(counter, int):
        raise Malformed("not a sealed message")
    if not isinstance(body, bytes) or not isinstance(mac, bytes):
        raise Malformed("not a sealed message")
    if not 0 <= counter <= MAX_COUNTER:
        raise Malformed("message counter out of range")
    if not same(message_mac(session, direction, command, counter, body), mac):
        raise BadChecksum("message authentication failed")
    fields = cbor.loads(body)
    if not isinstance(fields, dict):
        raise Malformed("a message is a map")
    return counter, fields


def field_int(fields: "dict[str, Any]", name: str, low: int, high: int) -> int:
    """An integer field within bounds. Raises Malformed."""
    value = fields.get(name)
    if not isinstance(value, int) or value is True or value is False or not low <= value <= high:
        raise Malformed("field " + name + " missing or out of range")
    return value


def field_bytes(fields: "dict[str, Any]", name: str, length: int) -> bytes:
    """A byte field of an exact length. Raises Malformed."""
    value = fields.get(name)
    if not isinstance(value, bytes) or len(value) != length:
        raise Malformed("field " + name + " missing or of a wrong length")
    return value
