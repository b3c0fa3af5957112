"""The hardware as the app sees it. One implementation, `hal_esp32`; the virtual board runs that same file.

An object is handed to the app, never imported by it, so that nothing happens at import and two tokens fit one test.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

# What a light shows; a board without a colour shows the nearest one it has.
DARK = (0, 0, 0)
GREEN = (0, 1, 0)
RED = (1, 0, 0)
AMBER = (1, 1, 0)
BLUE = (0, 0, 1)


class Hal:
    """Everything the app may ask of a board. Times in ms, powers in dBm."""

    board = ""
    tx_power_dbm = 0

    def ticks_ms(self) -> int:
        """Milliseconds since boot that wrap; compare with ticks_diff only."""
        raise NotImplementedError

    def ticks_diff(self, end: int, start: int) -> int:
        """end - start in ms, right while both are less than 6.2 days apart."""
        raise NotImplementedError

    def clock_unix_ms(self) -> int:
        """The real-time clock, whatever it says (946684800000 = 2000-01-01 after power-on)."""
        raise NotImplementedError

    def set_clock_unix_ms(self, unix_ms: int) -> None:
        """Set the real-time clock."""
        raise NotImplementedError

    def woke_from_power_off(self) -> bool:
        """True when the clock cannot have survived."""
        raise NotImplementedError

    def random_bytes(self, count: int) -> bytes:
        """From the hardware random generator."""
        raise NotImplementedError

    def encrypt_blocks(self, key: bytes, blocks: bytes) -> bytes:
        """AES-ECB over whole 16-byte blocks."""
        raise NotImplementedError

    def advertise(self, payload: bytes, interval_ms: int) -> None:
        """Broadcast from now on; replaces what was broadcast."""
        raise NotImplementedError

    def stop_advertising(self) -> None:
        """Silence."""
        raise NotImplementedError

    def change_address(self) -> bool:
        """Draw a fresh non-resolvable private address; only while neither advertising nor scanning.

        False when the radio did not take it: then nothing may be broadcast under a new ID.
        """
        raise NotImplementedError

    def on_packet(self, take: "Callable[[int, memoryview], None]") -> None:
        """`take(rssi_dbm, payload)` for each advertisement heard, from the interrupt: copy and return."""
        raise NotImplementedError

    async def scan(self, duration_ms: int) -> None:
        """Listen passively with full duty; returns when the radio says that the scan is over."""
        raise NotImplementedError

    def stop_scanning(self) -> None:
        """End a running scan early."""
        raise NotImplementedError

    def show(self, colour: "tuple[int, int, int]") -> None:
        """Set the light until told otherwise."""
        raise NotImplementedError

    async def button_change(self) -> bool:
        """Wait for the next edge of the button, bounces filtered; True = pressed now."""
        raise NotImplementedError

    async def read_console(self) -> bytes:
        """Wait for serial input and return what has arrived (1..64 bytes)."""
        raise NotImplementedError

    def write_console(self, data: bytes) -> None:
        """Send bytes as they are."""
        raise NotImplementedError

    def restart(self) -> None:
        """Reset the chip; does not return on hardware."""
        raise NotImplementedError
