"""Bytes between a token's process and the ether: commands one way, wakes with events the other way.

Read by both interpreters. A command is `kind, time_us, length, payload`; a wake is `now_us, length` and then events of
the form `kind, time_us, length, payload`. Times are true microseconds since 1970 of the simulated world;
signed, because MicroPython makes long integers, ten times slower, of unsigned 64-bit fields.
"""

import struct

# token -> ether
WAIT = 1  # payload: until_us; the token sleeps until then or until an event
ADVERTISE = 2  # payload: interval_us, connectable, advertising data
ADVERTISE_STOP = 3
SCAN = 4  # payload: duration_ms, interval_us, window_us, active
SCAN_STOP = 5
ADDRESS = 6  # payload: the 6 bytes of the new address
PIN_OUT = 7  # payload: pin, level
RTC_SET = 8  # payload: rtc minus true time, microseconds, signed
RTC_MEMORY = 9  # payload: the bytes
RESET = 10  # payload: cause (a machine.*_RESET number), sleep_ms
POWER_CUT = 11  # the byte at which the power was to fail is reached; the token waits for its end

# ether -> token
SCAN_RESULT = 1  # payload: address type, advertising type, RSSI, address, data
SCAN_DONE = 2
PIN_IN = 3  # payload: pin, level
SERIAL = 4  # bytes may wait on the console

COMMAND = "<BqH"
COMMAND_BYTES = 11
WAKE = "<qI"
WAKE_BYTES = 12
EVENT = "<BqB"
EVENT_BYTES = 10
WAIT_ARGS = "<q"
ADVERTISE_ARGS = "<IB"
ADVERTISE_ARGS_BYTES = 5
SCAN_ARGS = "<IIIB"
RTC_ARGS = "<q"
PIN_ARGS = "<BB"
RESET_ARGS = "<BI"
RESULT_ARGS = "<BBb6s"
RESULT_ARGS_BYTES = 9
FOR_EVER = 1 << 60


def command(kind: int, time_us: int, payload: bytes = b"") -> bytes:
    """The bytes of one command."""
    return struct.pack(COMMAND, kind, time_us, len(payload)) + payload


def event(kind: int, time_us: int, payload: bytes = b"") -> bytes:
    """The bytes of one event."""
    return struct.pack(EVENT, kind, time_us, len(payload)) + payload


def wake(now_us: int, events: bytes) -> bytes:
    """The bytes of a wake."""
    return struct.pack(WAKE, now_us, len(events)) + events
