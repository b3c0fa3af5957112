"""F1 and F2, places and boards: what a batch says of the people behind the logs."""

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import delete, select
from tests.host.boards_elsewhere import change_at, put
from tests.host.first_and_second_contacts import (
    F0,
    F0_NEXT,
    LAN,
    LAN_NEXT,
    NOON_S,
    holds,
    lan_is_f1_and_minh_met_her,
    meets,
    of,
    people,
    world,
)
from tests.host.traced_world import DAY_S, START_S, TracedWorld, day_key

from bztoken.registry.models import FollowUp, Sighting, Visit
from bzwire.bluezone import slot_id

__all__ = ["world"]


def test_whoever_met_a_contact_is_f2_through_her_released_keys(world: TracedWorld) -> None:
    lan_is_f1_and_minh_met_her(world)
    result = world.batch()
    assert (result.first_contacts, result.second_contacts, result.exposures) == (1, 1, 2)
    assert world.found() == {
        ("F0-1", None, "Lan", "08-08", 15, "F1"),
        ("F0-1", "Lan", "Minh", "08-08", 15, "F2"),
    }


def test_a_short_meeting_with_a_contact_is_noted(world: TracedWorld) -> None:
    case_id = world.case("F0-1", F0)
    meets(world, "Lan", F0, NOON_S)
    meets(world, "Minh", LAN, NOON_S, windows=2)
    world.releases("Lan", LAN, case_id=case_id)
    world.batch()
    assert ("F0-1", "Lan", "Minh", "08-08", 10, "noted") in world.found()


def test_whom_a_contact_met_before_she_met_the_case_is_no_f2(world: TracedWorld) -> None:
    case_id = world.case("F0-1", F0, F0_NEXT)
    meets(world, "Lan", F0_NEXT, NOON_S + DAY_S)
    meets(world, "Minh", LAN, NOON_S)
    meets(world, "Hoa", LAN_NEXT, NOON_S + DAY_S)
    world.releases("Lan", LAN, LAN_NEXT, case_id=case_id)
    world.batch()
    assert {row for row in world.found() if row[1]} == {("F0-1", "Lan", "Hoa", "08-09", 15, "F2")}


def test_whom_a_contact_met_hours_before_the_case_on_the_same_day_is_no_f2(world: TracedWorld) -> None:
    case_id = world.case("F0-1", F0)
    meets(world, "Lan", F0, NOON_S)
    meets(world, "Minh", LAN, NOON_S - 6 * 3600)
    meets(world, "Hoa", LAN, NOON_S + 6 * 3600)
    world.releases("Lan", LAN, case_id=case_id)
    assert world.batch().second_contacts == 1
    assert {row for row in world.found() if row[1]} == {("F0-1", "Lan", "Hoa", "08-08", 15, "F2")}


def test_what_was_heard_outside_the_infectious_window_is_nobodys_contact(world: TracedWorld) -> None:
    """A key may begin and end within a day of UTC, so that only a part of it is of the window."""
    over_midnight = replace(F0, time_start_s=START_S + 8 * 3600, time_end_s=START_S + 8 * 3600 + DAY_S - 1)
    world.case("F0-1", over_midnight, first_day="2020-08-09", last_day="2020-08-09")
    world.case("F0-2", day_key("f0-2"), first_day="2020-08-06", last_day="2020-08-07")
    world.hears("Lan", slot_id(F0.key, 16), NOON_S, 3)
    world.hears("Minh", slot_id(F0.key, 64), START_S + DAY_S, 3)
    meets(world, "Hoa", day_key("f0-2"), START_S, 3)
    world.batch()
    assert world.found() == {("F0-1", None, "Minh", "08-09", 15, "F1")}


def test_a_contact_who_is_none_any_more_has_no_contacts(world: TracedWorld) -> None:
    lan_is_f1_and_minh_met_her(world)
    world.batch()
    with world.registry.write() as session:
        session.execute(delete(Sighting).where(Sighting.log_id == world.logs["Lan"], Sighting.first_s > NOON_S))
    assert world.batch().removed == 1
    assert world.found() == {("F0-1", None, "Lan", "08-08", 5, "noted")}
    with world.registry.read() as session:
        assert {row.state for row in session.scalars(select(FollowUp))} == {"withdrawn"}


def test_an_f1_of_the_case_is_not_its_f2_too(world: TracedWorld) -> None:
    lan_is_f1_and_minh_met_her(world)
    meets(world, "Minh", F0, NOON_S)
    assert world.batch().second_contacts == 0
    assert world.found() == {
        ("F0-1", None, "Lan", "08-08", 15, "F1"),
        ("F0-1", None, "Minh", "08-08", 15, "F1"),
        ("F0-1", "Lan", "Minh", "08-08", 15, "noted"),
    }


def test_the_case_itself_is_nobodys_f2(world: TracedWorld) -> None:
    lan_is_f1_and_minh_met_her(world)
    meets(world, "F0", LAN, NOON_S)
    meets(world, "Lan", LAN, NOON_S)
    world.batch()
    assert {row[2] for row in world.found()} == {"Lan", "Minh"}


def test_another_device_of_the_case_or_of_the_contact_is_no_contact(world: TracedWorld) -> None:
    f0, lan = people(world, "f0", "lan")
    holds(world, "Hoa", f0)
    holds(world, "Lan", lan)
    world.phone("Phone of Lan", lan)
    case_id = world.case("F0-1", F0, person_id=f0)
    meets(world, "Hoa", F0, NOON_S)
    meets(world, "Lan", F0, NOON_S)
    world.hears("Phone of Lan", of(LAN, NOON_S), NOON_S, 15)
    world.releases("Lan", LAN, case_id=case_id)
    world.batch()
    assert [row[2] for row in world.found()] == ["Lan"]


def test_a_token_is_the_cases_own_only_while_the_case_held_it(world: TracedWorld) -> None:
    (f0,) = people(world, "f0")
    holds(world, "Hoa", f0, to_s=NOON_S - 3600)
    world.case("F0-1", F0, person_id=f0)
    meets(world, "Hoa", F0, NOON_S)
    world.batch()
    assert [row[2] for row in world.found()] == ["Hoa"]


def test_a_place_is_told_as_a_place_and_never_called(world: TracedWorld) -> None:
    world.token("Market", role="site")
    case_id = lan_is_f1_and_minh_met_her(world)
    meets(world, "Market", F0, NOON_S)
    meets(world, "Market", LAN, NOON_S)
    world.batch()
    assert {row[1:] for row in world.found() if row[2] == "Market"} == {
        (None, "Market", "08-08", 15, "place"),
        ("Lan", "Market", "08-08", 15, "place"),
    }
    with world.registry.read() as session:
        called = {(row.case_id, row.log_id, row.degree) for row in session.scalars(select(FollowUp))}
    assert called == {(case_id, world.logs["Lan"], 1), (case_id, world.logs["Minh"], 2)}


def test_rssi_is_corrected_by_the_board_that_heard(
    world: TracedWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "boards", "esp32-devkit", change=change_at("radio.rssi_offset_db", -9))
    monkeypatch.setenv("BZTOKEN_BOARDS", str(tmp_path / "boards"))
    world.token("Deaf", board="esp32-devkit")
    world.token("Market", role="site")
    world.releases("Market", day_key("market"))
    world.case("F0-1", F0)
    for label in ("Deaf", "Lan"):
        meets(world, label, F0, NOON_S)
        meets(world, label, day_key("market"), NOON_S)
    world.batch()
    heard = {row.who: (row.exposure.rssi_max_dbm, row.exposure.rssi_mean_dbm) for row in world.named()}
    assert heard == {"Deaf": (-75, -79), "Lan": (-66, -70)}
    with world.registry.read() as session:
        visits = {row.log_id: (row.rssi_max_dbm, row.rssi_mean_dbm) for row in session.scalars(select(Visit))}
    assert visits == {world.logs["Deaf"]: (-75, -79), world.logs["Lan"]: (-66, -70)}
