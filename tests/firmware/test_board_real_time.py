"""The board's sleep, cable and battery in real time: a script behind a pseudo terminal, and its fleet takes orders."""

import json
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.firmware.bench import stays_at
from tests.firmware.script_board import ScriptBoard

from bzvirtual.channel import Channel
from bzvirtual.ether import Ether, Station
from bzvirtual.process import TokenProcess
from bzvirtual.realtime import Port, RealTimeFleet, order
from bzvirtual.token_folder import TokenFolder

SCRIPT = """
import esp32, machine, select, sys, time
usb = machine.Pin(10, machine.Pin.IN)
adc = machine.ADC(machine.Pin(1), atten=machine.ADC.ATTN_11DB)
print("plugged", usb.value(), "battery", adc.read_uv(), "cause", machine.reset_cause(), machine.wake_reason())
poll = select.poll()
poll.register(sys.stdin.buffer, select.POLLIN)
while True:
    if not poll.poll(20):
        continue
    word = sys.stdin.buffer.readline().decode().strip()
    if word == "look":
        print("plugged", usb.value(), "battery", adc.read_uv())
    elif word == "nap":
        start = time.ticks_ms()
        machine.lightsleep(800)
        print("slept", time.ticks_diff(time.ticks_ms(), start) // 100)
    elif word in ("rest", "off"):
        while usb.value():
            time.sleep_ms(10)
        esp32.wake_on_ext1((usb,), esp32.WAKEUP_ANY_HIGH)
        if word == "off":
            machine.deepsleep()
        machine.lightsleep()
        print("woken by", machine.wake_reason())
"""
BOARD = {"name": "virtual", "usb_sense": {"pin": 10}, "battery": {"adc_pin": 1, "divider": 2.0}}


class Desk:
    """One board on its line, and the fleet's orders."""

    def __init__(self, folder: Path, port: Port) -> None:
        self._folder = folder
        self._port = port
        self._line = os.open(port.path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        self._heard = ""

    def say(self, word: str) -> None:
        os.write(self._line, word.encode() + b"\n")

    def hears(self, text: str, patience_s: float = 30) -> bool:
        end = time.monotonic() + patience_s
        while text not in self._heard:
            if time.monotonic() > end:
                return False
            try:
                self._heard += os.read(self._line, 4096).decode()
            except BlockingIOError:
                time.sleep(0.01)
        self._heard = self._heard.split(text, 1)[1]
        return True

    def order(self, do: str, **what: Any) -> dict[str, Any]:
        answer = order(self._folder, do=do, token=self._port.label, **what)
        time.sleep(0.3)  # order and console reach the board on two ways: what is said next must not overtake it
        return answer

    def sleeps(self, wanted: bool = True, patience_s: float = 30) -> bool:
        end = time.monotonic() + patience_s
        while self.order("look")["asleep"] != wanted:
            if time.monotonic() > end:
                return False
            time.sleep(0.02)
        return True

    def close(self) -> None:
        os.close(self._line)


@pytest.fixture
def desk(tmp_path: Path, board: Callable[..., ScriptBoard]) -> Iterator[Desk]:
    script = board(SCRIPT, start=False, description=BOARD)
    folder = tmp_path / "fleet"
    folder.mkdir()
    fleet = RealTimeFleet(folder, Ether(Channel(0, 0.0)))
    process = TokenProcess(TokenFolder.create(folder / "token"), script.application, None, lockstep=False)
    port = fleet.add("token", process, Station("token", 0, stays_at(0), random.Random()), 9)
    ready = threading.Event()
    runner = threading.Thread(target=fleet.run, args=(lambda _ports: ready.set(),))
    runner.start()
    assert ready.wait(60)
    made = Desk(folder, port)
    try:
        yield made
    finally:
        made.close()
        fleet.stop()
        runner.join(60)
        fleet.close()
    assert json.loads((folder / "token" / "state.json").read_text())["boot_cause"] == 2


def test_the_sense_pin_follows_the_cable_and_the_voltage_its_order(desk: Desk) -> None:
    assert desk.hears("plugged 1 battery 1950000 cause 1 0")
    desk.order("battery", mv=3300)
    desk.say("look")
    assert desk.hears("plugged 1 battery 1650000")
    assert desk.order("look")["battery_mv"] == 3300
    desk.order("unplug")
    desk.order("plug")
    desk.say("look")
    assert desk.hears("plugged 1 battery 1650000")


def test_what_is_said_to_a_sleeping_board_is_lost(desk: Desk) -> None:
    assert desk.hears("plugged 1")
    desk.say("nap")
    assert desk.sleeps()
    desk.say("look")
    assert desk.hears("slept 8")
    assert not desk.hears("plugged", patience_s=0.3)
    assert desk.sleeps(False)
    desk.say("look")
    assert desk.hears("plugged 1")


def test_a_cable_wakes_a_board_that_rests(desk: Desk) -> None:
    assert desk.hears("plugged 1")
    desk.say("rest")
    time.sleep(0.2)
    desk.order("unplug")
    assert desk.sleeps()
    desk.order("plug")
    assert desk.hears("woken by 3")
    assert desk.sleeps(False)


def test_a_cable_wakes_a_board_that_is_off_and_begins_anew(desk: Desk) -> None:
    assert desk.hears("plugged 1")
    desk.say("off")
    time.sleep(0.2)
    desk.order("unplug")
    assert desk.sleeps()
    desk.order("plug")
    assert desk.hears("plugged 1 battery 1950000 cause 4 3")
