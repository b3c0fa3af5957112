"""Holders of tokens, who were names until migration 0005: they become people and places, and lose nothing."""

from pathlib import Path

import pytest
from sqlalchemy import select
from tests.upgrade.test_old_registry import home_of

from bztoken import token_life
from bztoken.errors import PersonError, RegistryError
from bztoken.home import Home
from bztoken.registry import issues, persons, sites, whose
from bztoken.registry.database import open_registry, upgrade_registry
from bztoken.registry.folding import folded
from bztoken.registry.models import Person, Token
from bztoken.registry.tokens import all_tokens, by_known_label

HANDS = {  # by token: (who, number, whether it is in their hands), first to last
    "BZ-1": [("Lê Thị Ân", "P-0001-3", True)],
    "YB-0001-3": [("Nguyễn Văn Đức", "P-0002-1", False), ("Nguyễn Văn Đức", "P-0002-1", True)],
    "YB-0002-1": [("Đỗ Thị Bé", "P-0003-7", False)],
    "YB-0003-7": [("nguyen van duc", "P-0004-5", True)],
    "YB-0004-5 (wiped 10)": [("Lê Thị Ân", "P-0001-3", False)],
    "YB-0005-0": [("Chợ Yên Bái", None, True)],
    "YB-0006-8": [("Bến xe Nước Mát", None, False)],
}


@pytest.fixture
def old_home(tmp_path: Path, old_files: Path) -> Home:
    """A data folder of migration 0004: tokens in the hands of people and places who are names yet."""
    return home_of(tmp_path / "home", old_files / "registry-v4.sql")


def test_holders_who_were_names_become_people_and_places(old_home: Home) -> None:
    assert upgrade_registry(old_home)[0] == "0004"
    with open_registry(old_home) as registry, registry.read() as session:
        hands = {}
        for token in all_tokens(session):
            held = issues.with_names(session, issues.of_token(session, token))
            hands[token.label] = [(one.name, one.number, one.row.returned_at_s is None) for one in held]
        assert {label: held for label, held in hands.items() if held} == HANDS
        people = session.scalars(select(Person).order_by(Person.id)).all()
        assert {(one.birth_year, one.commune_id, one.state, one.by) for one in people} == {
            (None, None, "active", "desk 1")
        }
        places = sites.all_sites(session)
        assert [(site.name, site.kind) for site in places] == [("Bến xe Nước Mát", "other"), ("Chợ Yên Bái", "other")]
        assert all(row.folded == folded(row.name) for row in (*people, *places))


def test_a_log_is_of_whoever_had_its_token_then(old_home: Home) -> None:
    upgrade_registry(old_home)
    with open_registry(old_home) as registry, registry.read() as session:
        now = {one.label: (one.kind.value, one.name, one.number) for one in whose.by_log(session).values()}
    assert now["YB-0001-3"] == ("person", "Nguyễn Văn Đức", "P-0002-1")
    assert now["YB-0006-8"] == ("site", "Bến xe Nước Mát", None)
    assert now["YB-0007-6"] == ("token", "YB-0007-6", None)
    assert now["Phone 1"] == ("phone", "Phone 1", None)


def test_an_upgraded_holder_keeps_their_token_and_is_asked_before_the_next(old_home: Home) -> None:
    upgrade_registry(old_home)
    with open_registry(old_home) as registry, registry.write() as session:
        an = persons.by_reference(session, "le thi an")
        assert token_life.step_of(session, session.get_one(Token, 1)) == token_life.Step.ISSUED
        with pytest.raises(PersonError, match="P-0001-3 has not agreed to a text yet"):
            token_life.issue(session, by_known_label(session, "YB-0007-6"), issues.Holder.of_person(an), 1)
        with pytest.raises(RegistryError, match="still holds the log and the keys"):
            token_life.issue(session, by_known_label(session, "YB-0002-1"), issues.Holder.of_person(an), 1)
        with pytest.raises(PersonError, match=r"2 persons have this name \(P-0002-1, P-0004-5\)"):
            persons.by_reference(session, "NGUYEN VAN DUC")
        assert persons.by_reference(session, "Nguyễn Văn Đức").id == 2
