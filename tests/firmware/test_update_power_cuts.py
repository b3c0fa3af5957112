"""Power fails at any write of an update, of the trial or of the way back: what boots next is one whole application."""

import pytest
from tests.firmware import updates
from tests.firmware.bench import Bench, Refused, Wearer
from tests.firmware.test_update_trial import put, slots_file, switch_on
from tests.firmware.updates import Sent, runs, slot_state

from bzfw import VERSION
from bzvirtual.application import Application
from bzvirtual.errors import TokenDied
from bzvirtual.token_folder import POWER_ON

LOST_POWER = (TokenDied, OSError, Refused)  # what a station sees of it
POINTS = 12
SECTOR_BYTES = 4096


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Sent:
    return updates.small(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory, app: Application) -> bytes:
    """The flash of a token whose next boot is one for an update."""
    bench = Bench(tmp_path_factory.mktemp("ready"), app)
    try:
        wearer = bench.hand_out("ready")
        bench.live(310)
        bench.lockstep.cut_power(wearer.token)
        wearer.flash().write("/quiet", b"")
        return wearer.token.process.folder.flash.read_bytes()
    finally:
        bench.close()


@pytest.fixture(scope="module")
def turned(tmp_path_factory: pytest.TempPathFactory, app: Application) -> bytes:
    """The flash of a token that runs 9.1.0 in slot b and has just got 9.2.0 in slot a."""
    folder = tmp_path_factory.mktemp("turned")
    bench = Bench(folder / "bench", app)
    try:
        wearer = bench.hand_out("turned")
        wearer.open_session()
        updates.update(wearer, updates.real(folder / "one", app, "9.1.0"))
        bench.live(130)
        wearer.open_session()
        updates.update(wearer, updates.real(folder / "two", app, "9.2.0"))
        bench.lockstep.cut_power(wearer.token)
        wearer.flash().write("/slots", slots_file(active=1, trial=1))
        return wearer.token.process.folder.flash.read_bytes()
    finally:
        bench.close()


def boot_with(wearer: Wearer, image: bytes, cut_after_bytes: int | None) -> None:
    """This flash, and power for so many bytes of erasing and programming."""
    if wearer.token.process.running:
        wearer.bench.lockstep.cut_power(wearer.token)
    wearer.token.process.folder.flash.write_bytes(image)
    wearer.token.process.power_cut_after_bytes = cut_after_bytes
    switch_on(wearer)


def send(wearer: Wearer, sent: Sent) -> str:
    """How far an update came before the power went."""
    reached = "boot"
    try:
        wearer.open_session()
        updates.begin(wearer, sent)
        reached = "begun"
        updates.write(wearer, sent)
        reached = "written"
        updates.finish(wearer)
        reached = "finished"
    except LOST_POWER:
        return reached
    return reached


def spent_bytes(wearer: Wearer) -> int:
    """Erased and programmed so far."""
    wearer.bench.live(0.01)  # it tells when it waits
    usage = wearer.bench.lockstep.usage_of(wearer.token)
    return usage.erases * SECTOR_BYTES + usage.programmed_bytes


def bytes_of_sending(wearer: Wearer, image: bytes, sent: Sent) -> int:
    """Erased and programmed from the boot to the end of the archive."""
    before = spent_bytes(wearer)
    boot_with(wearer, image, None)
    wearer.open_session()
    updates.begin(wearer, sent)
    updates.write(wearer, sent)
    return spent_bytes(wearer) - before


def test_a_cut_while_it_is_sent_leaves_one_that_can_be_updated(bench: Bench, ready: bytes, small: Sent) -> None:
    wearer = put(bench, ready)
    sending = bytes_of_sending(wearer, ready, small)
    reached = set()
    for point in range(POINTS):
        boot_with(wearer, ready, sending * point // POINTS)
        reached.add(send(wearer, small))
        bench.lockstep.cut_power(wearer.token)
        bench.lockstep.restart(wearer.token, POWER_ON)
        assert (runs(wearer), slot_state(wearer)) == (VERSION, ("a", 0, 0))
        updates.update(wearer, small)
        assert updates.small_runs(wearer)
    assert reached == {"boot", "begun"}


def test_a_cut_at_the_switch_leaves_the_old_or_the_new_one(bench: Bench, ready: bytes, small: Sent) -> None:
    """The end of the last file, the marker, the state file, the rename."""
    wearer = put(bench, ready)
    sending = bytes_of_sending(wearer, ready, small)
    found = []
    for more in range(-64, 1200, 64):
        boot_with(wearer, ready, sending + more)
        send(wearer, small)
        bench.lockstep.cut_power(wearer.token)
        bench.lockstep.restart(wearer.token, POWER_ON)
        found.append(updates.small_runs(wearer))
        if not found[-1]:
            assert (runs(wearer), slot_state(wearer)) == (VERSION, ("a", 0, 0))
    assert found == sorted(found)
    assert found.count(False) > 4
    assert found.count(True) > 4


def test_a_cut_during_the_trial_delays_it_only(bench: Bench, turned: bytes) -> None:
    wearer = put(bench, turned)
    states = set()
    for cut in (*range(0, 400, 40), *range(600, 7000, 800)):
        boot_with(wearer, turned, cut)
        bench.live(130)
        if wearer.token.process.running:
            bench.lockstep.cut_power(wearer.token)
        states.add(tuple(wearer.flash().read("/slots")[1:5]))
        switch_on(wearer)
        assert runs(wearer) == "9.2.0"
        bench.live(130)
        assert slot_state(wearer) == ("a", 0, 1)
    assert {(1, 1, 0, 0), (1, 1, 1, 0), (0, 0, 0, 1)} <= states


def test_a_cut_on_the_way_back_delays_it_only(bench: Bench, turned: bytes) -> None:
    wearer = put(bench, turned)
    wearer.flash().write("/slots", slots_file(active=1, trial=1, tries=3))
    image = wearer.token.process.folder.flash.read_bytes()
    states = set()
    for cut in range(0, 480, 32):
        boot_with(wearer, image, cut)
        bench.live(1)
        bench.lockstep.cut_power(wearer.token)
        states.add(tuple(wearer.flash().read("/slots")[1:5]))
        switch_on(wearer)
        assert (runs(wearer), slot_state(wearer)) == ("9.1.0", ("b", 0, 2))
    assert states == {(1, 1, 3, 0), (1, 0, 0, 2)}
