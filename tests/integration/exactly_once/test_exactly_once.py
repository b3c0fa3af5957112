"""Token and registry, both real, live through cuts, noise, kills, resets and power cuts in any order: each page that
the token ever wrote is stored once, and none is deleted before that.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from tests.firmware.bench import DAY_S, START_S
from tests.integration.exactly_once.computer import Computer, Kill, Killed
from tests.integration.exactly_once.conftest import LABEL, UID
from tests.integration.exactly_once.spoiled import CHANGED, NOISY, REPEATED, one_way_or_both
from tests.integration.exactly_once.witness import Witness
from tests.integration.faults import cut_after
from tests.integration.line import Fault, clean

from bztoken.errors import LinkError
from bztoken.home import Home
from bzvirtual.application import Application
from bzvirtual.desk import Identity
from bzwire import messages

LIVES = int(os.environ.get("BZ_LIVES", "30"))
STEPS_OF_A_LIFE = 12


@dataclass(frozen=True)
class Trouble:
    """What goes wrong in a sync. at: bytes on the cable, or erased and programmed in flash."""

    what: str
    at: int = 0
    faults: tuple[Fault, Fault] = (clean, clean)
    kill: Kill | None = None


def _somewhere(what: str, most: int) -> st.SearchStrategy[Trouble]:
    return st.builds(Trouble, st.just(what), st.integers(0, most))


def _spoiled(what: str, fault: st.SearchStrategy[Fault]) -> st.SearchStrategy[Trouble]:
    return st.builds(Trouble, st.just(what), faults=one_way_or_both(fault))


def _killed(places: list[str], most: int) -> st.SearchStrategy[Trouble]:
    kills = st.builds(Kill, st.sampled_from(places), st.integers(1, most))
    return st.builds(lambda kill: Trouble(f"killed at {kill.place}", kill=kill), kills)


TROUBLES = st.one_of(
    _somewhere("cut to the token", 1200),
    _somewhere("cut to the host", 3000),
    _somewhere("reset", 1200),
    _somewhere("reset in an answer", 3000),
    _somewhere("power fails", 60_000),
    _spoiled("changed bytes", CHANGED),
    _spoiled("old frames", REPEATED),
    _spoiled("noise", NOISY),
    _killed(["send", "sent"], 14),
    _killed(["begin", "commit", "committed"], 3),
    _killed(["statement"], 50),
)


KINDS = {
    "good cable", "cut to the token", "cut to the host", "reset", "reset in an answer", "power fails",
    "changed bytes", "old frames", "noise", "killed at send", "killed at commit", "killed at statement",
}  # fmt: skip


class Life(RuleBasedStateMachine):
    """A token and the computer it is brought to again and again."""

    app: Application
    empty_home: Home
    folder: Path
    outcomes: dict[str, int]

    def __init__(self) -> None:
        super().__init__()
        self.witness: Witness | None = None

    @initialize(
        before_midnight_s=st.integers(0, 3600),
        read_bytes=st.sampled_from([130, 600, messages.MAX_READ_BYTES]),
        commit_pages=st.sampled_from([1, 3, 96]),
        slow_disk=st.sampled_from([0, 5, 40]),
    )
    def begin(self, before_midnight_s: int, read_bytes: int, commit_pages: int, slow_disk: int) -> None:
        folder = self.folder / "life"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.empty_home.path, folder / "home")
        identity = Identity.derive(LABEL, UID, self.empty_home.master_key())
        self.witness = Witness(folder / "tokens", self.app, identity, START_S + DAY_S - before_midnight_s)
        self.computer = Computer(Home(folder / "home"), LABEL, self.witness.now_us, self.witness.live)
        self._read_bytes, self._commit_pages, self._slow_disk = read_bytes, commit_pages, slow_disk

    def teardown(self) -> None:
        if self.witness is None:
            return
        try:
            if self.witness.bench.wearers:
                self.witness.sync_to_the_end(self.computer)
        finally:
            self.computer.close()
            self.witness.close()

    @property
    def token(self) -> Witness:
        assert self.witness is not None
        return self.witness

    def _note(self, outcome: str) -> None:
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1

    def _sync(self, what: str, to_token: Fault = clean, to_host: Fault = clean, kill: Kill | None = None) -> None:
        """One sync, whatever comes of it; then what must always hold."""
        cable = self.token.cable(to_token, to_host)
        with patch.object(messages, "MAX_READ_BYTES", self._read_bytes):
            try:
                self.computer.sync(cable, kill, self._slow_disk, self._commit_pages)
                self._note(f"{what}, went through")
            except (LinkError, Killed) as failure:
                self._note(f"{what}, {type(failure).__name__}")
        self.token.wearer.unplug()
        self.token.check(self.computer)

    # -- life ----------------------------------------------------------------------------------------------------------
    @rule(minutes=st.integers(1, 40), company=st.integers(0, 6))
    def live(self, minutes: int, company: int) -> None:
        self.token.company = company
        self.token.live(60 * minutes)

    @rule()
    def restart_as_at_night(self) -> None:
        self.token.restart_planned()

    @rule()
    def battery_gives_way(self) -> None:
        if self.token.token.process.running:
            self.token.bench.lockstep.brown_out(self.token.token)

    @rule(profile=st.sampled_from([0, 1]), both=st.sampled_from([0, 1]))
    def settings_change(self, profile: int, both: int) -> None:
        self.token.ready()
        self.token.token.process.read_console()
        self.token.wearer.open_session()
        self.token.wearer.tell(p=profile, h=both)
        self.token.wearer.unplug()

    # -- syncs ---------------------------------------------------------------------------------------------------------
    @rule()
    def sync(self) -> None:
        self.token.ready()
        self._sync("good cable")

    @rule(minutes=st.integers(1, 40), company=st.integers(0, 6), trouble=TROUBLES)
    def live_and_sync_in_trouble(self, minutes: int, company: int, trouble: Trouble) -> None:
        self.live(minutes, company)
        self._sync_in(trouble)

    @rule(trouble=TROUBLES, more=TROUBLES)
    def sync_in_trouble_twice(self, trouble: Trouble, more: Trouble) -> None:
        self._sync_in(trouble)
        self._sync_in(more)

    def _sync_in(self, trouble: Trouble) -> None:
        to_token, to_host = trouble.faults
        if trouble.what == "power fails":
            self.token.restart_planned(trouble.at)
            if self.token.token.process.running:
                self.token.live(61)
        else:
            self.token.ready()
        if trouble.what == "cut to the token":
            to_token = cut_after(trouble.at)
        elif trouble.what == "cut to the host":
            to_host = cut_after(trouble.at)
        elif trouble.what == "reset":
            to_token = self._then_reset(trouble.at)
        elif trouble.what == "reset in an answer":
            to_host = self._then_reset(trouble.at)
        self._sync(trouble.what, to_token, to_host, trouble.kill)

    def _then_reset(self, at: int) -> Fault:
        """The bytes up to there pass, the rest of that piece is lost with the program that sent or read it."""
        over = False

        def fault(passed: int, data: bytes) -> bytes:
            nonlocal over
            if over or passed + len(data) < at:
                return data
            over = True
            self.token.reset()
            return data[: max(0, at - passed)]

        return fault


@contextmanager
def lives(app: Application, empty_home: Home, folder: Path) -> Iterator[type[Life]]:
    """The machine on one application and one empty registry."""
    yield type("LifeHere", (Life,), {"app": app, "empty_home": empty_home, "folder": folder, "outcomes": {}})


@pytest.mark.timeout(60 + LIVES * 15)
def test_each_page_is_stored_once_whatever_happens(app: Application, empty_home: Home, tmp_path: Path) -> None:
    with lives(app, empty_home, tmp_path) as life:
        run_state_machine_as_test(
            life,
            settings=settings(
                settings(),
                deadline=None,
                max_examples=LIVES,
                stateful_step_count=STEPS_OF_A_LIFE,
                suppress_health_check=list(HealthCheck),
            ),
        )
    for outcome, count in sorted(life.outcomes.items()):
        print(count, outcome)
    assert {outcome.partition(",")[0] for outcome in life.outcomes} >= KINDS  # else it has seen less than it says
