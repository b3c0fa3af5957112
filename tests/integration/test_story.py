"""One morning, told from the air to the report: two households, a market, an F0, two F1, one F2, a phone, a withdrawal.

The world is `worlds/two_households.world`. Everything is done with the commands that people type, under their names.
"""

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from tests.case_desk import ADMIN, DOCTOR, STAFF, TRACER, as_operator, password_file
from tests.integration.test_whole_path import attached_by_command, words
from tests.program import Program, Ran, program

from bztoken.home import Home
from bztoken.registry import events

pytestmark = pytest.mark.timeout(300)
WORLD = Path(__file__).parent / "worlds" / "two_households.world"
MORNING_DAYS = "0.215"
SEED = 3
NURSE = "Chị Thu"
LAN, HUNG, MAI, TAM, MINH = "Bà Lan", "Ông Hùng", "Bà Mai", "Ông Tâm", "Anh Minh"
TOKENS = {LAN: "YB-0001-3", HUNG: "YB-0002-1", MAI: "YB-0003-7", TAM: "YB-0004-5"}
MARKET, POLE = "Chợ Yên Ninh", "Cột chợ"
CASE = "F0-1"


class Story:
    """The clinic's computer, and who sits at it."""

    def __init__(self, folder: Path, run: Program) -> None:
        self.folder = folder
        self.home = Home(folder / "home")
        self.fleet = folder / "fleet"
        self._run = run

    def tried(self, who: str, *arguments: object) -> Ran:
        """A command typed by somebody."""
        with events.acting_as(who):
            return self._run(self.home.path, *arguments)

    def done(self, who: str, *arguments: object) -> Any:
        """The same, which must work: its answer as a document."""
        ran = self.tried(who, *arguments, "--json")
        assert ran.code == 0, (arguments, ran.err)
        return ran.document()

    def at_the_button(self, label: str, who: str, *arguments: object) -> str:
        """A command that waits for the button of a token, which its wearer holds."""
        process = subprocess.Popen(
            words(self.home, *arguments),
            env=as_operator(who),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stderr is not None
        said = process.stderr.readline()
        assert said.startswith("Waiting: "), said
        assert self.tried(who, "fleet", "press", label, "--from", self.fleet, "--hold-s", "3.3").code == 0
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        return out


@pytest.fixture
def story(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Story]:
    yield Story(tmp_path, program(monkeypatch, capfd))


def test_a_morning_from_the_air_to_the_report(story: Story) -> None:
    day = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
    the_clinic_opens(story)
    they_live_through_the_morning(story, day)
    people_get_their_tokens(story, day)
    with attached_by_command(story.home, story.fleet) as ports:
        everybody_comes_to_the_clinic(story, ports)
        lan_has_fallen_ill(story, ports, day)
        the_match_finds_the_first_contacts(story)
        the_market_and_mai_agree_to_help(story, ports)
        the_match_finds_the_second_contact_and_who_was_at_the_market(story, day)
        they_are_told(story, ports)
        hung_no_longer_agrees(story, ports)
    the_province_gets_its_report(story)
    the_case_was_a_mistake(story)
    nothing_was_done_unseen(story)


def the_clinic_opens(story: Story) -> None:
    story.done(NURSE, "registry", "init")
    boss = password_file(story.folder, ADMIN)
    for name, role in STAFF.items():
        more = () if name == ADMIN else ("--as", ADMIN, "--as-password-file", boss)
        story.done(
            ADMIN, "operator", "add", name, "--role", role, "--password-file", password_file(story.folder, name), *more
        )
    story.done(NURSE, "commune", "add", "--name", "Xã Yên Bình", "--over60", "40", "--source", "UBND xã")
    story.done(NURSE, "site", "add", "--name", MARKET, "--kind", "market", "--commune", "Xã Yên Bình")


def they_live_through_the_morning(story: Story, day: str) -> None:
    run = ("--world", WORLD, "--days", MORNING_DAYS, "--seed", SEED, "--start", day)
    story.done(NURSE, "fleet", "run", *run, "--register", "--out", story.fleet)


def people_get_their_tokens(story: Story, day: str) -> None:
    """Who agrees gets one; who says nothing gets none."""
    where = ("--birth-year", "1949", "--commune", "yen binh")
    agreed = ("--consent", "2026-1", "--consent-date", day, "--witness", NURSE)
    for name, label in TOKENS.items():
        registered = story.tried(
            NURSE,
            "person",
            "add",
            "--name",
            name,
            *where,
            "--phone",
            "0912345678",
            "--phone-of",
            "carer",
            "--carer",
            "Con",
        )
        assert registered.code == 0, registered.err
        refused = story.tried(NURSE, "token", "issue", label, "--person", name)
        assert (refused.code, name in refused.err) == (1, False)
        story.done(NURSE, "person", "consent", name, *agreed)
        story.done(NURSE, "token", "issue", label, "--person", name)
    story.done(NURSE, "person", "add", "--name", MINH, *where, *agreed)
    story.done(NURSE, "token", "issue", POLE, "--site", MARKET)


def everybody_comes_to_the_clinic(story: Story, ports: dict[str, str]) -> None:
    for label in (*TOKENS.values(), POLE):
        synced = story.done(NURSE, "sync", "--port", ports[label])
        assert synced["pages_new"] > 55
    phone = story.done(NURSE, "history", "add", story.fleet / "phone-minh.tsv", "--label", "phone 1", "--person", MINH)
    assert phone["lines"] > 0


def lan_has_fallen_ill(story: Story, ports: dict[str, str], day: str) -> None:
    """She holds her button; the tracer's draft is nothing until a doctor's code confirms it, once."""
    refused = story.tried(NURSE, "case", "add", "--name", CASE, "--port", ports[TOKENS[LAN]], "--onset", day)
    assert (refused.code, "tracer" in refused.err) == (1, True)
    story.at_the_button(
        TOKENS[LAN], TRACER, "case", "add", "--name", CASE, "--port", ports[TOKENS[LAN]], "--onset", day
    )
    assert story.done(TRACER, "match")["exposures"] == 0
    secret = password_file(story.folder, DOCTOR)
    code = story.done(DOCTOR, "case", "authorise", CASE, "--as", DOCTOR, "--password-file", secret)["code"]
    story.done(TRACER, "case", "confirm", CASE, "--code", code)
    again = story.tried(TRACER, "case", "confirm", CASE, "--code", code)
    assert again.code == 1


def exposures(story: Story) -> dict[str, str]:
    """Verdicts by who."""
    found = story.done(TRACER, "exposures", "list", "--case", CASE)["exposures"]
    return {one["who"]: one["verdict"] for one in found}


def the_match_finds_the_first_contacts(story: Story) -> None:
    story.done(TRACER, "match")
    assert exposures(story) == {HUNG: "F1", MAI: "F1", MINH: "noted", MARKET: "place"}


def the_market_and_mai_agree_to_help(story: Story, ports: dict[str, str]) -> None:
    """The market's keeper and Bà Mai hold their buttons; Ông Tâm's keys are nobody's business, for he is no F1."""
    story.at_the_button(POLE, TRACER, "peer", "release", "--port", ports[POLE])
    story.at_the_button(TOKENS[MAI], TRACER, "peer", "release", "--port", ports[TOKENS[MAI]], "--case", CASE)
    refused = story.tried(TRACER, "peer", "release", "--port", ports[TOKENS[TAM]], "--case", CASE)
    assert refused.code == 1


def the_match_finds_the_second_contact_and_who_was_at_the_market(story: Story, day: str) -> None:
    story.done(TRACER, "match")
    first = story.done(TRACER, "exposures", "list", "--case", CASE)["exposures"]
    assert exposures(story) == {HUNG: "F1", MAI: "F1", MINH: "noted", MARKET: "place", TAM: "F2"}
    again = story.done(TRACER, "match")
    assert again["removed"] == 0
    assert story.done(TRACER, "exposures", "list", "--case", CASE)["exposures"] == first
    at = ("--site", MARKET, "--case", CASE, "--from", f"{day} 07:00", "--to", f"{day} 09:00")
    visitors = {visit["who"] for visit in story.done(TRACER, "visits", "list", *at)["visits"]}
    assert {MAI, MINH} <= visitors <= {LAN, MAI, MINH}
    assert not visitors & {HUNG, TAM}


def work_list(story: Story) -> dict[str, dict[str, Any]]:
    """Contacts to be called, by name."""
    return {contact["who"]: contact for contact in story.done(NURSE, "follow-up", "list")["contacts"]}


def they_are_told(story: Story, ports: dict[str, str]) -> None:
    """The light asks them to come; the nurse's words never say who the F0 is."""
    waiting = work_list(story)
    assert set(waiting) == {HUNG, MAI, TAM}
    assert story.done(NURSE, "sync", "--port", ports[TOKENS[MAI]])["notice"] is not None
    item = waiting[MAI]["item"]
    for language in ("vi", "en"):
        text = story.done(NURSE, "follow-up", "text", item, "--lang", language)["text"]
        assert len(text) > 200
        assert [word for word in (LAN, "Lan", CASE, MARKET, TOKENS[LAN]) if word in text] == []
    for step in ("reached", "advised"):
        story.done(NURSE, "follow-up", step, item)
    story.done(NURSE, "follow-up", "tested", item, "--result", "negative")
    story.done(NURSE, "sync", "--port", ports[TOKENS[MAI]])
    told = story.tried(NURSE, "status", "--port", ports[TOKENS[MAI]])
    assert "The exposure notice is on" not in told.out


def hung_no_longer_agrees(story: Story, ports: dict[str, str]) -> None:
    """What was kept of him goes, nothing more is taken, and in the end he is forgotten, with a certificate."""
    story.done(NURSE, "person", "export", HUNG, "--out", story.folder / "hung")
    certificate = story.folder / "hung-withdrawn.json"
    story.done(NURSE, "person", "withdraw", HUNG, "--yes", "--certificate", certificate)
    assert set(exposures(story)) == {MAI, MINH, MARKET, TAM}
    assert HUNG not in work_list(story)
    assert story.tried(NURSE, "sync", "--port", ports[TOKENS[HUNG]]).code == 1
    erased = story.folder / "hung-erased.json"
    story.done(NURSE, "person", "erase", HUNG, "--yes", "--certificate", erased)
    assert story.tried(NURSE, "person", "show", HUNG).code == 1
    for proof in (certificate, erased):
        assert "Hùng" not in proof.read_text(encoding="utf-8")
        story.done(ADMIN, "audit", "verify", "--certificate", proof)


def the_province_gets_its_report(story: Story) -> None:
    for name in ("report.xlsx", "report.pdf", "report.csv"):
        story.done(ADMIN, "report", "rollout", "--out", story.folder / name)
    cells = [
        str(cell.value)
        for sheet in openpyxl.load_workbook(story.folder / "report.xlsx").worksheets
        for row in sheet.iter_rows()
        for cell in row
        if cell.value is not None
    ]
    assert "Xã Yên Bình" in cells
    assert [name for name in (*TOKENS, *TOKENS.values(), MINH, CASE) if any(name in cell for cell in cells)] == []


def the_case_was_a_mistake(story: Story) -> None:
    """What came from it goes with it; who was told already stays on the list, to be told that it no longer holds."""
    story.done(TRACER, "case", "withdraw", CASE, "--reason-code", "wrong_test")
    assert exposures(story) == {}
    assert story.done(TRACER, "match")["exposures"] == 0
    assert TAM not in work_list(story)


def nothing_was_done_unseen(story: Story) -> None:
    assert story.done(ADMIN, "audit", "verify")["entries"] > 30
    shown = story.done(ADMIN, "audit", "show")["entries"]
    assert {entry["by"] for entry in shown} >= {NURSE, TRACER, DOCTOR, ADMIN}
    said = "".join(str(entry) for entry in shown)
    assert [name for name in (*TOKENS, MINH) if name in said] == []
    assert story.done(ADMIN, "db", "check")["problems"] == []
