"""The radio's minute: change ID and address on the slot, close the window, listen 4 s at a random moment.

Advertising runs all the time, but stands still while ID and address change together. Everything that writes flash
happens at the start of a minute, before the scan.
"""

import asyncio

from bzwire.bluezone import SLOT_S

from .clock import Clock
from .recorder import SCAN_PERIOD_S, Recorder
from .scan_ring import ScanRing
from .scheme import BluezoneScheme
from .window import WINDOW_S, Window

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .hal import Hal

ADVERTISE_INTERVAL_MS = 250
SCAN_MS = 4000
RING_SLOTS = 64
# The scan falls anywhere in the minute but its first seconds (flash, new ID) and so that it ends inside.
SCAN_EARLIEST_MS = 4000
SCAN_LATEST_MS = 60000 - SCAN_MS - 1000
# Silence between the last packet of an old ID and the first of the new one: drawn, so that no fixed gap links them.
GAP_EARLIEST_MS = 200
GAP_LATEST_MS = 2200


class Radio:
    """own_id is empty while nothing is broadcast."""

    def __init__(self, hal: "Hal", clock: Clock, scheme: BluezoneScheme, recorder: Recorder) -> None:
        self._hal = hal
        self._clock = clock
        self._scheme = scheme
        self._recorder = recorder
        self._ring = ScanRing(RING_SLOTS)
        self._window = Window()
        self._listening = False  # a window has begun
        self._slot = -1
        self.own_id = b""
        self.address_refusals = 0
        hal.on_packet(self._ring.put)

    def _random_ms(self, low: int, high: int) -> int:
        return low + int.from_bytes(self._hal.random_bytes(4), "big") % (high - low)

    async def run(self) -> None:
        """For ever. Before the clock is set: silent and deaf."""
        asyncio.create_task(self._drain())
        while True:
            if not self._clock.is_set():
                await self._clock.changed.wait()
            self._clock.changed.clear()
            await self._run_minute()

    async def _run_minute(self) -> None:
        now_ms = self._clock.now_ms()
        minute_start_ms = now_ms - now_ms % (SCAN_PERIOD_S * 1000)
        self._turn_window(now_ms // 1000)
        if now_ms // 1000 // SLOT_S != self._slot:
            await self._change_id()
        scan_at_ms = minute_start_ms + self._random_ms(SCAN_EARLIEST_MS, SCAN_LATEST_MS)
        # A minute that was entered late (boot, clock set) may have no time left for its scan.
        if scan_at_ms > now_ms and await self._clock.wait_until_ms(scan_at_ms):
            await self._scan()
        await self._clock.wait_until_ms(minute_start_ms + SCAN_PERIOD_S * 1000)

    def _turn_window(self, now_s: int) -> None:
        if self._listening and self._window.start_s // WINDOW_S == now_s // WINDOW_S:
            self._clock.uptime_ms()  # keeps the count over the wrap of the ticks
            return
        self.finish_window()
        self._window.begin(now_s - now_s % WINDOW_S)
        self._listening = True

    async def _change_id(self) -> None:
        """New ID and new address, or silence: never one without the other."""
        self._hal.stop_advertising()
        self.own_id = b""
        await asyncio.sleep_ms(self._random_ms(GAP_EARLIEST_MS, GAP_LATEST_MS))
        now_s = self._clock.now_s()
        self._slot = -1  # unless all goes well, try again in a minute
        try:
            own_id = self._scheme.own_id(now_s)
        except OSError:  # a key that cannot be stored must not be used
            self._recorder.failed_writes += 1
            return
        if not self._hal.change_address():
            self.address_refusals += 1
            return
        self._slot = now_s // SLOT_S
        self.own_id = own_id
        self._hal.advertise(self._scheme.payload(own_id), ADVERTISE_INTERVAL_MS)

    async def _scan(self) -> None:
        self._window.begin_scan()
        await self._hal.scan(SCAN_MS)

    async def _drain(self) -> None:
        """Move packets from the interrupt's ring into the window."""
        while True:
            await self._ring.filled.wait()
            packet = self._ring.take()
            while packet is not None:
                self._take(packet[0], packet[1])
                packet = self._ring.take()

    def _take(self, rssi_dbm: int, payload: memoryview) -> None:
        parsed = self._scheme.parse(payload)
        if parsed is None or not self._listening or parsed[0] == self.own_id:
            return
        self._window.add(self._clock.now_s(), parsed[0], rssi_dbm, parsed[1])

    def finish_window(self) -> None:
        """Write what was heard so far, under the time that the clock has shown. A window must be begun next."""
        if self._listening:
            self._recorder.record(self._window, self._ring.take_lost())

    def begin_window(self) -> None:
        """Begin anew under the time that was set just now."""
        if self._listening:
            self._window.begin(self._clock.now_s())
