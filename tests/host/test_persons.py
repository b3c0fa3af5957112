"""People: registered once, with consent or without, found however they are typed; a refusal changes nothing."""

import importlib
import re
import time
import unicodedata
from typing import Any

import pytest
from hypothesis import given as given_by
from hypothesis import strategies as st
from sqlalchemy import select, text
from tests import people
from tests.program import Program

from bztoken.calendar_days import day_of
from bztoken.errors import PersonError
from bztoken.home import Home
from bztoken.people import consent_texts
from bztoken.registry import communes, consents, persons
from bztoken.registry.database import Registry, open_registry
from bztoken.registry.folding import folded
from bztoken.registry.models import AuditEntry, Person
from bztoken.registry.persons import Facts

AN, BE = "Nguyễn Văn An", "Đỗ Thị Bé"
TODAY = day_of(int(time.time())).isoformat()
NAMES = (AN, BE, people.WITNESS, people.COMMUNE)
TABLES = ("persons", "consents", "communes", "audit")
ADD = ("person", "add", "--name", AN, "--birth-year", "1948", "--commune", "yên bình")
AGREED = ("--consent", "2026-1", "--consent-date", TODAY, "--witness", people.WITNESS)


@pytest.fixture
def commune(registry: Registry) -> None:
    with registry.write() as session:
        communes.add(session, people.COMMUNE, 1)


def rows(home: Home) -> dict[str, list[tuple[Any, ...]]]:
    with open_registry(home) as registry, registry.read() as session:
        return {table: [tuple(row) for row in session.execute(text(f"SELECT * FROM {table}"))] for table in TABLES}


def found(cli: Program, typed: str) -> list[str]:
    return [one["name"] for one in cli("person", "search", typed, "--json").document()["persons"]]


def refused(cli: Program, home: Home, says: str, *line: object) -> None:
    before = rows(home)
    ran = cli(*line)
    assert (ran.code, ran.out, len(ran.err.splitlines())) == (1, "", 1), ran
    assert re.search(says, ran.err), ran.err
    assert rows(home) == before
    assert not any(name in ran.err for name in NAMES)


# -- names -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("typed", ["Nguyễn  Văn Đức", "NGUYỄN VĂN ĐỨC", " nguyen van duc ", "nguyễn văn đức"])
def test_a_name_is_folded_however_it_is_typed(typed: str) -> None:
    for form in ("NFC", "NFD"):
        assert folded(unicodedata.normalize(form, typed)) == "nguyen van duc"


@given_by(st.text())
def test_the_migration_folds_as_the_program_does(name: str) -> None:
    migration = importlib.import_module("bztoken.registry.migrations.versions.0005_people_cases_contacts")
    assert migration._folded(name) == folded(name)


# -- registering -------------------------------------------------------------------------------------------------------
def test_a_person_is_registered_with_consent_and_shown_again(cli: Program, commune: None) -> None:
    more = ("--phone", "+84 912 345 678", "--phone-of", "carer", "--carer", BE, "--agency", "Trạm y tế xã")
    assert cli(*ADD, *AGREED, *more, "--json").document() == {"person": "P-0001-3", "consent": "2026-1"}
    for typed in ("p-0001-3", "nguyen van an", AN.upper()):
        card = cli("person", "show", typed, "--json").document()
        assert (card["name"], card["birth_year"], card["commune"], card["agency"]) == (
            AN,
            1948,
            people.COMMUNE,
            "Trạm y tế xã",
        )
        assert (card["phone"], card["phone_of"], card["carer"]) == ("0912345678", "carer", BE)
        (agreed,) = card["consents"]
        assert (agreed["version"], agreed["given_on"], agreed["witness"]) == ("2026-1", TODAY, people.WITNESS)
        assert agreed["text_digest"] == consent_texts.text_of("2026-1", "vi").digest.hex()
    out = cli("person", "show", "P-0001-3").out
    assert out.startswith(f"P-0001-3: {AN}, born 1948.\n") and f"phone 0912345678 ({BE}, carer)" in out


def test_without_consent_somebody_is_registered_and_told_so(cli: Program, commune: None) -> None:
    said = cli(*ADD).out
    assert said == "Registered as P-0001-3. There is no consent yet: `bztoken person consent P-0001-3` records it.\n"
    assert len(cli("person", "list", "--without-consent", "--json").document()["persons"]) == 1
    assert cli("person", "consent", "P-0001-3", *AGREED, "--language", "en").code == 0
    assert cli("person", "list", "--without-consent").out == "Nobody of these is registered.\n"


def test_the_same_person_twice_is_refused_with_the_number_of_the_first(cli: Program, home: Home, commune: None) -> None:
    cli(*ADD)
    for name in (AN, "nguyen van an", "NGUYỄN VĂN ẤN"):
        refused(cli, home, r"here already \(P-0001-3\)", *ADD[:3], name, *ADD[4:])
    assert cli(*ADD, "--another", "--json").document()["person"] == "P-0002-1"
    assert cli(*ADD[:5], "1950", *ADD[6:]).code == 0
    refused(cli, home, r"here already \(P-0001-3, P-0002-1\)", *ADD)


def test_somebody_of_whom_the_year_is_not_known_may_be_the_same(
    cli: Program, home: Home, registry: Registry, commune: None
) -> None:
    with registry.write() as session:
        session.add(Person(name=AN, folded=folded(AN), state="active", added_at_s=1, by="desk 1"))
    refused(cli, home, "or may be", *ADD)
    assert cli("person", "change", "P-0001-3", "--birth-year", "1950", "--commune", "yen binh").code == 0
    assert cli(*ADD).code == 0
    refused(cli, home, r"here already \(P-0002-1\)", "person", "change", "P-0001-3", "--birth-year", "1948")


def test_a_mistyped_commune_is_refused_unless_it_is_new(cli: Program, home: Home, commune: None) -> None:
    elsewhere = (*ADD[:-1], "Xã Yên Bính Hạ")
    refused(cli, home, "no commune of this registry is called so", *elsewhere)
    assert cli(*elsewhere, "--new-commune").code == 0
    assert [one["name"] for one in cli("commune", "list", "--json").document()["communes"]] == [
        people.COMMUNE,
        "Xã Yên Bính Hạ",
    ]
    assert cli(*ADD, "--new-commune", "--another").code == 0
    assert len(cli("commune", "list", "--json").document()["communes"]) == 2


NEXT_YEAR, TOMORROW = day_of(int(time.time())).year + 1, day_of(int(time.time()) + 86400).isoformat()
WRONG = {
    "born before anybody": ("--birth-year 1899", "between 1900 and"),
    "born next year": (f"--birth-year {NEXT_YEAR}", "between 1900 and"),
    "no name": ("--name |", "a person needs a name"),
    "two lines": ("--name a\nb", "one line"),
    "a phone of letters": ("--phone 0912O45678", "a phone number has"),
    "a short phone": ("--phone 0912345", "a phone number has"),
    "a long phone": ("--phone 0912345678901234", "a phone number has"),
    "whose no phone": ("--phone-of person", "only of a phone"),
    "a carer's phone without the carer": ("--phone 0912345678 --phone-of carer", "needs the carer's name"),
    "their own carer": ("--carer nguyen|van|an", "nobody is their own carer"),
    "an unknown text": ("--consent 1999-1", "no consent text of this version"),
    "agreed tomorrow": (f"--consent-date {TOMORROW}", "cannot be given after today"),
    "agreed before the text": ("--consent-date 2025-12-31", "not read to anybody before 2026-01-01"),
    "agreed on no day": ("--consent-date 2026-02-30", "written like 2026-11-24"),
    "a day in short": ("--consent-date 20260230", "written like 2026-11-24"),
    "no witness": ("--witness |", "needs a witness"),
    "their own witness": ("--witness NGUYEN|VAN|AN", "nobody is the witness of their own consent"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_is_refused(cli: Program, home: Home, commune: None, name: str) -> None:
    words, says = WRONG[name]
    refused(cli, home, says, *ADD, *AGREED, *(word.replace("|", " ") for word in words.split(" ")))


@pytest.mark.parametrize("missing", [0, 2, 4])
def test_half_a_consent_is_wrong_usage(cli: Program, home: Home, commune: None, missing: int) -> None:
    before = rows(home)
    ran = cli(*ADD, *AGREED[:missing], *AGREED[missing + 2 :])
    assert ran.code == 2 and rows(home) == before


# -- consent -----------------------------------------------------------------------------------------------------------
def test_a_text_is_agreed_to_once_and_again_after_it_was_withdrawn(registry: Registry) -> None:
    now_s = int(time.time())
    with registry.write() as session:
        person = people.person(session, AN, now_s)
        with pytest.raises(PersonError, match="P-0001-3 has agreed to this version already"):
            consents.add(session, person, people.given(now_s), now_s)
        assert consents.withdraw(session, person, now_s) == 1
        assert (person.state, consents.open_of(session, person.id)) == (persons.STATE_WITHDRAWN, None)
        with pytest.raises(PersonError, match="after this day"):
            consents.add(session, person, people.given(now_s - 86400), now_s)
        consents.add(session, person, people.given(now_s), now_s)
        consents.require_open(session, person)
        assert person.state == persons.STATE_ACTIVE and len(consents.of_person(session, person.id)) == 2


# Words that people agreed to: never changed, only added to.
DIGESTS = {("2026-1", "vi"): "b762968e3ccf910d", ("2026-1", "en"): "e91ed8dbb771ac53"}


def test_no_word_of_a_text_that_people_agreed_to_is_changed() -> None:
    known = [(version, language) for version in consent_texts.versions() for language in consent_texts.LANGUAGES]
    assert {key: consent_texts.text_of(*key).digest.hex()[:16] for key in known} == DIGESTS


def test_a_text_says_what_the_law_asks_in_both_languages(cli: Program) -> None:
    for language, words in (("vi", ("14 ngày", "15 ngày", "Im lặng", "91/2025/QH15")), ("en", ("14 days", "15 days"))):
        out = cli("person", "consent-text", "--lang", language).out
        assert all(word in out for word in words)
    texts = [consent_texts.text_of(None, language) for language in consent_texts.LANGUAGES]
    assert len({len(text.paragraphs) for text in texts}) == 1
    wrong = cli("person", "consent-text", "--version", "7")
    assert wrong.code == 1 and "the versions are 2026-1" in wrong.err


# -- finding -----------------------------------------------------------------------------------------------------------
@pytest.fixture
def village(registry: Registry) -> None:
    with registry.write() as session:
        for name, year in (("Nguyễn Văn An", 1940), ("Nguyễn Văn Ân", 1941), ("Nguyễn Thị Vân Anh", 1942), (BE, 1948)):
            person = people.person(session, name, birth_year=year)
        persons.change(session, person, Facts(phone="0241 234 567"), 1)


@pytest.mark.parametrize(
    ("typed", "names"),
    [
        ("nguyen van a", ["Nguyễn Thị Vân Anh", "Nguyễn Văn An", "Nguyễn Văn Ân"]),
        ("nguyễn văn ân", ["Nguyễn Văn Ân", "Nguyễn Thị Vân Anh", "Nguyễn Văn An"]),
        ("NGUYỄN VĂN AN", ["Nguyễn Văn An", "Nguyễn Văn Ân", "Nguyễn Thị Vân Anh"]),
        (unicodedata.normalize("NFD", "vân"), ["Nguyễn Thị Vân Anh", "Nguyễn Văn An", "Nguyễn Văn Ân"]),
        ("do thi", [BE]),
        ("ĐỖ", [BE]),
        ("đo be yen binh", [BE]),
        ("be 1948", [BE]),
        ("0241 234", [BE]),
        ("+84241234567", [BE]),
        ("be 4567", [BE]),
        ("p-0004-5", [BE]),
        ("be 1950", []),
        ("99999", []),
        ("%%", []),
        ("__", []),
    ],
)
def test_people_are_found_by_what_one_remembers(cli: Program, village: None, typed: str, names: list[str]) -> None:
    assert found(cli, typed)[: len(names)] == names and (len(found(cli, typed)) == len(names))


def test_a_search_that_says_too_little_or_a_wrong_number_is_told(cli: Program, home: Home, village: None) -> None:
    refused(cli, home, "needs 2 letters", "person", "search", "a")
    refused(cli, home, "does not fit", "person", "search", "P-0004-6")
    refused(cli, home, "no person of this registry has this number", "person", "show", persons.number_of(99))
    refused(cli, home, "no whole number of a person", "person", "show", "P-4")
    refused(cli, home, "no person of this registry has this name", "person", "show", "An")
    assert cli("person", "search", "zz").out == "Nobody fits: try one word of the name alone.\n"


def test_accents_choose_among_people_where_somebody_has_just_these(registry: Registry, village: None) -> None:
    with registry.read() as session:
        assert persons.by_reference(session, "nguyễn văn ân").name == "Nguyễn Văn Ân"
        for typed in ("nguyen van an", "Nguyễn Van An"):
            with pytest.raises(PersonError, match=r"2 persons have this name \(P-0001-3, P-0002-1\)"):
                persons.by_reference(session, typed)


# -- changes and the audit ---------------------------------------------------------------------------------------------
def test_what_is_not_named_stays_as_it_is(cli: Program, home: Home, village: None) -> None:
    before = cli("person", "show", BE, "--json").document()
    changed = cli("person", "change", "do thi be", "--phone", "0912345678", "--json").document()
    assert changed == {"person": "P-0004-5", "changed": ["phone"]}
    assert cli("person", "show", BE, "--json").document() == {**before, "phone": "0912345678"}
    assert cli("person", "change", BE, "--phone", "0912 345 678").out == "P-0004-5 was so already.\n"
    assert cli("person", "change", BE).code == 2
    cli("person", "change", BE, "--name", "Đỗ Thị Bích")
    assert found(cli, "bich") == ["Đỗ Thị Bích"]


def test_every_look_and_change_is_in_the_audit_and_no_name(cli: Program, home: Home, registry: Registry) -> None:
    for line in (
        (*ADD, *AGREED, "--new-commune"),
        ("person", "change", "P-0001-3", "--phone", "0912345678"),
        ("person", "show", AN),
        ("person", "search", "nguyen"),
        ("person", "list"),
    ):
        assert cli(*line).code == 0
    with registry.read() as session:
        entries = session.scalars(select(AuditEntry).order_by(AuditEntry.id)).all()
        told = [(entry.action, entry.what, entry.number, entry.detail) for entry in entries]
    assert told[-7:] == [
        ("add", "commune", 1, None),
        ("add", "person", 1, None),
        ("add", "consent", 1, "to version 2026-1"),
        ("change", "person", 1, "phone, whose phone"),
        ("look", "person", 1, None),
        ("look", "person", 1, "found by a search"),
        ("look", "person", 1, "in a list"),
    ]
    assert not any(name in repr(one) for name in NAMES for one in told)


def test_a_long_list_is_one_entry_of_the_audit(cli: Program, registry: Registry) -> None:
    with registry.write() as session:
        for number in range(21):
            people.person(session, f"Nguyễn Văn {chr(ord('A') + number)}")
    cli("person", "list")
    with registry.read() as session:
        last = session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc())).first()
        assert last is not None and (last.number, last.detail) == (None, "21 people in a list")
