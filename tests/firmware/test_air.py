"""The air between many radios: collisions, a radio that is deaf while it sends, and the cheap stations of a crowd."""

import math
import random

import pytest
from tests.firmware.bench import SECOND_US, START_S, stays_at

from bztoken.crypto import aes_ecb
from bzvirtual.beacon import AppleDevice, Beacon, GaenPhone
from bzvirtual.channel import Channel, Traffic, event_us, packet_us
from bzvirtual.ether import Ether, Station
from bzvirtual.lockstep import Lockstep
from bzvirtual.phone import IPhone
from bzwire import bluezone, gaen

START_US = START_S * SECOND_US
INTERVAL_US = 250_000
PAYLOAD = bytes(26)


def station(name: str, x_m: float = 1.0) -> Station:
    return Station(name, 0, stays_at(x_m), random.Random(name))


def heard_share(broadcasters: int, listener_sends: bool = False, seconds: int = 100) -> float:
    """Share of one near sender's packets that a listener hears among so many others."""
    ether = Ether(Channel(1, 0.0))
    listener = station("listener", 0.0)
    everybody = [station(f"sender-{n}", 0.5) for n in range(broadcasters)]
    for one in [listener, *everybody]:
        ether.join(one)
    for one in everybody + ([listener] if listener_sends else []):
        one.advertise(START_US, INTERVAL_US, PAYLOAD)
    listener.start_scan(START_US, seconds * SECOND_US)
    packets = ether.hear(listener, START_US + seconds * SECOND_US)
    sent = broadcasters * seconds * SECOND_US / (INTERVAL_US + 5_000)
    return len(packets) / sent


def test_a_packet_of_26_bytes_lasts_336_us_and_its_event_three_of_them() -> None:
    assert packet_us(26) == 336
    assert event_us(26) == 3 * (336 + 150)


def test_a_lone_sender_collides_with_nobody() -> None:
    assert heard_share(1) > 0.99


@pytest.mark.parametrize("broadcasters", [20, 100, 300])
def test_collisions_follow_pure_aloha(broadcasters: int) -> None:
    rate = (broadcasters - 1) / (INTERVAL_US + 5_000)
    expected = math.exp(-2 * rate * packet_us(len(PAYLOAD)))
    assert heard_share(broadcasters, seconds=30) == pytest.approx(expected, abs=0.03)


def test_long_packets_are_hit_more_often_than_short_ones() -> None:
    traffic, nothing = Traffic(), Traffic()
    traffic.add(0.001, 300)
    assert traffic.collision(nothing, 400) == pytest.approx(1 - math.exp(-0.7))
    assert traffic.collision(nothing, 100) == pytest.approx(1 - math.exp(-0.4))
    assert traffic.collision(traffic, 400) == 0


def test_who_is_out_of_reach_collides_with_nobody() -> None:
    ether = Ether(Channel(1, 0.0))
    listener, near = station("listener", 0.0), station("near", 0.5)
    far = [station(f"far-{n}", 5000.0) for n in range(300)]
    for one in [listener, near, *far]:
        ether.join(one)
        if one is not listener:
            one.advertise(START_US, INTERVAL_US, PAYLOAD)
    listener.start_scan(START_US, 100 * SECOND_US)
    assert len(ether.hear(listener, START_US + 100 * SECOND_US)) > 380


def test_a_radio_is_deaf_while_it_sends() -> None:
    missed = heard_share(1, seconds=2000) - heard_share(1, listener_sends=True, seconds=2000)
    expected = (event_us(len(PAYLOAD)) + packet_us(len(PAYLOAD))) / (INTERVAL_US + 5_000)
    assert expected == pytest.approx(0.007, abs=0.001)
    assert missed == pytest.approx(expected, abs=0.004)


def test_a_sender_that_is_silent_half_of_the_time_disturbs_half_as_much() -> None:
    def share(on_s: int) -> float:
        ether = Ether(Channel(1, 0.0))
        listener, near = station("listener", 0.0), station("near", 0.5)
        crowd = [station(f"other-{n}", 0.5) for n in range(300)]
        for one in [listener, near, *crowd]:
            ether.join(one)
        near.advertise(START_US, INTERVAL_US, bytes(25))
        for one in crowd:
            one.advertise(START_US, INTERVAL_US, PAYLOAD)
            one.stop_advertising(START_US + on_s * SECOND_US)
        listener.start_scan(START_US, 100 * SECOND_US)
        packets = ether.hear(listener, START_US + 100 * SECOND_US)
        return sum(len(packet.broadcast.data) == 25 for packet in packets) * 255_000 / 100 / SECOND_US

    assert share(50) == pytest.approx(math.sqrt(share(100)), abs=0.06)


# -- who is there without a process -----------------------------------------------------------------------------------
def lived(days: float, *others: Beacon | GaenPhone | AppleDevice | IPhone) -> None:
    lockstep = Lockstep(Ether(Channel(1, 0.0)), START_US)
    for one in others:
        lockstep.add_phone(one)
    lockstep.run_until(START_US + round(days * 86400 * SECOND_US))


def test_a_beacon_has_an_id_and_an_address_for_each_slot_and_remembers_them() -> None:
    beacon = Beacon(station("beacon"), random.Random(1), START_US + 100 * SECOND_US)
    seen: list[tuple[bytes, bytes, int]] = []
    beacon.station.on_broadcast = None
    ether = Ether(Channel(1, 0.0))
    ether.on_broadcast = lambda _station, b: seen.append((b.data, b.address, b.start_us // SECOND_US))
    lockstep = Lockstep(ether, START_US)
    lockstep.add_phone(beacon)
    lockstep.run_until(START_US + 86400 * SECOND_US)
    assert len(seen) == len(beacon.ids) == 96
    assert len({address for _, address, _ in seen}) == len({one.rotating_id for one in beacon.ids}) == 96
    for (data, _, start_s), one in zip(seen, beacon.ids, strict=True):
        assert bluezone.parse_advertisement(data) == (one.rotating_id, 0)
        assert start_s == one.first_s
        assert (one.last_s + 1) % bluezone.SLOT_S == 0
    assert beacon.ids[0].first_s == START_S + 100


def test_a_gaen_phone_broadcasts_what_its_keys_say() -> None:
    phone = GaenPhone(station("gaen"), random.Random(1), START_US)
    lived(1.5, phone)
    assert len(phone.ids) == 216
    assert len(phone.keys) == 2
    for day, tek in phone.keys.items():
        for one in phone.ids:
            if bluezone.day_of(one.first_s) == day:
                interval = gaen.interval_of(one.first_s)
                assert one.rotating_id == gaen.rpi(gaen.rpi_key(tek), interval, aes_ecb)
    broadcast = phone.station.broadcasts[-1]
    parsed = gaen.parse_advertisement(broadcast.data)
    assert parsed is not None and parsed[0][:16] == phone.ids[-1].rotating_id
    assert not broadcast.connectable


@pytest.mark.parametrize("foreground", [True, False])
def test_an_iphone_is_known_by_its_advertisement_and_changes_address_with_its_id(foreground: bool) -> None:
    phone = IPhone(station("iphone"), random.Random(1), START_US, foreground=foreground)
    ether = Ether(Channel(1, 0.0))
    pairs: set[tuple[bytes, bytes]] = set()

    def note(_station: Station, broadcast: object) -> None:
        gatt = phone.station.gatt
        assert gatt is not None
        pairs.add((phone.station.address, gatt.services[-1].characteristics[0].read()))

    ether.on_broadcast = note
    lockstep = Lockstep(ether, START_US)
    lockstep.add_phone(phone)
    lockstep.run_until(START_US + 86400 * SECOND_US)
    data = phone.station.broadcasts[-1].data
    assert bluezone.is_iphone(data)
    assert bluezone.parse_advertisement(data) is None
    assert len(data) <= 31
    assert len(pairs) == len({address for address, _ in pairs}) == len({own_id for _, own_id in pairs}) == 96


def test_an_iphone_hears_tokens_and_writes_its_history() -> None:
    phone = IPhone(station("iphone", 0.0), random.Random(1), START_US)
    beacon = Beacon(station("beacon"), random.Random(2), START_US)
    lived(0.02, phone, beacon)
    assert phone.history
    assert {line.split("\t")[1] for line in phone.history} <= {one.rotating_id.hex().upper() for one in beacon.ids}


def test_a_plain_apple_device_looks_like_an_iphone_with_the_app_in_the_background() -> None:
    device = AppleDevice(station("watch"), random.Random(1), START_US)
    lived(0.02, device)
    assert bluezone.is_iphone(device.station.broadcasts[-1].data)
    assert device.station.gatt is not None and not device.station.gatt.services
