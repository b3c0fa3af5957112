"""The hardware as the app sees it. One implementation, `hal_esp32`; the virtual board runs that same file.

A protocol for the type checker: no module loads this file on a token (it would cost 3 KiB of heap), all of them name it
in annotations. An object is handed to the app, never imported by it, so that nothing happens at import.
"""

from collections.abc import Callable
from typing import Any, Protocol


class Hal(Protocol):
    """Everything the app may ask of a board. Times in ms, powers in dBm."""

    board: str
    tx_power_dbm: int
    default_profile: int  # PROFILE_* of bzwire.messages, as the board's file says
    can_sleep: bool  # light sleep between windows saves something on this board
    drift_bound_ppm: int  # what the clock may be off by, as the board's file says
    battery_limits_mv: tuple[int, int]  # low, empty; 0, 0 when the board cannot tell
    irq_errors: int  # exceptions in the radio's interrupt
    dead_scans: int  # scans whose end the radio never told

    def ticks_ms(self) -> int:
        """Milliseconds since boot that wrap; compare with ticks_diff only."""
        ...

    def ticks_diff(self, end: int, start: int) -> int:
        """end - start in ms, right while both are less than 6.2 days apart."""
        ...

    def clock_unix_ms(self) -> int:
        """The real-time clock, whatever it says (946684800000 = 2000-01-01 after power-on)."""
        ...

    def set_clock_unix_ms(self, unix_ms: int) -> None:
        """Set the real-time clock."""
        ...

    def clock_chip_unix_ms(self) -> int:
        """The RTC chip's time; 0 when there is none, or it has lost the time."""
        ...

    def set_clock_chip(self, unix_ms: int) -> None:
        """Set the RTC chip, if there is one."""
        ...

    def woke_from_power_off(self) -> bool:
        """True when the clock cannot have survived."""
        ...

    def hardware_id(self) -> bytes:
        """The chip's own number, which tells boards apart whatever their identity; never on the air."""
        ...

    def reset_cause(self) -> int:
        """Why the board started, a machine.*_RESET number."""
        ...

    def random_bytes(self, count: int) -> bytes:
        """From the hardware random generator."""
        ...

    def encrypt_blocks(self, key: bytes, blocks: bytes) -> bytes:
        """AES-ECB over whole 16-byte blocks."""
        ...

    def radio_is_on(self) -> bool:
        """False at boot and after `radio_off` or `light_sleep`."""
        ...

    def radio_on(self) -> None:
        """Start the radio; it has no address of its own until `change_address`. Raises OSError."""
        ...

    def radio_off(self) -> None:
        """Stop it and everything it does."""
        ...

    def advertise(self, payload: bytes, interval_ms: int) -> None:
        """Broadcast from now on; replaces what was broadcast."""
        ...

    def stop_advertising(self) -> None:
        """Silence."""
        ...

    def change_address(self) -> bool:
        """Draw a fresh non-resolvable private address; only while neither advertising nor scanning.

        False when the radio did not take it: then nothing may be broadcast under a new ID.
        """
        ...

    def on_packet(self, take: Callable[[int, memoryview, int, memoryview], None]) -> None:
        """`take(rssi_dbm, payload, address type, address)` for each packet heard, in the interrupt: copy and return."""
        ...

    async def scan(self, duration_ms: int) -> None:
        """Listen passively with full duty until the radio says that the scan is over, or soon after it should have."""
        ...

    async def read_characteristic(self, address: bytes, service: str, characteristic: str, timeout_ms: int) -> bytes:
        """Connect to an address (type and 6 bytes), read the value, disconnect; empty when that fails or is late."""
        ...

    def flash_blocks(self) -> Any:
        """The block device under the file system, with the methods of esp32.Partition."""
        ...

    def show(self, colour: tuple[int, int, int]) -> None:
        """Set the light until told otherwise."""
        ...

    async def button_change(self) -> bool:
        """Wait for the next edge of the button, bounces filtered; True = pressed now."""
        ...

    def button_is_down(self) -> bool:
        """Its level now, not filtered."""
        ...

    def buzz(self, on: bool) -> None:
        """Buzzer or vibration, if the board has one."""
        ...

    def battery_mv(self) -> int:
        """The battery's voltage; 0 when the board cannot tell."""
        ...

    def cable_present(self) -> bool:
        """True when the board sees the cable; False when it does not, or cannot see one."""
        ...

    def run_slowly(self, slowly: bool) -> None:
        """Run the processor as slowly as the board's file says for the windowed profile, or as fast as at boot."""
        ...

    def light_sleep(self, sleep_ms: int) -> bool:
        """Stop radio and processor; True when the button ended the sleep early."""
        ...

    def power_off(self) -> None:
        """Sleep until the button is pressed, then boot; does not return on hardware."""
        ...

    def start_watchdog(self, timeout_ms: int) -> None:
        """From now on the board resets unless the watchdog is fed; it cannot be stopped."""
        ...

    def feed_watchdog(self) -> None:
        """The program is alive: the time-out begins anew."""
        ...

    async def read_console(self) -> bytes:
        """Wait for serial input and return what has arrived (1..64 bytes)."""
        ...

    def write_console(self, data: bytes) -> None:
        """Send bytes as they are."""
        ...

    def ignore_ctrl_c(self) -> None:
        """From now on the byte 0x03 from the cable is one like any other."""
        ...

    def restart(self) -> None:
        """Reset the chip; does not return on hardware."""
        ...
