"""A lake: what a registry's encounters become in it, and what `lake add` changes when it is run again."""

import json
import pickle
import shutil
import stat
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import delete, func, select, update
from tests.case_desk import TRACER
from tests.host.boards_elsewhere import change_at, put
from tests.host.lake_world import (
    DAY_S,
    NOW_S,
    TODAY,
    YESTERDAY,
    ClinicOfLake,
    clinic,
    clinics,
    everything,
    folder_name,
    in_lake,
    rows_of,
)

from bztoken import boards
from bztoken.errors import LakeError, NotAllowed
from bztoken.lake.columns import ROW_GROUP_ROWS
from bztoken.lake.source import LakeFactory
from bztoken.matching.task import Task
from bztoken.people import person_rights
from bztoken.registry import audit
from bztoken.registry.database import open_registry
from bztoken.registry.models import AuditEntry, Person, Setting, Sighting

__all__ = ["clinic", "clinics"]  # fixtures


# -- what is in it -----------------------------------------------------------------------------------------------------
def test_a_lake_answers_column_by_column_what_the_registry_does(clinic: ClinicOfLake) -> None:
    added = clinic.add()
    wanted = clinic.in_registry()
    assert clinic.source().rows_by_day() == {YESTERDAY: 11, TODAY: 1}
    assert (added.rows, added.days, added.written) == (12, 2, 2)
    found = everything(clinic.source())
    assert {day: rows_of(columns) for day, columns in found.items()} == {
        day: in_lake(columns, 1) for day, columns in wanted.items()
    }
    yesterday = found[YESTERDAY]
    assert set(yesterday.gaen.tolist()) == {0, 1} and set(yesterday.tx_power_dbm.tolist()) == {-15, 127}
    assert -1 in yesterday.uncertainty_s and yesterday.aem.max() > 0 and set(yesterday.stale.tolist()) == {0, 1}
    assert all(column.dtype == np.int64 for column in yesterday)


def test_what_is_added_to_the_rssi_of_a_board_goes_with_its_sightings(
    clinic: ClinicOfLake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clinic.hear(clinic.token("Hoa", board="loud"), TODAY * DAY_S + 60)
    clinic.add()
    put(tmp_path / "boards", "virtual", "loud", change_at("radio.rssi_offset_db", -7))
    monkeypatch.setenv(boards.VARIABLE, str(tmp_path / "boards"))
    assert clinic.add().written == 2  # the boards' files are a part of what a day is made from
    assert everything(clinic.source())[TODAY].rssi_offset_db.tolist() == [0, -7]


def test_some_rows_are_taken_by_their_places(clinic: ClinicOfLake) -> None:
    clinic.add()
    piece = clinic.source().slice(Task(YESTERDAY))
    whole = rows_of(everything(clinic.source())[YESTERDAY])
    rows = np.array([1, 4, 10], dtype=np.int64)
    assert rows_of(piece.take(rows)) == [whole[row] for row in rows.tolist()]
    assert rows_of(piece.take(rows[:0])) == []


def test_shards_part_the_logs_and_lose_none(clinic: ClinicOfLake) -> None:
    clinic.add()
    whole = rows_of(everything(clinic.source())[YESTERDAY])
    parts = [rows_of(everything(clinic.source(), shard, 3)[YESTERDAY]) for shard in range(3)]
    logs = [{row[4] for row in part} for part in parts]
    assert all(log % 3 == shard for shard in range(3) for log in logs[shard])
    assert sorted(row for part in parts for row in part) == sorted(whole)
    assert sum(map(bool, logs)) > 1


def test_a_clock_that_may_be_off_by_more_than_a_day_is_told_as_a_day(clinic: ClinicOfLake) -> None:
    with clinic.writing() as session:
        session.execute(update(Sighting).values(uncertainty_s=400 * DAY_S))
    clinic.add()
    assert set(everything(clinic.source())[TODAY].uncertainty_s.tolist()) == {DAY_S}


def test_clinics_lie_side_by_side_in_order_of_time(clinic: ClinicOfLake, clinics: list[ClinicOfLake]) -> None:
    other = clinics[1]
    log = other.token("Dung")
    other.hear(log, YESTERDAY * DAY_S + 100, 4)
    other.hear(log, YESTERDAY * DAY_S + 50)
    clinic.add("Xã An")
    other.add("Xã Bình")
    source = clinic.source()
    assert sorted(source.clinics.values()) == [(1, "Xã An"), (2, "Xã Bình")]
    assert source.rows_by_day()[YESTERDAY] == 16
    found = everything(source)[YESTERDAY]
    assert sorted(rows_of(found)) == sorted(
        in_lake(clinic.in_registry()[YESTERDAY], 1) + in_lake(other.in_registry()[YESTERDAY], 2)
    )
    assert bool(np.all(np.diff(found.first_s) >= 0))
    parts = [rows_of(everything(source, shard, 2)[YESTERDAY]) for shard in range(2)]
    assert sorted(parts[0] + parts[1]) == sorted(rows_of(found)) and all(parts)


def test_who_carried_what_is_told_in_numbers_of_the_lake(clinic: ClinicOfLake, clinics: list[ClinicOfLake]) -> None:
    clinics[1].hear(clinics[1].token("Dung", person="Ông Dung"), YESTERDAY * DAY_S)
    clinic.add()
    clinics[1].add()
    bearers = clinic.source().bearers()
    wide = {number: number << 32 for number in (1, 2)}
    assert bearers.person(wide[1] | 1, NOW_S) == wide[1] | 1
    assert bearers.person(wide[2] | 1, NOW_S) == wide[2] | 1
    assert bearers.person(wide[1] | 1, 0) is None  # before it was handed out
    assert bearers.is_place(wide[1] | 2, NOW_S) and not bearers.is_place(wide[1] | 1, NOW_S)


def test_nothing_in_a_lake_names_anybody_and_nobody_else_reads_it(clinic: ClinicOfLake) -> None:
    clinic.add()
    content = b"".join(clinic.files().values())
    uid = clinic.uid("An")
    for word in (
        "Bà An".encode(),
        "Chợ Đông".encode(),
        "Bình".encode(),
        uid,
        uid.hex().encode(),
        clinic.home.master_key(),
    ):
        assert word not in content
    modes = {stat.S_IMODE(path.stat().st_mode): path.is_dir() for path in clinic.lake.rglob("*")}
    assert modes == {0o700: True, 0o600: False} and stat.S_IMODE(clinic.lake.stat().st_mode) == 0o700


# -- again -------------------------------------------------------------------------------------------------------------
def test_a_second_add_changes_no_byte(clinic: ClinicOfLake) -> None:
    clinic.add("Xã An")
    before = clinic.files()
    times = {path: path.stat().st_mtime_ns for path in clinic.lake.rglob("*.parquet")}
    added = clinic.add()
    assert (added.written, added.rows) == (0, 12)
    assert clinic.files() == before
    assert {path: path.stat().st_mtime_ns for path in clinic.lake.rglob("*.parquet")} == times


def test_the_same_registry_makes_the_same_bytes(clinic: ClinicOfLake, tmp_path: Path) -> None:
    clinic.add()
    again = ClinicOfLake(clinic.home, tmp_path / "second lake")
    again.add()
    assert again.files() == clinic.files()


def test_only_days_that_changed_are_written_and_marked_anew(clinic: ClinicOfLake) -> None:
    clinic.add()
    marks = {day: clinic.source().mark(day) for day in (YESTERDAY, TODAY)}
    clinic.hear(1, TODAY * DAY_S + 1000)
    assert clinic.add().written == 1
    after = {day: clinic.source().mark(day) for day in (YESTERDAY, TODAY)}
    assert after[YESTERDAY] == marks[YESTERDAY] and after[TODAY] != marks[TODAY]
    assert clinic.source().rows_by_day() == {YESTERDAY: 11, TODAY: 2}


def test_times_that_were_put_right_move_in_the_lake_too(clinic: ClinicOfLake) -> None:
    clinic.add()
    with clinic.writing() as session:
        session.execute(update(Sighting).where(Sighting.log_id == 2).values(first_s=Sighting.first_s + DAY_S))
    assert clinic.add().written == 2
    assert clinic.source().rows_by_day() == {YESTERDAY: 8, TODAY: 4}


@pytest.mark.parametrize("column", [Sighting.first_s, Sighting.last_s, Sighting.uncertainty_s])
def test_changes_that_cancel_out_in_a_sum_are_seen(clinic: ClinicOfLake, column: object) -> None:
    clinic.add()
    with clinic.writing() as session:
        for sighting, by in ((4, 1), (5, -1)):
            name = column.key  # type: ignore[attr-defined]
            session.execute(
                update(Sighting).where(Sighting.id == sighting).values({name: getattr(Sighting, name) + by})
            )
    assert clinic.add().written == 1
    assert rows_of(everything(clinic.source())[YESTERDAY]) == in_lake(clinic.in_registry()[YESTERDAY], 1)


def test_days_that_the_registry_has_no_longer_go(clinic: ClinicOfLake) -> None:
    clinic.add()
    with clinic.writing() as session:
        session.execute(delete(Sighting).where(Sighting.first_s < TODAY * DAY_S))
    clinic.add()
    assert clinic.source().rows_by_day() == {TODAY: 1}
    assert [path.name for path in (clinic.lake / "encounters").iterdir()] == [folder_name(TODAY)]


def test_erasure_reaches_the_lake(clinic: ClinicOfLake) -> None:
    clinic.add()
    with clinic.writing() as session:
        name = session.scalars(select(Person.name)).one()
    with open_registry(clinic.home) as registry:
        person_rights.withdraw(registry, name, NOW_S, 15)
    clinic.add()
    found = everything(clinic.source())
    assert {row[4] & 0xFFFF for columns in found.values() for row in rows_of(columns)} == {2, 3}
    with clinic.writing() as session:  # a sync that was running still brought something in
        session.add(_sighting(session, log_id=1))
    clinic.add()
    assert clinic.source().rows_by_day() == {YESTERDAY: 5}


def _sighting(session: object, log_id: int) -> Sighting:
    names = ("packets", "scans", "scan_period_s", "rssi_max_dbm", "rssi_mean_dbm")
    start_s = YESTERDAY * DAY_S
    return Sighting(
        log_id=log_id,
        kind="bluezone",
        rotating_id=b"x" * 12,
        first_s=start_s,
        last_s=start_s,
        window_start_s=start_s,
        **dict.fromkeys(names, 1),
    )


# -- how long ----------------------------------------------------------------------------------------------------------
def test_people_leave_after_14_days_and_places_after_21(clinic: ClinicOfLake) -> None:
    for days_ago in (14, 15, 21, 22):
        for log in (1, 2):
            clinic.hear(log, NOW_S - days_ago * DAY_S)
    clinic.add()
    found = {day: {row[4] & 0xFFFF for row in rows_of(columns)} for day, columns in everything(clinic.source()).items()}
    assert {day: logs for day, logs in found.items() if day < YESTERDAY} == {
        TODAY - 14: {1, 2},
        TODAY - 15: {2},
        TODAY - 21: {2},
    }


def test_an_add_by_one_clinic_takes_away_what_is_past_its_time_of_all(
    clinic: ClinicOfLake, clinics: list[ClinicOfLake]
) -> None:
    clinic.add()
    other = clinics[1]
    log = other.token("Dung")
    other.hear(log, NOW_S + 15 * DAY_S)
    other.add(now_s=NOW_S + 15 * DAY_S)
    found = {day: {row[4] for row in rows_of(columns)} for day, columns in everything(clinic.source()).items()}
    assert found == {YESTERDAY: {1 << 32 | 2}, TODAY + 15: {2 << 32 | log}}
    other.hear(log, NOW_S + 22 * DAY_S)
    other.add(now_s=NOW_S + 22 * DAY_S)
    assert set(clinic.source().rows_by_day()) == {TODAY + 15, TODAY + 22}
    assert len(list((clinic.lake / "hands").iterdir())) == 1  # of the first clinic nothing is left
    clinic.add(now_s=NOW_S + 22 * DAY_S)
    assert clinic.source().rows_by_day() == {TODAY + 15: 1, TODAY + 22: 1}


def test_a_date_that_is_wrong_by_months_empties_no_lake(clinic: ClinicOfLake) -> None:
    clinic.add()
    before = clinic.files()
    with pytest.raises(LakeError, match="this computer says it is .*add `--yes`"):
        clinic.add(now_s=NOW_S + 70 * DAY_S)
    assert clinic.files() == before
    assert clinic.add(now_s=NOW_S + 70 * DAY_S, insist=True).rows == 0
    assert clinic.source().rows_by_day() == {}


# -- who, and at once --------------------------------------------------------------------------------------------------
def test_only_who_may_export_adds_and_the_audit_tells_of_it(
    clinic: ClinicOfLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bztoken.lake.adding import Asked, add_registry

    with pytest.raises(NotAllowed, match="to export keys or histories is for a tracer or an admin"):
        add_registry(clinic.home, Asked(clinic.lake, None, NOW_S), lambda *_: None)
    assert not clinic.lake.exists()
    clinic.add()
    with open_registry(clinic.home) as registry, registry.read() as session:
        last = session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc()).limit(1)).one()
    assert (last.by, last.action, last.what) == (TRACER, audit.Action.EXPORT, audit.What.REGISTRY)
    assert last.detail == "12 sightings of 2 days into a lake"


def test_a_lake_is_written_by_one_at_a_time_and_not_while_somebody_reads(clinic: ClinicOfLake) -> None:
    clinic.add()
    factory = LakeFactory(clinic.lake)
    with factory.held(), factory.held(), pytest.raises(LakeError, match="another program is using the lake"):
        clinic.add()
    from bztoken.lake.folder import Folder, written_alone

    with written_alone(Folder(clinic.lake)):
        with pytest.raises(LakeError, match="another program is using the lake"):
            clinic.add()
        with pytest.raises(LakeError, match="somebody is just writing to the lake"), factory.held():
            pass
    clinic.add()


def test_a_folder_with_other_things_in_it_does_not_become_a_lake(clinic: ClinicOfLake) -> None:
    clinic.lake.mkdir()
    (clinic.lake / "photo.jpg").touch()
    with pytest.raises(LakeError, match="is no lake and not empty"):
        clinic.add()
    assert [path.name for path in clinic.lake.iterdir()] == ["photo.jpg"]


def test_a_factory_goes_to_other_processes(clinic: ClinicOfLake) -> None:
    clinic.add()
    source = pickle.loads(pickle.dumps(LakeFactory(clinic.lake)))()
    assert source.rows_by_day() == {YESTERDAY: 11, TODAY: 1}


def test_a_registry_from_before_its_first_add_is_the_same_clinic(clinic: ClinicOfLake, tmp_path: Path) -> None:
    shutil.copytree(clinic.home.path, tmp_path / "backup")
    first = clinic.add().source
    shutil.rmtree(clinic.home.path)
    shutil.copytree(tmp_path / "backup", clinic.home.path)
    assert clinic.add().source == first
    with clinic.writing() as session:  # kept from then on
        assert session.scalar(select(func.count()).select_from(Setting).where(Setting.value == first)) == 1


def test_two_registries_without_tokens_are_two_clinics(clinics: list[ClinicOfLake]) -> None:
    assert clinics[0].add().source != clinics[1].add().source
    assert json.loads((clinics[0].lake / "lake.json").read_text())["format"] == 1


def test_a_day_of_several_row_groups_is_read_whole(clinic: ClinicOfLake) -> None:
    rows = ROW_GROUP_ROWS + 1000
    with clinic.writing() as session:
        start_s = TODAY * DAY_S
        session.execute(
            Sighting.__table__.insert(),  # type: ignore[attr-defined]
            [
                {
                    "log_id": 3,
                    "kind": "bluezone",
                    "rotating_id": number.to_bytes(12, "big"),
                    "first_s": start_s + number // 4,
                    "last_s": start_s + number // 4,
                    "window_start_s": start_s,
                    "packets": number,
                    "scans": 1,
                    "scan_period_s": 0,
                    "rssi_max_dbm": -60,
                    "rssi_mean_dbm": -60,
                }
                for number in range(rows)
            ],
        )
    clinic.add()
    found = everything(clinic.source())[TODAY]
    assert rows_of(found) == in_lake(clinic.in_registry()[TODAY], 1)
    assert len(found.hi) == rows + 1
