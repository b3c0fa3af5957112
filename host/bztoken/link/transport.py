"""The serial port under smpclient, opened once and with reasons that a person understands.

DTR and RTS stay low: on boards with a USB bridge those lines reset the chip or hold it in its boot loader.
"""

import errno
import logging
import os
import termios

import cbor2
from serial import SerialException
from smp.header import Header
from smpclient.transport.serial import SMPSerialTransport
from typing_extensions import override

from bztoken.errors import LinkError
from bzwire.smp import MAX_REQUEST_BYTES

BAUD = 115200

# smpclient logs whole frames when something is odd; frames carry pages, so nothing of it may reach a screen.
for _name in ("smpclient", "smp"):
    logging.getLogger(_name).setLevel(logging.CRITICAL + 1)

# What smp's messages call their own parts.
_OWN_FIELDS = ("header", "smp_data")

_REASONS = {
    errno.ENOENT: "There is no port {port}: plug the token in; `ls /dev/ttyUSB* /dev/ttyACM*` shows what is there.",
    errno.EACCES: "You may not open {port}: add your user to the group that owns it (`sudo adduser $USER dialout`), "
    "then log in again.",
    errno.EAGAIN: "Another program is using {port}: close it, then try again.",
    errno.EBUSY: "Another program is using {port}: close it, then try again.",
    errno.ENOTTY: "{port} is not a serial port.",
    errno.EISDIR: "{port} is not a serial port.",
}


class TokenTransport(SMPSerialTransport):
    """smpclient's encoded serial transport with our way of opening."""

    def __init__(self) -> None:
        super().__init__(baudrate=BAUD, exclusive=True, timeout=0)

    @property
    def is_silent(self) -> bool:
        """True when no byte that was not understood has come since the port was opened."""
        return not self._buffer and not self._serial_buffer and self._smp_packet_queue.empty()

    @property
    @override
    def max_unencoded_size(self) -> int:
        """The longest message that a token takes; smpclient would take its frame off what the token tells."""
        return MAX_REQUEST_BYTES

    @override
    async def receive(self) -> bytes:
        """One message. Raises ValueError for a frame that holds none: smpclient would fail on it in many ways."""
        frame = await super().receive()
        _require_message(frame)
        return frame

    @override
    async def connect(self, address: str, timeout_s: float) -> None:
        """Open the port. Raises LinkError."""
        self._reset_state()
        self._conn.port = address
        self._conn.dtr = False
        self._conn.rts = False
        try:
            self._conn.open()
            self._conn.reset_input_buffer()
        except (OSError, SerialException) as error:
            self._conn.close()
            raise LinkError(why_closed(address, error)) from None
        except termios.error as error:  # pyserial lets it through when the port goes away in the middle
            self._conn.close()
            raise LinkError(why_closed(address, OSError(*error.args))) from None


def _require_message(frame: bytes) -> None:
    """Raises ValueError unless there is a header, and behind it a map whose keys are names of fields."""
    if len(frame) < Header.SIZE:
        raise ValueError("a frame without a header")
    try:
        body = cbor2.loads(frame[Header.SIZE :])
    except (cbor2.CBORError, RecursionError) as error:
        raise ValueError("a frame without CBOR") from error
    if not isinstance(body, dict) or not all(isinstance(name, str) and name not in _OWN_FIELDS for name in body):
        raise ValueError("a frame without a map of fields")


def why_closed(port: str, error: OSError) -> str:
    """Why a port could not be opened, as a sentence with what to do."""
    if not os.path.exists(port):
        return _REASONS[errno.ENOENT].format(port=port)
    if error.errno in _REASONS:
        return _REASONS[error.errno].format(port=port)
    if not os.path.isabs(port) or not _is_terminal(port):
        return _REASONS[errno.ENOTTY].format(port=port)
    return f"{port} cannot be opened ({os.strerror(error.errno) if error.errno else 'no reason given'})."


def _is_terminal(port: str) -> bool:
    try:
        descriptor = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        return os.isatty(descriptor)
    finally:
        os.close(descriptor)
