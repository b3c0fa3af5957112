"""The hardware as the app sees it. One implementation, `hal_esp32`; the virtual board runs that same file.

A protocol for the type checker: no module loads this file on a token (it would cost 3 KiB of heap), all of them name it
in annotations. An object is handed to the app, never imported by it, so that nothing happens at import.
"""

from collections.abc import Callable
from typing import Protocol


class Hal(Protocol):
    """Everything the app may ask of a board. Times in ms, powers in dBm."""

    board: str
    tx_power_dbm: int
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

    def woke_from_power_off(self) -> bool:
        """True when the clock cannot have survived."""
        ...

    def random_bytes(self, count: int) -> bytes:
        """From the hardware random generator."""
        ...

    def encrypt_blocks(self, key: bytes, blocks: bytes) -> bytes:
        """AES-ECB over whole 16-byte blocks."""
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

    def on_packet(self, take: Callable[[int, memoryview], None]) -> None:
        """`take(rssi_dbm, payload)` for each advertisement heard, from the interrupt: copy and return."""
        ...

    async def scan(self, duration_ms: int) -> None:
        """Listen passively with full duty until the radio says that the scan is over, or soon after it should have."""
        ...

    def show(self, colour: tuple[int, int, int]) -> None:
        """Set the light until told otherwise."""
        ...

    async def button_change(self) -> bool:
        """Wait for the next edge of the button, bounces filtered; True = pressed now."""
        ...

    async def read_console(self) -> bytes:
        """Wait for serial input and return what has arrived (1..64 bytes)."""
        ...

    def write_console(self, data: bytes) -> None:
        """Send bytes as they are."""
        ...

    def restart(self) -> None:
        """Reset the chip; does not return on hardware."""
        ...
