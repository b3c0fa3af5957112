"""Who may get a token, people and places, and how holders are found; whoever may not leaves nothing changed."""

import secrets

import pytest
from tests import people
from tests.host.two_tokens import GATE, HOLDER, LABEL, MARKET, NOW_S, OTHER, STATION, happened, operator, rows, two
from tests.program import Program

from bztoken import token_life
from bztoken.home import Home
from bztoken.registry import consents, issues, persons, tokens
from bztoken.registry.database import Registry
from bztoken.registry.issues import PERSON, Holder

__all__ = ["operator", "two"]


# -- people ------------------------------------------------------------------------------------------------------------
def test_a_name_that_two_people_have_is_told_with_their_numbers(
    cli: Program, home: Home, registry: Registry, two: None
) -> None:
    with registry.write() as session:
        people.person(session, HOLDER, NOW_S, birth_year=1950)
    before = rows(home)
    ran = cli("token", "issue", LABEL, "--person", "le thi an")
    assert ran.code == 1 and "2 persons have this name (P-0001-3, P-0003-7)" in ran.err
    assert rows(home) == before
    assert cli("token", "issue", LABEL, "--person", "P-0003-7").code == 0
    assert cli("token", "show", LABEL, "--json").document()["issues"][0]["person"] == "P-0003-7"


@pytest.mark.parametrize("typed", ["Người Lạ", "P-0009-9", "P-0001-4", "P-0001", "Bến Lạ"])
def test_nobody_who_is_not_registered_gets_a_token(cli: Program, home: Home, two: None, typed: str) -> None:
    before = rows(home)
    for label, option in ((LABEL, "--person"), (GATE, "--site")):
        ran = cli("token", "issue", label, option, typed)
        assert (ran.code, ran.out, len(ran.err.splitlines())) == (1, "", 1) and "nothing was changed" in ran.err
    assert rows(home) == before


def test_silence_is_no_consent(cli: Program, home: Home, registry: Registry, two: None) -> None:
    with registry.write() as session:
        people.person(session, "Vũ Đức Tín", NOW_S, has_consent=False)
    before = rows(home)
    ran = cli("token", "issue", LABEL, "--person", "vu duc tin")
    assert ran.code == 1 and "P-0003-7 has not agreed to a text yet, and silence is no consent" in ran.err
    assert rows(home) == before
    with registry.write() as session:
        consents.add(session, persons.by_reference(session, "P-0003-7"), people.given(NOW_S), NOW_S)
    assert cli("token", "issue", LABEL, "--person", "vu duc tin").code == 0


def test_who_withdrew_gets_none_not_even_the_token_they_had(
    cli: Program, home: Home, registry: Registry, two: None
) -> None:
    cli("token", "issue", LABEL, "--person", HOLDER)
    cli("token", "return", LABEL)
    with registry.write() as session:
        assert consents.withdraw(session, persons.by_reference(session, HOLDER), NOW_S) == 1
    before = rows(home)
    ran = cli("token", "issue", LABEL, "--person", HOLDER)
    assert ran.code == 1 and "P-0001-3 has withdrawn their consent" in ran.err
    assert rows(home) == before


def test_a_token_of_somebody_who_was_erased_is_wiped_before_the_next(
    cli: Program, home: Home, registry: Registry, two: None
) -> None:
    cli("token", "issue", LABEL, "--person", HOLDER)
    cli("token", "return", LABEL)
    with registry.write() as session:
        (row,) = issues.of_token(session, tokens.by_known_label(session, LABEL))
        row.person_id = None
    for holder in (HOLDER, OTHER):
        assert "still holds the log and the keys" in cli("token", "issue", LABEL, "--person", holder).err
    assert "(erased)" in cli("token", "show", LABEL).out
    assert cli("token", "show", LABEL, "--json").document()["issues"][0]["holder"] is None


@pytest.mark.parametrize("name", ["", " ", "a\nb", "x" * 201])
def test_a_name_that_cannot_be_stored_is_told(cli: Program, home: Home, two: None, name: str) -> None:
    before = rows(home)
    ran = cli("token", "issue", LABEL, "--person", name)
    assert (ran.code, ran.out, len(ran.err.splitlines())) == (1, "", 1) and rows(home) == before


# -- sites -------------------------------------------------------------------------------------------------------------
def test_a_site_gets_a_sites_token_and_a_person_a_persons(cli: Program, home: Home, two: None) -> None:
    before = rows(home)
    to_site = cli("token", "issue", LABEL, "--site", MARKET)
    assert to_site.code == 1 and "`bztoken token reissue --role site`" in to_site.err
    to_person = cli("token", "issue", GATE, "--person", HOLDER)
    assert to_person.code == 1 and "`bztoken token reissue --role person`" in to_person.err
    assert rows(home) == before
    assert cli("token", "issue", GATE, "--site", MARKET).code == 0
    assert happened(cli, GATE) == [("issued", "desk 2", "to a site")]
    assert cli("token", "show", GATE, "--json").document()["place"] == MARKET


def test_a_site_token_stays_at_the_place_it_was_provisioned_for(
    cli: Program, home: Home, registry: Registry, two: None
) -> None:
    with registry.write() as session:
        tokens.by_known_label(session, GATE).place = MARKET
    before = rows(home)
    elsewhere = cli("token", "issue", GATE, "--site", STATION)
    assert elsewhere.code == 1 and "provisioned for another place" in elsewhere.err and "Bến" not in elsewhere.err
    assert rows(home) == before
    assert cli("token", "issue", GATE, "--site", MARKET).code == 0


# -- who has one -------------------------------------------------------------------------------------------------------
def test_tokens_are_found_by_their_holder_however_it_is_typed(cli: Program, two: None) -> None:
    cli("token", "issue", LABEL, "--person", HOLDER)
    cli("token", "issue", GATE, "--site", MARKET)
    for typed, label in (("le thi an", LABEL), ("LÊ THỊ ÂN", LABEL), ("p-0001-3", LABEL), ("cho yen bai", GATE)):
        (found,) = cli("token", "list", "--held-by", typed, "--json").document()["tokens"]
        assert found["label"] == label
    assert cli("token", "list", "--held-by", "an", "--json").document() == {"tokens": []}
    wrong = cli("token", "list", "--held-by", "P-0001-4")
    assert wrong.code == 1 and "does not fit" in wrong.err


def test_accents_tell_holders_apart_once_somebody_has_just_these(cli: Program, registry: Registry, two: None) -> None:
    with registry.write() as session:
        other = tokens.create(session, "YB-0019-1", secrets.token_bytes(8), PERSON, "virtual", NOW_S)
        an = people.person(session, "Lê Thị An", NOW_S, birth_year=1950)
        token_life.issue(session, other, Holder.of_person(an), NOW_S)
    cli("token", "issue", LABEL, "--person", "P-0001-3")
    held = [
        [one["label"] for one in cli("token", "list", "--held-by", typed, "--json").document()["tokens"]]
        for typed in ("Lê Thị Ân", "Lê Thị An", "le thi an")
    ]
    assert held == [[LABEL], ["YB-0019-1"], [LABEL, "YB-0019-1"]]


# -- usage -------------------------------------------------------------------------------------------------------------
USAGE = {
    "nobody": ["issue", LABEL],
    "two holders": ["issue", LABEL, "--person", HOLDER, "--site", MARKET],
    "no label": ["issue", "--person", HOLDER],
    "a list and a label": ["issue", LABEL, "--from", "x.csv"],
    "a list and a holder": ["issue", "--from", "x.csv", "--person", HOLDER],
    "return what": ["return"],
}


@pytest.mark.parametrize("name", USAGE)
def test_wrong_usage_exits_with_2(cli: Program, home: Home, two: None, name: str) -> None:
    before = rows(home)
    ran = cli("token", *USAGE[name])
    assert (ran.code, ran.out) == (2, "") and rows(home) == before
