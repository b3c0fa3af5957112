"""`bztoken token` without a cable: list, due, show, revoke, restore."""

import re
import secrets
import time
import unicodedata
from typing import Any

import pytest
from tests.host.told_syncs import STATUS, sync_row
from tests.program import Program

from bztoken.home import Home
from bztoken.registry import events, tokens
from bztoken.registry.database import Registry
from bztoken.registry.models import Token

AN, BINH = "Bà An", "Ông Bình"
HOUR_S = 3600
DAY_S = 24 * HOUR_S


@pytest.fixture(autouse=True)
def operator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(events.OPERATOR_VARIABLE, "desk 2")


@pytest.fixture
def now_s(registry: Registry) -> int:
    """Two tokens: one healthy and synced an hour ago, one not seen for 9 days, whose battery was low."""
    now_s = int(time.time())
    with registry.write() as session:
        an, binh = (
            tokens.create(session, label, secrets.token_bytes(8), "person", "virtual", now_s - 30 * DAY_S).id
            for label in (AN, BINH)
        )
        sync_row(session, an, now_s - HOUR_S, STATUS, clock_offset_ms=-1500)
        sync_row(session, binh, now_s - 9 * DAY_S, {**STATUS, "bs": 2, "bv": 3450})
        tokens.note_seen(session, session.get_one(Token, an), now_s - HOUR_S)
    return now_s


def table(out: str) -> list[list[str]]:
    """The cells of a printed table, row by row."""
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in out.splitlines() if line.startswith("│")]


def test_the_list_tells_how_each_token_was(cli: Program, now_s: int) -> None:
    shown = cli("token", "list")
    assert shown.code == 0
    an, binh = table(shown.out)
    assert an[:7] == [AN, "person", "active", "provisioned", "-", "virtual", "0.3.0"]
    assert an[8:] == ["good (3.90 V)", "0", "1.5 s off"]
    assert binh[8:] == ["low (3.45 V)", "0", "0.0 s off"]
    first = cli("token", "list", "--json").document()["tokens"][0]
    assert first == {
        "label": AN,
        "role": "person",
        "state": "active",
        "step": "provisioned",
        "alarm": None,
        "development": False,
        "board": "virtual",
        "number": None,
        "place": None,
        "provisioned_at_s": now_s - 30 * DAY_S,
        "last_seen_s": now_s - HOUR_S,
        "pages": 0,
        "clock_offset_ms": -1500,
        "firmware": "0.3.0",
        "battery": 1,
        "battery_mv": 3900,
        "flash_bytes": 1_024_000,
        "flash_free_bytes": 512_000,
        "lost_results": 2,
        "drift_ppm": -40,
    }


def test_the_list_may_be_of_one_state(cli: Program, now_s: int) -> None:
    assert cli("token", "list", "--state", "revoked").out == "No token is revoked.\n"
    cli("token", "revoke", BINH, "--reason", "lost")
    revoked = cli("token", "list", "--state", "revoked", "--json").document()["tokens"]
    assert [token["label"] for token in revoked] == [BINH]
    assert [row[0] for row in table(cli("token", "list", "--state", "active").out)] == [AN]
    assert cli("token", "list", "--state", "lost").code == 2


def test_the_list_tells_before_the_first_sync_what_was_found_when_provisioning(
    cli: Program, registry: Registry
) -> None:
    with registry.write() as session:
        token = tokens.create(session, AN, secrets.token_bytes(8), "person", "virtual", int(time.time()))
        tokens.create(session, BINH, secrets.token_bytes(8), "person", "virtual", int(time.time()))
        events.record(session, token, events.PROVISIONED, 1, "firmware 0.4.0, profile continuous")
        tokens.note_build(session, token, True)
    an, binh = table(cli("token", "list").out)
    assert (an[4], an[6], binh[4], binh[6]) == ("development", "0.4.0", "-", "-")
    first, second = cli("token", "list", "--json").document()["tokens"]
    assert (first["development"], first["firmware"]) == (True, "0.4.0")
    assert (second["development"], second["firmware"]) == (False, None)
    story = cli("token", "show", AN)
    assert "It is a developer's board" in story.out and "with firmware 0.4.0." in story.out
    with registry.write() as session:
        sync_row(session, token.id, int(time.time()), STATUS)
    assert table(cli("token", "list").out)[0][6] == "0.3.0"


def test_due_says_why_and_what_to_do(cli: Program, now_s: int) -> None:
    (row,) = table(cli("token", "due").out)
    assert row[0] == BINH
    (one,) = cli("token", "due", "--json").document()["due"]
    assert one == {
        "label": BINH,
        "last_seen_s": now_s - 9 * DAY_S,
        "unseen_days": 9,
        "reasons": [
            {"reason": "not seen", "advice": "It was seen 9 days ago: sync it."},
            {"reason": "battery low", "advice": "Its battery was low: have it charged."},
        ],
    }
    late = cli("token", "due", "--days", 10, "--json").document()["due"][0]["reasons"]
    assert [reason["reason"] for reason in late] == ["battery low"]
    assert cli("token", "due", "--days", 0).code == 2


def test_nothing_is_due_of_an_empty_registry(cli: Program) -> None:
    cli("registry", "init")
    assert cli("token", "list").out == "No tokens are registered.\n"
    assert cli("token", "due").out == "No token is due.\n"
    assert cli("token", "due", "--json").document() == {"due": []}


def test_revoke_and_restore_are_told_in_the_tokens_story(cli: Program, now_s: int) -> None:
    revoked = cli("token", "revoke", AN, "--reason", "stolen")
    assert (revoked.code, revoked.out) == (
        0,
        "Revoked Bà An: from now on nothing is read from it. `bztoken token restore` takes it back.\n",
    )
    again = cli("token", "revoke", AN, "--reason", "lost")
    day = time.strftime("%Y-%m-%d", time.gmtime(now_s))
    assert (again.code, again.err) == (
        1,
        f"bztoken: this token was reported stolen on {day} (UTC) already: nothing was changed\n",
    )
    assert [one["label"] for one in cli("token", "due", "--days", 1, "--json").document()["due"]] == [BINH]
    assert cli("token", "restore", AN, "--json").document() == {
        "label": AN,
        "state": "active",
        "taken_back": ["revoked"],
    }
    nothing = cli("token", "restore", AN)
    assert nothing.code == 1 and "there is nothing to take back" in nothing.err
    story = cli("token", "show", AN, "--json").document()
    assert [(event["event"], event["by"], event["detail"]) for event in story["events"]] == [
        ("revoked", "desk 2", "stolen"),
        ("restored", "desk 2", "revoked"),
    ]
    assert all(abs(event["at_s"] - now_s) < 60 for event in story["events"])
    assert (len(story["syncs"]), story["syncs"][0]["state"], story["syncs"][0]["clock_offset_ms"]) == (1, "done", -1500)


def test_a_story_in_words(cli: Program, now_s: int) -> None:
    cli("token", "revoke", AN, "--reason", "lost")
    out = cli("token", "show", AN).out
    assert out.startswith("Bà An (person), revoked, lost.\nProvisioned ")
    assert (
        "Then: battery good (3.90 V), flash 500 of 1000 KiB free, firmware 0.3.0.\n0 pages of its log are here.\n"
        in out
    )
    assert ["revoked", "desk 2", "lost"] in [row[1:] for row in table(out)]
    assert re.search(r"│ \d{4}-\d\d-\d\d \d\d:\d\d +│ done +│ 1 ", out)
    new = cli("token", "show", BINH).out
    assert new.startswith("Ông Bình (person), active, provisioned.\n") and "\nIt was never issued.\n" in new
    assert new.endswith("\nNo events.\n")


UNKNOWN: dict[str, list[Any]] = {
    "show": ["show", "Bà Nobody"],
    "revoke": ["revoke", "Bà Nobody", "--reason", "other"],
    "restore": ["restore", "Bà Nobody"],
    "issue": ["issue", "Bà Nobody", "--person", "Lê Thị An"],
    "return": ["return", "Bà Nobody"],
    "lost": ["lost", "Bà Nobody"],
    "found": ["found", "Bà Nobody"],
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_an_unknown_label_is_one_sentence_without_the_name(cli: Program, now_s: int, name: str) -> None:
    ran = cli("token", *UNKNOWN[name])
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == "bztoken: no token of this registry has this label: `bztoken token list` shows them all\n"


@pytest.mark.parametrize(
    "line",
    [
        f"revoke|{AN}|--reason|lost",
        f"restore|{AN}",
        f"issue|{AN}|--person|X",
        "issue|--from|none",
        f"return|{AN}",
        f"lost|{AN}",
        f"found|{AN}",
        "wipe|--port|/dev/null",
        "reissue|--port|/dev/null|--label|X",
    ],
)
def test_a_courier_decides_nothing_about_tokens(cli: Program, home: Home, now_s: int, line: str) -> None:
    home.courier_pass_path.write_bytes(b"a pass")
    home.master_key_path.unlink()
    ran = cli("token", *line.split("|"))
    assert (ran.code, ran.err) == (1, "bztoken: this is a courier's computer: do this at the clinic\n")


AT_THE_CLINIC = (
    "case list",
    "case add --name F0 --list none",
    "case add --name F0 --port /dev/null",
    "courier list",
    "history add none --label Lan",
    "history list",
    "exposures list",
    "token due",
    "stock add none",
    "stock list",
    "stock show 4f2a",
)


def test_what_only_a_clinic_knows_is_told_on_a_couriers_computer(cli: Program, home: Home, now_s: int) -> None:
    home.courier_pass_path.write_bytes(b"a pass")
    home.master_key_path.unlink()
    for line in AT_THE_CLINIC:
        ran = cli(*line.split())
        assert (line, ran.out, ran.err) == (line, "", "bztoken: this is a courier's computer: do this at the clinic\n")


def test_without_a_registry_both_ways_to_one_are_told(cli: Program) -> None:
    ran = cli("sync", "--port", "/dev/null")
    assert ran.code == 1 and "`bztoken registry init` at the clinic, or `bztoken courier accept FILE`" in ran.err


COMPOSED, APART = (unicodedata.normalize(form, "Bà An") for form in ("NFC", "NFD"))


def test_a_label_typed_letter_by_letter_is_the_same_label(cli: Program, now_s: int) -> None:
    assert COMPOSED == AN != APART
    assert cli("token", "revoke", f" {APART} ", "--reason", "other", "--json").document()["label"] == AN
    assert cli("token", "show", APART, "--json").document()["label"] == AN
    assert cli("token", "restore", APART, "--json").document()["label"] == AN


NO_TEXT = "\udcff"  # as Python spells a byte of an argument that is no UTF-8


def test_a_label_that_is_no_text_is_told(cli: Program, now_s: int) -> None:
    ran = cli("token", "show", NO_TEXT)
    assert (ran.code, ran.out) == (1, "") and "no UTF-8" in ran.err and len(ran.err.splitlines()) == 1


def test_an_operator_whose_name_is_no_text_is_recorded_all_the_same(
    cli: Program, now_s: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BZTOKEN_OPERATOR", f"Lan{NO_TEXT}")
    assert cli("token", "revoke", AN, "--reason", "broken").code == 0
    assert cli("token", "show", AN, "--json").document()["events"][-1]["by"] == "Lan?"


@pytest.mark.parametrize("line", ["locate", "wipe", "reissue --label X", "config", "selftest"])
def test_without_a_token_there_is_one_sentence(cli: Program, line: str) -> None:
    cli("registry", "init")
    ran = cli("token", *line.split(), "--port", "/dev/ttyNONE7")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("bztoken: There is no port /dev/ttyNONE7") and len(ran.err.splitlines()) == 1


@pytest.mark.parametrize(
    "line",
    [
        "locate --seconds 121",
        "locate --seconds -1",
        "reissue",
        "reissue --label X --role dog",
        "revoke X --reason why",
        "revoke X",
    ],
)
def test_wrong_usage_exits_with_2(cli: Program, line: str) -> None:
    port = [] if "revoke" in line else ["--port", "/dev/null"]
    ran = cli("token", *line.split(), *port)
    assert (ran.code, ran.out) == (2, "") and "Usage: bztoken token" in ran.err
