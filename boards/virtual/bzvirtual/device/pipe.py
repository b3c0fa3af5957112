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
ADDRESS = 6  # payload: address type (0 public, 1 random), the 6 bytes of the new address
PIN_OUT = 7  # payload: pin, level
RTC_SET = 8  # payload: rtc minus true time, microseconds, signed
RTC_MEMORY = 9  # payload: the bytes
RESET = 10  # payload: cause (a machine.*_RESET number), what woke it (a machine.*_WAKE number)
POWER_CUT = 11  # the byte at which the power was to fail is reached; the token waits for its end
RADIO = 12  # payload: 1 Bluetooth is on, 0 off
SLEEP = 13  # payload: AWAKE, LIGHT or DEEP
FLASH = 14  # payload: sectors erased and bytes programmed since the last FLASH
CHIP_CLOCK = 15  # payload: the clock chip's time minus true time, microseconds, signed
CONNECT = 16  # payload: address type, address, how long to try (ms; 0: give up trying)
DISCONNECT = 17  # payload: connection
GATT = 18  # payload: connection, what (SERVICES, CHARACTERISTICS, READ), two handles, UUID or nothing
PORT = 19  # from now on the program runs as the port runs it: with Ctrl-C, and with a prompt when it ends

# ether -> token
SCAN_RESULT = 1  # payload: address type, advertising type, RSSI, address, data
SCAN_DONE = 2
PIN_IN = 3  # payload: pin, level
SERIAL = 4  # bytes may wait on the console
BATTERY = 5  # payload: millivolts
CLOCK_JUMP = 6  # payload: microseconds, signed: what the clock is wrong by from now on
CENTRAL = 7  # payload: LINK_ARGS; a peer has connected to this token (up) or left it
PERIPHERAL = 8  # payload: LINK_ARGS; a connection that this token asked for is there (up), lost or failed
SERVICE = 9  # payload: connection, first and last handle, UUID
CHARACTERISTIC = 10  # payload: connection, end handle, value handle, properties, UUID
VALUE = 11  # payload: connection, value handle, the bytes read
GATT_DONE = 12  # payload: connection, what, value handle, status
# What reaches a chip that sleeps: all else is for a processor or a radio that is off.
WHILE_ASLEEP = (PIN_IN, BATTERY, CLOCK_JUMP)

AWAKE, LIGHT, DEEP = 0, 1, 2
SERVICES, CHARACTERISTICS, READ = 1, 2, 3
NO_CONNECTION = 0xFFFF

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
RESET_ARGS = "<BB"
BATTERY_ARGS = "<H"
JUMP_ARGS = "<q"
FLASH_ARGS = "<II"
CONNECT_ARGS = "<B6sI"
CONNECTION_ARGS = "<H"
GATT_ARGS = "<HBHH"
LINK_ARGS = "<BHB6s"  # up, connection, address type, address
SERVICE_ARGS = "<HHH"
CHARACTERISTIC_ARGS = "<HHHB"
VALUE_ARGS = "<HH"
GATT_DONE_ARGS = "<HBHH"
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
