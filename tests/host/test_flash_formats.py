"""Partition tables, MicroPython images and the record of flashed boards: read, and refused when they are broken."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.synthetic_image import PARTITIONS, RELEASE, table, write

from bztoken.errors import FormatError
from bztoken.formats import flash_record, micropython_image, partition_table
from bztoken.formats.flash_record import FlashRecord
from bztoken.formats.partition_table import Entry

MIB = 1024 * 1024
VFS_ROW = ("vfs", 1, 0x81, 0x200000, 0x100000)


# -- partition tables ------------------------------------------------------------------------------------------------
def test_a_table_is_read_to_its_end() -> None:
    entries = partition_table.read(table(PARTITIONS))
    assert [(entry.name, entry.offset, entry.size) for entry in entries] == [
        ("nvs", 0x9000, 0x6000),
        ("phy_init", 0xF000, 0x1000),
        ("factory", 0x10000, 0x1F0000),
    ]


def test_every_damaged_byte_of_a_table_is_noticed() -> None:
    whole = table(PARTITIONS)
    rows = len(PARTITIONS) * partition_table.ENTRY_BYTES
    for at in range(rows + partition_table.ENTRY_BYTES):
        if rows + 2 <= at < rows + partition_table.DIGEST_AT:
            continue  # means nothing
        damaged = bytearray(whole)
        damaged[at] ^= 0x01
        try:
            entries = partition_table.read(bytes(damaged))
        except ValueError:
            continue
        # The mark of an entry or of the digest itself: the table ends there.
        assert at % partition_table.ENTRY_BYTES < 2
        assert entries == partition_table.read(whole)[: at // partition_table.ENTRY_BYTES]


@pytest.mark.parametrize("raw", [b"", b"\xff" * 3072, bytes(3072), b"\xaa\x50"])
def test_what_is_no_table_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match="no partition table"):
        partition_table.read(raw)


def test_files_lie_in_vfs_or_behind_the_last_partition() -> None:
    named = partition_table.read(table((*PARTITIONS, VFS_ROW)))
    assert partition_table.file_system(named, 4 * MIB) == Entry("vfs", 0x200000, 0x100000)
    unnamed = partition_table.read(table(PARTITIONS))
    assert partition_table.file_system(unnamed, 8 * MIB) == Entry("vfs", 0x200000, 6 * MIB)
    with pytest.raises(ValueError, match="no room for files"):
        partition_table.file_system(unnamed, 2 * MIB)


# -- images ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("chip", "offset"), [("esp32", 0x1000), ("esp32c3", 0)])
def test_an_image_tells_its_release_and_its_partitions(tmp_path: Path, chip: str, offset: int) -> None:
    found = micropython_image.read(write(tmp_path / "image.bin", chip), offset)
    assert found.release == RELEASE
    assert found.flash_bytes == 4 * MIB
    assert [entry.name for entry in found.partitions] == ["nvs", "phy_init", "factory"]


def test_an_image_read_for_another_chips_address_has_no_table(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="no partition table"):
        micropython_image.read(write(tmp_path / "image.bin", "esp32"), 0)


def test_an_image_that_does_not_say_its_release_is_taken(tmp_path: Path) -> None:
    path = write(tmp_path / "image.bin", release="of my own")
    assert micropython_image.read(path, 0).release is None


# -- the record ------------------------------------------------------------------------------------------------------
RECORD = FlashRecord(
    "240a33a713d2",
    "xiao-esp32c3",
    "esp32c3",
    4 * MIB,
    "v1.29.0",
    "ab" * 32,
    "0.4.0",
    "production",
    1_795_524_270,
    "Hoa",
)


def test_records_are_appended_and_read_in_order(tmp_path: Path) -> None:
    path = tmp_path / "stock.jsonl"
    second = replace(RECORD, hardware="000000000001", micropython=None, by="Bà Yến")
    flash_record.append(path, RECORD)
    flash_record.append(path, second)
    assert flash_record.read(path) == [RECORD, second]
    assert RECORD.hardware_number == bytes.fromhex("240a33a713d2")


@pytest.mark.parametrize("answered", [True, False, None])
def test_a_record_tells_whether_the_board_answered_and_an_old_one_does_not(
    tmp_path: Path, answered: bool | None
) -> None:
    path = tmp_path / "stock.jsonl"
    flash_record.append(path, replace(RECORD, answered=answered))
    assert [record.answered for record in flash_record.read(path)] == [answered]
    old = {name: value for name, value in json.loads(path.read_text()).items() if name != "answered"}
    path.write_text(json.dumps(old))
    assert flash_record.read(path) == [RECORD]


def test_a_line_cut_short_stays_by_itself(tmp_path: Path) -> None:
    path = tmp_path / "stock.jsonl"
    flash_record.append(path, RECORD)
    path.write_bytes(path.read_bytes()[:-20])
    flash_record.append(path, RECORD)
    with pytest.raises(FormatError) as caught:
        flash_record.read(path)
    assert caught.value.line == 1
    assert path.read_text().count("\n") == 2


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"240a33a713d2"', '"240a33a713"', "hardware is 12 hex digits"),
        ('"240a33a713d2"', '"240a33a713dz"', "hardware is 12 hex digits"),
        ('"240a33a713d2"', '"24 0a 33 a71"', "hardware is 12 hex digits"),
        ("4194304", '"4194304"', "flash_bytes has a value of the wrong kind"),
        ("4194304", "true", "flash_bytes has a value of the wrong kind"),
        ('"by"', '"who"', "exactly the fields"),
        ('"answered": null', '"answered": 1', "answered is true, false or null"),
        ('"answered": null', '"answered": "yes"', "answered is true, false or null"),
        ("{", "[", "no JSON"),
    ],
)
def test_a_line_that_is_no_record_is_named(tmp_path: Path, old: str, new: str, said: str) -> None:
    path = tmp_path / "stock.jsonl"
    flash_record.append(path, RECORD)
    with path.open("a") as file:
        file.write(path.read_text().replace(old, new))
    with pytest.raises(FormatError, match=said) as caught:
        flash_record.read(path)
    assert caught.value.line == 2


def test_whether_it_can_be_written_is_tried_without_leaving_a_file(tmp_path: Path) -> None:
    flash_record.require_writable(tmp_path / "new.jsonl")
    assert not (tmp_path / "new.jsonl").exists()
    with pytest.raises(OSError):
        flash_record.require_writable(tmp_path / "nowhere" / "new.jsonl")
