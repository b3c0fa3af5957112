"""Connections of the virtual board: small scripts on the real interpreter read from iPhones and are connected to."""

import random
from collections.abc import Callable

import pytest
from tests.firmware.bench import SECOND_US, START_S, stays_at
from tests.firmware.script_board import ScriptBoard

from bzvirtual.beacon import AppleDevice
from bzvirtual.ether import Station
from bzvirtual.phone import IPhone

Board = Callable[..., ScriptBoard]

CLIENT = """
import bluetooth, time
SERVICE = bluetooth.UUID("00004E56-73F5-4BC4-A12F-17D1AD07A667")
CHARACTERISTIC = bluetooth.UUID("00004E56-73F5-4BC4-A12F-17D1AD07A689")
ble = bluetooth.BLE()
ble.active(True)
ble.config(addr_mode=3)
events = []
found = []
def handler(event, data):
    if event == 5:
        if not found and data[2] == 0:
            found.append((data[0], bytes(data[1])))
        return
    events.append((time.ticks_ms(), event, tuple(bytes(d) if isinstance(d, memoryview) else d for d in data)))
ble.irq(handler)
def find():
    while not found:
        ble.gap_scan(4000, 50000, 50000)
        time.sleep(5)
    events.clear()
def wait(wanted, patience_ms=60000):
    start = time.ticks_ms()
    while time.ticks_diff(time.ticks_ms(), start) < patience_ms:
        for _, event, data in events:
            if event == wanted:
                return data
        time.sleep_ms(10)
def tried(act, *args):
    try:
        return act(*args)
    except OSError as error:
        return error.errno
"""
READ = """
find()
ble.gap_connect(*found[0])
conn = wait(7)[0]
ble.gattc_discover_services(conn, SERVICE)
wait(10)
_, start, end, uuid = wait(9)
ble.gattc_discover_characteristics(conn, start, end, CHARACTERISTIC)
wait(12)
_, _, handle, properties, same = wait(11)
ble.gattc_read(conn, handle)
print(wait(16)[1:] == (handle, 0), uuid == SERVICE, same == CHARACTERISTIC, properties, wait(15)[2].hex().upper())
print(ble.gap_disconnect(conn), wait(8)[1:] == found[0], ble.gap_disconnect(conn), tried(ble.gattc_read, conn, handle))
"""


def station(name: str, x_m: float = 1.0) -> Station:
    return Station(name, 0, stays_at(x_m), random.Random(name))


def beside(running: ScriptBoard, x_m: float = 1.0, **options: bool) -> IPhone:
    """An iPhone near the board."""
    phone = IPhone(station("iphone", x_m), random.Random(5), running.lockstep.now_us, **options)
    running.lockstep.add_phone(phone)
    return phone


def printed(running: ScriptBoard) -> list[str]:
    assert running.ended(), running.lines()
    return running.lines()[:-1]


@pytest.mark.parametrize("foreground", [True, False])
def test_the_id_of_an_iphone_is_read_over_a_connection(board: Board, foreground: bool) -> None:
    running = board(CLIENT + READ)
    phone = beside(running, foreground=foreground)
    running.live(60)
    own_id = phone._own_id.hex().upper()
    assert printed(running) == [f"True True True 2 {own_id}", "True True False 128"]
    gatt = phone.station.gatt
    assert gatt is not None and (gatt.connections, gatt.reads) == (1, 1)
    usage = running.lockstep.usage_of(running.token)
    assert 0 < usage.connected_us < 2 * SECOND_US


def test_all_services_are_told_when_none_is_named(board: Board) -> None:
    script = """
find()
ble.gap_connect(*found[0])
conn = wait(7)[0]
ble.gattc_discover_services(conn)
print(wait(10) == (conn, 0), [data[3] for _, event, data in events if event == 9])
"""
    running = board(CLIENT + script)
    beside(running)
    expected = "UUID(0x1800), UUID(0x1801), UUID('00004e56-73f5-4bc4-a12f-17d1ad07a667')"
    assert printed(running.live(60)) == [f"True [{expected}]"]


def test_a_connection_stops_a_running_scan_and_advertising_goes_on(board: Board) -> None:
    script = """
ble.gap_advertise(250000, b"\\x02\\x01\\x06")
find()
ble.gap_scan(0, 50000, 50000)
ble.gap_connect(*found[0])
print([event for _, event, _ in events], tried(ble.gap_connect, *found[0]))
before = ble.config("mac")
ble.gap_advertise(None)
ble.config(addr_mode=3)
print(ble.config("mac") == before)
print(wait(7) is not None)
"""
    running = board(CLIENT + script)
    beside(running)
    assert printed(running.live(60)) == ["[6] 120", "True", "True"]


def test_a_peer_out_of_reach_is_a_time_out_without_its_address(board: Board) -> None:
    script = """
start = time.ticks_ms()
ble.gap_connect(1, b"\\x01\\x02\\x03\\x04\\x05\\x06", 3000)
print(wait(8), time.ticks_diff(time.ticks_ms(), start) // 100)
ble.gap_connect(1, b"\\x01\\x02\\x03\\x04\\x05\\x06", 30000)
time.sleep_ms(500)
events.clear()
ble.gap_connect(None)
print(wait(8, 200))
"""
    expected = "(65535, 255, b'\\x00\\x00\\x00\\x00\\x00\\x00')"
    assert printed(board(CLIENT + script).live(60)) == [f"{expected} 30", expected]


def test_an_address_that_was_given_up_cannot_be_connected_to(board: Board) -> None:
    script = """
find()
time.sleep(1000)
ble.gap_connect(*found[0])
print(wait(8)[0], wait(7, 10))
"""
    running = board(CLIENT + script)
    beside(running)
    assert printed(running.live(1100)) == ["65535 None"]


def test_a_stubborn_peer_holds_the_connection_for_half_a_minute_unless_hung_up_on(board: Board) -> None:
    script = """
find()
ble.gap_connect(*found[0])
conn = wait(7)[0]
start = time.ticks_ms()
ble.gattc_discover_services(conn, SERVICE)
print(wait(10) == (conn, 13), wait(8)[0] == conn, time.ticks_diff(time.ticks_ms(), start) // 1000)
events.clear()
ble.gap_connect(*found[0])
conn = wait(7)[0]
ble.gattc_discover_services(conn, SERVICE)
time.sleep(2)
ble.gap_disconnect(conn)
print(wait(8, 200)[0] == conn, wait(10, 40000))
"""
    running = board(CLIENT + script)
    phone = beside(running, stubborn=True)
    assert printed(running.live(200)) == ["True True 30", "True None"]
    assert phone.station.gatt is not None and phone.station.gatt.connections == 2


def test_an_apple_device_without_the_app_serves_nothing_of_ours(board: Board) -> None:
    script = """
find()
ble.gap_connect(*found[0])
conn = wait(7)[0]
ble.gattc_discover_services(conn, SERVICE)
print(wait(10) == (conn, 0), wait(9, 10))
"""
    running = board(CLIENT + script)
    running.lockstep.add_phone(AppleDevice(station("watch"), random.Random(5), running.lockstep.now_us))
    assert printed(running.live(60)) == ["True None"]


def test_a_peer_that_walks_away_is_lost_after_the_supervision_time(board: Board) -> None:
    script = """
find()
ble.gap_connect(*found[0])
conn = wait(7)[0]
time.sleep_ms(29900 - time.ticks_ms() % 30000)
time.sleep(1)
start = time.ticks_ms()
ble.gattc_discover_services(conn, SERVICE)
print(wait(8)[0] == conn, wait(10, 10), 2500 < time.ticks_diff(time.ticks_ms(), start) < 2900)
"""
    running = board(CLIENT + script)
    near, far = stays_at(1.0), stays_at(1000.0)
    walker = Station("walker", 0, lambda s: (near if s < START_S + 30 else far)(s), random.Random(1))
    running.lockstep.add_phone(IPhone(walker, random.Random(5), running.lockstep.now_us))
    assert printed(running.live(120)) == ["True None True"]


def test_a_read_value_dies_with_the_call(board: Board) -> None:
    script = """
kept = []
def keeping(event, data):
    if event == 15:
        kept.append((data[2], bytes(data[2])))
    handler(event, data)
ble.irq(keeping)
"""
    running = board(CLIENT + script + READ + "view, copy = kept[0]\nprint(len(copy), bytes(view) == copy)")
    beside(running)
    assert printed(running.live(60))[-1] == "12 False"


def test_a_radio_that_is_connected_hears_nobody_else(board: Board) -> None:
    script = """
find()
ble.gap_connect(*found[0])
conn = wait(7)[0]
results = []
def counting(event, data):
    if event == 5:
        results.append(event)
ble.irq(counting)
ble.gap_scan(4000, 50000, 50000)
time.sleep(5)
print(len(results))
ble.gap_disconnect(conn)
time.sleep(1)
ble.gap_scan(4000, 50000, 50000)
time.sleep(5)
print(len(results) > 10)
"""
    running = board(CLIENT + script)
    beside(running)
    assert printed(running.live(100)) == ["0", "True"]


# -- being connected to ---------------------------------------------------------------------------------------------
def test_a_stranger_who_connects_ends_the_advertising_until_it_is_started_again(board: Board) -> None:
    script = """
ble.gap_advertise(250000, b"\\x02\\x01\\x06")
print(wait(1))
time.sleep(3)
ble.gap_disconnect(events[0][2][0])
print(wait(2) == events[0][2])
ble.gap_advertise(250000, b"\\x02\\x01\\x06")
"""
    running = board(CLIENT + script).live(10)
    assert running.lockstep.connect_to(running.token)
    assert not running.lockstep.connect_to(running.token)
    running.live(30)
    assert printed(running) == ["(1, 1, b'\\x00\\x01\\x02\\x03\\x04\\x05')", "True"]
    first, second = running.station.broadcasts
    assert first.end_us == START_S * SECOND_US + 10 * SECOND_US
    assert second.start_us > first.end_us + 3 * SECOND_US
    assert second.end_us is None


def test_who_advertises_that_it_takes_no_connections_gets_none(board: Board) -> None:
    script = "ble.gap_advertise(250000, b'\\x02\\x01\\x06', connectable=False)"
    running = board(CLIENT + script).live(1)
    assert not running.lockstep.connect_to(running.token)


def test_a_radio_switched_off_drops_its_connection_and_says_nothing(board: Board) -> None:
    script = """
find()
ble.gap_connect(*found[0])
conn = wait(7)[0]
events.clear()
ble.active(False)
ble.active(True)
time.sleep(10)
print(events, tried(ble.gattc_read, conn, 22))
"""
    running = board(CLIENT + script)
    beside(running)
    assert printed(running.live(60)) == ["[] 128"]
    assert not running.station.central.links
