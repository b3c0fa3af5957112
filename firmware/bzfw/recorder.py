"""Turns a finished window into a sealed page in flash."""

import gc

from bzwire.bluezone import day_of
from bzwire.page import MAX_PAGE_BYTES, PageHeader, seal_into

from .clock import Clock
from .day_log import DayLog
from .identity import LogKey
from .window import WINDOW_S, Window

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .hal import Hal

SCAN_PERIOD_S = 60
MAX_U16 = 65535


class Recorder:
    """Called between scans, or when a station sets the clock: a flash erase blocks the processor for 45 to 400 ms."""

    def __init__(self, hal: "Hal", clock: Clock, log: DayLog, log_key: LogKey, boot_id: int) -> None:
        self._hal = hal
        self._clock = clock
        self._log = log
        self._log_key = log_key
        self._boot_id = boot_id
        self._page = bytearray(MAX_PAGE_BYTES)
        self.failed_writes = 0
        self.lost_results = 0

    def record(self, window: Window, lost_results: int) -> None:
        """Write the page of a window. A refused write is counted, not raised: the token must go on recording."""
        self.lost_results += lost_results
        gc.collect()  # nothing is urgent between scans
        header = PageHeader(
            self._log.next_sequence,
            self._boot_id,
            self._clock.uptime_ms() & 0xFFFFFFFF,
            window.start_s,
            WINDOW_S,
            SCAN_PERIOD_S,
            self._clock.state,
            self._log_key.number,
            min(lost_results, MAX_U16),
            window.is_crowded(),
        )
        try:
            # The page goes under the key of the day on which it is written: the window's own may be hashed away.
            self._log_key.advance_to(self._clock.now_s())
            header.log_key_number = self._log_key.number
            length = seal_into(self._page, header, window.records(), self._log_key.key, self._hal.encrypt_blocks)
            self._log.append(day_of(window.start_s), memoryview(self._page)[:length])
            self._log.delete_older(day_of(self._clock.now_s()))
        except (OSError, MemoryError):
            self.failed_writes += 1
