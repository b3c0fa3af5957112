"""A lake that is not as it was written answers nothing: each defect is made for real, and told in one sentence."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.host.lake_world import (
    DAY_S,
    TODAY,
    YESTERDAY,
    ClinicOfLake,
    clinic,
    clinics,
    everything,
    folder_name,
    quiet,
    rows_of,
)

from bztoken.errors import LakeError
from bztoken.lake.checking import check
from bztoken.lake.columns import SCHEMA, WRITE_OPTIONS
from bztoken.lake.folder import Folder, read_clinics
from bztoken.lake.records import Kind, SourceRecord, read_record, write_record
from bztoken.lake.rewriting import write_day
from bztoken.matching.task import Task

__all__ = ["clinic", "clinics"]  # fixtures
KEY = "bztoken.lake."


@pytest.fixture
def lake(clinic: ClinicOfLake) -> ClinicOfLake:
    """Yesterday eleven sightings, today one."""
    clinic.add()
    return clinic


def refused(lake: ClinicOfLake, said: str) -> None:
    """By whoever reads, as a whole or in parts, and by the check."""
    for shards in (1, 2):
        with pytest.raises(LakeError, match=said) as error:
            everything(lake.source(), 0, shards)
        assert "\n" not in str(error.value)
    found = check(Folder(lake.lake), quiet)
    assert any(said.replace("\\", "") in sentence for sentence in found), found


def rewritten(lake: ClinicOfLake, change: Callable[[Any], Any], metadata: dict[str, str] | None = None) -> None:
    """Yesterday's file with another table in it, and a record that knows its size and digest."""
    path = lake.day_file()
    file = pq.ParquetFile(path)
    said = {
        key.decode(): value.decode() for key, value in file.metadata.metadata.items() if key.startswith(KEY.encode())
    }
    table = change(file.read())
    file.close()
    with pq.ParquetWriter(path, table.schema, **(WRITE_OPTIONS if table.schema.equals(SCHEMA) else {})) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({**said, **{KEY + name: value for name, value in (metadata or {}).items()}})
    renoted(lake, path)


def renoted(lake: ClinicOfLake, path: Path, rows: int | None = None) -> None:
    record = read_record(Folder(lake.lake), path.stem)
    assert record is not None
    day = (np.datetime64(path.parent.name.removeprefix("day="), "D")).astype(int).item()
    before = record.days[day]
    record.days[day] = before._replace(
        rows=before.rows if rows is None else rows,
        bytes=path.stat().st_size,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )
    write_record(Folder(lake.lake), record)


def test_a_lake_as_it_was_written_is_right(lake: ClinicOfLake) -> None:
    assert check(Folder(lake.lake), quiet) == []
    rewritten(lake, lambda table: table)  # what the tests below do, without a defect
    assert check(Folder(lake.lake), quiet) == []
    assert len(everything(lake.source())[YESTERDAY].hi) == 11


# -- a file ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("left", [0, 3, 500, -1])
def test_a_half_written_file_is_refused(lake: ClinicOfLake, left: int) -> None:
    path = lake.day_file()
    path.write_bytes(path.read_bytes()[:left])
    refused(lake, "its file is damaged or half-written")


@pytest.mark.parametrize("name", ["id_hi", "first_s", "uncertainty_s"])
def test_whichever_bit_is_flipped_no_other_answer_comes(lake: ClinicOfLake, name: str) -> None:
    """Of each byte of a column, its page headers included: the same answer, or none."""
    path = lake.day_file()
    wanted = rows_of(everything(lake.source())[YESTERDAY])
    whole = path.read_bytes()
    column = pq.ParquetFile(path).metadata.row_group(0).column(SCHEMA.names.index(name))
    start = column.dictionary_page_offset or column.data_page_offset
    caught = 0
    for at in range(start, start + column.total_compressed_size):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        try:
            assert rows_of(everything(lake.source())[YESTERDAY]) == wanted
        except LakeError as error:
            caught += 1
            assert "its file is damaged or half-written" in str(error)
    assert caught > column.total_compressed_size // 3


def test_a_lost_file_is_refused(lake: ClinicOfLake) -> None:
    lake.day_file().unlink()
    refused(lake, "its file is missing")
    lake.add()
    assert len(everything(lake.source())[YESTERDAY].hi) == 11


@pytest.mark.parametrize("name", SCHEMA.names)
def test_a_missing_column_is_refused(lake: ClinicOfLake, name: str) -> None:
    rewritten(lake, lambda table: table.drop_columns([name]))
    refused(lake, f"it lacks the column {name}")


def test_a_column_of_another_type_is_refused(lake: ClinicOfLake) -> None:
    def as_unsigned(table: Any) -> Any:
        at = table.schema.get_field_index("id_hi")
        return table.set_column(at, "id_hi", pa.array(table["id_hi"].to_numpy().view(np.uint64)))

    rewritten(lake, as_unsigned)
    refused(lake, "its column id_hi is of type uint64, not int64")


def test_a_column_too_many_is_refused(lake: ClinicOfLake) -> None:
    rewritten(lake, lambda table: table.append_column("name", [["x"] * table.num_rows]))
    refused(lake, "it has columns that this version does not know")


def test_a_row_without_a_value_is_refused(lake: ClinicOfLake) -> None:
    def with_null(table: Any) -> Any:
        column = pa.array([None, *table["last_s"].to_pylist()[1:]], type=pa.int64())
        return table.set_column(table.schema.get_field_index("last_s"), "last_s", column)

    rewritten(lake, with_null)
    refused(lake, "it has rows without a value")


def test_rows_out_of_order_are_refused(lake: ClinicOfLake) -> None:
    rewritten(lake, lambda table: table.take([1, 0, *range(2, table.num_rows)]))
    refused(lake, "its rows are not in order of time")


def test_rows_of_another_day_are_refused(lake: ClinicOfLake) -> None:
    shutil.copy(lake.day_file(TODAY), lake.day_file(YESTERDAY))
    renoted(lake, lake.day_file(), rows=1)
    refused(lake, "the day that it tells is another one")
    rewritten(lake, lambda table: table, {"day": str(YESTERDAY)})
    refused(lake, "it has sightings of another day")


def test_a_clock_that_may_be_off_by_more_than_a_day_is_refused(lake: ClinicOfLake) -> None:
    rewritten(lake, lambda table: _with(table, "uncertainty_s", 0, DAY_S + 1))
    refused(lake, "it has a clock that may be off by more than a day")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("uncertainty_s", -2, "it has a clock"),
        ("last_s", 5, "it has sightings that end before they begin"),
        ("gaen", 2, "it has IDs of an unknown kind"),
    ],
)
def test_a_number_that_cannot_be_is_refused(lake: ClinicOfLake, name: str, value: int, said: str) -> None:
    rewritten(lake, lambda table: _with(table, name, 3, value))
    refused(lake, said)


def _with(table: Any, name: str, row: int, value: int) -> Any:
    at = table.schema.get_field_index(name)
    values = table[name].to_pylist()
    values[row] = value
    return table.set_column(at, table.schema.field(at), pa.array(values, type=table.schema.field(at).type))


def test_logs_of_another_clinic_are_refused_by_parts_and_by_the_check(lake: ClinicOfLake) -> None:
    rewritten(lake, lambda table: _with(table, "log", 0, 2 << 32 | 1))
    with pytest.raises(LakeError, match="it has logs of another clinic"):
        everything(lake.source(), 0, 2)
    assert "it has logs of another clinic" in check(Folder(lake.lake), quiet)[0]


def test_a_file_with_other_rows_than_were_written_is_refused(lake: ClinicOfLake) -> None:
    rewritten(lake, lambda table: table.slice(0, 5))
    refused(lake, "the rows that it tells is another one")
    rewritten(lake, lambda table: table, {"rows": "5"})
    refused(lake, "it holds 5 rows, and 11 were written")


def test_a_file_of_another_version_is_refused(lake: ClinicOfLake) -> None:
    rewritten(lake, lambda table: table, {"format": "2"})
    refused(lake, "the format that it tells is another one")


def test_a_file_that_was_changed_by_hand_is_seen_by_the_check(lake: ClinicOfLake) -> None:
    before = read_record(Folder(lake.lake), lake.day_file().stem)
    rewritten(lake, lambda table: _with(table, "packets", 0, 99))
    assert before is not None
    write_record(Folder(lake.lake), before)
    assert "its file was changed after it was written" in check(Folder(lake.lake), quiet)[0]


def test_what_is_found_is_refused_where_only_its_rest_is_damaged(lake: ClinicOfLake) -> None:
    """The column is not among those that are read of all sightings."""
    path = lake.day_file()
    names = SCHEMA.names
    column = pq.ParquetFile(path).metadata.row_group(0).column(names.index("rssi_max_dbm"))
    raw = bytearray(path.read_bytes())
    raw[column.data_page_offset + column.total_compressed_size // 2] ^= 0x55
    path.write_bytes(bytes(raw))
    piece = lake.source().slice(Task(YESTERDAY))
    assert len(piece.seen().hi) == 11
    with pytest.raises(LakeError, match="its file is damaged or half-written"):
        piece.take(np.arange(2, dtype=np.int64))


def test_row_groups_without_a_finding_are_not_read(lake: ClinicOfLake) -> None:
    """What is damaged in the second row group does not matter to what was found in the first one."""
    rows = pq.read_table(lake.day_file(), partitioning=None)
    with pq.ParquetWriter(lake.day_file(), rows.schema, **WRITE_OPTIONS) as writer:
        for first in (0, 6):
            writer.write_table(rows.slice(first, 6))
        writer.add_key_value_metadata(
            {KEY + "format": "1", KEY + "source": lake.day_file().stem, KEY + "day": str(YESTERDAY), KEY + "rows": "11"}
        )
    wanted = everything(lake.source())[YESTERDAY]
    at = SCHEMA.names.index("rssi_max_dbm")
    column = pq.ParquetFile(lake.day_file()).metadata.row_group(1).column(at)
    raw = bytearray(lake.day_file().read_bytes())
    raw[column.data_page_offset + column.total_compressed_size // 2] ^= 0x55
    lake.day_file().write_bytes(bytes(raw))
    piece = lake.source().slice(Task(YESTERDAY))
    taken = piece.take(np.array([0, 5], dtype=np.int64))
    assert taken.rssi_max_dbm.tolist() == wanted.rssi_max_dbm[[0, 5]].tolist()
    with pytest.raises(LakeError, match="damaged"):
        piece.take(np.array([0, 6], dtype=np.int64))


# -- files side by side ------------------------------------------------------------------------------------------------
def test_a_file_under_another_name_belongs_to_nobody(lake: ClinicOfLake) -> None:
    shutil.copy(lake.day_file(), lake.day_file().with_name("copy.parquet"))
    with pytest.raises(LakeError, match="belongs to no source of the lake: nothing was read"):
        lake.source()
    assert "copy.parquet belongs to no source" in check(Folder(lake.lake), quiet)[0]


def test_a_file_in_the_place_of_another_sources_is_refused(lake: ClinicOfLake) -> None:
    record = read_record(Folder(lake.lake), lake.day_file().stem)
    assert record is not None
    path = lake.day_file()
    copy = SourceRecord("copy", record.clinic_id, Kind.BUNDLE, True, {YESTERDAY: record.days[YESTERDAY]})
    shutil.copy(path, path.with_name("copy.parquet"))
    write_record(Folder(lake.lake), copy)
    refused(lake, "the source that it tells is another one")


@pytest.mark.parametrize("log", [1, 3])  # of a token, of a phone
def test_a_page_in_two_files_of_a_day_is_refused(lake: ClinicOfLake, log: int) -> None:
    table = pq.read_table(lake.day_file(), partitioning=None)
    rows = {name: table[name].to_numpy().astype(np.int64) for name in table.column_names}
    of_log = rows["log"] == (1 << 32 | log)
    second = SourceRecord("second", lake.day_file().stem, Kind.BUNDLE, True)
    piece = {name: column[of_log] for name, column in rows.items()}
    write_day(Folder(lake.lake), second, YESTERDAY, [piece], "", False)
    write_record(Folder(lake.lake), second)
    for shards in (1, 2):
        with pytest.raises(LakeError, match="it has pages that the source [0-9a-f]+ has too"):
            for shard in range(shards):
                everything(lake.source(), shard, shards)
    assert any("it has pages that the source" in sentence for sentence in check(Folder(lake.lake), quiet))


# -- the folder --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["day=2026-13-01", "day=20260901", "2026-09-01", "old"])
def test_a_folder_that_is_no_days_is_refused(lake: ClinicOfLake, name: str) -> None:
    (lake.lake / "encounters" / name).mkdir(mode=0o700)
    with pytest.raises(LakeError, match="is no folder of a day: nothing was read"):
        lake.source()
    assert [f"{name} is no folder of a day" in sentence for sentence in check(Folder(lake.lake), quiet)] == [True]


def test_a_day_under_another_days_name_is_refused(lake: ClinicOfLake) -> None:
    folder = lake.day_file().parent
    folder.rename(folder.with_name(folder_name(YESTERDAY - 1)))
    with pytest.raises(LakeError, match="belongs to no source"):
        lake.source()


def test_a_source_that_was_not_written_to_its_end_is_refused(lake: ClinicOfLake) -> None:
    record = read_record(Folder(lake.lake), lake.day_file().stem)
    assert record is not None
    record.whole = False
    write_record(Folder(lake.lake), record)
    with pytest.raises(LakeError, match="was not written to its end: run the same .*; nothing was read"):
        lake.source()
    assert "was not written to its end" in check(Folder(lake.lake), quiet)[0]


@pytest.mark.parametrize("name", ["lake.json", "sources", "hands"])
@pytest.mark.parametrize(("content", "said"), [("{", "is damaged"), ('{"format": 2}', "made by another version")])
def test_a_file_of_the_lakes_own_that_is_damaged_or_newer_is_refused(
    lake: ClinicOfLake, name: str, content: str, said: str
) -> None:
    path = lake.lake / name
    path = path if path.is_file() else next(path.iterdir())
    path.write_text(content)
    with pytest.raises(LakeError, match=said):
        lake.source().bearers()


def test_a_source_of_which_rows_were_just_being_left_out_is_refused(lake: ClinicOfLake) -> None:
    record = read_record(Folder(lake.lake), lake.day_file().stem)
    assert record is not None
    record.rewriting = YESTERDAY
    write_record(Folder(lake.lake), record)
    with pytest.raises(LakeError, match="were not left out to the end: run any .*; nothing was read"):
        lake.source()
    assert "were not left out to the end" in check(Folder(lake.lake), quiet)[0]


def test_a_clinic_whose_hands_are_lost_is_refused(lake: ClinicOfLake) -> None:
    next((lake.lake / "hands").iterdir()).unlink()
    with pytest.raises(LakeError, match="is missing: nothing was read"):
        lake.source().bearers()
    assert "is missing" in check(Folder(lake.lake), quiet)[0]


def test_a_clinic_that_the_lake_does_not_know_is_told(lake: ClinicOfLake) -> None:
    (lake.lake / "lake.json").write_text(json.dumps({"format": 1, "clinics": {}}))
    with pytest.raises(LakeError, match="is of a clinic that the lake does not know"):
        everything(lake.source())
    assert "is of a clinic that the lake does not know" in check(Folder(lake.lake), quiet)[0]


def test_no_lake_at_all_is_told(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match="is no lake: `bztoken lake add"):
        read_clinics(Folder(tmp_path))


def test_a_file_that_others_may_read_is_told_by_the_check(lake: ClinicOfLake) -> None:
    lake.day_file().chmod(0o644)
    (sentence,) = check(Folder(lake.lake), quiet)
    assert f"run `chmod 600 {lake.day_file()}`" in sentence
