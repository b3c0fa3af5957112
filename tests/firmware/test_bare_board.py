"""What a bare board makes of its flash, and the way from its boot loader to what was flashed and back."""

import os
import time
from pathlib import Path

import pytest
from tests.synthetic_image import IMAGE_AT, PARTITIONS, image

from bzvirtual.bare_board import MIB, BareBoard, file_system
from bzvirtual.rom_loader import SYNC
from bzvirtual.token_folder import TokenFolder, mac_of

PATIENCE_S = 60


def flash_with(content: bytes, at: int) -> bytes:
    return (b"\xff" * at + content).ljust(4 * MIB, b"\xff")


@pytest.mark.parametrize("chip", ["esp32", "esp32c3", "esp32s3"])
def test_a_whole_image_boots_and_has_its_files_behind_the_partitions(chip: str) -> None:
    at = IMAGE_AT[chip]
    assert file_system(flash_with(image(chip), at), at) == (0x200000, 4 * MIB)


def test_a_partition_for_files_is_found_by_its_name() -> None:
    rows = (*PARTITIONS, ("vfs", 1, 0x81, 0x300000, 0x80000))
    assert file_system(flash_with(image(partitions=rows), 0), 0) == (0x300000, 0x380000)


@pytest.mark.parametrize("missing", [0, 0x8000, 0x10000, 0x1FFF0])
def test_an_image_of_which_a_piece_was_not_written_does_not_boot(missing: int) -> None:
    content = bytearray(flash_with(image(), 0))
    content[missing : missing + 16] = b"\xff" * 16
    assert file_system(bytes(content), 0) is None


def test_nothing_in_the_flash_boots_nothing() -> None:
    assert file_system(b"\xff" * 4 * MIB, 0) is None
    beyond = [("factory", 0, 0, 8 * MIB, MIB)]
    assert file_system(flash_with(image(partitions=beyond), 0), 0) is None


def test_the_boot_loader_is_called_by_sync_in_any_two_pieces(tmp_path: Path) -> None:
    terminal = os.openpty()
    board = BareBoard(TokenFolder.create(tmp_path / "token", mac=mac_of("one")), "esp32c3", 4 * MIB, *terminal)
    try:
        for cut in range(1, len(SYNC)):
            board.is_called = False
            board.overhear(b"\xc0\x00\x08\x24\x00" + SYNC[:cut])
            assert not board.is_called
            board.overhear(SYNC[cut:])
            assert board.is_called
        board.is_called = False
        board.overhear(b"\x06\x09AAgQAAAAAQAB\n" * 20)  # a token's own requests
        assert not board.is_called
    finally:
        board.end()
        for descriptor in terminal:
            os.close(descriptor)


def test_a_session_ends_a_second_after_its_last_command_and_only_then(tmp_path: Path) -> None:
    master, slave = os.openpty()
    os.set_blocking(master, False)
    board = BareBoard(TokenFolder.create(tmp_path / "token", mac=mac_of("one")), "esp32c3", 4 * MIB, master, slave)
    try:
        board.serve()
        time.sleep(1.5)
        assert not board.is_over()  # nobody has spoken to it yet
        began = time.monotonic()
        os.write(slave, b"\xc0\x00\x08\x24\x00\x00\x00\x00\x00" + SYNC + b"\x55" * 24 + b"\xc0")
        while not board.is_over():
            assert time.monotonic() - began < PATIENCE_S
            time.sleep(0.05)
        assert time.monotonic() - began > 1.0
        assert not board.boot()  # there is nothing in its flash
    finally:
        board.end()
        os.close(master)
        os.close(slave)
