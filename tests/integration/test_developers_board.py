"""A developer's board that was provisioned: told wherever it is looked at, issued to nobody while it is one."""

from pathlib import Path

import pytest
from tests import people
from tests.integration.clinic import attached
from tests.integration.developers_board import BOARD, developers_fleet, make_production
from tests.program import Program

from bztoken.home import Home
from bztoken.registry.database import open_registry
from bztoken.registry.persons import number_of

LABEL = "Bàn 1"


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    return developers_fleet(tmp_path / "desk")


@pytest.fixture
def holder(home: Home) -> str:
    """The number of somebody who agreed."""
    with open_registry(home) as registry, registry.write() as session:
        return number_of(people.person(session, "Lê Thị Ân").id)


def listed(desk_cli: Program) -> bool:
    (one,) = desk_cli("token", "list", "--json").document()["tokens"]
    return bool(one["development"])


def test_it_is_told_everywhere_and_nobody_gets_it(desk_cli: Program, fleet: Path, holder: str) -> None:
    with attached(fleet) as there:
        port = there.ports[BOARD]
        blank = desk_cli("info", "--port", port).out
        assert "; blank; " in blank and "Nobody should wear it" in blank and "bztoken provision" not in blank
        assert desk_cli("provision", "--port", port, "--label", LABEL, "--development").code == 0
        assert desk_cli("status", "--port", port).out.startswith("Nobody may wear it")
        told = desk_cli("status", "--port", port, "--json").document()
        assert (told["needs"][0], told["development"]) == ("development", True)
        assert desk_cli("sync", "--port", port).code == 0
    ran = desk_cli("token", "issue", LABEL, "--person", holder)
    assert (ran.code, ran.out) == (1, "") and "is a developer's board" in ran.err and "provision it anew" in ran.err
    (due,) = desk_cli("token", "due", "--json").document()["due"]
    assert [reason["reason"] for reason in due["reasons"]] == ["development"]
    (one,) = desk_cli("token", "list", "--json").document()["tokens"]
    assert (one["development"], one["step"]) == (True, "provisioned")


def test_a_production_build_is_believed_when_the_identity_is_proven(
    desk_cli: Program, fleet: Path, holder: str
) -> None:
    with attached(fleet) as there:
        assert desk_cli("provision", "--port", there.ports[BOARD], "--label", LABEL, "--development").code == 0
    make_production(fleet)
    with attached(fleet) as there:
        port = there.ports[BOARD]
        assert desk_cli("info", "--port", port, "--json").document()["build"] == "production"
        assert listed(desk_cli)  # what it says before it has proven who it is changes nothing
        assert desk_cli("status", "--port", port, "--json").document()["development"] is False
    assert not listed(desk_cli)
    assert desk_cli("token", "issue", LABEL, "--person", holder).code == 0
