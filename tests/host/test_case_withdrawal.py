"""What a recorded case leaves: a phone's history as the case's own, all taken back in the end, every step on record."""

import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session
from tests import people
from tests.case_desk import DOCTOR, TRACER, CaseDesk, days_ago, staff
from tests.host.recorded_cases import DAY_S, add, desk, phone_history, phone_list, refused, rows, show
from tests.host.traced_world import day_key

from bztoken.errors import CaseError, RegistryError
from bztoken.formats.history import HistoryLine, write_history
from bztoken.home import Home
from bztoken.registry import audit, cases, events, logs, peer_keys, persons, tokens
from bztoken.registry.database import Registry, open_registry
from bztoken.registry.histories import add_history
from bztoken.registry.models import AuditEntry, Case, CaseId, Exposure, Log, PeerKey
from bztoken.registry.models import CaseKey as StoredKey
from bztoken.tracing import case_record

__all__ = ["desk", "phone_history", "phone_list"]


# -- the end of a case, and of its keys --------------------------------------------------------------------------------
def found_near(session: Session, case: Case, log: Log) -> None:
    """As a batch leaves it: that a device was near the case."""
    session.execute(
        text(
            "INSERT INTO batches (started_s, finished_s, rule, rule_version, tolerance_s, days, sightings, "
            "exposures) VALUES (1, 1, 'r', 1, 0, 1, 1, 1)"
        )
    )
    rule: dict[str, Any] = {"rule": "r", "rule_version": 1, "batch_id": 1, "band": "near", "verdict": "F1"}
    heard: dict[str, Any] = {"first_s": 1, "last_s": 2, "rssi_max_dbm": -50, "rssi_mean_dbm": -50.0}
    lasted = {"minutes": 20, "close_minutes": 20, "windows": 4}
    session.add(Exposure(case_id=case.id, log_id=log.id, day="2026-11-24", **rule, **heard, **lasted))


def two_cases_with_findings(session: Session) -> Case:
    """Each with keys, a released key of a contact, and a finding; F0 with IDs, too. The other one, to be kept."""
    near = tokens.create(session, "Near", b"12345678", "person", "virtual", 1)
    log = logs.log_of_token(session, near)
    kept = cases.add_draft(session, cases.NewCase("kept", cases.SOURCE_LIST, [day_key("kept")]), 1)
    case = cases.add_draft(session, cases.NewCase("F0", cases.SOURCE_LIST, [day_key("f0")], [(b"1" * 12, 0)]), 1)
    for one in (kept, case):
        cases.activate(session, one)
        peer_keys.store(session, log, peer_keys.PURPOSE_CONTACT, one, [day_key(one.name)], 1)
        found_near(session, one, log)
    return kept


def test_withdrawing_takes_back_keys_ids_contacts_keys_and_findings(registry: Registry, home: Home) -> None:
    staff(home)
    with registry.write() as session:
        kept = two_cases_with_findings(session)
    with events.acting_as(TRACER), registry.write() as session:
        case_record.withdraw(session, cases.by_known_name(session, "F0"), "wrong_test", 50)
    with registry.read() as session:
        ended = cases.by_known_name(session, "F0")
        assert (ended.state, ended.ended_at_s, ended.ended_by) == ("withdrawn", 50, TRACER)
        for column in (StoredKey.case_id, CaseId.case_id, PeerKey.case_id, Exposure.case_id):
            assert set(session.scalars(select(column))) <= {kept.id}
        assert session.scalar(select(func.count(Exposure.id))) == 1
        last = session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc())).all()
        assert ("withdraw", "case", ended.id, "wrong_test") in [(e.action, e.what, e.number, e.detail) for e in last]
    with pytest.raises(CaseError, match="withdrawn already"), registry.write() as session:
        case_record.withdraw(session, cases.by_known_name(session, "F0"), "other", 60)
    with pytest.raises(CaseError, match="a reason is one of"), registry.write() as session:
        case_record.withdraw(session, cases.by_known_name(session, "kept"), "Bà Lan said so", 60)


def test_a_withdrawn_name_stays_taken_and_is_shown_with_who_and_when(desk: CaseDesk, phone_list: Path) -> None:
    desk.record("F0-1", "--list", phone_list, "--onset", days_ago(3))
    assert desk.tracer("case", "withdraw", "F0-1", "--reason-code", "duplicate").code == 0
    told = show(desk)
    assert (told["state"], told["keys"], told["ended_by"], told["recorded_by"]) == ("withdrawn", 0, TRACER, TRACER)
    assert "withdrawn" in desk.tracer("case", "show", "F0-1").out
    refused(add(desk, phone_list), "recorded already")
    refused(desk.tracer("case", "export", "F0-1", "--format", "bluezone", "--out", desk.folder / "x"), "withdrawn")


def test_every_step_and_every_look_is_in_the_audit(desk: CaseDesk, home: Home, phone_list: Path) -> None:
    desk.record("F0-1", "--list", phone_list, "--onset", days_ago(3))
    show(desk)
    desk.tracer("case", "list")
    desk.tracer("case", "export", "F0-1", "--format", "bluezone", "--out", desk.folder / "out.json")
    desk.tracer("case", "withdraw", "F0-1", "--reason-code", "other")
    with open_registry(home) as registry, registry.read() as session:
        told = [
            (entry.action, entry.what, entry.by, entry.role)
            for entry in session.scalars(select(AuditEntry).order_by(AuditEntry.id))
            if entry.what != audit.What.OPERATOR
        ]
        assert "F0-1" not in str([entry.detail for entry in session.scalars(select(AuditEntry))])
    tracer = (TRACER, "tracer")
    assert told == [
        ("add", "case", *tracer),
        ("authorise", "case", DOCTOR, "doctor"),
        ("change", "case", *tracer),
        ("look", "case", *tracer),
        ("look", "case", *tracer),
        ("export", "key", *tracer),
        ("withdraw", "case", *tracer),
    ]


def test_a_name_that_is_none_is_told(desk: CaseDesk) -> None:
    for words in (("show",), ("confirm", "--code", "12345674"), ("withdraw", "--reason-code", "other")):
        refused(desk.tracer("case", words[0], "nobody", *words[1:]), "no case of this registry has this name")


# -- phones ------------------------------------------------------------------------------------------------------------
def test_a_phones_history_makes_a_case_by_ids_and_a_log_of_its_own(
    desk: CaseDesk, home: Home, phone_history: Path
) -> None:
    desk.record("F0-7", "--history", phone_history, "--test", days_ago(0))
    assert show(desk, "F0-7")["ids"] == 3
    with open_registry(home) as registry, registry.read() as session:
        case, log = session.scalars(select(Case)).one(), session.scalars(select(Log)).one()
        assert (log.kind, log.label) == (logs.KIND_PHONE, "F0-7")
        assert cases.own_logs(session) == {case.id: {log.id}}
        assert {row[1] for row in cases.active_ids(session)} == {b"o" * 12}


def test_a_history_from_the_future_leaves_nothing(desk: CaseDesk, home: Home, tmp_path: Path) -> None:
    ahead_s = int(time.time()) + 3 * DAY_S
    write_history(tmp_path / "ahead.tsv", [HistoryLine(b"o" * 12, b"c" * 12, -60, ahead_s * 1000)])
    before = rows(home)
    for words in (
        ("history", "add", tmp_path / "ahead.tsv", "--label", "Phone"),
        ("case", "add", "--history", tmp_path / "ahead.tsv", "--name", "F0", "--test", days_ago(0)),
    ):
        refused(desk.tracer(*words), "ahead.tsv, line 1: the contact is of the future")
    assert rows(home) == before


def test_two_persons_phones_are_not_mixed_up(registry: Registry, tmp_path: Path) -> None:
    path = tmp_path / "h.tsv"
    write_history(path, [HistoryLine(b"o" * 12, b"c" * 12, -60, 1_700_000_000_000)])
    with registry.write() as session:
        log, _ = add_history(session, path, "Phone", 1_800_000_000)
        assert add_history(session, path, "Phone", 1_800_000_000, person_id=3)[0].person_id == log.person_id == 3
    with pytest.raises(RegistryError, match="another person"), registry.write() as session:
        add_history(session, path, "Phone", 1_800_000_000, person_id=4)


def test_a_known_phone_says_who_is_ill_and_another_name_is_refused(
    desk: CaseDesk, home: Home, phone_history: Path
) -> None:
    with open_registry(home) as registry, registry.write() as session:
        numbers = [persons.number_of(people.person(session, name).id) for name in ("Nguyễn Thị Lan", "Trần Văn Hùng")]
    owned = ("history", "add", phone_history, "--label", "Phone", "--person", numbers[0])
    assert desk.tracer(*owned).code == 0
    add = ("case", "add", "--history", phone_history, "--name", "F0", "--test", days_ago(0))
    before = rows(home)
    refused(desk.tracer(*add, "--person", numbers[1]), "this phone is that of another person")
    assert rows(home) == before
    assert desk.tracer(*add).code == 0
    assert show(desk, "F0")["person"] == numbers[0]
    assert "Lan" not in desk.tracer("case", "show", "F0").out
