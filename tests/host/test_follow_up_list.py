"""`bztoken follow-up`: the work list in its order, steps and texts on the command line, and what the audit keeps."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from tests.host.carried_pages import Carrying
from tests.host.contacts_of_cases import Village
from tests.program import Program

from bztoken.calendar_days import VIETNAM
from bztoken.cli.follow_up_view import answer_story, contact_document, row
from bztoken.home import Home
from bztoken.registry import events
from bztoken.registry.database import Registry, create_registry, open_registry
from bztoken.registry.models import AuditEntry, Exposure
from bztoken.tracing import follow_up
from bztoken.tracing.follow_up_list import NO_NUMBER, NOT_ISSUED, UNKNOWN_PHONE, contact_of

HALF_PAST_SIX_S = 1_795_563_000  # 2026-11-24 23:30 UTC, the 25th in Vietnam


@pytest.fixture(autouse=True)
def operator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(events.OPERATOR_VARIABLE, "Hoa")


@pytest.fixture
def session(registry: Registry) -> Iterator[Session]:
    with registry.write() as opened:
        yield opened


@pytest.fixture
def traced(home: Home) -> None:
    """Bà Mai: F1 of both cases; Ông Tâm: F1, a carer's phone; Bà Cúc: F2, no phone; two of whom nobody knows."""
    create_registry(home)
    with open_registry(home) as registry, registry.write() as session:
        village = Village(session, int(time.time()))
        one, two = village.case("F0-1"), village.case("F0-2")
        mai = village.token("T-1", village.person("Bà Mai"))
        tam = village.token("T-2", village.person("Ông Tâm", "0987654321", "Chị Hoa"))
        cuc = village.token("T-3", village.person("Bà Cúc", None))
        village.near(one, cuc, "F2", 90, via=mai)
        village.near(one, mai, minutes=20)
        village.near(one, tam, minutes=60)
        village.near(two, mai, minutes=30, days_ago=3)
        village.near(two, village.token("T-4"), minutes=25)
        village.near(two, village.phone("Anh Minh"), minutes=16)
        follow_up.update(session, village.now_s)


def listed(cli: Program, *options: object) -> list[str]:
    """Whom the list shows."""
    ran = cli("follow-up", "list", "--json", *options)
    assert ran.code == 0, ran.err
    return [contact["who"] for contact in ran.document()["contacts"]]


def number_of(cli: Program, who: str) -> int:
    """The item that stands for somebody."""
    contacts = cli("follow-up", "list", "--state", "all", "--json").document()["contacts"]
    return int(next(contact["item"] for contact in contacts if contact["who"] == who))


def audited(home: Home) -> list[tuple[str, str, int | None, str | None]]:
    """What was done to what."""
    with open_registry(home) as registry, registry.read() as session:
        return [
            (entry.action, entry.what, entry.number, entry.detail)
            for entry in session.scalars(select(AuditEntry).order_by(AuditEntry.id))
        ]


def test_the_list_names_the_most_urgent_first_and_a_person_once(traced: None, cli: Program) -> None:
    assert listed(cli) == ["Ông Tâm", "Bà Mai", "T-4", "Anh Minh", "Bà Cúc"]


def test_who_was_reached_comes_after_who_was_not(traced: None, cli: Program) -> None:
    assert cli("follow-up", "reached", number_of(cli, "Ông Tâm")).code == 0
    assert listed(cli) == ["Bà Mai", "T-4", "Anh Minh", "Bà Cúc", "Ông Tâm"]


def test_one_row_says_whom_to_call_and_what_is_known(traced: None, cli: Program) -> None:
    contacts = cli("follow-up", "list", "--json").document()["contacts"]
    found = {contact["who"]: contact for contact in contacts}
    mai = found["Bà Mai"]
    assert (mai["phone"], mai["phone_of"], mai["label"], mai["degree"]) == ("0912345678", "person", "T-1", 1)
    assert mai["close_minutes"] == 30 and mai["days_since"] == 1 and len(mai["items"]) == 2
    assert (found["Ông Tâm"]["phone_of"], found["Ông Tâm"]["carer"]) == ("carer", "Chị Hoa")
    missing = {who: contact["missing"] for who, contact in found.items()}
    assert (missing["Bà Mai"], missing["Bà Cúc"]) == (None, NO_NUMBER)
    assert (missing["T-4"], missing["Anh Minh"]) == (NOT_ISSUED, UNKNOWN_PHONE)


def test_the_table_says_it_in_words(traced: None, cli: Program) -> None:
    out = cli("follow-up", "list").out
    for words in ("Bà Mai (P-0001-", "0912345678 (their own)", "0987654321", "(carer Chị Hoa)", "F1, 2 cases", "call"):
        assert words in out
    assert "5 contacts: 5 to call." in out and f": {NOT_ISSUED}." in out


def test_the_list_can_be_of_a_state_a_case_or_ones_own(
    traced: None, cli: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert listed(cli, "--case", "F0-2") == ["Bà Mai", "T-4", "Anh Minh"]
    assert cli("follow-up", "call", number_of(cli, "T-4"), "--no-answer").code == 0
    assert cli("follow-up", "close", number_of(cli, "Bà Cúc"), "--not-reached").code == 0
    assert listed(cli, "--state", "closed") == ["Bà Cúc"]
    assert listed(cli, "--mine") == ["T-4"]
    assert len(listed(cli, "--state", "all")) == 5 and len(listed(cli)) == 4
    monkeypatch.setenv(events.OPERATOR_VARIABLE, "Minh")
    assert listed(cli, "--mine") == []
    assert cli("follow-up", "list", "--state", "tested").out == "There are no such contacts.\n"


def test_a_case_that_is_none_is_refused(traced: None, cli: Program, home: Home) -> None:
    before = audited(home)
    ran = cli("follow-up", "list", "--case", "F0-9")
    assert (ran.code, ran.out) == (1, "") and "no case of this registry has this name" in ran.err
    assert audited(home) == before


def test_an_empty_list_says_what_to_do(home: Home, cli: Program) -> None:
    create_registry(home)
    assert cli("follow-up", "list").out.startswith("Nobody is to be called: `bztoken match`")


def test_a_step_says_for_what_it_goes_and_what_is_next(traced: None, cli: Program) -> None:
    number = number_of(cli, "Bà Mai")
    ran = cli("follow-up", "reached", number)
    assert "(the same person): reached. If they have a token, its light stops asking" in ran.out
    advised = cli("follow-up", "advised", number, "--json").document()
    assert advised["step"] == "advised" and [item["state"] for item in advised["items"]] == ["advised"] * 2
    tested = cli("follow-up", "tested", number, "--result", "positive")
    assert "tested, positive" in tested.out and "`bztoken case add`" in tested.err
    assert cli("follow-up", "tested", number).code == 2
    again = cli("follow-up", "reached", number)
    assert (again.code, again.out) == (1, "") and "tested already: nothing was changed" in again.err


@pytest.mark.parametrize("command", ["show", "call", "reached", "advised", "close", "reopen", "text"])
def test_a_number_that_is_none_is_refused(home: Home, cli: Program, command: str) -> None:
    create_registry(home)
    ran = cli("follow-up", command, 99)
    assert (ran.code, ran.out) == (1, "") and "no contact has this number: nothing was changed" in ran.err
    assert audited(home) == []


def test_show_tells_every_step_with_who_and_when(traced: None, cli: Program) -> None:
    number = number_of(cli, "Ông Tâm")
    cli("follow-up", "call", number, "--no-answer")
    said = cli("follow-up", "show", number).out
    assert said.startswith("Ông Tâm (P-0002-") and "F1 of F0-1, 60 close minutes" in said
    assert "called, no answer (Hoa)" in said and "Next: call." in said
    steps = cli("follow-up", "show", number, "--json").document()["items"][0]["steps"]
    assert [(step["step"], step["by"]) for step in steps] == [("opened", "Hoa"), ("called", "Hoa")]


@pytest.fixture
def early(session: Session) -> Exposure:
    """Half past six in Vietnam, when it is still the day before in UTC."""
    village = Village(session, HALF_PAST_SIX_S)
    exposure = village.near(village.case("F0-1"), village.token("T-1"), days_ago=0)
    exposure.last_s = exposure.first_s
    follow_up.update(session, village.now_s)
    return exposure


def test_days_are_those_of_the_zone_and_of_utc_once_the_hour_is_deleted(session: Session, early: Exposure) -> None:
    contact, now_s = contact_of(session, 1), HALF_PAST_SIX_S + 4 * 3600
    document = contact_document(contact, now_s, VIETNAM)
    assert (document["last_day"], document["days_since"]) == ("2026-11-25", 0)
    assert row(contact, now_s, VIETNAM)[6] == 0
    session.delete(early)
    session.flush()
    contact = contact_of(session, 1)
    document = contact_document(contact, now_s, VIETNAM)
    assert (document["last_day"], document["days_since"]) == ("2026-11-24", 1)
    assert row(contact, now_s, VIETNAM)[6] == 1


def test_the_story_says_which_day_it_was(session: Session, early: Exposure, capsys: pytest.CaptureFixture[str]) -> None:
    answer_story(contact_of(session, 1), HALF_PAST_SIX_S + 4 * 3600, VIETNAM)
    assert "last on 2026-11-25, today. Open." in capsys.readouterr().out
    session.delete(early)
    session.flush()
    answer_story(contact_of(session, 1), HALF_PAST_SIX_S + 4 * 3600, VIETNAM)
    assert "last on 2026-11-24 (UTC), yesterday. Open." in capsys.readouterr().out


def test_every_look_is_in_the_audit_and_no_name_is(traced: None, cli: Program, home: Home) -> None:
    cli("follow-up", "list", "--case", "F0-1")
    cli("follow-up", "show", 2)
    cli("follow-up", "text", 2)
    entries = audited(home)[1:]
    assert entries[0] == ("look", "contact", None, "list of 3")
    assert [entry[1:] for entry in entries[1:4]] == [("person", number, "follow-up") for number in (2, 1, 3)]
    assert entries[4] == ("look", "contact", 2, None)
    assert ("look", "contact", 2, "version 1 in vi, F1") in entries
    assert not any(name in json.dumps(entries, ensure_ascii=False) for name in ("Mai", "Tâm", "Cúc", "T-1", "0912"))


# -- what to tell them -------------------------------------------------------------------------------------------------
def test_the_text_tells_what_to_do_and_gives_away_nobody(traced: None, cli: Program) -> None:
    number = number_of(cli, "Bà Mai")
    ran = cli("follow-up", "text", number, "--contact", "0216 3852 115")
    assert "Xin ông bà ở nhà" in ran.out and ran.out.endswith("Xin gọi trạm y tế: 0216 3852 115\n")
    assert "no native speaker has reviewed" in ran.err
    english = cli("follow-up", "text", number, "--lang", "en").out
    assert "Please stay at home until the health station has spoken with you" in english
    for said in (ran.out, english):
        assert not any(word in said for word in ("F0", "F1", "T-1", "Mai", "Bluezone", "giờ", " ngày"))


def test_an_f2_gets_another_text(traced: None, cli: Program) -> None:
    document = cli("follow-up", "text", number_of(cli, "Bà Cúc"), "--lang", "en", "--json").document()
    assert (document["kind"], document["day"], document["reviewed"], document["version"]) == ("F2", None, False, 1)
    assert "stay at home" not in document["text"] and "may have been near" in document["text"]


def test_a_text_is_written_as_a_page_or_as_text(traced: None, cli: Program, tmp_path: Path) -> None:
    number = number_of(cli, "Bà Mai")
    for name, beginning in (("notice.pdf", b"%PDF-"), ("notice.txt", "Tin từ trạm y tế".encode())):
        out = tmp_path / name
        assert cli("follow-up", "text", number, "--out", out).out == f"Wrote {out}.\n"
        assert out.read_bytes().startswith(beginning)
    steps = cli("follow-up", "show", number, "--json").document()["items"][0]["steps"]
    assert [(step["step"], step["detail"]) for step in steps[1:]] == [("text", "version 1 in vi, F1")] * 2


def test_a_text_that_cannot_be_written_leaves_nothing_behind(
    traced: None, cli: Program, home: Home, tmp_path: Path
) -> None:
    before = audited(home)
    ran = cli("follow-up", "text", 1, "--out", "/nowhere/notice.pdf")
    assert (ran.code, ran.out) == (1, "") and "cannot be written" in ran.err
    ran = cli("follow-up", "text", 1, "--out", home.path / "notice.pdf")
    assert ran.code == 1 and "in the data folder itself" in ran.err
    out = tmp_path / "notice.pdf"
    ran = cli("follow-up", "text", 1, "--out", out, "--contact", "漢字")
    assert ran.code == 1 and "letters that the typeface lacks" in ran.err
    ran = cli("follow-up", "text", 1, "--out", out, "--contact", "x " * 2000)
    assert ran.code == 1 and "more text than one page holds" in ran.err
    assert audited(home) == before and not out.exists() and not (home.path / "notice.pdf").exists()


def test_a_courier_sees_no_contacts(carrying: Carrying, cli: Program) -> None:
    ran = cli("--home", carrying.courier.path, "follow-up", "list")
    assert (ran.code, ran.out) == (1, "") and "courier" in ran.err
