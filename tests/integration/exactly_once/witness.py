"""One token, what is known of all that it ever wrote, and what must hold of it and a registry at any time.

The pages are taken from its flash image, by another LittleFS than the token's, before anything can be deleted.
"""

import random
import struct
from pathlib import Path
from unittest.mock import patch

from tests.firmware.bench import SECTOR_BYTES, Bench, Flash, Wearer
from tests.integration.clinic import assert_sightings_fit
from tests.integration.exactly_once.computer import Computer
from tests.integration.exactly_once.memory_cable import MemoryCable
from tests.integration.line import Fault, clean

from bztoken.sync import SyncResult
from bzvirtual import token_folder
from bzvirtual.application import Application
from bzvirtual.beacon import Beacon
from bzvirtual.desk import Identity
from bzvirtual.ether import Station
from bzvirtual.token_folder import POWER_ON
from bzvirtual.world import Position
from bzwire import cbor, messages, smp
from bzwire.page import read_header, split_pages

SECOND_US = 1_000_000
FLASH_BYTES = 256 * 1024  # a small chip, so that it is read in a moment
NEAR_M, FAR_M = 2.0, 5000.0


class Witness:
    """company: how many of the others are near. wrote: every page that was ever seen in flash."""

    def __init__(self, folder: Path, app: Application, identity: Identity, start_s: int, others: int = 6) -> None:
        self.bench = Bench(folder, app, start_s)
        self.company = 0
        for number in range(others):
            self.bench.lockstep.add_phone(self._other(number, start_s))
        with patch.object(token_folder, "FLASH_BYTES", FLASH_BYTES):
            self.wearer: Wearer = self.bench.add("wearer")
        self.wearer.identity = identity
        self.wearer.provision()
        self.token = self.wearer.token
        self.wrote: dict[int, bytes] = {}
        self.acknowledged = 0
        self._looked_at_ns = 0
        self._power_will_fail = False
        self._in_flash: list[int] = []

    def _other(self, number: int, start_s: int) -> Beacon:
        def where(_unix_s: float) -> Position:
            return Position(NEAR_M if number < self.company else FAR_M, 0.0, "field", False)

        draw = random.Random(number)
        return Beacon(Station(f"other-{number}", 0, where, draw), draw, start_s * SECOND_US)

    # -- living --------------------------------------------------------------------------------------------------------
    def live(self, seconds: float) -> None:
        """Let time pass for everybody."""
        self.bench.live(seconds)

    def now_us(self) -> int:
        """True time."""
        return self.bench.lockstep.now_us

    def flash_bytes(self) -> int:
        """Erased and programmed so far."""
        usage = self.bench.lockstep.usage_of(self.token)
        return usage.erases * SECTOR_BYTES + usage.programmed_bytes

    def ready(self) -> None:
        """Power, and a cable that the token has noticed."""
        if not self.token.process.running:
            self.bench.lockstep.restart(self.token, POWER_ON)
        self.wearer.plug()

    def reset(self) -> None:
        """The chip restarts where it stands; clock and cable stay."""
        if self.token.process.running:
            self.bench.lockstep.restart(self.token)

    def restart_planned(self, power_cut_after_bytes: int | None = None) -> None:
        """As it restarts at night. The next boot's power may fail in the middle of a write."""
        process = self.token.process
        self.ready()
        process.power_cut_after_bytes = power_cut_after_bytes
        self._power_will_fail = power_cut_after_bytes is not None
        request = smp.Message(smp.OP_WRITE, smp.GROUP_OS, smp.OS_RESET, 7, cbor.dumps({})).pack()
        self.bench.lockstep.type_in(self.token, b"".join(smp.encode_lines(request)))
        process.power_cut_after_bytes = None
        process.read_console()

    def cable(self, to_token: Fault = clean, to_host: Fault = clean) -> MemoryCable:
        """Plug it in."""
        return MemoryCable(self.bench.lockstep, self.token, to_token, to_host, self._before)

    def _before(self, request: smp.Message) -> None:
        if request.group == smp.GROUP_TOKEN and request.command == messages.CMD_ACKNOWLEDGE:
            self.look()

    # -- looking -------------------------------------------------------------------------------------------------------
    def look(self) -> list[int]:
        """Note what is in flash; the numbers of the pages there, oldest first."""
        image = self.token.process.folder.flash
        changed_ns = image.stat().st_mtime_ns
        if changed_ns == self._looked_at_ns:
            return self._in_flash
        flash = Flash(image)
        found = []
        for name in sorted(flash.names("/log"), key=lambda name: name[7:]):
            for page in split_pages(flash.read(f"/log/{name}")):
                sequence = read_header(page).sequence
                assert self.wrote.setdefault(sequence, bytes(page)) == page, f"page {sequence} was written twice"
                found.append(sequence)
        if flash.exists("/log_state"):
            self.acknowledged = int(struct.unpack_from("<I", flash.read("/log_state"))[0])
        self._looked_at_ns, self._in_flash = changed_ns, found
        return found

    def check(self, computer: Computer, since: int = 0) -> list[int]:
        """Nothing lost, nothing doubled, nothing deleted too soon. The numbers of the pages stored from `since` on.

        since: what was checked before and cannot have changed.
        """
        in_flash = self.look()
        stored = computer.stored(since)
        numbers = [page.sequence for page in stored]
        assert len(set(numbers)) == len(numbers), "a page is stored twice"
        for page in stored:
            assert self.wrote.get(page.sequence) == page.raw, f"page {page.sequence} is not what the token wrote"
        assert_sightings_fit(stored)
        wrote = sorted(sequence for sequence in self.wrote if sequence >= since)
        assert numbers == wrote[: len(numbers)], "a page is passed over, or out of order"
        lost = set(wrote) - set(numbers) - set(in_flash)
        assert not lost, f"pages {sorted(lost)} are neither in flash nor in the registry"
        safe = {sequence for sequence in wrote if sequence <= self.acknowledged}
        assert safe <= set(numbers), "the token was told that pages are safe which are not"
        assert computer.complaints() == ([], [])
        return numbers

    def sync_to_the_end(self, computer: Computer, since: int = 0) -> SyncResult:
        """A sync on a good cable: all that was there when it began is stored then, and the token has given it up."""
        if self._power_will_fail and self.token.process.running:
            self.bench.lockstep.brown_out(self.token)
        self._power_will_fail = False
        self.look()
        before = max([0, *self.wrote])
        self.ready()
        cable = self.cable()
        found = computer.sync(cable)
        numbers = self.check(computer, since)
        assert numbers == sorted(sequence for sequence in self.wrote if since <= sequence <= self.acknowledged)
        assert self.acknowledged >= before
        assert not [sequence for sequence in self.look() if sequence <= self.acknowledged]
        assert computer.last_sync_state() == "done"
        assert found.repeats == 0 and cable.lost_to_token == 0
        return found

    def close(self) -> None:
        """Power down."""
        self.bench.close()
