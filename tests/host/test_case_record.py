"""From a draft to a case that is matched, and back: what each step needs, refuses and leaves."""

import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, text
from tests import people
from tests.case_desk import ADMIN, DOCTOR, TRACER, CaseDesk, days_ago, password_file, staff
from tests.host.traced_world import day_key
from tests.program import Program, Ran

from bztoken.errors import CaseError, RegistryError
from bztoken.formats.case_list import CaseKey, write_case_list
from bztoken.formats.history import HistoryLine, write_history
from bztoken.formats.tracing_key import TracingKey
from bztoken.home import Home
from bztoken.registry import audit, cases, events, logs, peer_keys, persons, tokens
from bztoken.registry.database import Registry, open_registry
from bztoken.registry.histories import add_history
from bztoken.registry.models import AuditEntry, Case, CaseId, Exposure, Log, PeerKey
from bztoken.registry.models import CaseKey as StoredKey
from bztoken.tracing import case_record

DAY_S = 86400
KEY = b"k" * 32
TABLES = ("cases", "case_keys", "case_ids", "logs", "sightings", "persons")


@pytest.fixture
def desk(cli: Program, home: Home, tmp_path: Path) -> CaseDesk:
    cli("registry", "init")
    staff(home)
    return CaseDesk(cli, tmp_path)


@pytest.fixture
def phone_list(tmp_path: Path) -> Path:
    """Ten days of a phone, until yesterday."""
    today_s = int(time.time()) // DAY_S * DAY_S
    write_case_list(tmp_path / "phone.json", [CaseKey(KEY, today_s - 10 * DAY_S, 96, today_s - 1)])
    return tmp_path / "phone.json"


def add(desk: CaseDesk, path: Path, name: str = "F0-1", *more: object) -> Ran:
    return desk.tracer("case", "add", "--name", name, "--list", path, "--onset", days_ago(3), *more)


def rows(home: Home) -> dict[str, list[tuple[Any, ...]]]:
    """What a refused step must not change."""
    with open_registry(home) as registry, registry.read() as session:
        return {table: [tuple(row) for row in session.execute(text(f"SELECT * FROM {table}"))] for table in TABLES}


def refused(ran: Ran, said: str) -> None:
    assert (ran.code, ran.out) == (1, "") and said in ran.err and len(ran.err.splitlines()) == 1, ran.err


def active_keys(home: Home) -> int:
    with open_registry(home) as registry, registry.read() as session:
        return len(cases.active_keys(session))


def show(desk: CaseDesk, name: str = "F0-1") -> Any:
    return desk.tracer("case", "show", name, "--json").document()


def test_a_draft_is_matched_by_nothing_until_its_code_was_given(desk: CaseDesk, home: Home, phone_list: Path) -> None:
    added = add(desk, phone_list, "F0-1", "--json").document()
    assert (added["state"], added["keys"], added["left_out"]) == ("draft", 5, 5)
    assert (added["first_day"], added["last_day"]) == (days_ago(5), days_ago(-10))
    assert len(added["digest"]) == 64 and len(added["said"]) == 29
    assert active_keys(home) == 0
    code = desk.authorise("F0-1")
    assert active_keys(home) == 0
    done = desk.tracer("case", "confirm", "F0-1", "--code", f"{code[:4]} {code[4:]}", "--json")
    assert done.document() == {"case": "F0-1", "state": "active"}
    assert active_keys(home) == 5
    refused(desk.tracer("case", "confirm", "F0-1", "--code", code), "active already")


def test_what_a_person_reads_says_what_comes_next(desk: CaseDesk, cli: Program, phone_list: Path) -> None:
    ran = add(desk, phone_list)
    assert "as a draft" in ran.out and "5 day keys" in ran.out and "5 outside were left out" in ran.out
    assert "bztoken case authorise F0-1 --as NAME" in ran.out and "bztoken case confirm F0-1 --code CODE" in ran.out
    drawn = cli("case", "authorise", "F0-1", "--as", DOCTOR, "--password-file", password_file(desk.folder, DOCTOR))
    assert (
        f"{days_ago(5)} to {days_ago(-10)}" in drawn.out and "5 day keys" in drawn.out and "It serves once" in drawn.out
    )
    assert show(desk)["said"] in drawn.out and show(desk)["said"] in ran.out
    assert KEY.hex()[:12] not in ran.out + drawn.out


def test_a_code_drawn_beforehand_records_an_active_case_at_once(
    desk: CaseDesk, cli: Program, home: Home, phone_list: Path
) -> None:
    seen = cli("case", "inspect", "--list", phone_list, "--onset", days_ago(3), "--json").document()
    digest = ("--digest", seen["said"], "--as", DOCTOR, "--password-file", password_file(desk.folder, DOCTOR), "--json")
    code = cli("case", "authorise", *digest).document()["code"]
    before = rows(home)
    other = ("case", "add", "--name", "F0-1", "--list", phone_list, "--onset", days_ago(2), "--code", code)
    refused(desk.tracer(*other), "no code was drawn for these keys")
    assert rows(home) == before
    assert add(desk, phone_list, "F0-1", "--code", code, "--json").document()["state"] == "active"
    before = rows(home)
    refused(add(desk, phone_list, "F0-2", "--code", code), "was used already")
    assert rows(home) == before


def test_tries_are_counted_although_the_command_fails(desk: CaseDesk, home: Home, phone_list: Path) -> None:
    add(desk, phone_list)
    code = desk.authorise("F0-1")
    before = rows(home)
    wrong = "00000000" if code != "00000000" else "11111113"
    for left in (4, 3, 2, 1):
        refused(desk.tracer("case", "confirm", "F0-1", "--code", wrong), f"{left} tries are left")
    refused(desk.tracer("case", "confirm", "F0-1", "--code", wrong), "last try")
    refused(desk.tracer("case", "confirm", "F0-1", "--code", code), "have ended this one")
    assert rows(home) == before
    (told,) = show(desk)["codes"]
    assert (told["state"], told["wrong_tries"], told["drawn_by"], told["used_by"]) == ("ended", 5, DOCTOR, None)
    desk.confirm("F0-1")
    assert [code["state"] for code in show(desk)["codes"]] == ["ended", "used"]


def test_a_code_expires(registry: Registry, home: Home) -> None:
    staff(home)
    now_s = int(time.time())
    with events.acting_as(TRACER), registry.write() as session:
        key = TracingKey("bluezone", KEY, now_s - DAY_S, 96, now_s)
        cases.add_draft(session, cases.NewCase("F0-1", cases.SOURCE_LIST, [key]), now_s)
    drawn = case_record.authorise(registry, "F0-1", DOCTOR, f"mật khẩu của {DOCTOR}", now_s, hours=1)
    with events.acting_as(TRACER), pytest.raises(CaseError, match="has expired"):
        case_record.confirm(registry, "F0-1", drawn.code, now_s + 3600)
    with events.acting_as(TRACER):
        assert case_record.confirm(registry, "F0-1", drawn.code, now_s + 3599).state == "active"


def test_each_step_is_for_its_own_role(desk: CaseDesk, cli: Program, home: Home, phone_list: Path) -> None:
    alone = ("case", "add", "--name", "F0-1", "--list", phone_list, "--onset", days_ago(3))
    refused(cli(*alone), "to record or withdraw a case is for a tracer, and you work here as a health worker")
    add(desk, phone_list)
    before = rows(home)
    for name in (TRACER, ADMIN):
        drawing = ("case", "authorise", "F0-1", "--as", name, "--password-file", password_file(desk.folder, name))
        refused(cli(*drawing), "this is for a doctor")
    wrong = password_file(desk.folder, TRACER)
    refused(cli("case", "authorise", "F0-1", "--as", DOCTOR, "--password-file", wrong), "4 tries are left")
    refused(cli("case", "withdraw", "F0-1", "--reason-code", "other"), "is for a tracer")
    refused(cli("case", "confirm", "F0-1", "--code", desk.authorise("F0-1")), "is for a tracer")
    refused(
        cli("case", "export", "F0-1", "--format", "bluezone", "--out", desk.folder / "x"), "for a tracer or an admin"
    )
    assert rows(home) == before


def test_keys_that_were_changed_in_the_registry_are_not_confirmed(desk: CaseDesk, home: Home, phone_list: Path) -> None:
    add(desk, phone_list)
    code = desk.authorise("F0-1")
    with open_registry(home) as registry, registry.write() as session:
        session.scalars(select(StoredKey)).all()[0].day_key = b"x" * 32
    refused(desk.tracer("case", "confirm", "F0-1", "--code", code), "not those that were recorded")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "give --onset or --test"),
        (("--onset", days_ago(-3)), "in the future"),
        (("--test", days_ago(90)), "more than 60 days ago"),
        (("--onset", days_ago(40)), "none of the 10 keys is of the infectious window"),
        (("--onset", days_ago(3), "--report-type", "rumour"), "a report type is one of"),
        (("--onset", days_ago(3), "--person", "Nobody"), "no person of this registry has this name"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_changed(
    desk: CaseDesk, home: Home, phone_list: Path, options: tuple[str, ...], said: str
) -> None:
    before = rows(home)
    refused(desk.tracer("case", "add", "--name", "F0-1", "--list", phone_list, *options), said)
    assert rows(home) == before


def test_the_same_keys_make_one_case_until_it_is_withdrawn(desk: CaseDesk, home: Home, phone_list: Path) -> None:
    add(desk, phone_list)
    code = desk.authorise("F0-1")
    said = "these keys are recorded already, for another case: nothing was changed; withdraw that one first"
    before = rows(home)
    refused(add(desk, phone_list, "F0-2"), said)
    refused(add(desk, phone_list, "F0-2", "--code", code), said)
    assert rows(home) == before
    assert desk.tracer("case", "confirm", "F0-1", "--code", code).code == 0, "the code was not spent"
    refused(add(desk, phone_list, "F0-2"), said)
    assert desk.tracer("case", "withdraw", "F0-1", "--reason-code", "wrong_person").code == 0
    desk.record("F0-2", "--list", phone_list, "--onset", days_ago(3))
    assert active_keys(home) == 5


def test_of_two_drafts_with_the_same_keys_one_becomes_active(registry: Registry) -> None:
    """As an older registry may hold them."""
    with registry.write() as session:
        first = cases.add_draft(session, cases.NewCase("F0-1", cases.SOURCE_LIST, [day_key("1")]), 1)
        second = cases.add_draft(session, cases.NewCase("F0-2", cases.SOURCE_LIST, [day_key("2")]), 1)
        second.key_digest = first.key_digest
        session.flush()
        with pytest.raises(CaseError, match="recorded already, for another case"):
            cases.activate(session, second)
        assert second.state == cases.STATE_DRAFT


def test_a_draft_that_nobody_authorised_goes_with_its_keys(registry: Registry) -> None:
    with registry.write() as session:
        for number, at_s in enumerate((100, 200, 300)):
            new = cases.NewCase(f"F0-{number}", cases.SOURCE_LIST, [day_key(f"{number}")], [(b"1" * 12, 900)])
            case = cases.add_draft(session, new, at_s)
            if number == 0:
                cases.activate(session, case)
        assert cases.drop_drafts(session, 300) == 1
        assert [one.case.name for one in cases.counted(session)] == ["F0-0", "F0-2"]
        assert session.scalar(select(func.count(StoredKey.id))) == session.scalar(select(func.count(CaseId.id))) == 2


# -- phones ------------------------------------------------------------------------------------------------------------
@pytest.fixture
def phone_history(tmp_path: Path) -> Path:
    noon_s = int(time.time()) // DAY_S * DAY_S - DAY_S // 2
    lines = [HistoryLine(b"o" * 12, b"c" * 12, -60, (noon_s + 60 * n) * 1000) for n in range(40)]
    write_history(tmp_path / "phone.tsv", lines)
    return tmp_path / "phone.tsv"


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


# -- the end of a case, and of its keys --------------------------------------------------------------------------------
def test_withdrawing_takes_back_keys_ids_contacts_keys_and_findings(registry: Registry, home: Home) -> None:
    staff(home)
    with registry.write() as session:
        near = tokens.create(session, "Near", b"12345678", "person", "virtual", 1)
        log = logs.log_of_token(session, near)
        kept = cases.add_draft(session, cases.NewCase("kept", cases.SOURCE_LIST, [day_key("kept")]), 1)
        case = cases.add_draft(session, cases.NewCase("F0", cases.SOURCE_LIST, [day_key("f0")], [(b"1" * 12, 0)]), 1)
        for one in (kept, case):
            cases.activate(session, one)
            peer_keys.store(session, log, peer_keys.PURPOSE_CONTACT, one, [day_key(one.name)], 1)
            session.execute(
                text(
                    "INSERT INTO batches (started_s, finished_s, rule, rule_version, tolerance_s, days, sightings, "
                    "exposures) VALUES (1, 1, 'r', 1, 0, 1, 1, 1)"
                )
            )
            session.add(
                Exposure(
                    case_id=one.id,
                    log_id=log.id,
                    day="2026-11-24",
                    rule="r",
                    rule_version=1,
                    batch_id=1,
                    minutes=20,
                    close_minutes=20,
                    windows=4,
                    first_s=1,
                    last_s=2,
                    rssi_max_dbm=-50,
                    rssi_mean_dbm=-50.0,
                    band="near",
                    verdict="F1",
                )  # fmt: skip
            )
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


def test_two_persons_phones_are_not_mixed_up(registry: Registry, tmp_path: Path) -> None:
    path = tmp_path / "h.tsv"
    write_history(path, [HistoryLine(b"o" * 12, b"c" * 12, -60, 1_700_000_000_000)])
    with registry.write() as session:
        log, _ = add_history(session, path, "Phone", 1_800_000_000)
        assert add_history(session, path, "Phone", 1_800_000_000, person_id=3)[0].person_id == log.person_id == 3
    with pytest.raises(RegistryError, match="another person"), registry.write() as session:
        add_history(session, path, "Phone", 1_800_000_000, person_id=4)


# -- who it is ---------------------------------------------------------------------------------------------------------
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
