"""From a draft to a case that is matched: what each step needs, refuses and leaves."""

import time
from pathlib import Path

import pytest
from sqlalchemy import func, select
from tests.case_desk import ADMIN, DOCTOR, TRACER, CaseDesk, days_ago, password_file, staff
from tests.host.recorded_cases import DAY_S, KEY, add, desk, phone_list, refused, rows, show
from tests.host.traced_world import day_key
from tests.program import Program

from bztoken.errors import CaseError
from bztoken.formats.tracing_key import TracingKey
from bztoken.home import Home
from bztoken.registry import cases, events
from bztoken.registry.database import Registry, open_registry
from bztoken.registry.models import CaseId
from bztoken.registry.models import CaseKey as StoredKey
from bztoken.tracing import case_record

__all__ = ["desk", "phone_list"]


def active_keys(home: Home) -> int:
    with open_registry(home) as registry, registry.read() as session:
        return len(cases.active_keys(session))


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
