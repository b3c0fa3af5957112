"""Battery, buzzer, clock chip and clock faults of the virtual board, and the account of what it spends."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.firmware.bench import SECOND_US, START_S
from tests.firmware.script_board import ScriptBoard

from bzvirtual.usage import Usage

Board = Callable[..., ScriptBoard]

VIRTUAL: dict[str, Any] = {"name": "virtual", "battery": {"adc_pin": 1, "divider": 2.0}}
WITH_CHIP = {**VIRTUAL, "rtc": {"chip": "pcf8563", "scl": 22, "sda": 21}}


def printed(running: ScriptBoard) -> list[str]:
    return [line for line in running.lines() if line != "end of script"]


# -- battery and buzzer ---------------------------------------------------------------------------------------------
def test_the_battery_is_read_behind_its_divider_and_needs_attenuation(board: Board) -> None:
    script = """
import machine, time
adc = machine.ADC(machine.Pin(1), atten=machine.ADC.ATTN_11DB)
print(adc.read_uv(), machine.ADC(machine.Pin(1)).read_uv(), machine.ADC(machine.Pin(2)).read_uv())
for _ in range(2):
    time.sleep(10)
    print(adc.read_uv())
"""
    running = board(script, description=VIRTUAL).live(5)
    running.lockstep.set_battery_mv(running.token, 3300)
    running.live(10).lockstep.set_battery_mv(running.token, 4200)
    assert printed(running.live(10)) == ["1950000 950000 0", "1650000", "2100000"]
    assert running.process.folder.state.battery_mv == 4200


def test_a_new_voltage_is_known_after_light_sleep_and_after_a_reset(board: Board) -> None:
    script = """
import machine
adc = machine.ADC(1, atten=3)
print(adc.read_uv())
machine.lightsleep(10000)
print(adc.read_uv())
"""
    running = board(script, description=VIRTUAL).live(5)
    running.lockstep.set_battery_mv(running.token, 3000)
    running.live(10).lockstep.restart(running.token)
    assert printed(running) == ["1950000", "1500000", "1500000"]


def test_a_buzzer_is_seen_as_a_pin_that_is_on_while_it_sounds(board: Board) -> None:
    script = """
import machine, time
time.sleep(1)
pwm = machine.PWM(machine.Pin(7), freq=2000, duty_u16=32768)
print(pwm.freq(), pwm.duty_u16())
time.sleep(1)
pwm.duty_u16(0)
time.sleep(1)
pwm.duty_u16(100)
time.sleep(1)
pwm.deinit()
"""
    running = board(script)
    seen: list[tuple[int, int, int]] = []
    # From power-up on a new board spends a tenth of a second on making its file system.
    running.token.pins = lambda time_us, pin, level: seen.append((round(time_us / SECOND_US) - START_S, pin, level))
    assert printed(running.live(10)) == ["2000 32768"]
    assert seen == [(1, 7, 1), (2, 7, 0), (3, 7, 1), (4, 7, 0)]


# -- the clock chip -------------------------------------------------------------------------------------------------
BUS = """
import machine, time
bus = machine.SoftI2C(scl=machine.Pin(22), sda=machine.Pin(21), freq=100000)
MEANT = (0x7f, 0x7f, 0x3f, 0x3f, 0x07, 0x1f, 0xff)
def fields():
    raw = bus.readfrom_mem(0x51, 2, 7)
    return raw[0] >> 7, [f"{byte & mask:02x}" for byte, mask in zip(raw, MEANT)]
"""
SET = "bus.writeto_mem(0x51, 2, bytes((0x58, 0x59, 0x23, 0x31, 0x04, 0x12, 0x26)))\n"


def test_the_clock_chip_is_set_and_read_in_bcd_and_crosses_the_year(board: Board) -> None:
    script = "print(bus.scan(), fields())\n" + SET + "print(fields())\ntime.sleep(3)\nprint(fields())"
    assert printed(board(BUS + script, description=WITH_CHIP).live(5)) == [
        "[81] (1, ['00', '00', '00', '01', '06', '01', '00'])",
        "(0, ['58', '59', '23', '31', '04', '12', '26'])",
        "(0, ['01', '00', '00', '01', '05', '01', '27'])",
    ]


def test_bits_that_mean_nothing_read_as_1(board: Board) -> None:
    script = SET + "print(bus.readfrom_mem(0x51, 2, 7).hex())"
    assert printed(board(BUS + script, description=WITH_CHIP)) == ["58d9e3f1fc7226"]


def test_the_clock_chip_keeps_time_without_power_by_its_own_drift(board: Board) -> None:
    script = "if fields()[0]:\n    " + SET + "print(fields())"
    running = board(BUS + script, description=WITH_CHIP, start=False)
    running.process.folder.state.rtc_chip_drift_ppm = 20
    running.token = running.lockstep.add_token(running.process, running.station)
    running.live(5).lockstep.cut_power(running.token)
    running.live(1_000_000 - 4).lockstep.restart(running.token, 1)
    # A little more than 1,000,000 s (set a tenth of a second after power-up), and 20 s for the drift.
    assert printed(running) == [
        "(0, ['58', '59', '23', '31', '04', '12', '26'])",
        "(0, ['58', '46', '13', '12', '02', '01', '27'])",
    ]


def test_a_stopped_clock_chip_stands_still(board: Board) -> None:
    script = (
        SET
        + """
bus.writeto_mem(0x51, 0, b"\\x20")
time.sleep(100)
print(fields()[1][0])
bus.writeto_mem(0x51, 0, b"\\x00")
time.sleep(1)
print(fields()[1][0])
"""
    )
    assert printed(board(BUS + script, description=WITH_CHIP).live(200)) == ["58", "59"]


@pytest.mark.parametrize("description", [VIRTUAL, {**WITH_CHIP, "rtc": {"chip": "pcf8563", "scl": 21, "sda": 22}}])
def test_a_bus_without_the_chip_or_on_other_pins_is_empty(board: Board, description: dict[str, Any]) -> None:
    script = """
print(bus.scan())
try:
    bus.readfrom_mem(0x51, 2, 7)
except OSError as error:
    print(error.errno)
"""
    assert printed(board(BUS + script, description=description)) == ["[]", "19"]


# -- faults of the clock --------------------------------------------------------------------------------------------
CLOCK = """
import machine, time
if machine.reset_cause() == machine.PWRON_RESET:
    machine.RTC().datetime((2026, 12, 1, 0, 0, 0, 0, 0))
start = time.ticks_ms()
while True:
    print(machine.reset_cause(), time.gmtime()[:6], time.ticks_diff(time.ticks_ms(), start) // 1000)
    time.sleep(10)
"""


def test_the_clock_jumps_without_a_reset_and_ticks_do_not(board: Board) -> None:
    running = board(CLOCK).live(5)
    running.lockstep.jump_clock(running.token, 3600 * SECOND_US)
    running.live(10).lockstep.jump_clock(running.token)
    running.live(10).lockstep.restart(running.token)
    assert printed(running) == [
        "1 (2026, 12, 1, 0, 0, 0) 0",
        "1 (2026, 12, 1, 1, 0, 10) 10",
        "1 (2000, 1, 1, 0, 0, 5) 20",
        "2 (2000, 1, 1, 0, 0, 10) 0",
    ]


def test_a_brown_out_is_called_a_power_on_and_loses_the_clock(board: Board) -> None:
    script = "import machine, time\nprint(machine.reset_cause(), time.time())"
    running = board(script).live(1000)
    running.lockstep.restart(running.token)
    running.lockstep.brown_out(running.token)
    assert printed(running) == ["1 0", "2 1000", "1 0"]


# -- what it spends -------------------------------------------------------------------------------------------------
def test_usage_adds_up_to_the_time_that_passed(board: Board) -> None:
    script = """
import bluetooth, machine, time
if machine.reset_cause() == machine.DEEPSLEEP_RESET:
    time.sleep(86400)
ble = bluetooth.BLE()
ble.active(True)
ble.gap_advertise(245000, b"\\x02\\x01\\x06")
ble.gap_scan(4000, 100000, 25000)
time.sleep(10)
ble.active(False)
machine.lightsleep(20000)
ble.active(True)
ble.gap_scan(0, 50000, 50000)
time.sleep(3)
ble.gap_scan(None)
time.sleep(2)
ble.active(False)
with open("/file", "wb") as file:
    file.write(b"x")
machine.deepsleep(30000)
"""
    running = board(script)
    running.live(200).lockstep.cut_power(running.token)
    running.live(100).lockstep.restart(running.token, 1)
    running.live(5)
    usage = running.lockstep.usage_of(running.token)
    writing_us = 2 * SECOND_US  # making the file system, writing the file: erases and programs, counted below
    assert usage.total_us == 305 * SECOND_US
    assert (usage.off_us, usage.asleep_us, usage.deep_asleep_us) == (100 * SECOND_US, 20 * SECOND_US, 30 * SECOND_US)
    assert 0 <= usage.radio_on_us - (10 + 5 + 5) * SECOND_US < writing_us
    assert usage.awake_us == (305 - 150) * SECOND_US
    assert usage.listen_us == pytest.approx((1 + 3 + 1) * SECOND_US, abs=SECOND_US // 2)
    assert usage.advertise_us == pytest.approx(15 * SECOND_US, abs=SECOND_US // 2)
    assert usage.advertisements == pytest.approx(15 * 4, abs=3)
    assert (usage.light_sleeps, usage.deep_sleeps, usage.radio_starts, usage.boots) == (1, 1, 3, 3)
    assert usage.erases >= 2
    assert usage.programmed_bytes > 100


def test_usage_is_a_copy(board: Board) -> None:
    running = board("import time").live(5)
    first = running.lockstep.usage_of(running.token)
    assert first == running.lockstep.usage_of(running.token)
    running.live(5)
    assert running.lockstep.usage_of(running.token).awake_us - first.awake_us == 5 * SECOND_US
    assert Usage().awake_us == 0
