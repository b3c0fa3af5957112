"""The radio's minute: close the window, change ID and address on the slot, advertise and listen as the profile says.

`continuous` advertises all the time and listens 4 s at a random moment of the minute; `windowed` is `schedule`'s.
Pages are written at the start of a minute, not inside a scan; only what a station asks for may write at other times.
"""

import asyncio
import gc

from micropython import const

from bzwire.bluezone import TX_POWER_UNKNOWN, is_iphone
from bzwire.messages import PROFILE_WINDOWED
from bzwire.page_format import KIND_BLUEZONE, RECORD_CONNECTED

from .alive import COLLECT_AFTER_BYTES
from .scan_ring import ScanRing
from .window import WINDOW_S, Window

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .device import Device
    from .phones import Phones
    from .recorder import Recorder
    from .schedule import Schedule
    from .scheme import Scheme

_MINUTE_MS = const(60000)
_ADVERTISE_INTERVAL_MS = const(250)
_WINDOWED_INTERVAL_MS = const(50)  # the windows are short, and there are few of them
_SCAN_MS = const(4000)
_RING_SLOTS = const(48)
_TURN_MS = const(100)
# A token that sleeps hears little and has time: what lasts then lies closer together (DESIGN.md 8).
_SLEEPER_COLLECTS_AFTER_BYTES = const(4 * 1024)
_MARGIN_MS = const(50)  # a window ends so long before its slot
_CONTINUOUS = const(-1)  # kind of the scan in the profile of that name; others: schedule.REGULAR and so on
# The scan falls anywhere in the minute but its first seconds (flash, new ID) and so that it ends inside.
_SCAN_EARLIEST_MS = const(4000)
_SCAN_LATEST_MS = const(60000 - _SCAN_MS - 1000)
# Silence between the last packet of an old ID and the first of the new one: drawn, so that no fixed gap links them.
_GAP_EARLIEST_MS = const(200)
_GAP_LATEST_MS = const(2200)


def _widest(schemes: "list[Scheme]") -> int:
    return max([scheme.id_bytes for scheme in schemes])


class RadioDead(Exception):
    """The radio did not come back from sleep."""


class Radio:
    """own_id is empty while nothing is broadcast. schemes: the first is broadcast, all are heard."""

    def __init__(self, device: "Device", schemes: "list[Scheme]", recorder: "Recorder") -> None:
        self._device = device
        self._hal = device.hal
        self._clock = device.clock
        self._rest = device.rest
        self._recorder = recorder
        self._ring = ScanRing(_RING_SLOTS)
        self.phones: "Phones | None" = None  # made when the first one is seen
        self._schedule: "Schedule | None" = None  # of the windowed profile
        self._kind = _CONTINUOUS
        self._listening = False  # a window has begun
        self._busy = False  # a scan or a change of ID: one at a time
        self._test_heard: "list[bytes] | None" = None
        self._now_ms = 0
        self._slot = -1
        self._id = b""  # of the slot; broadcast or not
        self.own_id = b""
        self.address_refusals = 0
        self._window = Window(_widest(schemes))
        recorder.make_room(_widest(schemes))
        self._use(schemes)
        self._hal.on_packet(self._ring.put)

    def _use(self, schemes: "list[Scheme]") -> None:
        self._own = schemes[0]
        self._schemes = schemes
        self._hears_bluezone = KIND_BLUEZONE in [scheme.kind for scheme in schemes]

    def change_schemes(self, schemes: "list[Scheme]") -> None:
        """Broadcast the first from the next minute or window on, hear all from now on."""
        self.finish_window()
        listening, self._listening = self._listening, False  # should there be no room: nothing to write twice
        self._window.widen(_widest(schemes))
        self._recorder.make_room(_widest(schemes))
        self._use(schemes)
        self._slot = -1
        self._listening = listening
        self.begin_window()

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

    def choose_profile(self) -> None:
        """Take up the profile that the settings name; from the next minute on."""
        windowed = self._device.settings.profile == PROFILE_WINDOWED
        if windowed and self._schedule is None:
            from .schedule import Schedule  # loaded by those who need it

            self._schedule = Schedule(self._random_ms)
            self._silence()
            self._hal.run_slowly(True)
            gc.threshold(_SLEEPER_COLLECTS_AFTER_BYTES)
        elif not windowed and self._schedule is not None:
            self._schedule = None
            self._slot = -1
            self._hal.run_slowly(False)
            gc.threshold(COLLECT_AFTER_BYTES)
        self._rest.allowed = windowed and self._hal.can_sleep

    async def _run_minute(self) -> None:
        self._device.alive.beat()
        if not self._clock.check():
            self._recorder.clock_repaired = True
        now_ms = self._clock.now_ms()
        minute_ms = now_ms - now_ms % _MINUTE_MS
        if now_ms // 1000 // self._own.slot_s != self._slot:
            self._silence()  # before the flash keeps the processor: an ID must not be heard in two slots
        self._turn_window(now_ms // 1000)
        self._window.begin_scan()  # all listening of a minute is one scan: it stands for the minute
        self.choose_profile()
        if self._device.battery.is_empty():
            self._switch_off()
            self._recorder.saving = True
            await self._rest.until_ms(minute_ms + _MINUTE_MS)
        elif self._schedule is not None:
            await self._run_windows(self._schedule, minute_ms)
        else:
            await self._run_continuous(minute_ms, now_ms)

    # -- profiles ----------------------------------------------------------------------------------------------------
    async def _run_continuous(self, minute_ms: int, now_ms: int) -> None:
        self._wake_radio()
        if now_ms // 1000 // self._own.slot_s != self._slot or not self.own_id:
            await self._change_id()
        scan_at_ms = minute_ms + self._random_ms(_SCAN_EARLIEST_MS, _SCAN_LATEST_MS)
        # A minute that was entered late (boot, clock set) may have no time left for its scan.
        if scan_at_ms > now_ms and await self._clock.wait_until_ms(scan_at_ms):
            await self._scan(_CONTINUOUS, _SCAN_MS)
        await self._clock.wait_until_ms(minute_ms + _MINUTE_MS)

    async def _run_windows(self, schedule: "Schedule", minute_ms: int) -> None:
        for plan in schedule.minute(minute_ms):
            kind, start_ms, length_ms = plan
            if start_ms < self._clock.now_ms():  # two windows overlap, or the minute was entered late
                continue
            if not await self._rest.until_ms(start_ms):
                return
            await self._open(schedule, kind, length_ms)
        await self._rest.until_ms(minute_ms + _MINUTE_MS)

    async def _open(self, schedule: "Schedule", kind: int, length_ms: int) -> None:
        """Advertise and listen at once: on most boards the receiver costs no more than a radio that waits."""
        await self._take_turn()  # the self-test may hold the radio
        self._busy = False
        fresh = self._wake_radio() and self._clock.now_s() // self._own.slot_s == self._slot
        if not fresh and not self._take_slot():
            return
        length_ms = min(length_ms, self._left_of_slot_ms())  # only now: switching on and storing a key take time
        if length_ms <= 0:
            return
        self._broadcast(_WINDOWED_INTERVAL_MS)
        schedule.begin(kind)
        if not await self._scan(kind, length_ms):
            await asyncio.sleep_ms(length_ms)
        schedule.end(kind)
        self._silence()

    def _left_of_slot_ms(self) -> int:
        """How long the present ID may still be on the air; negative when its slot is over."""
        return (self._slot + 1) * self._own.slot_s * 1000 - self._clock.now_ms() - _MARGIN_MS

    def _wake_radio(self) -> bool:
        """True when the radio was on already; False when it was switched on, with an address still to be drawn."""
        if self._hal.radio_is_on():
            return True
        try:
            self._hal.radio_on()
        except OSError as error:
            raise RadioDead(error)
        return False

    def _switch_off(self) -> None:
        self._silence()
        self._slot = -1
        if self._hal.radio_is_on():
            self._hal.radio_off()

    # -- broadcasting ------------------------------------------------------------------------------------------------
    def _silence(self) -> None:
        if self._hal.radio_is_on():
            self._hal.stop_advertising()
        self.own_id = b""

    async def _change_id(self) -> None:
        """New ID and new address, or silence: never one without the other."""
        await self._take_turn()
        self._silence()
        await asyncio.sleep_ms(self._random_ms(_GAP_EARLIEST_MS, _GAP_LATEST_MS))
        if self._take_slot():
            self._broadcast(_ADVERTISE_INTERVAL_MS)
        self._busy = False

    async def _take_turn(self) -> None:
        """Wait until neither the radio's minute nor the self-test scans or changes the ID; then it is ours."""
        while self._busy:
            await asyncio.sleep_ms(_TURN_MS)
        self._busy = True

    def _take_slot(self) -> bool:
        """The present slot's ID and a fresh address; False when the radio or the flash refuses: then try later."""
        now_s = self._clock.now_s()
        slot = now_s // self._own.slot_s
        new = slot != self._slot
        self._slot = -1
        try:
            own_id = self._own.own_id(now_s)
        except OSError:  # a key that cannot be stored must not be used
            self._recorder.failed_writes += 1
            return False
        if not self._hal.change_address():
            self.address_refusals += 1
            return False
        if new and self.phones is not None:
            self.phones.begin_slot()
        self._slot = slot
        self._id = own_id
        return True

    def _broadcast(self, interval_ms: int) -> None:
        self.own_id = self._id
        self._hal.advertise(self._own.payload(self._id), interval_ms)

    # -- listening ---------------------------------------------------------------------------------------------------
    async def _scan(self, kind: int, listen_ms: int) -> bool:
        """Listen; False when the battery is too low for that."""
        if self._device.battery.saves():
            self._recorder.saving = True
            return False
        await self._take_turn()
        if self.own_id:
            listen_ms = min(listen_ms, self._left_of_slot_ms())  # the turn may have come late
        if listen_ms <= 0:
            self._busy = False
            return True
        self._kind = kind
        await self._hal.scan(listen_ms)
        self._window.listened_ms += listen_ms
        if self.phones is not None:
            for phone_id, rssi_dbm in await self.phones.read(self._left_of_slot_ms()):
                self._add_phone(phone_id, rssi_dbm)
        self._busy = False
        return True

    def _add_phone(self, phone_id: bytes, rssi_dbm: int) -> None:
        kind = KIND_BLUEZONE | RECORD_CONNECTED
        self._window.add(self._clock.now_s(), kind, phone_id, rssi_dbm, TX_POWER_UNKNOWN)

    async def listen_for_test(self, listen_ms: int) -> "tuple[bytes, list[bytes]] | None":
        """(own ID, IDs that a scan hears while it is broadcast); the radio's minute goes on after it.

        None when the radio must be off now.
        """
        if not self._clock.is_set() or self._device.battery.is_empty():
            return None
        await self._take_turn()  # a window that is open now ends with silence
        self._busy = False
        self._wake_radio()
        if not self.own_id:
            await self._change_id()
        self._test_heard = []
        own_id = self.own_id
        await self._scan(_CONTINUOUS, listen_ms)
        heard, self._test_heard = self._test_heard, None
        if self._schedule is not None:
            self._silence()
        return own_id, heard

    async def _drain(self) -> None:
        """Move packets from the interrupt's ring into the window."""
        while True:
            await self._ring.filled.wait()
            self._now_ms = self._clock.now_ms()  # of all that came since the last turn: asking costs more than a packet
            packet = self._ring.take()
            while packet is not None:
                if self._listening:
                    try:
                        self._take(packet[0], packet[1])
                    except MemoryError:  # one packet is not worth a restart
                        self._ring.lose()
                packet = self._ring.take()

    def _take(self, rssi_dbm: int, payload: memoryview) -> None:
        for scheme in self._schemes:
            parsed = scheme.parse(payload)
            if parsed is None:
                continue
            if parsed[0] != self.own_id:
                if self._test_heard is not None and parsed[0] not in self._test_heard:
                    self._test_heard.append(parsed[0])
                self._window.add(self._now_ms // 1000, scheme.kind, parsed[0], rssi_dbm, parsed[1])
                # A Bluezone phone announces no TX power; it is no company for a token that sleeps.
                is_token = scheme.kind != KIND_BLUEZONE or parsed[1] != TX_POWER_UNKNOWN
                if self._schedule is not None and self._kind != _CONTINUOUS and is_token:
                    self._schedule.heard(self._kind, self._now_ms, parsed[0])
            return
        if self._hears_bluezone and is_iphone(payload):
            self._take_iphone(rssi_dbm)

    def _take_iphone(self, rssi_dbm: int) -> None:
        if self.phones is None:
            from .phones import Phones

            self.phones = Phones(self._hal)
        phone_id = self.phones.seen(self._ring.address(), rssi_dbm)
        if phone_id:
            self._add_phone(phone_id, rssi_dbm)

    # -- windows of the log ------------------------------------------------------------------------------------------
    def _turn_window(self, now_s: int) -> None:
        if self._listening and self._window.start_s // WINDOW_S == now_s // WINDOW_S:
            return
        self.finish_window()
        self._listening = False  # nothing to write, should this be the moment for the night's restart
        self._device.alive.window_turned(now_s, self._own.slot_s)
        self._window.begin(now_s - now_s % WINDOW_S)
        if self.phones is not None:
            self.phones.begin_window()
        self._listening = True

    def finish_window(self) -> None:
        """Write what was heard so far, under the time that the clock has shown. A window must be begun next."""
        if self._listening:
            self._recorder.record(self._window, self._ring.take_lost())

    def begin_window(self) -> None:
        """Begin anew under the time that was set just now."""
        if self._listening:
            self._window.begin(self._clock.now_s())
