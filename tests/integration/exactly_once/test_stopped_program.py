"""A program that stands still for a second in the middle of a sync, in real time, reads the whole log once."""

import asyncio
import os
import signal
import subprocess
import sys
import threading

import pytest
from tests.integration.clinic import Clinic, assert_whole, attached
from tests.integration.line import Line
from tests.integration.requests_seen import at_request

from bzwire import messages

AN = "Bà An"
STOPPED_S = 1.0


@pytest.mark.parametrize("nobody_keeps_it", [False, True])
def test_a_program_that_stands_still_reads_the_whole_log_once(clinic_of_an: Clinic, nobody_keeps_it: bool) -> None:
    """nobody_keeps_it: what comes meanwhile is dropped, as USB-Serial-JTAG does when no driver fetches it."""
    clinic = clinic_of_an
    in_flash = clinic.pages_in_flash(AN)
    started: list[subprocess.Popen[bytes]] = []
    stopped, going_on = threading.Event(), threading.Event()
    dropped = 0

    def go_on() -> None:
        going_on.set()
        os.kill(started[0].pid, signal.SIGCONT)

    def stop() -> None:
        os.kill(started[0].pid, signal.SIGSTOP)
        stopped.set()
        threading.Timer(STOPPED_S, go_on).start()

    def to_host(_passed: int, data: bytes) -> bytes:
        nonlocal dropped
        if not nobody_keeps_it or not stopped.is_set() or going_on.is_set():
            return data
        dropped += len(data)
        return b""

    words = [sys.executable, "-m", "bztoken", "--home", str(clinic.home.path), "sync", "--port"]
    with attached(clinic.fleet) as there:
        port = there.ports[AN]
        with Line(port, to_host=to_host, on_request=at_request(messages.CMD_READ, 5, stop)) as line:
            started.append(subprocess.Popen([*words, line.path], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE))
            _, complaint = started[0].communicate(timeout=120)
        assert started[0].returncode == 0, complaint
        assert going_on.is_set() and (dropped > 0) == nobody_keeps_it
        stored = clinic.stored(AN)
        assert asyncio.run(clinic.acknowledged(port)) == stored[-1].sequence
    assert_whole(stored, in_flash)
