"""The application of this checkout, compiled for the board's chip, is taken, tried and confirmed; log and keys stay."""

from pathlib import Path

import pytest
from tests.device.desk import DeskToken

from bztoken import signing_keys
from bztoken.desk import application_build
from bztoken.formats import application_archive
from bztoken.token_status import UpdateResult
from bztoken.update import Outcome, update
from bzvirtual.application import FIRMWARE, compile_file

LIMIT_S = 300  # two minutes to send over 115,200 baud, and the trial


@pytest.mark.timeout(LIMIT_S, func_only=True)
def test_an_application_for_this_chip_is_taken_and_confirmed(worn: DeskToken, tmp_path: Path) -> None:
    key = tmp_path / "signing.key"
    signing_keys.trust(worn.home, signing_keys.make(key))
    stream = application_build.build(FIRMWARE, worn.board.arch, compile_file)
    path = tmp_path / "application.bza"
    path.write_bytes(application_archive.seal(stream, signing_keys.load(key)))
    worn.close_windows(2)
    before = worn.status()
    done = update(worn.home, worn.port, application_archive.read(path), lambda *_: None, force=True, wait=True)
    assert (done.outcome, done.after) == (Outcome.CONFIRMED, application_build.version_of(FIRMWARE))
    assert done.bytes_sent >= len(stream)
    status = worn.status()
    assert (status.on_trial, status.update_result) == (False, UpdateResult.CONFIRMED)
    assert status.slot != before.slot
    assert status.pages_waiting >= before.pages_waiting >= 2
    assert worn.sync().kept_from is None
