"""The virtual board has the ESP32's traps: small scripts on the real interpreter print what the modules do."""

import errno
import random
import struct
from collections.abc import Callable

import pytest
from tests.firmware.bench import BUTTON_PIN, START_S, stays_at
from tests.firmware.script_board import ScriptBoard

from bzvirtual.device import pipe
from bzvirtual.errors import TokenDied
from bzvirtual.ether import Station

Board = Callable[..., ScriptBoard]


def printed(board: Board, script: str, live_s: float = 0) -> list[str]:
    """Lines that a script prints until its end."""
    running = board(script).live(live_s)
    assert running.ended(), running.lines()
    return running.lines()[:-1]


# -- flash ----------------------------------------------------------------------------------------------------------
FLASH = """
import esp32, vfs
part = esp32.Partition.find(esp32.Partition.TYPE_DATA, label="vfs")[0]
vfs.umount("/rom")
vfs.umount("/")
def tried(act, *args):
    try:
        return act(*args)
    except OSError as error:
        return "OSError", error.errno
def head(block, count=4):
    buf = bytearray(4096)
    part.readblocks(block, buf)
    return bytes(buf[:count]), sum(buf)
"""


def test_nor_flash_clears_bits_and_never_sets_one(board: Board) -> None:
    script = """
part.ioctl(6, 100)
print(head(100))
print(part.writeblocks(100, b"\\xf0\\x0f", 0), head(100)[0])
print(part.writeblocks(100, b"\\x30\\x00", 0), head(100)[0])
print(tried(part.writeblocks, 100, b"\\x31", 0), head(100)[0])
print(part.ioctl(6, 100), head(100))
"""
    assert printed(board, FLASH + script) == [
        str((b"\xff\xff\xff\xff", 255 * 4096)),
        "None " + str(b"\xf0\x0f\xff\xff"),
        "None " + str(b"\x30\x00\xff\xff"),
        f"('OSError', {errno.EIO}) " + str(b"\x30\x00\xff\xff"),
        "0 " + str((b"\xff\xff\xff\xff", 255 * 4096)),
    ]


def test_writeblocks_without_an_offset_erases_first(board: Board) -> None:
    script = """
part.ioctl(6, 200)
part.writeblocks(200, b"\\x00" * 4096)
part.writeblocks(201, b"\\x00" * 4096)
part.writeblocks(200, b"\\x12" * 4096)
print(head(200)[0] == b"\\x12" * 4, head(201)[1])
"""
    assert printed(board, FLASH + script) == ["True 0"]


def test_partition_tells_its_size_in_sectors(board: Board) -> None:
    script = "print(part.ioctl(4, 0), part.ioctl(5, 0), part.ioctl(99, 0), esp32.Partition.find(label='none'))"
    assert printed(board, FLASH + script) == ["512 4096 None []"]


def test_an_erase_takes_the_time_it_takes(board: Board) -> None:
    script = """
import time
start = time.ticks_ms()
part.ioctl(6, 100)
print(time.ticks_diff(time.ticks_ms(), start))
"""
    assert printed(board, FLASH + script) == ["45"]


# -- time -----------------------------------------------------------------------------------------------------------
def test_ticks_wrap_at_2_to_30_ms(board: Board) -> None:
    script = """
import time
first = time.ticks_ms()
time.sleep(400000)
half = time.ticks_ms()
print(time.ticks_diff(half, first))
time.sleep(400000)
second = time.ticks_ms()
print(time.ticks_diff(second, half), time.ticks_diff(half, second))
time.sleep(400000)
third = time.ticks_ms()
print(third < second, time.ticks_diff(third, second), third < 1 << 30)
print(time.ticks_add((1 << 30) - 1, 2), time.ticks_diff(1, (1 << 30) - 1), time.ticks_add(0, -1))
try:
    time.ticks_add(0, 1 << 29)
except OverflowError:
    print("too far")
"""
    assert printed(board, script, 1_300_000) == [
        "400000000",
        "400000000 -400000000",
        "True 400000000 True",
        "1 2 1073741823",
        "too far",
    ]


def test_the_epoch_is_2000_and_power_on_begins_there(board: Board) -> None:
    script = """
import time
print(time.gmtime(0), time.time(), time.localtime()[:3])
print(len(time.gmtime(86400 * 366)), time.gmtime(86400 * 366), time.mktime((2001, 1, 1, 0, 0, 0, 0, 0)))
"""
    assert printed(board, script) == [
        "(2000, 1, 1, 0, 0, 0, 5, 1) 0 (2000, 1, 1)",
        f"8 (2001, 1, 1, 0, 0, 0, 0, 1) {86400 * 366}",
    ]


def test_the_clock_of_the_chip_takes_a_time_and_goes_on(board: Board) -> None:
    script = """
import machine, time
rtc = machine.RTC()
rtc.datetime((2026, 12, 31, 3, 23, 59, 58, 250000))
print(rtc.datetime())
time.sleep_ms(2000)
print(rtc.datetime(), time.time_ns() // 1000000 - time.time() * 1000)
"""
    assert printed(board, script, 5) == [
        "(2026, 12, 31, 3, 23, 59, 58, 250000)",
        "(2027, 1, 1, 4, 0, 0, 0, 250000) 250",
    ]


def test_clock_and_rtc_memory_outlive_a_reset_and_not_the_power(board: Board) -> None:
    script = """
import machine, time
rtc = machine.RTC()
print(machine.reset_cause(), time.gmtime()[0], len(rtc.memory()), rtc.memory()[:3])
rtc.datetime((2026, 12, 1, 0, 0, 0, 0, 0))
rtc.memory(b"abc" * 600)
"""
    chip = board(script)
    chip.lockstep.restart(chip.token)
    chip.lockstep.cut_power(chip.token)
    chip.lockstep.restart(chip.token, 1)
    assert [line for line in chip.lines() if line != "end of script"] == [
        "1 2000 0 b''",
        "2 2026 1800 b'abc'",
        "1 2000 0 b''",
    ]


def test_a_slow_clock_loses_its_seconds_over_a_reset_too(board: Board) -> None:
    chip = board("import time\nprint(time.time())")
    chip.process.folder.state.drift_ppm = -100
    chip.lockstep.restart(chip.token)
    chip.live(100_000).lockstep.restart(chip.token)
    chip.live(100_000).lockstep.restart(chip.token)
    assert [int(line) for line in chip.lines() if line.isdigit()] == [0, 0, 99990, 199980]


def test_randomness_repeats_with_the_seed_and_differs_from_boot_to_boot(board: Board) -> None:
    script = "import os\nprint(os.urandom(8).hex(), os.urandom(3).hex())"
    first, second = board(script), board(script)
    first.lockstep.restart(first.token)
    assert first.lines()[0] == second.lines()[0]
    assert first.lines()[0] != first.lines()[2]


# -- radio ----------------------------------------------------------------------------------------------------------
RADIO = """
import bluetooth, time
ble = bluetooth.BLE()
ble.active(True)
def tried(act, *args, **named):
    try:
        return act(*args, **named)
    except (OSError, ValueError) as error:
        return type(error).__name__, error.args
def address():
    return bytes(ble.config("mac")[1])
"""


def neighbour_speaks(listener: ScriptBoard, data: bytes = b"\x02\x01\x06") -> None:
    """A second radio at the same place, as if it had always been there."""
    station = Station("neighbour", 0, stays_at(1.0), random.Random(3), b"\x01\x02\x03\x04\x05\x06")
    listener.lockstep.ether.join(station)
    station.advertise(listener.lockstep.now_us, 100_000, data)


def test_an_exception_in_the_radio_handler_silences_it_for_good(board: Board) -> None:
    script = """
calls = []
def handler(event, data):
    calls.append(event)
    raise ValueError
ble.irq(handler)
for _ in range(3):
    ble.gap_scan(2000, 50000, 50000)
    time.sleep(5)
print(calls)
ble.irq(lambda event, data: calls.append(event))
ble.gap_scan(2000, 50000, 50000)
time.sleep(5)
print(len(calls) > 10, set(calls))
"""
    running = board(RADIO + script)
    neighbour_speaks(running)
    assert running.live(60).lines()[:2] == ["[5]", "True {6, 5}"]


def test_a_new_address_is_refused_in_silence_while_the_radio_is_busy(board: Board) -> None:
    script = """
ble.config(addr_mode=3)
first = address()
ble.gap_advertise(250000, b"\\x02\\x01\\x06")
print(ble.config(addr_mode=3), address() == first)
ble.gap_advertise(None)
ble.gap_scan(10000, 50000, 50000)
print(ble.config(addr_mode=3), address() == first)
ble.gap_scan(None)
seen = {first}
for _ in range(20):
    ble.config(addr_mode=3)
    seen.add(address())
print(len(seen), {mac[0] >> 6 for mac in seen})
"""
    assert printed(board, RADIO + script) == ["None True", "None True", "21 {0}"]


def test_scan_data_die_with_the_call(board: Board) -> None:
    script = """
kept = []
def handler(event, data):
    if event == 5 and not kept:
        kept.append((data[4], bytes(data[4]), data[3], data[2], bytes(data[1])))
ble.irq(handler)
ble.gap_scan(2000, 50000, 50000)
time.sleep(5)
view, copy, rssi, kind, sender = kept[0]
print(type(view).__name__, copy, bytes(view) == copy, kind, sender, -90 < rssi < -40)
"""
    running = board(RADIO + script)
    neighbour_speaks(running)
    assert running.live(10).lines()[0] == "memoryview b'\\x02\\x01\\x06' False 0 b'\\x01\\x02\\x03\\x04\\x05\\x06' True"


def test_scan_parameters_out_of_range_are_errors(board: Board) -> None:
    script = """
for interval, window in ((50000, 50001), (50000, 2499), (10240001, 50000), (2000, 2000)):
    print(tried(ble.gap_scan, 1000, interval, window))
print(tried(ble.gap_scan, 1000, 2500, 2500))
print(tried(ble.gap_advertise, 250000, bytes(32)))
print(tried(ble.config, "nothing"), tried(ble.config, nothing=1)[0])
ble.active(False)
print(tried(ble.gap_scan, 1000)[1], tried(ble.gap_advertise, 250000)[1])
"""
    assert printed(board, RADIO + script) == [
        *["('OSError', (22,))"] * 4,
        "None",
        "('OSError', (22,))",
        "('ValueError', ('unknown config param',)) ValueError",
        "(19,) (19,)",
    ]


def test_a_stopped_scan_says_that_it_is_done_and_one_of_0_ms_goes_on(board: Board) -> None:
    script = """
events = []
ble.irq(lambda event, data: events.append(event))
ble.gap_scan(0, 50000, 50000)
time.sleep(1000)
print(events)
ble.gap_scan(None)
print(events)
ble.gap_scan(None)
print(events)
"""
    assert printed(board, RADIO + script, 2000) == ["[]", "[6]", "[6]"]


def test_the_advertising_interval_is_cut_to_625_us_and_data_may_be_left_out(board: Board) -> None:
    script = """
ble.gap_advertise(250700, b"\\x02\\x01\\x06", connectable=False)
time.sleep(1)
ble.gap_advertise(100000)
"""
    running = board(RADIO + script).live(5)
    first, second = running.station.broadcasts
    assert (first.interval_us, first.connectable, first.data) == (250_625, False, b"\x02\x01\x06")
    assert (second.interval_us, second.connectable, second.data) == (100_000, True, b"\x02\x01\x06")
    assert first.end_us == second.start_us


# -- interrupts and restarts ----------------------------------------------------------------------------------------
def test_a_pin_interrupt_sets_a_thread_safe_flag(board: Board) -> None:
    script = """
import asyncio, machine, time
flag = asyncio.ThreadSafeFlag()
pin = machine.Pin(9, machine.Pin.IN, machine.Pin.PULL_UP)
pin.irq(lambda pin: flag.set(), machine.Pin.IRQ_FALLING)
async def main():
    await flag.wait()
    print(time.ticks_ms(), pin.value())
asyncio.run(main())
"""
    running = board(script).live(7)
    running.lockstep.press_button(running.token, BUTTON_PIN, 0)
    assert running.lines()[0] == "7000 0"


def test_a_light_switched_to_what_it_shows_is_no_edge(board: Board) -> None:
    running = board(
        "import machine, time\npin = machine.Pin(4, machine.Pin.OUT, value=0)\ntime.sleep(1)\npin(1)\npin(1)"
    )
    seen: list[tuple[int, int]] = []
    running.token.pins = lambda _time_us, pin, level: seen.append((pin, level))
    running.live(3)
    assert seen == [(4, 1)]


def test_deepsleep_is_a_fresh_start_after_its_time(board: Board) -> None:
    script = """
import machine, time
rtc = machine.RTC()
print(machine.reset_cause(), time.time())
if not rtc.memory():
    rtc.memory(b"slept")
    machine.deepsleep(60000)
"""
    running = board(script).live(100)
    assert running.lines()[:2] == ["1 0", "4 60"]


def test_a_program_that_restarts_without_end_is_noticed(board: Board) -> None:
    with pytest.raises(TokenDied, match="restarts without end"):
        board("import machine\nmachine.reset()")


def test_events_are_told_apart_by_both_ends_of_the_pipe() -> None:
    assert struct.calcsize(pipe.EVENT) == pipe.EVENT_BYTES
    assert struct.calcsize(pipe.COMMAND) == pipe.COMMAND_BYTES
    assert struct.calcsize(pipe.WAKE) == pipe.WAKE_BYTES
    assert struct.calcsize(pipe.RESULT_ARGS) == pipe.RESULT_ARGS_BYTES
    assert struct.calcsize(pipe.ADVERTISE_ARGS) == pipe.ADVERTISE_ARGS_BYTES
    assert START_S % 86400 == 0
