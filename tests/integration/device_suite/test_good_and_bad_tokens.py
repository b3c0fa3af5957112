"""The device suite passes on good tokens and fails on bad ones; it leaves them blank, or says how to finish."""

import json
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from littlefs import LittleFS
from tests.device.desk import HOME_PREFIX, DeskToken, laid_out, read_info
from tests.integration.clinic import SECTOR_BYTES, attached
from tests.integration.device_suite.suite_run import RELEASE, Suite, counts, failed, left_behind, rows
from tests.integration.line import Line
from tests.integration.requests_seen import at_request, pull_out
from tests.program import program

from bztoken.boards import load
from bztoken.desk import board_files, flash_image
from bztoken.desk.application_build import Arch
from bztoken.desk.board_files import Build
from bztoken.errors import BztokenError
from bztoken.home import Home
from bztoken.link.refusals import NotAToken
from bztoken.provision import provision
from bztoken.registry.database import create_registry
from bztoken.token_care import read_status
from bztoken.token_wipe import plan_wipe, wipe
from bzvirtual import application
from bzvirtual.attach import attach
from bzvirtual.token_folder import FLASH_BYTES
from bzwire import messages


# -- good tokens -----------------------------------------------------------------------------------------------------
def test_on_good_tokens_it_passes_leaves_them_blank_and_adds_a_row(tmp_path: Path, suite: Suite, boards: Path) -> None:
    with attached(tmp_path / "fleet", blank=2) as there:
        one, other = there.ports.values()
        desk = (f"--board=serial:{one}", f"--neighbour=serial:{other}")
        ran = suite("-k", "test_keys or two_tokens", *desk, "--record", "--micropython", RELEASE, "--by", "desk | 2")
        assert ran.code == 0, ran.out
        assert not read_info(one).provisioned and not read_info(other).provisioned
        firmware = read_info(one).firmware
    found = counts(ran)
    assert found["passed"] > 4 and found["skipped"] == 1
    assert "a window takes six minutes: --long" in ran.out
    assert left_behind(tmp_path) == []
    today = datetime.now(UTC).date().isoformat()
    ((*cells, notes),) = rows(boards)
    assert cells == [today, RELEASE, firmware, "desk / 2", str(found["passed"]), "0", "1"]
    assert notes == "only a part: test_keys or two_tokens"


# -- bad tokens ------------------------------------------------------------------------------------------------------
def flash_with_board_file(board: dict[str, Any]) -> bytes:
    """The flash of a token whose own board file says something else than the one on this computer."""
    flash = LittleFS(block_size=SECTOR_BYTES, block_count=FLASH_BYTES // SECTOR_BYTES, read_size=32, prog_size=32)
    with flash.open("/board.json", "wb") as file:
        file.write(json.dumps(board).encode())
    return bytes(flash.context.buffer)


@contextmanager
def token_with(folder: Path, flash: bytes) -> Iterator[str]:
    """Port of a blank token with this in its flash."""
    fleet = attach(folder, 1, flash=flash)
    ready = threading.Event()
    thread = threading.Thread(target=fleet.run, args=(lambda _ports: ready.set(),), name="odd token")
    thread.start()
    try:
        assert ready.wait(60)
        yield fleet.ports[0].path
    finally:
        fleet.stop()
        thread.join()
        fleet.close()


def virtual_board(boards: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((boards / "virtual/board.json").read_text(encoding="utf-8"))
    return found


def test_divider_clock_bound_and_name_that_are_not_the_board_files_fail_and_are_recorded(
    tmp_path: Path, suite: Suite, boards: Path
) -> None:
    board = virtual_board(boards) | {"name": "other"}
    board["battery"]["divider"] *= 2
    board["clock"]["drift_ppm"] = 20
    with token_with(tmp_path / "fleet", flash_with_board_file(board)) as port:
        unknown = suite("-k", "board_and_chip", f"--board=serial:{port}")
        which = ("-k", "board_and_chip or battery or as_true", "--board-name=virtual")
        ran = suite(*which, f"--board=serial:{port}", "--record", "--micropython", RELEASE)
        assert not read_info(port).provisioned
    assert unknown.code == 1 and "no board 'other'" in unknown.out + unknown.err
    assert ran.code == 1
    assert failed(ran) == [
        "test_board_and_chip_are_those_of_the_board_file",
        "test_the_clock_runs_as_true_as_the_board_file_says",
        "test_a_battery_is_measured_where_the_board_can",
    ]
    assert rows(boards)[0][4:7] == ["0", "3", "1"]


def test_a_cable_that_is_pulled_out_fails_and_the_suite_says_how_to_finish(
    tmp_path: Path, suite: Suite, boards: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with attached(tmp_path / "fleet", blank=1) as there:
        (port,) = there.ports.values()
        with Line(port, on_request=at_request(messages.CMD_SELF_TEST, 1, pull_out)) as line:
            ran = suite("-k", "parts", f"--board=serial:{line.path}", "--record", "--micropython", RELEASE)
        assert ran.code == 1
        assert "test_flash_clock_and_radio_pass_their_self_test" in failed(ran)
        assert "could not be wiped" in ran.out and read_info(port).provisioned
        assert int(rows(boards)[0][5]) > 0
        (folder,) = left_behind(tmp_path)
        (finishing,) = set(re.findall(r"`bztoken (--home \S+ token wipe --port \S+ --force --yes)`", ran.out))
        assert finishing.split()[1] == str(folder / "home")

        again = suite("-k", "parts", f"--board=serial:{port}")
        assert again.code == 1
        assert "is not blank, and this suite wipes: an earlier run left it so" in again.out + again.err
        assert f"`bztoken {finishing.replace(line.path, port)}` makes it blank" in again.out + again.err

        bztoken = program(monkeypatch, capfd)
        assert bztoken(folder / "home", "token", "wipe", "--port", port, "--force", "--yes").code == 0
        assert not read_info(port).provisioned


def test_another_token_at_the_port_does_not_cost_the_first_its_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name like /dev/ttyUSB0 goes to whatever is plugged in next."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    port = tmp_path / "ttyUSB0"
    with attached(tmp_path / "fleet", blank=2) as there:
        one, other = there.ports.values()
        port.symlink_to(one)
        with (
            pytest.raises(BztokenError, match="could not be wiped .* finish with `bztoken"),
            laid_out([str(port)]) as met,
        ):
            met[0].hand_out()
            port.unlink()
            port.symlink_to(other)
        (folder,) = tmp_path.glob(f"{HOME_PREFIX}*")
        home = Home(folder / "home")
        wipe(home, one, plan_wipe(home, one))
        assert not read_info(one).provisioned and not read_info(other).provisioned


def test_the_keys_that_the_suite_types_do_stop_a_token_that_lets_them(tmp_path: Path, repository: Path) -> None:
    """A developer's build does; on one for wearers the suite finds that they do not."""
    board_file = (repository / "boards/virtual/board.json").read_bytes()
    files = board_files.files(Build.DEVELOPMENT, Arch.X64, application.compile_file, board_file)
    with token_with(tmp_path / "fleet", flash_image.build(files, FLASH_BYTES)) as port:
        info = read_info(port)
        assert info.development
        token = DeskToken(Home(tmp_path / "none"), port, "", info, load("virtual"))
        token.type(b"\x03", 1.0)
        with pytest.raises(NotAToken):
            token.info()


def test_somebodys_token_is_not_touched(tmp_path: Path, suite: Suite, boards: Path) -> None:
    clinic = Home(tmp_path / "clinic")
    create_registry(clinic)
    with attached(tmp_path / "fleet", blank=2) as there:
        one, other = there.ports.values()
        provision(clinic, other, "Bà Lan")
        before = read_status(clinic, other)
        for options in ((f"--board=serial:{other}",), (f"--board=serial:{one}", f"--neighbour=serial:{other}")):
            ran = suite(*options, "--record", "--micropython", RELEASE)
            assert ran.code == 1 and "it was not touched" in ran.out + ran.err
        after = read_status(clinic, other)
        assert not read_info(one).provisioned
    assert (after.label, after.boots, after.settings) == (before.label, before.boots, before.settings)
    assert rows(boards) == [] and left_behind(tmp_path) == []
