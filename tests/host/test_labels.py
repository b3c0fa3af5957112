"""Labels of tokens and phones, names of couriers and cases: one spelling, one line, whoever types them."""

import time
import unicodedata
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from tests.case_desk import TRACER, active_case, days_ago, staff
from tests.program import Program

from bztoken.errors import CaseError, RegistryError
from bztoken.formats.case_list import CaseKey, write_case_list
from bztoken.formats.history import HistoryLine, write_history
from bztoken.home import Home
from bztoken.registry import cases, couriers, events, labels, tokens
from bztoken.registry.database import Registry
from bztoken.registry.models import Case, Token

NOW_S = 1_800_000_000
LAST_DAY = date(2026, 12, 31)
COMPOSED, APART = (unicodedata.normalize(form, "Bà Ếch") for form in ("NFC", "NFD"))
KEY = CaseKey(b"k" * 32, NOW_S, 96, NOW_S + 86399)
BAD = {
    "line break": "Bà\nAn",
    "carriage return": "Bà\rAn",
    "tab": "Bà\tAn",
    "escape": "\x1b[2JBà An",
    "end of text": "Bà An\x00",
    "turned round": "Bà \u202enA",
    "no width": "Bà\u200bAn",
    "private use": "Bà \ue000",
}


def test_a_label_is_composed_and_stripped() -> None:
    assert COMPOSED != APART
    assert labels.required(f"\t {APART}\n", "none") == COMPOSED == labels.required(COMPOSED, "none")
    assert labels.required("Trạm 7, \U0001f600", "none") == "Trạm 7, \U0001f600"


@pytest.mark.parametrize("name", BAD)
def test_what_no_screen_shows_is_in_no_label(name: str) -> None:
    with pytest.raises(RegistryError, match="one line of plain text") as caught:
        labels.required(BAD[name], "none")
    assert "An" not in str(caught.value)


def test_empty_and_endless_labels_are_told() -> None:
    for empty in ("", " ", "\n"):
        with pytest.raises(RegistryError, match="^name its wearer$"):
            labels.required(empty, "name its wearer")
    assert labels.required("ă" * labels.MAX_CHARACTERS, "none") == "ă" * labels.MAX_CHARACTERS
    with pytest.raises(RegistryError, match="at most 200 characters"):
        labels.required("ă" * (labels.MAX_CHARACTERS + 1), "none")


def test_two_spellings_of_a_name_are_one_name(registry: Registry) -> None:
    with registry.write() as session:
        token = tokens.create(session, APART, b"\1" * 8, "person", "virtual", NOW_S)
        courier = couriers.create(session, APART, bytes(32), LAST_DAY, NOW_S)
        case = active_case(session, APART, cases.SOURCE_LIST, None, [KEY], NOW_S)
        assert token.label == courier.name == case.name == COMPOSED
        for spelling in (COMPOSED, APART, f" {APART} "):
            assert tokens.by_label(session, spelling) is token
            assert couriers.by_name(session, spelling) is courier
            assert cases.by_name(session, spelling) is case
            with pytest.raises(RegistryError, match="another token has this label"):
                tokens.create(session, spelling, b"\2" * 8, "person", "virtual", NOW_S)
            with pytest.raises(RegistryError, match="another courier has this name"):
                couriers.create(session, spelling, bytes(32), LAST_DAY, NOW_S)
            with pytest.raises(CaseError, match="recorded already"):
                cases.free_name(session, spelling)


def test_what_an_older_version_stored_apart_is_found_as_it_was_typed(registry: Registry) -> None:
    with registry.write() as session:
        token = tokens.create(session, "x", b"\1" * 8, "person", "virtual", NOW_S)
        token.label = APART
        case = Case(name=APART, source="case list", token_id=None, recorded_at_s=NOW_S, state="active")
        session.add(case)
        session.flush()
        assert tokens.by_label(session, APART) is token and cases.by_name(session, APART) is case
        assert session.get_one(Token, token.id).label == APART


def test_every_command_that_names_something_refuses_what_no_screen_shows(
    cli: Program, home: Home, tmp_path: Path
) -> None:
    cli("registry", "init")
    staff(home)
    past_s = int(time.time()) - 86400
    write_case_list(tmp_path / "cases", [replace(KEY, time_start_s=past_s, time_end_s=past_s)])
    write_history(tmp_path / "history", [HistoryLine(bytes(12), bytes(12), -50, past_s * 1000)])
    before = cli("registry", "status", "--json").document()
    for command, option in (
        ("provision --port /dev/ttyNONE7", "--label"),
        (f"history add {tmp_path}/history", "--label"),
        (f"case add --list {tmp_path}/cases --onset {days_ago(1)}", "--name"),
        (f"case add --port /dev/ttyNONE7 --test {days_ago(0)}", "--name"),
        (f"courier add --out {tmp_path}/pass", "--name"),
    ):
        for label, said in (("Bà\nAn", "one line of plain text"), (" ", "needs a "), ("x" * 201, "at most 200")):
            with events.acting_as(TRACER):
                ran = cli(*command.split(), option, label)
            assert (command, ran.code, ran.out, len(ran.err.splitlines())) == (command, 1, "", 1)
            assert said in ran.err  # and not that there is no such port: no token was asked
    assert cli("registry", "status", "--json").document() == before
    assert not (tmp_path / "pass").exists()
    added = cli("history", "add", tmp_path / "history", "--label", f" {APART} ", "--json").document()
    assert added["label"] == COMPOSED
