"""Light and deep sleep, and what they do to the rest of the chip: small scripts on the real interpreter."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.firmware.bench import SECOND_US, START_S, stays_at
from tests.firmware.script_board import ScriptBoard

from bzvirtual.channel import Channel
from bzvirtual.errors import TokenDied
from bzvirtual.ether import Ether, Station
from bzvirtual.lockstep import Lockstep
from bzvirtual.process import TokenProcess
from bzvirtual.token_folder import TokenFolder
from bzvirtual.usage import Usage

Board = Callable[..., ScriptBoard]
USB_PIN = 10
VIRTUAL = {"name": "virtual", "usb_sense": {"pin": USB_PIN}}

SLEEPER = """
import esp32, machine, time
def slept(act, *args):
    start = time.ticks_ms()
    act(*args)
    # In seconds: a new board has spent a tenth of one on making its file system.
    return round(time.ticks_diff(time.ticks_ms(), start) / 1000), machine.wake_reason()
"""


def printed(running: ScriptBoard) -> list[str]:
    """What a script has printed, without its end."""
    return [line for line in running.lines() if line != "end of script"]


def test_light_sleep_ends_with_its_time_and_ticks_and_clock_go_on(board: Board) -> None:
    script = "print(slept(machine.lightsleep, 60000), time.time(), machine.reset_cause())"
    assert printed(board(SLEEPER + script).live(100)) == ["(60, 4) 60 1"]


def test_no_task_runs_in_light_sleep(board: Board) -> None:
    script = """
import asyncio
counts = []
async def count():
    while True:
        counts.append(time.ticks_ms())
        await asyncio.sleep_ms(100)
async def main():
    asyncio.create_task(count())
    await asyncio.sleep_ms(1050)
    machine.lightsleep(10000)
    before = len(counts)
    await asyncio.sleep_ms(1050)
    print(before, len(counts), counts[before] - counts[before - 1])
asyncio.run(main())
"""
    assert printed(board(SLEEPER + script).live(30)) == ["11 22 10050"]


@pytest.mark.parametrize(
    ("arming", "pin", "level", "reason"),
    [
        ("esp32.wake_on_ext0(button, esp32.WAKEUP_ALL_LOW)", 9, 0, 2),
        ("esp32.wake_on_ext1((usb,), esp32.WAKEUP_ANY_HIGH)", USB_PIN, 1, 3),
        ("esp32.wake_on_gpio((button,), esp32.WAKEUP_ALL_LOW)", 9, 0, 7),
    ],
)
def test_an_armed_pin_ends_light_sleep_without_an_interrupt(
    board: Board, arming: str, pin: int, level: int, reason: int
) -> None:
    script = f"""
edges = []
button = machine.Pin(9, machine.Pin.IN, machine.Pin.PULL_UP)
usb = machine.Pin(10, machine.Pin.IN)
for pin in (button, usb):
    pin.irq(lambda pin: edges.append(pin), machine.Pin.IRQ_RISING | machine.Pin.IRQ_FALLING)
{arming}
print(slept(machine.lightsleep, 60000), edges, button.value(), usb.value())
print(slept(machine.lightsleep, 60000))
"""
    running = board(SLEEPER + script).live(7)
    running.lockstep.press_button(running.token, pin, level)
    button_level, usb_level = (level, 0) if pin == 9 else (1, level)
    assert printed(running) == [f"(7, {reason}) [] {button_level} {usb_level}", f"(0, {reason})"]


def test_a_pin_that_is_not_armed_does_not_wake_and_its_level_is_seen_afterwards(board: Board) -> None:
    script = """
button = machine.Pin(9, machine.Pin.IN, machine.Pin.PULL_UP)
esp32.wake_on_ext0(button, esp32.WAKEUP_ALL_LOW)
esp32.wake_on_ext0(None, esp32.WAKEUP_ALL_LOW)
print(slept(machine.lightsleep, 60000), button.value())
"""
    running = board(SLEEPER + script).live(7)
    running.lockstep.press_button(running.token, 9, 0)
    assert printed(running.live(60)) == ["(60, 4) 0"]


def test_all_low_wants_all_pins_low_with_ext1_and_any_with_gpio(board: Board) -> None:
    script = """
pins = [machine.Pin(n, machine.Pin.IN, machine.Pin.PULL_UP) for n in (9, 11)]
esp32.wake_on_ext1(pins, esp32.WAKEUP_ALL_LOW)
print(slept(machine.lightsleep, 60000))
esp32.wake_on_ext1(None)
esp32.wake_on_gpio(pins, esp32.WAKEUP_ALL_LOW)
print(slept(machine.lightsleep, 60000))
"""
    running = board(SLEEPER + script).live(7)
    running.lockstep.press_button(running.token, 9, 0)
    assert printed(running.live(30)) == []
    running.lockstep.press_button(running.token, 11, 0)
    assert printed(running) == ["(37, 3)", "(0, 7)"]


def test_sleep_without_a_time_lasts_until_a_pin(board: Board) -> None:
    script = """
esp32.wake_on_ext0(machine.Pin(9, machine.Pin.IN, machine.Pin.PULL_UP), esp32.WAKEUP_ALL_LOW)
print(slept(machine.lightsleep))
"""
    running = board(SLEEPER + script).live(100_000)
    running.lockstep.press_button(running.token, 9, 0)
    assert printed(running) == ["(100000, 2)"]


def test_a_slow_clock_sleeps_too_long_and_does_not_notice(board: Board) -> None:
    script = "print(slept(machine.lightsleep, 100000), time.time())"
    running = board(SLEEPER + script, start=False)
    running.process.folder.state.drift_ppm = -50_000
    running.token = running.lockstep.add_token(running.process, running.station)
    assert printed(running.live(105)) == []
    assert printed(running.live(1)) == ["(100, 4) 100"]


def test_the_console_of_a_sleeping_chip_is_deaf(board: Board) -> None:
    running = board(SLEEPER + "print(slept(machine.lightsleep, 60000))").live(5)
    with pytest.raises(TokenDied, match="sleeps"):
        running.lockstep.exchange(running.token, b"hello")
    running.live(60)
    assert running.process.unread_console_bytes() == 0
    assert printed(running) == ["(60, 4)"]


def test_plugging_in_wakes_a_chip_that_armed_its_sense_pin(board: Board) -> None:
    script = """
usb = machine.Pin(10, machine.Pin.IN)
esp32.wake_on_ext1((usb,), esp32.WAKEUP_ANY_HIGH)
print(usb.value(), slept(machine.lightsleep), usb.value())
time.sleep(5)
print(usb.value())
"""
    running = board(SLEEPER + script, description=VIRTUAL).live(3)
    running.lockstep.plug(running.token)
    running.live(1).lockstep.unplug(running.token)
    assert printed(running.live(5)) == ["0 (3, 3) 1", "0"]


def test_deep_sleep_ends_with_an_armed_pin_and_keeps_clock_and_rtc_memory(board: Board) -> None:
    script = """
import esp32, machine, time
rtc = machine.RTC()
button = machine.Pin(9, machine.Pin.IN, machine.Pin.PULL_UP)
print(machine.reset_cause(), machine.wake_reason(), time.time(), rtc.memory(), button.value())
if machine.reset_cause() == machine.PWRON_RESET:
    rtc.memory(b"off")
    esp32.wake_on_ext0(button, esp32.WAKEUP_ALL_LOW)
    machine.deepsleep()
"""
    running = board(SLEEPER + script).live(5000)
    running.lockstep.press_button(running.token, 9, 0)
    assert printed(running) == ["1 0 0 b'' 1", "4 2 5000 b'off' 0"]
    running.lockstep.restart(running.token)
    assert printed(running)[2] == "2 0 5000 b'off' 0"


@pytest.mark.parametrize(("power", "wakes_after_s"), [({}, 60), ({"deepsleep_wake": "gpio"}, 7)])
def test_gpio_wakes_from_deep_sleep_only_where_the_chip_can(
    board: Board, power: dict[str, str], wakes_after_s: int
) -> None:
    script = """
import esp32, machine, time
print(machine.reset_cause(), time.time())
if machine.reset_cause() == machine.PWRON_RESET:
    esp32.wake_on_gpio((machine.Pin(9, machine.Pin.IN, machine.Pin.PULL_UP),), esp32.WAKEUP_ALL_LOW)
    machine.deepsleep(60000)
"""
    running = board(SLEEPER + script, description={"name": "virtual", "power": power}).live(7)
    running.lockstep.press_button(running.token, 9, 0)
    assert printed(running.live(100)) == ["1 0", f"4 {wakes_after_s}"]


def test_a_restart_or_a_power_cut_ends_a_sleep(board: Board) -> None:
    running = board("import machine\nprint(machine.reset_cause())\nmachine.deepsleep(3600000)").live(5)
    running.lockstep.restart(running.token)
    running.live(5).lockstep.cut_power(running.token)
    running.live(5).lockstep.press_button(running.token, 9, 0)
    running.lockstep.restart(running.token, 1)
    assert printed(running.live(5)) == ["1", "2", "1"]


def test_the_frequency_is_one_of_five(board: Board) -> None:
    script = """
import machine
print(machine.freq(), machine.freq(80000000), machine.freq())
try:
    machine.freq(100000000)
except ValueError:
    print("no")
"""
    assert printed(board(SLEEPER + script)) == ["160000000 None 80000000", "no"]


# -- radio ----------------------------------------------------------------------------------------------------------
RADIO = """
import bluetooth, machine, time
ble = bluetooth.BLE()
events = []
ble.irq(lambda event, data: events.append(event))
ble.active(True)
def address():
    kind, mac = ble.config("mac")
    return kind, bytes(mac)
"""


def test_a_radio_that_is_on_in_light_sleep_is_dead_until_a_reset(board: Board) -> None:
    script = """
print(machine.reset_cause())
if machine.reset_cause() == 1:
    ble.gap_advertise(250000, b"\\x02\\x01\\x06")
    ble.gap_scan(0, 50000, 50000)
    time.sleep(10)
    machine.lightsleep(10000)
    for _ in range(2):
        ble.gap_scan(2000, 50000, 50000)
        ble.gap_advertise(250000, b"\\x02\\x01\\x06")
        time.sleep(10)
        ble.active(False)
        ble.active(True)
    print(events)
    machine.reset()
ble.gap_scan(2000, 50000, 50000)
ble.gap_advertise(250000, b"\\x02\\x01\\x06")
time.sleep(10)
print(events)
"""
    running = board(RADIO + script).live(100)
    assert printed(running) == ["1", "[]", "2", "[6]"]
    lasted_s = [(b.end_us and (b.end_us - b.start_us) / SECOND_US) for b in running.station.broadcasts]
    assert lasted_s == [10, None]


def test_a_radio_that_was_off_works_after_light_sleep(board: Board) -> None:
    script = """
ble.active(False)
machine.lightsleep(10000)
ble.active(True)
ble.gap_scan(2000, 50000, 50000)
time.sleep(10)
print(events)
"""
    assert printed(board(RADIO + script).live(100)) == ["[6]"]


def test_switching_on_brings_the_fixed_address_back(board: Board) -> None:
    script = """
fixed = address()
ble.config(addr_mode=3)
private = address()
ble.active(False)
ble.active(True)
print(fixed[0], private[0], address() == fixed, fixed[1] == machine.unique_id(), private == fixed)
ble.gap_advertise(250000, b"\\x02\\x01\\x06")
"""
    running = board(RADIO + script)
    assert printed(running) == ["0 1 True True False"]
    assert running.station.broadcasts[0].public


def test_a_radio_that_leaks_is_out_of_memory_after_so_many_starts(board: Board) -> None:
    script = """
for count in range(2, 10):
    ble.active(False)
    try:
        ble.active(True)
    except OSError as error:
        print(count, error.errno, ble.active())
        break
"""
    running = board(RADIO + script, start=False)
    running.process.folder.state.ble_leak_cycles = 5
    running.token = running.lockstep.add_token(running.process, running.station)
    running.lockstep.restart(running.token)
    assert printed(running) == ["6 12 False"] * 2


# -- several in one world -------------------------------------------------------------------------------------------
WINDOWS = """
import bluetooth, machine, os, time
ble = bluetooth.BLE()
heard = []
ble.irq(lambda event, data: heard.append((time.ticks_ms(), bytes(data[4])[-1], data[3])) if event == 5 else None)
me = os.urandom(1)[0]
print("me", me)
while True:
    minute_ms = time.time_ns() // 1000000 % 60000
    machine.lightsleep(60000 - minute_ms)
    ble.active(True)
    ble.config(addr_mode=3)
    ble.gap_advertise(250000, b"\\x02\\x01\\x06\\x02\\xff" + bytes((me,)))
    time.sleep_ms(1000)
    ble.gap_scan(1000, 50000, 50000)
    time.sleep_ms(2000)
    ble.active(False)
    print(len(heard), sorted(set(packet[1] for packet in heard)), sum(packet[2] for packet in heard))
    heard.clear()
    machine.lightsleep(1000 + os.urandom(1)[0] * 50)
"""


def windows_of(folder: Path, board: Board, seed: int) -> tuple[list[str], list[Usage]]:
    """What three sleepers print who wake at each full minute and listen for a second of it."""
    application = board(WINDOWS, start=False).application
    lockstep = Lockstep(Ether(Channel(seed, 0.0)), START_S * SECOND_US)
    tokens = []
    for n in range(3):
        process = TokenProcess(TokenFolder.create(folder / f"{n}"), application, b"%d:%d" % (seed, n), lockstep=True)
        tokens.append(lockstep.add_token(process, Station(f"{n}", 0, stays_at(n), random.Random(f"{seed}:{n}"))))
    lockstep.run_until(lockstep.now_us + 3600 * SECOND_US)
    usages = [lockstep.usage_of(token) for token in tokens]
    lockstep.stop()
    return [token.process.read_console().decode() for token in tokens], usages


def test_sleepers_whose_windows_line_up_hear_each_other_and_repeat_from_the_seed(tmp_path: Path, board: Board) -> None:
    first, usages = windows_of(tmp_path / "a", board, 1)
    again, same = windows_of(tmp_path / "b", board, 1)
    assert (first, usages) == (again, same)
    assert windows_of(tmp_path / "c", board, 2)[0] != first
    names = [int(text.splitlines()[0].removeprefix("me ")) for text in first]
    for own, text in zip(names, first, strict=True):
        windows = text.splitlines()[1:]
        assert len(windows) >= 58
        both = str(sorted(set(names) - {own}))
        assert sum(both in window for window in windows) >= 55
    for usage in usages:
        assert usage.light_sleeps >= 116
        assert usage.radio_on_us == usage.radio_starts * 3 * SECOND_US
        assert usage.asleep_us > 3600 * SECOND_US * 0.94
