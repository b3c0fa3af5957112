"""No room is left on the disk in the middle of a sync: one sentence, and the token keeps what is not stored."""

import asyncio
import resource
import signal
import subprocess
import sys

import pytest
from tests.integration.clinic import Clinic, assert_beginning, assert_whole, attached

from bztoken.sync import sync

AN = "Bà An"


def sync_with_room(clinic: Clinic, port: str, room_bytes: int) -> "subprocess.CompletedProcess[str]":
    """`bztoken sync` while no file may grow beyond so many bytes: the system refuses the write, as a full disk does."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (room_bytes, room_bytes))

    words = [sys.executable, "-m", "bztoken", "--home", str(clinic.home.path), "sync", "--port", port]
    return subprocess.run(words, capture_output=True, text=True, preexec_fn=limit, timeout=120, check=False)


@pytest.mark.parametrize("room_pages", [4, 20, 60])
def test_a_full_disk_is_one_sentence_and_loses_nothing(clinic_of_an: Clinic, room_pages: int) -> None:
    clinic = clinic_of_an
    in_flash = clinic.pages_in_flash(AN)
    with attached(clinic.fleet) as there:
        port = there.ports[AN]
        ran = sync_with_room(clinic, port, room_pages * 4096)
        assert ran.returncode == 1, ran.stderr
        assert ran.stderr.startswith("bztoken: the registry refused (") and ran.stderr.count("\n") == 1, ran.stderr
        assert "check disk space and try again" in ran.stderr
        stored = clinic.stored(AN)
        assert_beginning(stored, in_flash)
        assert asyncio.run(clinic.acknowledged(port)) <= len(stored)
        sync(clinic.home, port, lambda _done, _total: None)
        assert_whole(clinic.stored(AN), in_flash)
