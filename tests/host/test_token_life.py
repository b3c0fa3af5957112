"""Who has a token: every step from every place in its life, what each records, and that a refusal changes nothing."""

import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select
from tests import people
from tests.host.two_tokens import GATE, HOLDER, LABEL, MARKET, NOW_S, OTHER, happened, operator, rows, step, two
from tests.program import Program

from bztoken import token_life
from bztoken.home import Home
from bztoken.registry import events, issues, losses, tokens
from bztoken.registry.database import Registry
from bztoken.registry.models import AuditEntry, Token
from bztoken.token_life import Step

__all__ = ["operator", "two"]


# -- from each place in its life, each step ----------------------------------------------------------------------------
def unfinished(session: Any, token: Token) -> None:
    token.state = tokens.STATE_PENDING


def provisioned(_session: Any, _token: Token) -> None:
    """As it is."""


def issued(session: Any, token: Token) -> None:
    token_life.issue(session, token, people.holder(session, HOLDER, NOW_S), NOW_S)


def returned(session: Any, token: Token) -> None:
    issued(session, token)
    token_life.give_back(session, token, NOW_S)


def lost(session: Any, token: Token) -> None:
    issued(session, token)
    token_life.lose(session, token, NOW_S)


def stolen_from_stock(session: Any, token: Token) -> None:
    tokens.revoke(session, token, NOW_S, "stolen")


def back_after_loss(session: Any, token: Token) -> None:
    lost(session, token)
    token_life.give_back(session, token, NOW_S)


def broken(session: Any, token: Token) -> None:
    issued(session, token)
    tokens.revoke(session, token, NOW_S, "broken")


def wiped(session: Any, token: Token) -> None:
    issued(session, token)
    tokens.wiped(session, token, NOW_S)


def on_a_developers_board(session: Any, token: Token) -> None:
    tokens.note_build(session, token, True)


def with_alarm(session: Any, token: Token) -> None:
    tokens.raise_alarm(session, token, tokens.ALARM_ROLLBACK, NOW_S)


NOBODY, SOMEBODY = "nobody has this token", "somebody has this token already"
REVOKED, ALREADY = "this token was revoked: nothing was changed", "this token is revoked already"
LOST_ALREADY, STOLEN_ALREADY = "this token was reported lost on 2", "this token was reported stolen on 2"
NOT_LOST = "this token is not lost"
WIPED = "this token was wiped"
DEVELOPERS = "is a developer's board, whose cable leads to its keys: nothing was changed; wipe it"

# place in its life: (step there, what the COMMANDS do: the step after, or why not)
LIFE: dict[Callable[[Any, Token], None], tuple[Step, tuple[Step | str, ...]]] = {
    unfinished: (Step.UNFINISHED, ("not finished", "not finished", NOBODY, Step.LOST, NOT_LOST)),
    provisioned: (Step.PROVISIONED, (Step.ISSUED, Step.ISSUED, NOBODY, Step.LOST, NOT_LOST)),
    issued: (Step.ISSUED, (SOMEBODY, SOMEBODY, Step.RETURNED, Step.LOST, NOT_LOST)),
    returned: (Step.RETURNED, (Step.ISSUED, "still holds the log and the keys", NOBODY, Step.LOST, NOT_LOST)),
    lost: (Step.LOST, (REVOKED, REVOKED, Step.RETURNED, LOST_ALREADY, Step.ISSUED)),
    stolen_from_stock: (Step.LOST, (REVOKED, REVOKED, Step.RETURNED, STOLEN_ALREADY, Step.PROVISIONED)),
    back_after_loss: (Step.RETURNED, (REVOKED, REVOKED, NOBODY, ALREADY, NOT_LOST)),
    broken: (Step.ISSUED, (REVOKED, REVOKED, Step.RETURNED, ALREADY, NOT_LOST)),
    wiped: (Step.WIPED, (WIPED, WIPED, "with that it was back", "this token is wiped already", NOT_LOST)),
    on_a_developers_board: (Step.PROVISIONED, (DEVELOPERS, DEVELOPERS, NOBODY, Step.LOST, NOT_LOST)),
    with_alarm: (Step.PROVISIONED, ("an alarm about", "an alarm about", NOBODY, Step.LOST, NOT_LOST)),
}
COMMANDS = (
    ("issue", "--person", HOLDER),
    ("issue", "--person", OTHER),
    ("return",),
    ("lost",),
    ("found",),
)


@pytest.mark.parametrize("number", range(len(COMMANDS)), ids=["issue", "issue to another", "return", "lost", "found"])
@pytest.mark.parametrize("place", LIFE, ids=lambda place: place.__name__)
def test_each_step_is_taken_from_where_it_may_be_and_refused_elsewhere(
    cli: Program, home: Home, registry: Registry, two: None, place: Callable[[Any, Token], None], number: int
) -> None:
    with registry.write() as session:
        token = tokens.by_known_label(session, LABEL)
        place(session, token)
    before, (at, outcomes) = rows(home), LIFE[place]
    assert step(cli, token.label) == at
    command, *options = COMMANDS[number]
    ran = cli("token", command, token.label, *options, "--json")
    wanted = outcomes[number]
    if isinstance(wanted, Step):
        assert (ran.code, ran.err, ran.document()["step"], step(cli, token.label)) == (0, "", wanted, wanted)
        assert len(rows(home)["token_events"]) == len(before["token_events"]) + 1
        assert happened(cli, token.label)[-1][1] == "desk 2"
    else:
        assert (ran.code, ran.out, len(ran.err.splitlines())) == (1, "", 1) and wanted in ran.err
        assert rows(home) == before
    assert HOLDER not in ran.err and OTHER not in ran.err


# -- what is recorded --------------------------------------------------------------------------------------------------
def test_every_step_says_who_took_it_and_when_and_only_the_person_has_a_name(
    cli: Program, home: Home, two: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for who, line in (
        ("Hương", ("issue", LABEL, "--person", f"  {HOLDER} ")),
        ("desk 2", ("lost", LABEL)),
        ("Hương", ("found", LABEL)),
        ("desk 2", ("return", LABEL)),
        ("Hương", ("issue", LABEL, "--person", HOLDER)),
    ):
        monkeypatch.setenv(events.OPERATOR_VARIABLE, who)
        assert cli("token", *line).code == 0
    assert happened(cli, LABEL) == [
        ("issued", "Hương", "to a person"),
        ("revoked", "desk 2", "lost"),
        ("found", "Hương", None),
        ("returned", "desk 2", None),
        ("issued", "Hương", "to a person"),
    ]
    story = cli("token", "show", LABEL, "--json").document()
    assert all(abs(event["at_s"] - time.time()) < 60 for event in story["events"])
    first, second = story["issues"]
    assert (first["kind"], first["holder"], first["issued_by"], first["returned_by"]) == (
        "person",
        HOLDER,
        "Hương",
        "desk 2",
    )
    assert abs(first["returned_at_s"] - time.time()) < 60
    assert (second["holder"], second["returned_at_s"], second["returned_by"]) == (HOLDER, None, None)
    assert first["person"] == second["person"] == "P-0001-3"
    with_name = {table for table, found in rows(home).items() if any(HOLDER in row for row in found)}
    assert with_name == {"persons"}


def test_the_story_in_words_tells_who_has_it(cli: Program, two: None) -> None:
    said = cli("token", "issue", LABEL, "--person", HOLDER)
    assert said.out == f"{LABEL} is issued to a person.\n"
    out = cli("token", "show", LABEL).out
    assert out.startswith(f"{LABEL} (person), active, issued.\n")
    assert re.search(rf"│ {HOLDER} +│ P-0001-3 │ \d{{4}}-\d\d-\d\d \d\d:\d\d │ desk 2 │ - +│ -", out)
    assert (
        "Sync it, then run `bztoken token reissue` before somebody else gets it." in cli("token", "return", LABEL).out
    )
    assert (
        "from now on nothing is read from it. If it turns up: `bztoken token found`" in cli("token", "lost", LABEL).out
    )
    assert cli("token", "found", LABEL).out == f"{LABEL} is found and believed again.\n"
    cli("token", "lost", LABEL)
    assert "It stays revoked: wipe it" in cli("token", "return", LABEL).out


def test_wiping_takes_a_token_out_of_its_holders_hands(cli: Program, registry: Registry, two: None) -> None:
    cli("token", "issue", LABEL, "--person", HOLDER)
    with registry.write() as session:
        token = tokens.by_known_label(session, LABEL)
        tokens.wiped(session, token, NOW_S)
        (row,) = issues.of_token(session, token)
    assert (row.returned_at_s, row.returned_by) == (NOW_S, "desk 2")
    assert happened(cli, token.label)[-2:] == [("returned", "desk 2", "to be wiped"), ("wiped", "desk 2", None)]
    assert cli("token", "list", "--held-by", HOLDER).out == "No token is in these hands.\n"


def test_a_loss_keeps_the_holder_until_the_token_is_back(cli: Program, two: None) -> None:
    cli("token", "issue", LABEL, "--person", HOLDER)
    cli("token", "lost", LABEL)
    (held,) = cli("token", "list", "--held-by", HOLDER.upper(), "--json").document()["tokens"]
    assert (held["label"], held["step"]) == (LABEL, "lost")
    cli("token", "return", LABEL)
    assert cli("token", "list", "--held-by", HOLDER, "--json").document() == {"tokens": []}


def test_the_list_may_be_of_one_step(cli: Program, two: None) -> None:
    cli("token", "issue", LABEL, "--person", HOLDER)
    by_step = {
        word: [one["label"] for one in cli("token", "list", "--step", word, "--json").document()["tokens"]]
        for word in Step
    }
    assert by_step == {**{word: [] for word in Step}, Step.PROVISIONED: [GATE], Step.ISSUED: [LABEL]}
    assert cli("token", "list", "--step", "lost").out == "No token is lost.\n"
    both = cli("token", "list", "--state", "active", "--step", "lost", "--held-by", HOLDER)
    assert both.out == "No token is active and lost and in these hands.\n"
    assert cli("token", "list", "--step", "sold").code == 2


def test_every_step_and_every_look_at_a_holder_is_in_the_audit(cli: Program, registry: Registry, two: None) -> None:
    for line in (
        ("issue", LABEL, "--person", HOLDER),
        ("lost", LABEL),
        ("found", LABEL),
        ("show", LABEL),
        ("list", "--held-by", HOLDER),
        ("list",),
        ("return", LABEL),
        ("issue", GATE, "--site", MARKET),
    ):
        assert cli("token", *line).code == 0
    with registry.read() as session:
        entries = session.scalars(select(AuditEntry).order_by(AuditEntry.id)).all()
    told = [
        (entry.action, entry.what, entry.number, entry.detail) for entry in entries if "token" in (entry.detail or "")
    ]
    assert told == [
        ("change", "person", 1, "token 1 issued"),
        ("change", "person", 1, "token 1 revoked (lost)"),
        ("change", "person", 1, "token 1 found"),
        ("look", "person", 1, "as holders of token 1"),
        ("look", "person", 1, "as holders of tokens"),
        ("change", "person", 1, "token 1 returned"),
        ("change", "site", 1, "token 2 issued"),
    ]


# -- lost ones that are seen again -------------------------------------------------------------------------------------
def test_a_revoked_token_that_is_plugged_in_is_noted_once_an_hour_and_due_until_it_is_back(
    cli: Program, registry: Registry, two: None
) -> None:
    def plugged_in(at_s: int) -> int:
        with registry.write() as session:
            token = tokens.by_known_label(session, LABEL)
            losses.note_seen(session, token, at_s)
            return sum(event.event == events.SEEN_REVOKED for event in events.of_token(session, token))

    assert plugged_in(NOW_S) == 0
    cli("token", "lost", LABEL)
    assert cli("token", "due", "--json").document() == {"due": []}
    assert [plugged_in(NOW_S + after_s) for after_s in (0, 3599, 3600)] == [1, 1, 2]
    (due,) = cli("token", "due", "--json").document()["due"]
    assert (due["label"], [reason["reason"] for reason in due["reasons"]]) == (LABEL, ["seen though revoked"])
    assert "ask who brought it" in due["reasons"][0]["advice"]
    cli("token", "return", LABEL)
    assert cli("token", "due", "--json").document() == {"due": []}
    assert plugged_in(NOW_S + 9999) == 2
    cli("token", "restore", LABEL)
    cli("token", "lost", LABEL)
    assert cli("token", "due", "--json").document() == {"due": []}
    assert plugged_in(NOW_S + 9999) == 3
    assert len(cli("token", "due", "--json").document()["due"]) == 1
    cli("token", "found", LABEL)
    assert cli("token", "due", "--json").document() == {"due": []}
