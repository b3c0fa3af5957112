"""Worlds, the channel and the ether: what a world file may say, who is where, and which packets reach whom."""

import hashlib
import random
from itertools import pairwise

import pytest
from tests.firmware.bench import SECOND_US, START_S, stays_at

from bzvirtual import world
from bzvirtual.channel import SENSITIVITY_DBM, Channel
from bzvirtual.errors import WorldError
from bzvirtual.ether import Ether, Station
from bzvirtual.phone import ADVERTISE_INTERVAL_US, Phone
from bzvirtual.world import DAY_S, WALK_M_PER_S, Position
from bzwire import bluezone

GOOD = """
world hamlet
timezone +7
loss 0.1
place home 0 0 indoor
place well 30 40 outdoor
spot home bed 0 0
spot home mat 1 0
spot home door 9 0
spot well rim 0 0   # a comment
person an "Bà An" token
  05:00 well/rim
  21:00 home/bed
person binh "Ông Bình" phone
  06:00 home/mat
"""
BAD_LINES = [
    ("planet x", "unknown word 'planet'"),
    ("world a b", "'world' takes 1 words"),
    ("timezone seven", "'seven' is not a number"),
    ("loss 1", "loss is a share"),
    ("loss -0.1", "loss is a share"),
    ("place home 0 0 cellar", "indoor or outdoor"),
    ("place home x 0 indoor", "'x' is not a number"),
    ("spot moon crater 0 0", "there is no place 'moon'"),
    ('person an "An" token', "person an is there twice"),
    ('person cuc "Cúc" watch', "token or a phone"),
    ('person cuc "Cúc token', "quotation mark"),
    ("  25:00 home/bed", "'25:00' is not a time of day"),
    ("  06:60 home/bed", "'06:60' is not a time of day"),
    ("  0600 home/bed", "'0600' is not a time of day"),
    ("  07:00 home/roof", "there is no spot 'home/roof'"),
    ("  07:00", "under a person"),
]


def loaded(text: str, tmp_path) -> world.World:
    path = tmp_path / "hamlet.world"
    path.write_text(text)
    return world.load(str(path))


@pytest.mark.parametrize(("line", "complaint"), BAD_LINES)
def test_a_bad_line_is_named_by_its_number(tmp_path, line: str, complaint: str) -> None:
    with pytest.raises(WorldError) as error:
        loaded(GOOD + line + "\n# the end\n", tmp_path)
    assert complaint in str(error.value)
    assert f"hamlet.world, line {len(GOOD.splitlines()) + 1}:" in str(error.value)


@pytest.mark.parametrize("text", ["", "world empty\n", GOOD + 'person idle "Idle" token\n', "  06:00 home/bed\n"])
def test_a_world_without_people_or_stops_is_none(tmp_path, text: str) -> None:
    with pytest.raises(WorldError):
        loaded(text, tmp_path)


def test_an_unknown_world_names_the_ones_there_are() -> None:
    with pytest.raises(WorldError, match="village"):
        world.load("atlantis")


def test_every_world_that_comes_with_the_board_can_be_loaded() -> None:
    assert "village" in world.names()
    for name in world.names():
        assert len(world.load(name).people) > 2


def test_a_walk_is_straight_and_as_fast_as_people_walk(tmp_path) -> None:
    hamlet = loaded(GOOD, tmp_path)
    an = hamlet.people[0]
    leaves_s = START_S - 7 * 3600 + 5 * 3600 + DAY_S  # 05:00 in a zone 7 hours ahead
    before, arrived = hamlet.position(an, leaves_s - 1), hamlet.position(an, leaves_s + 50 / WALK_M_PER_S + 1)
    assert (before.place, before.indoor, arrived.place) == ("home", True, "well")
    on_the_way = hamlet.position(an, leaves_s + 10)
    assert (on_the_way.place, on_the_way.indoor) == ("", False)
    assert on_the_way.distance_m(before) == pytest.approx(10 * WALK_M_PER_S)
    assert on_the_way.x_m / on_the_way.y_m == pytest.approx(30 / 40)
    steps = [hamlet.position(an, leaves_s + second) for second in range(60)]
    assert all(a.distance_m(b) <= WALK_M_PER_S + 1e-9 for a, b in pairwise(steps))


def test_days_repeat_and_the_last_stop_holds_over_midnight(tmp_path) -> None:
    hamlet = loaded(GOOD, tmp_path)
    an = hamlet.people[0]
    for second in range(0, DAY_S, 1800):
        assert hamlet.position(an, START_S + second) == hamlet.position(an, START_S + 3 * DAY_S + second)
    assert hamlet.position(an, START_S - 7 * 3600).place == "home"  # local midnight


def test_true_contacts_are_the_minutes_within_2_m_under_one_roof(tmp_path) -> None:
    hamlet = loaded(GOOD, tmp_path)
    contacts = hamlet.true_contacts(START_S, START_S + DAY_S)
    assert [(contact.a, contact.b, contact.day) for contact in contacts] == [("an", "binh", START_S // DAY_S)]
    assert contacts[0].minutes == pytest.approx(8 * 60, abs=2)  # from 21:00 and the walk to 05:00
    assert (
        loaded(GOOD.replace("spot home mat 1", "spot home mat 2.1"), tmp_path).true_contacts(START_S, START_S + DAY_S)
        == []
    )


def test_a_crowd_of_more_carriers_keeps_distances_and_lives_apart(tmp_path) -> None:
    hamlet = world.crowd(3, loaded(GOOD, tmp_path))
    assert [person.name for person in hamlet.people] == ["an", "an-2", "an-3", "binh"]
    places = [hamlet.position(person, START_S) for person in hamlet.people]
    assert places[0].distance_m(places[1]) == 40


# -- channel --------------------------------------------------------------------------------------------------------
def at(x_m: float, place: str = "field", indoor: bool = False) -> Position:
    return Position(x_m, 0.0, place, indoor)


@pytest.mark.parametrize("indoor", [False, True])
def test_attenuation_grows_with_distance(indoor: bool) -> None:
    channel = Channel(1, 0.0)
    here = at(0, "hall", indoor)
    losses = [
        channel.attenuation_db("a", here, "b", at(x_m, "hall", indoor), START_S) for x_m in (0.5, 1, 2, 5, 20, 90)
    ]
    assert losses == sorted(losses)
    assert len(set(losses)) == len(losses)


def test_walls_take_strength_and_both_directions_are_alike() -> None:
    channel = Channel(1, 0.0)
    inside, outside, next_door = at(0, "house", True), at(3, "street"), at(3, "shop", True)
    through_one = channel.attenuation_db("a", inside, "b", outside, START_S)
    through_two = channel.attenuation_db("a", inside, "b", next_door, START_S)
    assert through_two - through_one == pytest.approx(8)
    assert channel.attenuation_db("b", outside, "a", inside, START_S) == through_one


def test_lost_packets_are_the_share_that_the_world_says() -> None:
    draw = random.Random(4)
    lossy = Channel(1, 0.3)
    received = sum(lossy.receive(-50, draw) is not None for _ in range(4000))
    assert received / 4000 == pytest.approx(0.7, abs=0.03)
    assert all(Channel(1, 0.0).receive(-50, draw) is not None for _ in range(500))


# -- ether ----------------------------------------------------------------------------------------------------------
T0 = START_S * SECOND_US


def pair(distance_m: float) -> tuple[Ether, Station, Station]:
    ether = Ether(Channel(1, 0.0))
    speaker = Station("speaker", 0, stays_at(0), random.Random(1))
    listener = Station("listener", 0, stays_at(distance_m), random.Random(2))
    for station in (speaker, listener):
        ether.join(station)
    return ether, speaker, listener


@pytest.mark.parametrize(("distance_m", "heard"), [(1, True), (5, True), (300, False), (3000, False)])
def test_who_is_near_is_heard_and_who_is_far_is_not(distance_m: float, heard: bool) -> None:
    ether, speaker, listener = pair(distance_m)
    speaker.advertise(T0, 100_000, b"hello")
    listener.start_scan(T0, 60 * SECOND_US)
    packets = ether.hear(listener, T0 + 60 * SECOND_US)
    assert bool(packets) is heard
    assert all(packet.rssi_dbm >= SENSITIVITY_DBM for packet in packets)


@pytest.mark.parametrize("interval_us", [20_000, 100_000, 250_000, 1_000_000])
def test_the_packet_rate_fits_the_interval(interval_us: int) -> None:
    ether, speaker, listener = pair(1)
    speaker.advertise(T0, interval_us, b"hello")
    listener.start_scan(T0, 200 * SECOND_US)
    packets = ether.hear(listener, T0 + 200 * SECOND_US)
    assert len(packets) == pytest.approx(200 * SECOND_US / (interval_us + 5_000), rel=0.03)
    times = [packet.time_us for packet in packets]
    assert all(interval_us <= later - earlier <= interval_us + 10_000 for earlier, later in pairwise(times))


def test_results_asked_for_in_pieces_come_once_and_in_order() -> None:
    ether, speaker, listener = pair(1)
    speaker.advertise(T0, 100_000, b"hello")
    listener.start_scan(T0, 10 * SECOND_US)
    times = [p.time_us for at_ms in range(0, 12_000, 50) for p in ether.hear(listener, T0 + at_ms * 1000)]
    assert times == sorted(set(times))
    assert all(T0 <= time_us < T0 + 10 * SECOND_US for time_us in times)
    assert len(times) > 50


def test_no_payload_is_heard_before_it_was_set_nor_after_it_was_given_up() -> None:
    ether, speaker, listener = pair(1)
    listener.start_scan(T0, 90 * SECOND_US)
    spans = {}
    for n in range(40):
        start_us = T0 + n * 2 * SECOND_US
        data = bytes([n])
        speaker.address = bytes([n] * 6)
        speaker.advertise(start_us, 100_000, data)
        speaker.stop_advertising(start_us + 1_500_000)
        spans[data] = (start_us, start_us + 1_500_000)
    packets = ether.hear(listener, T0 + 90 * SECOND_US)
    assert {packet.broadcast.data for packet in packets} == set(spans)
    for packet in packets:
        start_us, end_us = spans[packet.broadcast.data]
        assert start_us <= packet.time_us < end_us
        assert packet.broadcast.address == packet.broadcast.data * 6


def test_nobody_hears_without_listening_and_nobody_hears_himself() -> None:
    ether, speaker, listener = pair(1)
    speaker.advertise(T0, 100_000, b"hello")
    assert ether.hear(listener, T0 + SECOND_US) == []
    speaker.start_scan(T0, SECOND_US)
    assert ether.hear(speaker, T0 + SECOND_US) == []


def test_a_sniffer_is_told_each_broadcast_and_later_its_end() -> None:
    ether, speaker, _ = pair(1)
    told = []
    ether.on_broadcast = lambda station, broadcast: told.append((station.name, broadcast))
    speaker.advertise(T0, 100_000, b"one")
    assert told[0][1].end_us is None
    speaker.advertise(T0 + SECOND_US, 100_000, b"two")
    assert [(name, b.data, b.end_us) for name, b in told] == [
        ("speaker", b"one", T0 + SECOND_US),
        ("speaker", b"two", None),
    ]


# -- phone ----------------------------------------------------------------------------------------------------------
def lived_phone(seconds: int) -> tuple[Phone, Station, list[tuple[int, int]], list]:
    """A phone beside a station that broadcasts one ID; its scans and what a sniffer heard of it."""
    ether = Ether(Channel(1, 0.0))
    beacon = Station("beacon", 0, stays_at(0), random.Random(5))
    station = Station("phone", -15, stays_at(1), random.Random(6))
    phone = Phone(station, random.Random(7), T0)
    for joined in (beacon, station):
        ether.join(joined)
    beacon.advertise(T0, 250_000, bluezone.advertisement(bytes(range(12)), 0))
    broadcasts, scans = [], []
    ether.on_broadcast = lambda _station, broadcast: broadcasts.append(broadcast)
    while phone.next_us < T0 + seconds * SECOND_US:
        phone.step(ether)
        if station.scan is not None and (station.scan.start_us, station.scan.end_us) not in scans:
            scans.append((station.scan.start_us, station.scan.end_us))
    return phone, beacon, scans, broadcasts


def test_a_phone_scans_40_s_in_every_300_s() -> None:
    _, _, scans, _ = lived_phone(3600)
    assert {end_us - start_us for start_us, end_us in scans} == {40 * SECOND_US}
    assert {later - earlier for (earlier, _), (later, _) in pairwise(scans)} == {300 * SECOND_US}
    assert len(scans) == 12


def test_a_phone_advertises_15_s_on_and_15_s_off_under_an_address_a_slot() -> None:
    phone, _, _, broadcasts = lived_phone(3600)
    assert {broadcast.interval_us for broadcast in broadcasts} == {ADVERTISE_INTERVAL_US}
    assert {broadcast.end_us - broadcast.start_us for broadcast in broadcasts[:-1]} == {15 * SECOND_US}
    assert len(broadcasts) == 120
    by_slot = {(b.start_us // SECOND_US // 900, b.address, b.data) for b in broadcasts}
    assert len(by_slot) == 4
    for slot, _, data in by_slot:
        day_key = phone.day_key(bluezone.day_of(slot * 900))
        assert data == bluezone.advertisement(bluezone.slot_id(day_key, bluezone.slot_of(slot * 900)))


def test_a_phones_history_has_a_well_formed_line_for_each_batch() -> None:
    phone, _, scans, broadcasts = lived_phone(3600)
    own = {bluezone.parse_advertisement(broadcast.data)[0].hex().upper() for broadcast in broadcasts}
    times = []
    for line in phone.history:
        own_id, contact_id, rssi, unix_ms = line.split("\t")
        assert own_id in own
        assert contact_id == bytes(range(12)).hex().upper()
        assert -95 < int(rssi) < -40
        assert any(start_us <= int(unix_ms) * 1000 + 999 and int(unix_ms) * 1000 < end_us for start_us, end_us in scans)
        times.append(int(unix_ms))
    assert len(times) == 4 * len(scans)
    assert times == sorted(times)


def test_a_phones_day_keys_are_a_chain_of_hashes() -> None:
    phone, _, _, _ = lived_phone(10)
    day = START_S // DAY_S
    assert phone.day_key(day + 3) == hashlib.sha256(phone.day_key(day + 2)).digest()
