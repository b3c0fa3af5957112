"""Places and communes: registered once, found however they are typed, figures with their source."""

import secrets
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from tests import people
from tests.program import Program

from bztoken import token_life
from bztoken.home import Home
from bztoken.registry import issues, logs, sites, tokens, whose
from bztoken.registry.database import Registry, open_registry
from bztoken.registry.issues import Holder
from bztoken.registry.models import Log
from bztoken.registry.sites import KIND_NAMES, Kind

MARKET = "Chợ Yên Bái"
SOURCE = "population register of the commune, 2025"
CELL = f'"{SOURCE}"'
NOW_S = 1_800_000_000


def rows(home: Home) -> dict[str, list[tuple[Any, ...]]]:
    with open_registry(home) as registry, registry.read() as session:
        return {
            table: [tuple(row) for row in session.execute(text(f"SELECT * FROM {table}"))]
            for table in ("sites", "communes", "audit")
        }


def refused(cli: Program, home: Home, says: str, *line: object) -> None:
    before = rows(home)
    ran = cli(*line)
    assert (ran.code, ran.out, len(ran.err.splitlines())) == (1, "", 1) and says in ran.err, ran
    assert rows(home) == before


# -- sites -------------------------------------------------------------------------------------------------------------
def test_a_place_is_registered_changed_and_listed(cli: Program, registry: Registry) -> None:
    cli("commune", "add", "--name", people.COMMUNE)
    said = cli(
        "site", "add", "--name", MARKET, "--kind", "market", "--commune", "yen binh", "--agency", "Ban quản lý chợ"
    )
    assert said.out == f"Registered {MARKET} (market).\n"
    changed = cli("site", "change", "cho yen bai", "--kind", "bus-station", "--name", "Bến xe Yên Bái", "--json")
    assert changed.document()["changed"] == ["name", "kind"]
    assert cli("site", "change", "ben xe yen bai", "--kind", "bus-station").out == "Bến xe Yên Bái was so already.\n"
    assert cli("site", "list", "--json").document() == {
        "sites": [
            {
                "site": 1,
                "name": "Bến xe Yên Bái",
                "kind": "bus-station",
                "commune": people.COMMUNE,
                "agency": "Ban quản lý chợ",
            }
        ]
    }
    with registry.read() as session:
        audited = session.execute(text("SELECT action, what, number FROM audit WHERE what = 'site'")).all()
    assert [tuple(row) for row in audited] == [("add", "site", 1), ("change", "site", 1)]


def test_places_whose_names_differ_in_accents_alone_are_refused(cli: Program, home: Home, registry: Registry) -> None:
    cli("site", "add", "--name", MARKET, "--kind", "market")
    cli("site", "add", "--name", "Chợ Mới", "--kind", "market")
    refused(
        cli, home, "a place of this name is here already", "site", "add", "--name", "cho yen bai", "--kind", "other"
    )
    refused(cli, home, "a place of this name is here already", "site", "change", "cho moi", "--name", "CHO YEN BAI")
    refused(cli, home, "a place needs a name", "site", "add", "--name", " ", "--kind", "other")
    refused(cli, home, "no place of this registry has this name", "site", "change", "Chợ Lạ", "--kind", "other")
    refused(
        cli, home, "no commune of this registry", "site", "add", "--name", "X", "--kind", "other", "--commune", "Lạ"
    )
    assert cli("site", "add", "--name", "X", "--kind", "zoo").code == 2
    assert cli("site", "change", MARKET).code == 2


def test_every_kind_has_a_name_in_both_languages() -> None:
    assert set(KIND_NAMES) == set(Kind) and all(all(names) for names in KIND_NAMES.values())


# -- communes ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("typed", ["Xã Yên Bình", "xa yen binh", "YÊN BÌNH", "phường yên bình"])
def test_a_commune_is_found_without_the_word_before_its_name(cli: Program, registry: Registry, typed: str) -> None:
    cli("commune", "add", "--name", "Xã Yên Bình")
    assert cli("commune", "change", typed, "--over60", "12", "--source", SOURCE, "--json").document()["changed"]


def test_a_name_of_two_communes_needs_the_word_before_it(cli: Program, home: Home, registry: Registry) -> None:
    for name in ("Xã Yên Bình", "Phường Yên Bình"):
        cli("commune", "add", "--name", name)
    refused(cli, home, "or several are", "commune", "change", "yen binh", "--over60", "1", "--source", SOURCE)
    assert cli("commune", "change", "phuong yen binh", "--over60", "1", "--source", SOURCE).code == 0


def test_a_figure_needs_its_source(cli: Program, home: Home, registry: Registry) -> None:
    refused(cli, home, "a figure needs its source", "commune", "add", "--name", "Xã Yên Bình", "--over60", "12")
    cli("commune", "add", "--name", "Xã Yên Bình")
    refused(cli, home, "this commune is here already", "commune", "add", "--name", "xa yen binh")


def test_a_list_of_communes_adds_and_puts_right(cli: Program, registry: Registry, tmp_path: Path) -> None:
    listed = tmp_path / "xã.csv"
    listed.write_text(f"\ufeffname;over60;source\r\nXã Yên Bình;1.234;{SOURCE}\r\nXã Mậu A;;\r\n", encoding="utf-8")
    assert cli("commune", "import", listed, "--json").document() == {"added": 2, "changed": 0, "known": 0}
    assert cli("commune", "import", listed).out == "Added 0 communes, changed 0; 2 were so already.\n"
    listed.write_text(f"name,over60,source\nxa mau a,77,{CELL}\n", encoding="utf-8")
    assert cli("commune", "import", listed, "--json").document() == {"added": 0, "changed": 1, "known": 0}
    assert cli("commune", "list", "--json").document()["communes"] == [
        {"name": "Xã Mậu A", "over60": 77, "source": SOURCE},
        {"name": "Xã Yên Bình", "over60": 1234, "source": SOURCE},
    ]


WRONG = {
    "no figure": (f"name,over60,source\nXã Mậu A,,\nXã B,nhiều,{CELL}\n", "line 3: the figure of this line"),
    "a fraction": (f"name,over60,source\nXã B,12.5,{CELL}\n", "line 2: the figure of this line"),
    "no source": ("name,over60\nXã Mậu A,1\n", "line 2: a figure needs its source"),
    "no name": (f"name,over60,source\n,1,{CELL}\n", "line 2: this line has no name"),
    "twice": ("name\nXã Mậu A\nxa mau a\n", "line 3: this commune is in line 2 already"),
    "a comma that nobody quoted": ("name,over60,source\nXã B,1,a,b\n", "line 2: this line has more cells"),
    "no heading": ("Xã Mậu A\n", "line 1: the first line names the columns: it needs `name`"),
    "too many people": (f"name,over60,source\nXã B,9000000,{CELL}\n", "line 2: so many people"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_list_with_a_wrong_line_changes_nothing(
    cli: Program, home: Home, registry: Registry, tmp_path: Path, name: str
) -> None:
    content, says = WRONG[name]
    (tmp_path / "list.csv").write_text(content, encoding="utf-8")
    refused(cli, home, says, "commune", "import", tmp_path / "list.csv")


# -- whose a log is ----------------------------------------------------------------------------------------------------
def test_a_log_is_of_whoever_had_the_token_then(registry: Registry) -> None:
    with registry.write() as session:
        worn, gate, spare = (
            tokens.create(session, label, secrets.token_bytes(8), role, "virtual", NOW_S)
            for label, role in (("YB-1", "person"), ("YB-2", "site"), ("YB-3", "site"))
        )
        an, be = people.person(session, "Lê Thị Ân", NOW_S), people.person(session, "Đỗ Thị Bé", NOW_S)
        issues.end(session, issues.add(session, worn, Holder.of_person(an), NOW_S + 10), NOW_S + 20)
        issues.add(session, worn, Holder.of_person(be), NOW_S + 30)
        token_life.issue(session, gate, people.site_holder(session, MARKET, NOW_S), NOW_S)
        spare.place = "CHO YEN BAI"
        for label, person_id in (("Phone of Bé", be.id), ("Phone 2", None)):
            log = Log(kind=logs.KIND_PHONE, label=label, imported_at_s=NOW_S, person_id=person_id)
            session.add(log)
        session.flush()
        at = {
            at_s: {one.label: (one.kind.value, one.name, one.number) for one in whose.by_log(session, at_s).values()}
            for at_s in (NOW_S + 15, NOW_S + 25, None)
        }
    assert at[NOW_S + 15]["YB-1"] == ("person", "Lê Thị Ân", "P-0001-3")
    assert at[NOW_S + 25]["YB-1"] == at[None]["YB-1"] == ("person", "Đỗ Thị Bé", "P-0002-1")
    assert at[None]["YB-2"] == at[None]["YB-3"] == ("site", MARKET, None)
    assert at[None]["Phone of Bé"] == ("person", "Đỗ Thị Bé", "P-0002-1")
    assert at[None]["Phone 2"] == ("phone", "Phone 2", None)


def test_a_place_that_nobody_registered_is_known_by_its_token(registry: Registry) -> None:
    with registry.write() as session:
        gate = tokens.create(session, "YB-2", secrets.token_bytes(8), "site", "virtual", NOW_S)
        gate.place = "Chợ Lạ"
        (one,) = whose.by_log(session).values()
        assert (one.kind.value, one.name, one.site_id, sites.all_sites(session)) == ("site", "Chợ Lạ", None, [])
