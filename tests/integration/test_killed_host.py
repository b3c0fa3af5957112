"""The computer dies in the middle of a sync: nothing is lost and nothing doubled when it comes back."""

import asyncio
import random
import subprocess
import sys
import threading
import time

import pytest
from tests.integration.clinic import Clinic, assert_beginning, assert_whole, attached
from tests.integration.line import Line, OnRequest
from tests.integration.requests_seen import at_last_acknowledgement, at_request, each_request

from bztoken.sync import COMMIT_PAGES, sync
from bzwire import messages

AN = "Bà An"


def quiet(_done: int, _total: int) -> None:
    """Nobody watches."""


class DoomedSync:
    """`bztoken sync` as a program of its own, killed without warning."""

    def __init__(self, clinic: Clinic) -> None:
        self._clinic = clinic
        self._process: subprocess.Popen[bytes] | None = None
        self._delay_s = 0.0

    def kill(self) -> None:
        """Now, or after the delay; from any thread."""
        assert self._process is not None
        if self._delay_s:
            threading.Timer(self._delay_s, self._process.kill).start()
        else:
            self._process.kill()
            self._process.wait(60)

    def run(self, port: str, on_request: OnRequest, delay_s: float = 0.0) -> int:
        """Start it behind a line; its exit code."""
        self._delay_s = delay_s
        with Line(port, on_request=on_request) as line:
            words = [
                sys.executable,
                "-m",
                "bztoken",
                "--home",
                str(self._clinic.home.path),
                "sync",
                "--port",
                line.path,
            ]
            self._process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            return self._process.wait(90)


@pytest.mark.parametrize(
    ("command", "number", "swallow", "commits"),
    [
        (messages.CMD_SET_CLOCK, 1, False, 0),
        (messages.CMD_READ, 12, False, 1),
        (messages.CMD_ACKNOWLEDGE, 2, True, 2),
    ],
)
def test_a_killed_sync_is_finished_by_the_next(
    clinic_of_an: Clinic, command: int, number: int, swallow: bool, commits: int
) -> None:
    clinic = clinic_of_an
    in_flash = clinic.pages_in_flash(AN)
    doomed = DoomedSync(clinic)
    with attached(clinic.fleet) as there:
        port = there.ports[AN]
        assert doomed.run(port, at_request(command, number, doomed.kill, swallow)) == -9
        before = clinic.stored(AN)
        assert_beginning(before, in_flash)
        # A piece that was being stored when the program was killed may have been committed just before.
        assert commits * COMMIT_PAGES <= len(before)
        assert commits or not before
        result = sync(clinic.home, port, quiet)
        stored = clinic.stored(AN)
        assert result.pages_new == len(stored) - len(before)
        assert_whole(stored, in_flash)
        assert asyncio.run(clinic.acknowledged(port)) == stored[-1].sequence


@pytest.mark.parametrize("seed", [1])
def test_a_sync_killed_around_a_commit_leaves_all_of_it_or_nothing(clinic_of_an: Clinic, seed: int) -> None:
    """The kill falls at a random moment after the read that completes the first commit was asked for."""
    clinic = clinic_of_an
    in_flash = clinic.pages_in_flash(AN)
    doomed = DoomedSync(clinic)
    delay_s = random.Random(seed).uniform(0.001, 0.05)
    with attached(clinic.fleet) as there:
        port = there.ports[AN]
        reads = len(b"".join(in_flash[:COMMIT_PAGES])) // messages.MAX_READ_BYTES + 1
        assert doomed.run(port, at_request(messages.CMD_READ, reads, doomed.kill), delay_s) in (-9, 0)
        before = clinic.stored(AN)
        assert not 0 < len(before) < COMMIT_PAGES
        assert_beginning(before, in_flash)
        sync(clinic.home, port, quiet)
        assert_whole(clinic.stored(AN), in_flash)


def test_pages_that_were_stored_but_not_acknowledged_are_not_read_again(clinic_of_an: Clinic) -> None:
    clinic = clinic_of_an
    in_flash = clinic.pages_in_flash(AN)
    doomed = DoomedSync(clinic)
    with attached(clinic.fleet) as there:
        port = there.ports[AN]
        assert doomed.run(port, at_request(messages.CMD_ACKNOWLEDGE, 1, doomed.kill, swallow=True)) == -9
        before = len(clinic.stored(AN))
        assert before >= COMMIT_PAGES
        assert asyncio.run(clinic.acknowledged(port)) == 0
        reads: list[int] = []
        with Line(port, on_request=_note_cursor(reads)) as line:
            result = sync(clinic.home, line.path, quiet)
        assert min(reads) == before  # the last one is held against the stored one
        assert result.pages_new == len(clinic.stored(AN)) - before
        assert asyncio.run(clinic.acknowledged(port)) == clinic.stored(AN)[-1].sequence
    assert_whole(clinic.stored(AN), in_flash)


def _note_cursor(reads: list[int]) -> OnRequest:
    return each_request(messages.CMD_READ, lambda fields: reads.append(fields["s"]))


def test_everything_stored_and_nothing_acknowledged_is_acknowledged_at_the_next_sync(clinic_of_an: Clinic) -> None:
    """The registry holds all, the token knows nothing of it: the next sync says so first."""
    clinic = clinic_of_an
    in_flash = clinic.pages_in_flash(AN)
    doomed = DoomedSync(clinic)
    with attached(clinic.fleet) as there:
        port = there.ports[AN]
        assert doomed.run(port, at_last_acknowledgement(len(in_flash), doomed.kill)) == -9
        assert len(clinic.stored(AN)) >= len(in_flash)
        began = time.monotonic()
        result = sync(clinic.home, port, quiet)
        assert result.pages_new <= 2 and result.bytes_read < 4096
        assert asyncio.run(clinic.acknowledged(port)) == clinic.stored(AN)[-1].sequence
        assert time.monotonic() - began < 40
    assert_whole(clinic.stored(AN), in_flash)
