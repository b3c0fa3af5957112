"""The token as a whole: what its parts share, and how it comes to life when a station provisions it."""

import gc
import struct

from bzwire.errors import WireError
from bzwire.page import CLOCK_UNSET

from . import files, light
from .clock import Clock
from .consent import Consent
from .day_keys import DayKeys
from .day_log import DayLog
from .identity import Identity, LogKey, load_identity, load_log_key
from .light import Light
from .radio import Radio
from .recorder import Recorder
from .scheme import BluezoneScheme
from .session import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .hal import Hal

BOOT_COUNT_PATH = "/boot_count"


def _count_boot() -> int:
    """The number of this boot, 1 and up, stored before anything else is written."""
    try:
        raw = files.read_whole(BOOT_COUNT_PATH)
    except WireError:
        raw = None
    boot_id = (struct.unpack("<I", raw)[0] if raw else 0) + 1
    try:
        files.write_whole(BOOT_COUNT_PATH, struct.pack("<I", boot_id))
    except OSError:
        # A full flash. The token must live, so that a station can read the log and free it; sequences stay unique.
        return boot_id
    return boot_id


class Device:
    """on_provisioned is called once, when there is an identity and the radio may start."""

    def __init__(self, hal: "Hal") -> None:
        self.hal = hal
        self.clock = Clock(hal)
        self.boot_id = _count_boot()
        self.log = DayLog()
        self.session = Session(hal)
        self.consent = Consent(hal)
        self.identity: "Identity | None" = None
        self.day_keys: "DayKeys | None" = None
        self.radio: "Radio | None" = None
        self.recorder: "Recorder | None" = None
        self.light = Light(hal, self._pattern)
        self.consent.on_change = self.light.look_again
        self.on_provisioned: "Callable[[], None]" = lambda: None

    def load(self) -> None:
        """Take up the identity in flash, if there is one."""
        identity, log_key = load_identity(), load_log_key()
        if identity is not None and log_key is not None:
            self.become(identity, log_key)

    def become(self, identity: Identity, log_key: LogKey) -> None:
        """From now on this token is somebody's."""
        self.identity = identity
        self.day_keys = DayKeys(self.hal)
        self.recorder = Recorder(self.hal, self.clock, self.log, log_key, self.boot_id)
        scheme = BluezoneScheme(self.day_keys, self.hal.tx_power_dbm)
        self.radio = Radio(self.hal, self.clock, scheme, self.recorder)
        self.light.look_again()
        self.on_provisioned()

    def set_clock(self, unix_ms: int) -> None:
        """Set the clock; what was heard so far is written under the old time."""
        if self.radio is not None and self.clock.is_set():
            self.radio.finish_window()
        self.clock.set(unix_ms)
        if self.radio is not None:
            self.radio.begin_window()
        self.light.look_again()

    def _pattern(self) -> "tuple[str, tuple[int, int, int], int, int]":
        self.clock.uptime_ms()  # the light looks each minute, also while the radio does not run: no wrap is missed
        if self.consent.is_asking():
            return light.ASKING
        if self.consent.was_granted():
            return light.THANKS
        if self.identity is None or self.clock.state == CLOCK_UNSET:
            return light.BRING_ME
        return light.WORKING

    def status(self) -> "dict[str, Any]":
        """What a station is told; fields in SPEC.md "Status"."""
        identity, recorder, radio = self.identity, self.recorder, self.radio
        gc.collect()  # so that "hp" is what is held, not what lies about
        return {
            "u": identity.uid if identity else b"",
            "r": identity.role if identity else "",
            "t": self.clock.now_ms(),
            "ck": self.clock.state,
            "bo": self.boot_id,
            "up": self.clock.uptime_ms(),
            "f": self.log.first_sequence(),
            "n": self.log.next_sequence,
            "a": self.log.acknowledged,
            "sz": self.log.size_bytes(),
            "lo": recorder.lost_results if recorder else 0,
            "fw": recorder.failed_writes if recorder else 0,
            "ar": radio.address_refusals if radio else 0,
            "rp": self.session.refused_proofs,
            "ie": self.hal.irq_errors,
            "ds": self.hal.dead_scans,
            "hp": gc.mem_alloc(),
        }
