"""What `bztoken flash` does not do: each is told in a sentence, and the board is as it was."""

import fcntl
import hashlib
import json
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.integration.bare import BOARDS, bare_boards
from tests.program import Program, program
from tests.synthetic_image import PARTITIONS, write

from bztoken.formats import flash_record

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def boards_folder(tmp_path: Path) -> Path:
    """A copy of the test boards, to be changed."""
    return Path(shutil.copytree(BOARDS, tmp_path / "data"))


@pytest.fixture
def cli(tmp_path: Path, boards_folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> Program:
    monkeypatch.setenv("BZTOKEN_BOARDS", str(boards_folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return partial(program(monkeypatch, capfd), tmp_path / "home", "flash")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return write(tmp_path / "image.bin")


def change(boards_folder: Path, **keys: Any) -> None:
    """Other values for the bench board."""
    file = boards_folder / "bench" / "board.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **keys}))


def with_digest(boards_folder: Path, digest: str) -> dict[str, Any]:
    image = json.loads((boards_folder / "bench" / "board.json").read_text())["image"]
    return {**image, "sha256": digest, "sha256_source": "made for this test"}


# -- before a board is looked at -------------------------------------------------------------------------------------
def test_without_an_image_it_says_which_file_to_fetch_and_where_to_put_it(cli: Program, tmp_path: Path) -> None:
    ran = cli("--board", "bench", "--port", "/dev/null")
    assert ran.code == 1
    file = "ESP32_GENERIC_C3-20260824-v1.29.0.bin"
    assert f"fetch {file} from https://micropython.org/resources/firmware/{file}" in ran.err
    assert f"put it into {tmp_path / 'cache' / 'bztoken' / 'images'}" in ran.err


def test_an_image_with_another_digest_is_refused(cli: Program, boards_folder: Path, image: Path) -> None:
    change(boards_folder, image=with_digest(boards_folder, "0" * 64))
    ran = cli("--board", "bench", "--port", "/dev/null", "--image", image)
    assert ran.code == 1
    assert "its SHA-256 is" in ran.err
    change(boards_folder, image=with_digest(boards_folder, hashlib.sha256(image.read_bytes()).hexdigest()))
    ran = cli("--board", "bench", "--port", "/dev/null", "--image", image)
    assert ran.err == "bztoken: /dev/null is not a serial port.\n"


def test_an_image_cut_short_is_refused(cli: Program, image: Path) -> None:
    image.write_bytes(image.read_bytes()[:-100])
    ran = cli("--board", "bench", "--port", "/dev/null", "--image", image)
    assert ran.code == 1
    assert "was cut short" in ran.err


def test_an_image_that_cannot_be_read_is_named(cli: Program, tmp_path: Path) -> None:
    ran = cli("--board", "bench", "--port", "/dev/null", "--image", tmp_path / "nowhere.bin")
    assert ran.code == 1
    assert f"{tmp_path / 'nowhere.bin'} cannot be read: no such file" in ran.err


def test_an_image_for_another_chip_is_refused(cli: Program, tmp_path: Path) -> None:
    ran = cli("--board", "bench", "--port", "/dev/null", "--image", write(tmp_path / "other.bin", "esp32s3"))
    assert ran.code == 1
    assert "is an image for ESP32-S3" in ran.err


def test_an_image_that_keeps_its_files_elsewhere_is_refused(cli: Program, tmp_path: Path) -> None:
    rows = (*PARTITIONS, ("vfs", 1, 0x81, 0x210000, 0x1F0000))
    ran = cli("--board", "bench", "--port", "/dev/null", "--image", write(tmp_path / "other.bin", partitions=rows))
    assert ran.code == 1
    assert "keeps its files at 0x210000" in ran.err


def test_an_image_that_wants_a_larger_flash_is_refused(cli: Program, tmp_path: Path) -> None:
    ran = cli("--board", "bench", "--port", "/dev/null", "--image", write(tmp_path / "other.bin", flash_mib=8))
    assert ran.code == 1
    assert "starts on a larger flash only" in ran.err


def test_an_image_that_reaches_into_the_files_is_refused(cli: Program, tmp_path: Path) -> None:
    long = write(tmp_path / "other.bin", application_bytes=2 * 1024 * 1024)
    ran = cli("--board", "bench", "--port", "/dev/null", "--image", long)
    assert ran.code == 1
    assert "reaches into the files behind it" in ran.err


def test_an_image_of_another_release_is_refused_though_nobody_knows_its_digest(cli: Program, tmp_path: Path) -> None:
    ran = cli("--board", "bench", "--port", "/dev/null", "--image", write(tmp_path / "other.bin", release="v1.20.0"))
    assert ran.code == 1
    assert "is MicroPython v1.20.0, and board bench is pinned to v1.29.0" in ran.err


def test_the_virtual_board_cannot_be_flashed(cli: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BZTOKEN_BOARDS")
    ran = cli("--board", "virtual", "--port", "/dev/null")
    assert ran.code == 1
    assert "none that can be flashed" in ran.err


# -- at the port -----------------------------------------------------------------------------------------------------
def test_a_port_that_is_none_is_named(cli: Program, image: Path, tmp_path: Path) -> None:
    for port, why in (("/dev/null", "is not a serial port"), (tmp_path / "tty", "There is no port")):
        ran = cli("--board", "bench", "--port", port, "--image", image)
        assert ran.code == 1
        assert why in ran.err


def test_a_silent_port_is_told_how_to_wake_a_board(cli: Program, image: Path) -> None:
    master, slave = os.openpty()
    ran = cli("--board", "bench", "--port", os.ttyname(slave), "--image", image)
    os.close(master)
    os.close(slave)
    assert ran.code == 1
    assert "nothing was written" in ran.err
    assert "hold the board's BOOT button" in ran.err


def seize(port: str) -> int:
    """Waits until a program has the port, and takes it once that lets go; the descriptor that holds it."""
    descriptor, was_taken = os.open(port, os.O_RDWR | os.O_NOCTTY), False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            was_taken = True
        else:
            if was_taken:
                return descriptor
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        time.sleep(0.02)


def test_a_port_that_another_program_takes_in_between_is_told(cli: Program, image: Path, tmp_path: Path) -> None:
    with bare_boards(tmp_path / "boards") as boards, ThreadPoolExecutor() as pool:
        other = pool.submit(seize, boards.port)
        ran = cli("--board", "bench", "--port", boards.port, "--image", image)
        os.close(other.result(timeout=60))
        assert set(boards.chip_flash()) == {0xFF}
    assert ran.code == 1
    assert "nothing was written" in ran.err and "close the other program that uses the port" in ran.err


def test_another_chip_is_refused_before_anything_is_written(cli: Program, image: Path, tmp_path: Path) -> None:
    with bare_boards(tmp_path / "boards", "esp32s3") as boards:
        ran = cli("--board", "bench", "--port", boards.port, "--image", image)
        assert set(boards.chip_flash()) == {0xFF}
    assert ran.code == 1
    assert "has the chip ESP32-S3, and board bench has ESP32-C3: nothing was written" in ran.err


def test_an_image_for_newer_chips_only_is_told_without_a_word_of_half_written(cli: Program, tmp_path: Path) -> None:
    image = write(tmp_path / "image.bin", chip_revision=904)
    with bare_boards(tmp_path / "boards") as boards:
        ran = cli("--board", "bench", "--port", boards.port, "--image", image)
        assert set(boards.chip_flash()) == {0xFF}
    assert ran.code == 1
    assert "Nothing was written to the board" in ran.err and "requires chip revision v9.4" in ran.err


def test_a_record_on_a_full_disk_does_not_hide_that_the_board_was_flashed(
    cli: Program, image: Path, tmp_path: Path
) -> None:
    with bare_boards(tmp_path / "boards") as boards:
        where = ("--board", "bench", "--port", boards.port, "--image", image)
        ran = cli(*where, "--answer-within", "0", "--record", "/dev/full")
        assert set(boards.chip_flash()) != {0xFF}
    assert ran.code == 1
    sentence, _, line = ran.err.partition("then add this line to it: ")
    assert "The board was flashed, but /dev/full cannot be written (no space left on device)" in sentence
    (tmp_path / "stock.jsonl").write_text(line)
    assert flash_record.read(tmp_path / "stock.jsonl")[0].board == "bench"


def test_a_flash_that_is_too_small_is_refused(cli: Program, image: Path, tmp_path: Path) -> None:
    with bare_boards(tmp_path / "boards", flash_mib=2) as boards:
        ran = cli("--board", "bench", "--port", boards.port, "--image", image)
        assert set(boards.chip_flash()) == {0xFF}
    assert ran.code == 1
    assert "has 2 MiB of flash, and board bench has 4 MiB: nothing was written" in ran.err


def test_a_flash_that_does_not_keep_what_is_written_is_told(cli: Program, image: Path, tmp_path: Path) -> None:
    chip = tmp_path / "boards" / "token-1" / "chip.bin"
    chip.parent.mkdir(parents=True)
    chip.write_bytes(b"\xff" * 3 * 1024 * 1024)  # says that it has 4 MiB, and loses what is written behind the third
    with bare_boards(tmp_path / "boards") as boards:
        ran = cli("--board", "bench", "--port", boards.port, "--image", image)
    assert ran.code == 1
    assert "does not hold what was written to it: run the same command again" in ran.err


def test_a_board_that_does_not_answer_afterwards_is_on_record_and_an_error(
    cli: Program, boards_folder: Path, image: Path, tmp_path: Path
) -> None:
    change(boards_folder, arch="rv32imc")  # which the virtual board cannot run
    with bare_boards(tmp_path / "boards", count=2) as boards:
        what = ("--board", "bench", "--image", image, "--record", tmp_path / "stock.jsonl", "--json")
        silent = cli(*what, "--port", boards.ports[0], "--answer-within", "2")
        unasked = cli(*what, "--port", boards.ports[1], "--answer-within", "0")
    assert (silent.code, silent.document()["answered"]) == (1, False)
    assert "is flashed and verified, but has not answered within 2 s: unplug it" in silent.err
    assert (unasked.code, unasked.document()["answered"]) == (0, None)
    assert [record.answered for record in flash_record.read(tmp_path / "stock.jsonl")] == [False, None]
