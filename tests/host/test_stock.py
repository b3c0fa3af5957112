"""`bztoken stock`: a flash desk's record becomes boards in stock, once, and each board's story can be told."""

import json
import secrets
import time
from pathlib import Path
from typing import Any

import pytest
from tests import people
from tests.host.two_tokens import rows
from tests.program import Program

from bztoken import token_life
from bztoken.formats import flash_record
from bztoken.formats.flash_record import FlashRecord
from bztoken.home import Home
from bztoken.registry import devices, events, tokens
from bztoken.registry.database import Registry
from bztoken.registry.issues import PERSON
from bztoken.registry.models import Token

NOW_S = int(time.time())
CHIPS = tuple(f"240ac40{number}4f2{number}" for number in range(7))


@pytest.fixture(autouse=True)
def operator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(events.OPERATOR_VARIABLE, "desk 2")


def flashed(hardware: str, at_s: int = NOW_S - 3600, **other: Any) -> FlashRecord:
    told = {"firmware": "0.4.0", "build": "production", "board": "esp32-devkit", "by": "Hùng", **other}
    return FlashRecord(
        hardware=hardware,
        chip="esp32",
        flash_bytes=4 << 20,
        micropython="v1.28.0",
        image_sha256="0" * 64,
        at_s=at_s,
        **told,
    )


@pytest.fixture
def record(tmp_path: Path, registry: Registry) -> Path:
    """Of two boards."""
    path = tmp_path / "flashed.jsonl"
    for chip in CHIPS[:2]:
        flash_record.append(path, flashed(chip))
    return path


def test_a_record_is_taken_into_stock_once(cli: Program, home: Home, record: Path) -> None:
    assert cli("stock", "add", record, "--json").document() == {
        "new": 2,
        "flashed_again": 0,
        "known": 0,
        "did_not_answer": [],
    }
    before = rows(home)
    assert cli("stock", "add", record).out == "New boards: 0; flashed again: 0; lines known from before: 2.\n"
    assert rows(home) == before
    flash_record.append(record, flashed(CHIPS[2]))
    flash_record.append(record, flashed(CHIPS[0], NOW_S - 60, firmware="0.4.1", build="development"))
    assert cli("stock", "add", record, "--json").document() == {
        "new": 1,
        "flashed_again": 1,
        "known": 2,
        "did_not_answer": [],
    }
    first = cli("stock", "list", "--json").document()["boards"][0]
    assert first == {
        "chip": CHIPS[0],
        "board": "esp32-devkit",
        "added_at_s": first["added_at_s"],
        "state": "blank",
        "token": None,
        "flashed": {
            "at_s": NOW_S - 60,
            "event": "flashed",
            "by": "Hùng",
            "detail": "firmware 0.4.1, development build",
        },
    }


def test_a_board_that_did_not_answer_is_shown_as_such_until_it_is_flashed_again(cli: Program, record: Path) -> None:
    flash_record.append(record, flashed(CHIPS[2], answered=False))
    flash_record.append(record, flashed(CHIPS[3], answered=False))
    flash_record.append(record, flashed(CHIPS[3], NOW_S - 60, answered=True))
    added = cli("stock", "add", record)
    assert added.out.startswith("New boards: 4; flashed again: 1; lines known from before: 0.\nThese did not answer ")
    assert "were flashed: 4f22. " in added.out
    boards = cli("stock", "list", "--json").document()["boards"]
    silent = ["did not answer" in board["flashed"]["detail"] for board in boards]
    assert silent == [False, False, True, False]
    assert "production build, did not answer │" in cli("stock", "list").out


def test_a_board_flashed_several_times_comes_into_stock_once_as_what_it_was_last(cli: Program, record: Path) -> None:
    flash_record.append(record, flashed(CHIPS[0], NOW_S - 60, board="bench"))
    flash_record.append(record, flashed(CHIPS[0], NOW_S - 7200))
    cli("stock", "add", record)
    (board,) = cli("stock", "show", CHIPS[0], "--json").document()["boards"]
    assert board["board"] == "bench"
    assert [one["event"] for one in board["events"]] == ["flashed", "flashed", "flashed", "shipped"]


def test_who_flashed_a_board_and_who_took_it_in_are_two_rows(cli: Program, record: Path) -> None:
    cli("stock", "add", record)
    (board,) = cli("stock", "show", CHIPS[0], "--json").document()["boards"]
    first, second = board["events"]
    assert first == {
        "token": None,
        "at_s": NOW_S - 3600,
        "event": "flashed",
        "by": "Hùng",
        "detail": "firmware 0.4.0, production build",
    }
    assert (second["event"], second["by"], abs(second["at_s"] - time.time()) < 60) == ("shipped", "desk 2", True)


def test_the_list_says_what_became_of_each_board_and_shows_little_of_its_number(
    cli: Program, registry: Registry, record: Path
) -> None:
    for chip in CHIPS[2:]:
        flash_record.append(record, flashed(chip))
    cli("stock", "add", record)
    with registry.write() as session:
        made: list[Token] = []
        for number, chip in enumerate(CHIPS[1:]):
            token = tokens.create(session, f"YB-{number}", secrets.token_bytes(8), PERSON, "esp32-devkit", NOW_S)
            devices.note(session, token, bytes.fromhex(chip), NOW_S)
            made.append(token)
        token_life.issue(session, made[1], people.holder(session, "Lê Thị Ân", NOW_S), NOW_S)
        token_life.lose(session, made[2], NOW_S)
        tokens.wiped(session, made[3], NOW_S)
        tokens.revoke(session, made[4], NOW_S, "broken")
        made[5].state = tokens.STATE_PENDING
    listed = cli("stock", "list", "--json").document()["boards"]
    assert [(board["state"], board["token"]) for board in listed] == [
        ("blank", None),
        ("token", "YB-0"),
        ("token", "YB-1"),
        ("lost", "YB-2"),
        ("wiped", None),
        ("revoked", "YB-4"),
        ("unfinished", "YB-5"),
    ]
    shown = cli("stock", "list").out
    assert "│ 4f20 │ esp32-devkit │ firmware 0.4.0, production build │" in shown
    assert "240ac" not in shown and "Lê" not in shown
    assert [board["chip"] for board in cli("stock", "list", "--state", "lost", "--json").document()["boards"]] == [
        CHIPS[3]
    ]


def test_the_story_of_a_board_goes_through_its_identities(cli: Program, registry: Registry, record: Path) -> None:
    cli("stock", "add", record)
    with registry.write() as session:
        for label in ("YB-1", "YB-2"):
            token = tokens.create(session, label, secrets.token_bytes(8), PERSON, "esp32-devkit", NOW_S)
            devices.note(session, token, bytes.fromhex(CHIPS[0]), NOW_S)
            events.record(session, token, events.PROVISIONED, NOW_S)
            if label == "YB-1":
                tokens.wiped(session, token, NOW_S)
    shown = cli("stock", "show", "4f20")
    assert shown.out.startswith("Board esp32-devkit, chip 24:0a:c4:00:4f:20; now: token YB-2.\n")
    (board,) = cli("stock", "show", "4f20", "--json").document()["boards"]
    assert sorted((one["token"] or "", one["event"]) for one in board["events"]) == [
        ("", "flashed"),
        ("", "shipped"),
        ("YB-1 (wiped 1)", "provisioned"),
        ("YB-1 (wiped 1)", "wiped"),
        ("YB-2", "provisioned"),
    ]
    unknown = cli("stock", "show", "ffff")
    assert (unknown.code, unknown.out) == (1, "") and "`bztoken stock list` shows them all" in unknown.err


WRONG: dict[str, Any] = {
    "no JSON": "{",
    "a field too few": {"hardware": CHIPS[3]},
    "a time before there were tokens": {"at_s": 0},
    "a time that nobody can show": {"at_s": 10**15},
    "a time in the future": {"at_s": NOW_S + 3 * 86400},
    "no board": {"board": ""},
    "a long board": {"board": "x" * 81},
    "a number of no chip": {"hardware": "240ac4"},
}


@pytest.mark.parametrize("name", WRONG)
def test_a_record_with_a_wrong_line_brings_nothing(cli: Program, home: Home, record: Path, name: str) -> None:
    before, wrong = rows(home), WRONG[name]
    good = json.loads(record.read_text(encoding="utf-8").splitlines()[0])
    if isinstance(wrong, dict) and len(wrong) == 1 and name != "a field too few":
        wrong = {**good, **wrong}
    with record.open("a", encoding="utf-8") as file:
        file.write((wrong if isinstance(wrong, str) else json.dumps(wrong)) + "\n")
    ran = cli("stock", "add", record)
    assert (ran.code, ran.out, len(ran.err.splitlines())) == (1, "", 1) and str(record) in ran.err
    assert rows(home) == before


def test_an_empty_stock_and_a_missing_record_are_told(cli: Program, registry: Registry, tmp_path: Path) -> None:
    assert cli("stock", "list").out == "No boards are known.\n"
    assert cli("stock", "list", "--state", "lost").out == "No board is lost.\n"
    assert cli("stock", "list", "--state", "sold").code == 2
    missing = cli("stock", "add", tmp_path / "none.jsonl")
    assert (missing.code, "there is no such file" in missing.err) == (1, True)
    for content in ("", "\n \n"):
        (tmp_path / "empty.jsonl").write_text(content)
        empty = cli("stock", "add", tmp_path / "empty.jsonl")
        assert (empty.code, "there is no board in this file" in empty.err, empty.out) == (1, True, "")
