"""IDs that are heard for longer than an ID lives are kept and marked; those of honest neighbours never are."""

import random
from collections.abc import Callable

import pytest
from tests.firmware.bench import SECOND_US, START_S, Bench, Wearer, stays_at

from bzvirtual.beacon import GaenPhone
from bzvirtual.ether import Station
from bzvirtual.phone import IPhone, Phone
from bzwire import bluezone, gaen, messages
from bzwire.page import KIND_BLUEZONE, KIND_GAEN, RECORD_CONNECTED, RECORD_STALE, PageHeader, Record

MINUTE_S = 60
INTERVAL_US = 100_000
PROFILES = [messages.PROFILE_CONTINUOUS, messages.PROFILE_WINDOWED]
BLUEZONE_ID = bytes.fromhex("00112233445566778899aabb")
GAEN_ID = bytes(range(20))


class Tape:
    """A station that broadcasts what it is told, for as long as it is told."""

    def __init__(self, bench: Bench, x_m: float = 1.0) -> None:
        self._bench = bench
        self._station = Station("tape", 0, stays_at(x_m), random.Random(9))
        bench.lockstep.ether.join(self._station)
        self._addresses = 0

    def play(self, payload: bytes, seconds: float) -> None:
        """Broadcast from now on, under a new address, while the world lives so long."""
        self._addresses += 1
        self._station.address = bytes([1, 2, 3, 4, 5, self._addresses])
        self._station.advertise(self._bench.lockstep.now_us, INTERVAL_US, payload)
        self._bench.live(seconds)
        self._station.stop_advertising(self._bench.lockstep.now_us)


def bluezone_payload(rotating_id: bytes = BLUEZONE_ID) -> bytes:
    return bluezone.advertisement(rotating_id, 0)


def gaen_payload() -> bytes:
    return gaen.advertisement(GAEN_ID[:16], GAEN_ID[16:])


def ears(bench: Bench, name: str = "ears", x_m: float = 0.0, **settings: int) -> Wearer:
    """A token with these settings."""
    wearer = bench.hand_out(name, x_m)
    if settings:
        wearer.tell(**settings)
    return wearer


def heard(wearer: Wearer, rotating_id: bytes) -> list[tuple[PageHeader, Record]]:
    """Where an ID stands in the log, in the order of time."""
    wearer.wake()
    return [
        (head, record) for head, records in wearer.pages() for record in records if record.rotating_id == rotating_id
    ]


def is_stale(record: Record) -> bool:
    return bool(record.flags & RECORD_STALE)


# -- replays --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("profile", PROFILES)
def test_an_id_that_is_replayed_40_minutes_later_is_kept_and_marked(bench: Bench, profile: int) -> None:
    wearer = ears(bench, p=profile)
    tape = Tape(bench)
    bench.live(5 * MINUTE_S)
    tape.play(bluezone_payload(), 5 * MINUTE_S)
    bench.live(40 * MINUTE_S)
    replayed_s = bench.now_s
    tape.play(bluezone_payload(), 10 * MINUTE_S)
    bench.live(6 * MINUTE_S)
    found = heard(wearer, BLUEZONE_ID)
    marks = [(head.window_start_s + record.first_s >= replayed_s, is_stale(record)) for head, record in found]
    assert marks == sorted(marks)
    assert set(marks) == {(False, False), (True, True)}
    assert {record.kind for _, record in found} == {KIND_BLUEZONE}
    assert sum(record.scans for _, record in found if is_stale(record)) >= 8
    assert wearer.status()["st"] == sum(stale for _, stale in marks)


def test_the_same_id_again_within_its_life_is_not_marked(bench: Bench) -> None:
    wearer = ears(bench)
    tape = Tape(bench)
    tape.play(bluezone_payload(), 5 * MINUTE_S)
    bench.live(5 * MINUTE_S)
    tape.play(bluezone_payload(), 5 * MINUTE_S)
    bench.live(6 * MINUTE_S)
    found = heard(wearer, BLUEZONE_ID)
    assert len(found) >= 2
    assert not any(is_stale(record) for _, record in found)
    assert wearer.status()["st"] == 0


def test_an_id_that_never_ends_is_marked_once_a_slot_and_a_minute_are_over(bench: Bench) -> None:
    wearer = ears(bench)
    begin_s = START_S + 100
    bench.live_until(begin_s)
    Tape(bench).play(bluezone_payload(), 60 * MINUTE_S)
    bench.live(6 * MINUTE_S)
    for head, record in heard(wearer, BLUEZONE_ID):
        last_s = head.window_start_s + record.last_s
        # Its first hearing was up to a minute after its beginning.
        if last_s - begin_s <= bluezone.SLOT_S + 60:
            assert not is_stale(record)
        elif last_s - begin_s > bluezone.SLOT_S + 60 + 60:
            assert is_stale(record)


@pytest.mark.parametrize(("minutes", "marked"), [(18, False), (30, True)])
def test_an_rpi_lives_twenty_minutes(bench: Bench, minutes: int, marked: bool) -> None:
    wearer = ears(bench, h=1)
    bench.live(MINUTE_S)
    Tape(bench).play(gaen_payload(), minutes * MINUTE_S)
    bench.live(6 * MINUTE_S)
    found = heard(wearer, GAEN_ID)
    assert {record.kind for _, record in found} == {KIND_GAEN}
    assert is_stale(found[-1][1]) is marked
    assert not is_stale(found[0][1])


def test_a_replay_six_hours_later_is_marked(bench: Bench) -> None:
    wearer = ears(bench)
    tape = Tape(bench)
    tape.play(bluezone_payload(), 5 * MINUTE_S)
    bench.live_until(START_S + 6 * 3600)
    tape.play(bluezone_payload(), 5 * MINUTE_S)
    bench.live(6 * MINUTE_S)
    assert is_stale(heard(wearer, BLUEZONE_ID)[-1][1])


def test_the_last_100_ids_are_remembered_in_a_crowd(bench: Bench) -> None:
    wearer = ears(bench)
    tape = Tape(bench)
    tape.play(bluezone_payload(), 2 * MINUTE_S)
    draw = random.Random(2)
    for _ in range(100):
        tape.play(bluezone_payload(draw.randbytes(12)), 61)
    tape.play(bluezone_payload(), 2 * MINUTE_S)
    bench.live(6 * MINUTE_S)
    assert is_stale(heard(wearer, BLUEZONE_ID)[-1][1])


def test_setting_the_clock_forgets_what_was_heard(bench: Bench) -> None:
    wearer = ears(bench)
    tape = Tape(bench)
    tape.play(bluezone_payload(), 6 * MINUTE_S)
    bench.live(40 * MINUTE_S)
    wearer.wake()
    wearer.set_clock(bench.now_s)
    tape.play(bluezone_payload(), 6 * MINUTE_S)
    bench.live(6 * MINUTE_S)
    found = heard(wearer, BLUEZONE_ID)
    assert len(found) >= 2
    assert not any(is_stale(record) for _, record in found)


@pytest.mark.parametrize("delta_s", [3600, -3600])
def test_a_clock_set_in_the_midst_of_an_encounter_marks_nobody(bench: Bench, delta_s: int) -> None:
    wearer = ears(bench)
    ears(bench, "mate", 1.0)
    bench.live(10 * MINUTE_S + 30)
    wearer.wake()
    wearer.set_clock(bench.now_s + delta_s)
    bench.live(10 * MINUTE_S)
    wearer.set_clock(bench.now_s)
    bench.live(20 * MINUTE_S)
    assert wearer.status()["st"] == 0
    assert not any(is_stale(record) for _, records in wearer.pages() for record in records)


def test_a_replay_does_not_mark_the_ones_beside_it(bench: Bench) -> None:
    wearer = ears(bench)
    ears(bench, "mate", 1.0)
    Tape(bench).play(bluezone_payload(), 50 * MINUTE_S)
    bench.live(6 * MINUTE_S)
    wearer.wake()
    marked = {record.rotating_id for _, records in wearer.pages() for record in records if is_stale(record)}
    assert marked == {BLUEZONE_ID}


# -- honest neighbours ----------------------------------------------------------------------------------------------
def add_android(bench: Bench, draw: random.Random, station: Station) -> None:
    bench.lockstep.add_phone(Phone(station, draw, bench.lockstep.now_us))


def add_iphone(bench: Bench, draw: random.Random, station: Station) -> None:
    bench.lockstep.add_phone(IPhone(station, draw, bench.lockstep.now_us))


def add_gaen_phone(bench: Bench, draw: random.Random, station: Station) -> None:
    bench.lockstep.add_phone(GaenPhone(station, draw, bench.lockstep.now_us))


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("add", [add_android, add_iphone, add_gaen_phone])
def test_a_phone_beside_a_token_is_never_marked(
    bench: Bench, add: Callable[[Bench, random.Random, Station], None], profile: int
) -> None:
    wearer = ears(bench, p=profile, h=1)
    add(bench, random.Random(1), Station("phone", 0, stays_at(1.0), random.Random(2)))
    bench.live(2 * 3600 + 400)
    wearer.wake()
    records = [record for _, records in wearer.pages() for record in records]
    assert len(records) >= 24
    assert {record.flags & ~RECORD_CONNECTED for record in records} == {0}
    assert wearer.status()["st"] == 0


@pytest.mark.parametrize(("profile", "scheme"), [(0, messages.SCHEME_BLUEZONE), (1, messages.SCHEME_GAEN)])
def test_a_token_with_a_wrong_and_drifting_clock_is_never_marked(bench: Bench, profile: int, scheme: int) -> None:
    wearer = ears(bench, p=profile, s=scheme, h=1)
    others = []
    for n, (offset_s, drift_ppm) in enumerate([(437, 0), (-250, 50_000), (0, -50_000)]):
        other = bench.hand_out(f"mate{n}", 1.0 + n, drift_ppm=drift_ppm)
        other.tell(p=messages.PROFILE_CONTINUOUS, s=scheme)
        other.set_clock(bench.now_s + offset_s)
        others.append(other)
    bench.live(3600 + 400)
    wearer.wake()
    records = [record for _, records in wearer.pages()[2:] for record in records]
    assert len(records) >= 3 * 12
    assert {record.flags for record in records} == {0}
    sent_us = max(s.broadcast.start_us for s in bench.sniffed if s.name == "mate1")
    assert sent_us > bench.lockstep.now_us - 1000 * SECOND_US
