"""The token as a whole: what its parts share, and how it comes to life when a station provisions it."""

import asyncio
import gc
import os
import sys

from micropython import const

from bzwire import light_patterns
from bzwire.messages import SCHEME_BLUEZONE, SELF_TEST_NONE, SELF_TEST_RUNNING
from bzwire.page_format import CLOCK_UNSET

from . import files
from .alive import SLOTS_PATH, Alive
from .battery import Battery
from .clock import Clock
from .consent import Consent
from .day_keys import DayKeys
from .day_log import DayLog
from .identity import Identity, LogKey, load_identity, load_log_key
from .recorder import Recorder
from .rest import Rest
from .scheme import BluezoneScheme
from .session import Session
from .settings import Settings
from .wearer import Button, Light

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from bzwire.light_patterns import Pattern

    from .hal import Hal
    from .radio import Radio
    from .scheme import Scheme
    from .update import Transfer

OFF_PATH = "/off"
_RELEASE_LOOK_MS = const(50)
_RELEASE_LOOKS = const(600)  # a button that sticks must not keep it on
ROLE_SITE = "site"


class Device:
    """on_provisioned is called once, when there is an identity and the radio may start."""

    def __init__(self, hal: "Hal") -> None:
        self.hal = hal
        self.clock = Clock(hal)
        self.alive = Alive(hal, self.clock.uptime_ms)
        self.settings = Settings(hal.default_profile)
        self.log = DayLog()
        self.session = Session(hal)
        self.rest = Rest(hal, self.clock)
        self.battery = Battery(hal)
        self.consent = Consent(hal)
        self.button = Button(self)
        self.identity: "Identity | None" = None
        self.day_keys: "DayKeys | None" = None
        self.radio: "Radio | None" = None
        self.recorder: "Recorder | None" = None
        self.light = Light(hal, self._pattern)
        self.consent.on_change = self.light.look_again
        self.alive.flush = self.flush
        self.on_provisioned: "Callable[[], None]" = lambda: None
        self.restart_wanted = False  # once the present request is answered
        self.self_test: "dict[str, Any]" = {"st": SELF_TEST_NONE}
        self.locate_until_ms = 0  # uptime
        self.erasing = False  # wiped; flash is still written over
        self.update: "Transfer | None" = None  # a new application on its way

    def load(self) -> None:
        """Take up the identity in flash, if there is one."""
        identity, log_key = load_identity(), load_log_key()
        if identity is not None and log_key is not None:
            self.become(identity, log_key)

    def become(self, identity: Identity, log_key: LogKey) -> None:
        """From now on this token is somebody's. In safe mode, and while it is updated, it has no radio."""
        self.identity = identity
        if identity.role == ROLE_SITE:
            self.settings.make_site()
        self.day_keys = DayKeys(self.hal, self.clock)
        self.recorder = Recorder(self, log_key, identity.role == ROLE_SITE)
        if not self.alive.safe_mode and not self.alive.quiet:
            from .radio import Radio  # loaded by `app`, unless this boot is one for an update

            self.radio = Radio(self, self._schemes(), self.recorder)
            self.radio.choose_profile()
            self.alive.has_radio = True
        self.light.look_again()
        self.on_provisioned()

    def provision(self, identity: Identity, log_key: LogKey) -> None:
        """Write who this token is, then come to life. Raises OSError."""
        # The log key first: a token is provisioned once its identity is there, and then it must be able to seal.
        log_key.save()
        identity.save()
        try:
            self.become(identity, log_key)
        except MemoryError:  # both files are written: a restart has room
            self.restart_wanted = True

    def _schemes(self) -> "list[Scheme]":
        """The one to broadcast first, then the other if it is to be heard too."""
        broadcasts_bluezone = self.settings.scheme == SCHEME_BLUEZONE
        tx_power_dbm = self.hal.tx_power_dbm
        schemes: "list[Scheme]" = []
        if broadcasts_bluezone or self.settings.hear_both:
            schemes.append(BluezoneScheme(self.day_keys if broadcasts_bluezone else None, tx_power_dbm))
        if not broadcasts_bluezone or self.settings.hear_both:
            from .gaen_scheme import GaenScheme  # most tokens never need it

            own = GaenScheme(self.hal, None if broadcasts_bluezone else self.day_keys, tx_power_dbm)
            schemes.insert(len(schemes) if broadcasts_bluezone else 0, own)
        return schemes

    def set_clock(self, unix_ms: int) -> None:
        """Set the clock; what was heard so far is written under the old time, and time goes on meanwhile."""
        began = self.hal.ticks_ms()
        self.flush()
        self.clock.set(unix_ms + self.hal.ticks_diff(self.hal.ticks_ms(), began))
        if self.recorder is not None:
            self.recorder.guard.forget()
        if self.radio is not None:
            self.radio.begin_window()
        self.light.look_again()

    def change_settings(self, wanted: "dict[str, int]") -> None:
        """Write and take up what a station chose. Raises OSError, and nothing has changed then."""
        before = (self.settings.scheme, self.settings.hear_both)
        if not self.settings.change(wanted):
            return
        if self.radio is not None and before != (self.settings.scheme, self.settings.hear_both):
            try:
                self.radio.change_schemes(self._schemes())
            except MemoryError:  # no room for it in a heap that has lived for long: there will be after a restart
                self.restart_wanted = True
        self.light.look_again()

    def begin_self_test(self) -> None:
        """Runs beside everything else; `self_test` fills."""
        from . import selftest

        self.self_test = {"st": SELF_TEST_RUNNING}
        asyncio.create_task(selftest.run(self, self.self_test))

    def flush(self) -> None:
        """Write what was heard in the present window."""
        if self.radio is not None and self.clock.is_set():
            self.radio.finish_window()

    async def switch_off(self) -> None:
        """Off until the button is held again, or the cable comes: written down, so that a reset does not wake it."""
        await self.light.play(light_patterns.SWITCHING_OFF)
        try:
            files.write_whole(OFF_PATH, b"")
        except OSError as error:  # a full flash: off all the same, only a reset would wake it
            sys.print_exception(error)
        self.alive.mark_planned()
        for _ in range(_RELEASE_LOOKS):  # else the hold that switched it off would switch it on again
            if not self.hal.button_is_down():
                break
            await asyncio.sleep_ms(_RELEASE_LOOK_MS)
        self.flush()
        self.hal.power_off()

    def tell_state(self) -> None:
        """Somebody asked by a short press."""
        self.light.answer()

    def _pattern(self) -> "Pattern":
        now_ms = self.clock.uptime_ms()  # each minute, also while the radio does not run: no wrap is missed
        self.battery.look()
        if self.consent.is_asking():
            return light_patterns.ASKING
        if self.consent.was_granted():
            return light_patterns.THANKS
        if now_ms < self.locate_until_ms:
            return light_patterns.LOCATE
        if self.alive.safe_mode:
            return light_patterns.SAFE_MODE
        if self.identity is None or self.clock.state == CLOCK_UNSET:
            return light_patterns.BRING_ME
        if self.battery.wants_charge():
            return light_patterns.CHARGE_ME
        return light_patterns.EXPOSURE if self.settings.notice else light_patterns.WORKING

    def status(self) -> "dict[str, Any]":
        """What a station is told; fields in SPEC.md "Status"."""
        identity, recorder, radio = self.identity, self.recorder, self.radio
        hal, clock, log = self.hal, self.clock, self.log
        volume = os.statvfs("/")
        gc.collect()  # so that "hp" is what is held, not what lies about
        found = {
            "u": identity.uid if identity else b"",
            "r": identity.role if identity else "",
            "t": clock.now_ms(),
            "ck": clock.state,
            "cr": clock.repairs,
            "dp": clock.drift_ppm,
            "db": hal.drift_bound_ppm,
            "bo": self.alive.boot_id,
            "fb": self.alive.failed,
            "rc": hal.reset_cause(),
            "hw": hal.hardware_id(),
            "up": clock.uptime_ms(),
            "f": log.first_sequence(),
            "n": log.next_sequence,
            "a": log.acknowledged,
            "sz": log.size_bytes(),
            "dd": log.days_dropped,
            "qf": log.quarantined,
            "rp": self.session.refused_proofs,
            "ie": hal.irq_errors,
            "ds": hal.dead_scans,
            "bv": self.battery.mv,
            "bs": self.battery.state,
            "ff": volume[0] * volume[3],
            "ft": volume[0] * volume[2],
            "us": "a",
            "ut": 0,
            "ur": 0,
            "hp": gc.mem_alloc(),
        }
        found.update(self.settings.fields())
        if files.exists(SLOTS_PATH):
            from . import slots

            found.update(slots.fields())
        if recorder is not None:
            found.update({"lo": recorder.lost_results, "fw": recorder.failed_writes, "st": recorder.guard.marked})
        if radio is not None:
            phones = radio.phones
            found.update({"ar": radio.address_refusals})
            found.update({"ic": phones.connections, "if": phones.failures} if phones else {"ic": 0, "if": 0})
        return found
