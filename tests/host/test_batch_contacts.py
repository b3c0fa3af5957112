"""F1 and F2, places, presets and boards: what a batch says of the people behind the logs, and that it stays so."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select
from tests.host.boards_elsewhere import change_at, put
from tests.host.traced_world import DAY_S, START_S, TracedWorld, day_key
from tests.program import Program

from bztoken import scoring
from bztoken.registry import audit, cases, settings
from bztoken.registry.database import Registry
from bztoken.registry.models import (
    AuditEntry,
    Batch,
    Case,
    Exposure,
    FollowUp,
    Log,
    Person,
    Sighting,
    TokenIssue,
    Visit,
)
from bztoken.tracing import case_record
from bzwire.bluezone import slot_id

F0, LAN, HOA = day_key("f0"), day_key("lan"), day_key("hoa")
F0_NEXT, LAN_NEXT = day_key("f0", 1), day_key("lan", 1)
NOON_S = START_S + 12 * 3600
NOON = slot_id(F0.key, 48)


@pytest.fixture
def world(registry: Registry) -> TracedWorld:
    made = TracedWorld(registry)
    for label in ("F0", "Lan", "Minh", "Hoa"):
        made.token(label)
    return made


def of(key: Any, at_s: int) -> bytes:
    return slot_id(key.key, at_s % DAY_S // 900)


def meets(world: TracedWorld, label: str, key: Any, at_s: int, windows: int = 3, **more: Any) -> None:
    """In as many windows of one slot."""
    world.hears(label, of(key, at_s), at_s, windows, **more)


def lan_is_f1_and_minh_met_her(world: TracedWorld) -> int:
    case_id = world.case("F0-1", F0, F0_NEXT, token="F0", source="token")
    meets(world, "Lan", F0, NOON_S)
    meets(world, "Minh", LAN, NOON_S + 3600)
    world.releases("Lan", LAN, LAN_NEXT, case_id=case_id)
    return case_id


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


def holds(world: TracedWorld, label: str, person_id: int, from_s: int = 1, to_s: int | None = None) -> None:
    """As an issue of the token says it, whoever that is."""
    with world.registry.write() as session:
        log = session.get_one(Log, world.logs[label])
        row = TokenIssue(
            token_id=log.token_id, holder_kind="person", person_id=person_id, issued_at_s=from_s, issued_by="test"
        )
        row.returned_at_s = to_s
        session.add(row)


def people(world: TracedWorld, *names: str) -> list[int]:
    with world.registry.write() as session:
        made = [Person(name=name, folded=name, state="active", added_at_s=1, by="test") for name in names]
        session.add_all(made)
        session.flush()
        return [person.id for person in made]


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


def everything(world: TracedWorld) -> list[Any]:
    with world.registry.read() as session:
        return [
            {name: value for name, value in vars(row).items() if name not in ("_sa_instance_state", "batch_id")}
            for table in (Exposure, Visit)
            for row in session.scalars(select(table).order_by(table.id)).all()
        ]


def test_the_same_batch_twice_changes_no_row_and_keeps_their_numbers(world: TracedWorld) -> None:
    world.token("Market", role="site")
    world.releases("Market", day_key("market"))
    lan_is_f1_and_minh_met_her(world)
    meets(world, "Hoa", day_key("market"), NOON_S)
    first = world.batch()
    before = everything(world)
    assert world.batch() == first
    assert everything(world) == before and len(before) == 3
    with world.registry.read() as session:
        assert {row.batch_id for row in session.scalars(select(Exposure))} == {2}
        assert [(row.exposures, row.second_contacts, row.visits) for row in session.scalars(select(Batch))] == [
            (2, 1, 1)
        ] * 2


def test_the_chosen_preset_scores_and_replaces_what_another_one_said(world: TracedWorld) -> None:
    world.case("F0-1", F0)
    meets(world, "Lan", F0, NOON_S, rssi_mean_dbm=-80, rssi_max_dbm=-80, tx_power_dbm=-15)
    world.batch()
    assert [(row.exposure.rule, row.exposure.verdict) for row in world.named()] == [("bluezone", "F1")]
    number = world.named()[0].exposure.id
    with world.registry.write() as session:
        settings.put(session, "scoring", "swisscovid", 5)
    assert world.batch().rule == f"swisscovid {scoring.load('swisscovid').version}"
    assert [(row.exposure.rule, row.exposure.verdict) for row in world.named()] == [("swisscovid", "noted")]
    assert world.named()[0].exposure.id == number


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


def test_drafts_give_nothing_and_withdrawing_takes_back_what_was_found(world: TracedWorld) -> None:
    case_id = lan_is_f1_and_minh_met_her(world)
    with world.registry.write() as session:
        session.get_one(Case, case_id).state = cases.STATE_DRAFT
    assert world.batch().exposures == 0
    with world.registry.write() as session:
        session.get_one(Case, case_id).state = cases.STATE_ACTIVE
    assert world.batch().exposures == 2
    withdraw(world, case_id)
    assert world.found() == set()
    assert world.batch()[:4] == (0, 0, 0, 0)


def withdraw(world: TracedWorld, case_id: int) -> None:
    with world.registry.write() as session:
        case_record.withdraw(session, session.get_one(Case, case_id), case_record.REASONS[0], 6)


def test_a_case_that_is_withdrawn_while_a_batch_runs_does_not_come_back(world: TracedWorld) -> None:
    case_id = lan_is_f1_and_minh_met_her(world)
    other_id = world.case("F0-2", day_key("other"))
    meets(world, "Hoa", day_key("other"), NOON_S)
    days: list[str] = []

    def interfere(day: str, done: int, total: int) -> None:
        if not days:
            withdraw(world, case_id)
        days.append(day)

    assert world.batch(progress=interfere).exposures == 1
    assert {row[0] for row in world.found()} == {"F0-2"}
    assert len(days) > len(set(days))
    withdraw(world, other_id)


def test_what_is_erased_in_every_try_never_comes_back(world: TracedWorld) -> None:
    """Somebody erases a log's sightings each time the batch reads: at last it computes where nobody can interfere."""
    lan_is_f1_and_minh_met_her(world)
    meets(world, "Hoa", F0, NOON_S)
    erased = ["Minh", "Hoa"]

    def interfere(day: str, done: int, total: int) -> None:
        if done == total and erased:
            with world.registry.write() as session:
                session.execute(delete(Sighting).where(Sighting.log_id == world.logs[erased.pop()]))
                audit.record(session, audit.Action.ERASE, audit.What.PERSON, 6, 1)

    world.batch(progress=interfere)
    assert {row[2] for row in world.found()} == {"Lan"}


def test_a_batch_leaves_an_entry_in_the_audit_that_names_nobody(world: TracedWorld) -> None:
    lan_is_f1_and_minh_met_her(world)
    world.batch()
    with world.registry.read() as session:
        entries = session.scalars(select(AuditEntry).where(AuditEntry.what == "registry")).all()
        assert [(one.action, one.number, one.detail) for one in entries] == [
            ("match", 1, "rule bluezone 1: 1 F1, 1 F2, 0 visits")
        ]


def test_the_list_tells_whom_to_call_and_how_sure_the_band_is(world: TracedWorld, cli: Program) -> None:
    lan_is_f1_and_minh_met_her(world)
    world.batch()
    shown = cli("exposures", "list").out
    assert "Close contacts (F1) of F0-1: Lan (15 minutes)." in shown
    assert "Contacts of contacts (F2) of F0-1: Minh (15 minutes)." in shown
    assert "By the rule bluezone 1" in shown
    second = cli("exposures", "list", "--degree", "2", "--json").document()["exposures"]
    assert [(one["who"], one["via"], one["degree"], one["label"], one["person"]) for one in second] == [
        ("Minh", "Lan", 2, "Minh", None)
    ]
    assert {"nearest", "farthest", "attenuation_off_db"} <= set(second[0])
    assert [one["who"] for one in cli("exposures", "list", "--degree", "1", "--json").document()["exposures"]] == [
        "Lan"
    ]


def test_looking_at_exposures_is_recorded_once_for_each_case_and_person(world: TracedWorld, cli: Program) -> None:
    lan, minh = people(world, "Trần Thị Lan", "Minh")
    holds(world, "Lan", lan)
    holds(world, "Minh", minh)
    case_id = lan_is_f1_and_minh_met_her(world)
    world.batch()
    shown = cli("exposures", "list").out
    assert "Close contacts (F1) of F0-1: Trần Thị Lan (15 minutes)." in shown
    with world.registry.read() as session:
        looks = session.scalars(select(AuditEntry).where(AuditEntry.action == "look")).all()
        assert {(one.what, one.number) for one in looks} == {("case", case_id), ("person", lan), ("person", minh)}
        assert len(looks) == 3


def test_exposures_of_a_case_that_nobody_knows_are_a_sentence(world: TracedWorld, cli: Program) -> None:
    answered = cli("exposures", "list", "--case", "nobody")
    assert answered.code == 1
    assert "no case of this registry has this name" in answered.err
    with world.registry.read() as session:
        assert session.scalars(select(AuditEntry)).all() == []
