"""Batches one after the other and while others write: what stays, what is taken back, what is on record and shown."""

from typing import Any

from sqlalchemy import delete, select
from tests.host.first_and_second_contacts import F0, NOON_S, holds, lan_is_f1_and_minh_met_her, meets, people, world
from tests.host.traced_world import TracedWorld, day_key
from tests.program import Program

from bztoken import scoring
from bztoken.matching.run import Done
from bztoken.registry import audit, cases, settings
from bztoken.registry.models import AuditEntry, Batch, Case, Exposure, Sighting, Visit
from bztoken.tracing import case_record

__all__ = ["world"]


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

    def interfere(done: Done) -> None:
        if not days:
            withdraw(world, case_id)
        days.append(done.day)

    assert world.batch(progress=interfere).exposures == 1
    assert {row[0] for row in world.found()} == {"F0-2"}
    assert len(days) > len(set(days))
    withdraw(world, other_id)


def test_what_is_erased_in_every_try_never_comes_back(world: TracedWorld) -> None:
    """Somebody erases a log's sightings each time the batch reads: at last it computes where nobody can interfere."""
    lan_is_f1_and_minh_met_her(world)
    meets(world, "Hoa", F0, NOON_S)
    erased = ["Minh", "Hoa"]

    def interfere(done: Done) -> None:
        if done.done == done.total and erased:
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
