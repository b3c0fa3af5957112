"""The same short visit again and again: a token with a log over two days is brought, something goes wrong, and it is
brought once more. Each visit has a new log, so nothing needs to be put back in between.
"""

from collections.abc import Callable
from dataclasses import dataclass
from unittest.mock import patch

from tests.firmware.bench import DAY_S, START_S
from tests.integration.exactly_once.computer import Computer, Kill, Killed
from tests.integration.exactly_once.memory_cable import MemoryCable
from tests.integration.exactly_once.witness import Witness
from tests.integration.line import Fault, clean

from bztoken.errors import LinkError
from bzwire import cbor, messages, smp

READ_BYTES = 130  # several READs, with pages that begin in one and end in another
COMMIT_PAGES = 2
VISITS_OF_A_TOKEN = 12  # then a fresh one: every visit makes the registry's work a little longer
BEFORE_MIDNIGHT_S = 650  # three windows in each of two day files: commits fall into the middle of a file
LIVES_S = 1300


@dataclass
class Visit:
    """failure: what the first sync ended with, "" for nothing. bytes_again: of the log, that came in whole answers and
    were read once more by the second sync. counts: as in `Computer`.
    """

    failure: str
    bytes_again: int
    passed: dict[str, int]
    counts: dict[str, int]
    unplugged: bool
    flash_bytes: int
    went_dark: bool


class Visits:
    """make: a new token and computer whose life begins at this time."""

    def __init__(self, make: Callable[[int], tuple[Witness, Computer]], slow_disk: int = 0) -> None:
        self._make = make
        self._slow_disk = slow_disk
        self._visits = VISITS_OF_A_TOKEN
        self._begin()

    def _begin(self) -> None:
        self.witness, self.computer = self._make(START_S + DAY_S - BEFORE_MIDNIGHT_S)
        self._visits = 0

    def visit(
        self,
        to_token: Fault = clean,
        to_host: Fault = clean,
        kill: Kill | None = None,
        power_cut_after_bytes: int | None = None,
    ) -> Visit:
        """Live over midnight, sync while something goes wrong, sync again. power_cut_after_bytes: erased or programmed
        since a restart just before.
        """
        if self._visits == VISITS_OF_A_TOKEN:
            self._begin()
        self._visits += 1
        witness = self.witness
        since = witness.acknowledged + 1
        witness.company = 2
        witness.live(LIVES_S)
        flash_bytes = witness.flash_bytes()
        if power_cut_after_bytes is not None:
            witness.restart_planned(power_cut_after_bytes)
        else:
            witness.ready()
        was_on = witness.token.process.running
        came: list[int] = []
        cable = witness.cable(to_token, to_host)
        cable.on_answer = lambda answer: came.append(_read_bytes(answer))
        failure = self._sync(cable, kill)
        flash_bytes = witness.flash_bytes() - flash_bytes
        went_dark = was_on and not witness.token.process.running
        counts = self.computer.counts
        log_bytes, stored_bytes = self._finish(since)
        bytes_again = sum(came) - stored_bytes
        return Visit(failure, bytes_again, cable.passed, counts, cable.unplugged, flash_bytes, went_dark)

    def _sync(self, cable: MemoryCable, kill: Kill | None) -> str:
        """The first sync; what it ended with."""
        with patch.object(messages, "MAX_READ_BYTES", READ_BYTES):
            try:
                self.computer.sync(cable, kill, self._slow_disk, COMMIT_PAGES)
            except (LinkError, Killed) as raised:
                return type(raised).__name__
        return ""

    def _finish(self, since: int) -> tuple[int, int]:
        """The second sync reads what the first did not store, and one page to compare: (bytes of the log from this page
        on, bytes that the first had stored).
        """
        witness = self.witness
        stored = witness.check(self.computer, since)
        # The token's clock goes on to the next evening, so that the next visit is over a midnight again.
        self.computer.offset_s += DAY_S - LIVES_S
        with patch.object(messages, "MAX_READ_BYTES", READ_BYTES):
            again = witness.sync_to_the_end(self.computer, since)
        log_bytes = sum(len(page) for number, page in witness.wrote.items() if number >= since)
        stored_bytes = sum(len(witness.wrote[number]) for number in stored)
        compared_bytes = len(witness.wrote.get(max(stored, default=since - 1), b""))
        assert again.bytes_read <= log_bytes - stored_bytes + compared_bytes, "what was stored is read again"
        return log_bytes, stored_bytes


def _read_bytes(answer: smp.Message) -> int:
    """How much of the log an answer carries."""
    if answer.group != smp.GROUP_TOKEN or answer.command != messages.CMD_READ:
        return 0
    fields = cbor.loads(answer.body)
    return len(cbor.loads(fields["b"])["d"]) if "b" in fields else 0
