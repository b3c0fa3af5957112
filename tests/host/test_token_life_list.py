"""A list of who gets which token: all of it or nothing; wrong lines are told by their numbers, never by names."""

import time
from pathlib import Path

import pytest
from tests import people
from tests.host.two_tokens import GATE, HOLDER, LABEL, MARKET, OTHER, happened, operator, rows, two
from tests.program import Program

from bztoken.calendar_days import day_of
from bztoken.formats.batch_csv import COLUMNS
from bztoken.formats.issue_list import KINDS
from bztoken.formats.issue_list import LABEL as LABEL_COLUMN
from bztoken.formats.spreadsheet import MAX_FILE_BYTES
from bztoken.home import Home
from bztoken.registry.database import Registry

__all__ = ["operator", "two"]


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    return tmp_path / "buổi sáng.csv"


GOOD = {
    "commas": f"label,person,site\n{LABEL},{HOLDER},\n{GATE},,{MARKET}\n",
    "semicolons, as a spreadsheet marks it": f"\ufefflabel;person;site\r\n{LABEL};{HOLDER};\r\n{GATE};;{MARKET}\r\n",
    "tabs": f"label\tperson\tsite\n{LABEL}\t{HOLDER}\n{GATE}\t\t{MARKET}",
    "a filled-in list of a batch": (
        f'number,label,role,Person,note,site\n17,{LABEL},person,"{HOLDER}","a,b\nc",\n\n18,{GATE},site,,,"{MARKET}"\n'
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_everybody_on_the_list_gets_theirs(cli: Program, listed: Path, two: None, name: str) -> None:
    listed.write_text(GOOD[name], encoding="utf-8", newline="")
    ran = cli("token", "issue", "--from", listed, "--json")
    assert (ran.code, ran.document()) == (0, {"issued": 2, "issued_before": 0, "without_holder": 0, "registered": 0})
    assert [cli("token", "show", label, "--json").document()["issues"][0]["holder"] for label in (LABEL, GATE)] == [
        HOLDER,
        MARKET,
    ]
    assert happened(cli, LABEL) == [("issued", "desk 2", "to a person")]


def test_a_list_that_grows_may_be_repeated(cli: Program, home: Home, listed: Path, two: None) -> None:
    listed.write_text(f"label,person,site\n{LABEL},{HOLDER},\n{GATE},,\n", encoding="utf-8")
    first = cli("token", "issue", "--from", listed)
    assert first.out == "Issued 1 tokens (1 lines name nobody).\n"
    listed.write_text(f"label,person,site\n{LABEL},{HOLDER},\n{GATE},,{MARKET}\n", encoding="utf-8")
    assert cli("token", "issue", "--from", listed).out == "Issued 1 tokens (1 were issued so before).\n"
    before = rows(home)
    assert cli("token", "issue", "--from", listed).out == "Issued 0 tokens (2 were issued so before).\n"
    assert rows(home) == before


HEADING = "label,person,birth_year,commune,phone,consent,consent_date,witness"
AGREED = f"0912 345 678,2026-1,{day_of(int(time.time()))},{people.WITNESS}"


def test_who_is_not_registered_yet_is_with_what_the_list_says(cli: Program, listed: Path, two: None) -> None:
    listed.write_text(f"{HEADING}\n{LABEL},Vũ Đức Tín,1944,yên bình,{AGREED}\n", encoding="utf-8")
    said = cli("token", "issue", "--from", listed)
    assert said.out == "Issued 1 tokens (1 people were registered).\n"
    card = cli("person", "show", "vu duc tin", "--json").document()
    assert (card["birth_year"], card["commune"], card["phone"]) == (1944, people.COMMUNE, "0912345678")
    assert [one["version"] for one in card["consents"]] == ["2026-1"]
    assert cli("token", "issue", "--from", listed).out == "Issued 0 tokens (1 were issued so before).\n"


def test_a_list_brings_the_consent_of_somebody_who_had_given_none(
    cli: Program, registry: Registry, listed: Path, two: None
) -> None:
    with registry.write() as session:
        people.person(session, "Vũ Đức Tín", has_consent=False)
    listed.write_text(f"label,person\n{LABEL},vu duc tin\n", encoding="utf-8")
    assert "silence is no consent" in cli("token", "issue", "--from", listed).err
    listed.write_text(f"{HEADING}\n{LABEL},P-0003-7,,,{AGREED}\n", encoding="utf-8")
    assert cli("token", "issue", "--from", listed).out == "Issued 1 tokens.\n"


def test_two_of_one_name_on_a_list_are_told_apart_by_year_and_commune(
    cli: Program, registry: Registry, listed: Path, two: None
) -> None:
    with registry.write() as session:
        people.person(session, HOLDER, birth_year=1950)
    listed.write_text(f"{HEADING}\n{LABEL},{HOLDER},1950,{people.COMMUNE},,,,\n", encoding="utf-8")
    assert cli("token", "issue", "--from", listed).out == "Issued 1 tokens.\n"
    assert cli("token", "show", LABEL, "--json").document()["issues"][0]["person"] == "P-0003-7"


NEW = "Vũ Đức Tín"
WRONG = {
    "a new person who did not agree": (
        f"{HEADING}\n{LABEL},{NEW},1944,yen binh,,,,\n",
        "line 2: P-0003-7 has not agreed",
    ),
    "half a consent": (f"{HEADING}\n{LABEL},{NEW},1944,yen binh,,2026-1,,\n", "line 2: a consent needs"),
    "an unknown commune": (f"{HEADING}\n{LABEL},{NEW},1944,Xã Lạ,{AGREED}\n", "line 2: no commune of this registry"),
    "a year of two digits": (f"{HEADING}\n{LABEL},{NEW},44,yen binh,{AGREED}\n", "line 2: a year of birth has four"),
    "a wrong number": (f"label,person\n{LABEL},P-0001-4\n", "line 2: no person has this number, and its last digit"),
    "an unknown place": (f"label,site\n{GATE},Chợ Lạ\n", "line 2: no place of this registry has this name"),
    "whose phone": (
        f"{HEADING},phone_of\n{LABEL},{NEW},1944,yen binh,{AGREED},dog\n",
        "line 2: phone_of is person or carer",
    ),
    "unknown label": (f"label,person\n{LABEL},{HOLDER}\nYB-9,{OTHER}\n", "line 3: no token of this registry"),
    "the same token twice": (
        f"label,person\n{LABEL},{HOLDER}\n {LABEL} ,{OTHER}\n",
        "line 3: this token is in line 2 already",
    ),
    "a person for a site": (
        f"label,person\n{LABEL},{HOLDER}\n{GATE},{OTHER}\n",
        "line 3: this token is that of a site",
    ),
    "two wrong lines": (
        f"label,person\nYB-9,{OTHER}\n{LABEL},{HOLDER}\n{GATE},{OTHER}\n",
        "line 2: no token of this registry has this label: `bztoken token list` shows them all; also wrong: line 4",
    ),
    "a person and a site": (f"label,person,site\n{LABEL},{HOLDER},{MARKET}\n", "line 2: this line names a person and"),
    "no label": (f"label,person\n,{HOLDER}\n", "line 2: this line has no label"),
    "no heading": (f"{LABEL},{HOLDER}\n", "line 1: the first line names the columns"),
    "no holders' column": (f"label,name\n{LABEL},{HOLDER}\n", "line 1: the first line names the columns"),
    "a column twice": (f"label,person,person\n{LABEL},{HOLDER},{OTHER}\n", "line 1: a column is there twice"),
    "nobody of this name": (
        f"label,person\n{LABEL},Nguyễn Thị Lạ\n",
        "line 2: no person of this registry has this name",
    ),
    "open quotation marks": (f'label,person\n{LABEL},"{HOLDER}\n', "line 2: the quotation marks"),
    "empty": ("", "line 1: the first line names the columns"),
    "only a heading": ("label,person\n", "the list is empty"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_list_with_a_wrong_line_changes_nothing(cli: Program, home: Home, listed: Path, two: None, name: str) -> None:
    content, says = WRONG[name]
    listed.write_text(content, encoding="utf-8")
    before = rows(home)
    ran = cli("token", "issue", "--from", listed)
    assert (ran.code, ran.out, len(ran.err.splitlines())) == (1, "", 1), ran.err
    assert says in ran.err and rows(home) == before
    assert not any(name in ran.err for name in (HOLDER, OTHER, MARKET))


def test_the_list_of_a_batch_may_be_filled_in() -> None:
    assert LABEL_COLUMN in COLUMNS and not set(KINDS) & set(COLUMNS)


def test_what_is_no_such_file_is_told(cli: Program, home: Home, listed: Path, two: None) -> None:
    before = rows(home)
    missing = cli("token", "issue", "--from", listed)
    assert missing.code == 1 and "no such file" in missing.err
    listed.write_bytes("label,person\nBà".encode("utf-16"))
    assert "not in UTF-8: save it as `CSV UTF-8`" in cli("token", "issue", "--from", listed).err
    listed.write_bytes(b"x" * (MAX_FILE_BYTES + 1))
    assert "longer than 4 MiB" in cli("token", "issue", "--from", listed).err
    assert rows(home) == before
