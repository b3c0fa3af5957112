"""Withdrawing stops everything, erasing leaves nothing, and both are proved by a certificate."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.host.rights_village import DAY_S, ID, NAME, NOW_S, PHONE, Clinic, counts, number_of
from tests.program import Program

from bztoken.errors import NotTrusted, PersonError
from bztoken.home import Home
from bztoken.people import person_export, person_rights, retention
from bztoken.registry import audit_check, communes, issues, person_rows, persons
from bztoken.registry.database import Registry
from bztoken.registry.issues import Holder
from bztoken.registry.models import AuditEntry, Base, Case, FollowUp, Person, Token, TokenIssue

MakePage = Callable[..., bytes]
OTHER = "Trần Thị Khác"


@pytest.fixture
def number(registry: Registry, make_page: MakePage) -> str:
    """Of a person with a token, a phone, a case of their own, and who is an F1 of another; somebody else is an F1 of
    theirs and an F2 through them.
    """
    with registry.write() as session:
        clinic = Clinic(session, make_page)
        person, token = clinic.person()
        other, others_token = clinic.person(OTHER, "YB-0002-6")
        village = clinic.village
        logs = [session.scalars(select(person_rows.Log).where(person_rows.Log.token_id == one.id)).one()
                for one in (token, others_token)]  # fmt: skip
        for sequence in (1, 2):
            clinic.page(token, sequence, sequence)
            clinic.page(others_token, sequence, sequence, bytes(12))
        clinic.line(village.phone("máy của bà Canary", person), 1)
        own, foreign = village.case("F0 Canary", person), village.case("F0-2")
        own.onset_day, own.last_day = "2026-11-20", "2026-12-01"
        village.near(foreign, logs[0])
        village.near(own, logs[1])
        village.near(foreign, logs[1], via=logs[0])
        clinic.follow()
        return number_of(person)


def tables(registry: Registry) -> dict[str, int]:
    with registry.read() as session:
        return counts(session)


def test_withdrawing_deletes_what_was_heard_and_ends_what_follows(registry: Registry, number: str) -> None:
    done = person_rights.withdraw(registry, number, NOW_S, 15)
    assert done.due_s == NOW_S + 15 * DAY_S
    with registry.read() as session:
        person = persons.by_number(session, number)
        assert person is not None and person.state == "withdrawn"
        assert person_rows.about(session, person.id).logs == [1, 3]
        left = counts(session)
        # The other one keeps theirs; the case of the person is withdrawn, and with it what came of it.
        assert (left["pages"], left["sightings"]) == (2, 2)
        assert "exposures" not in left
        assert session.scalars(select(Case.state).order_by(Case.id)).all() == ["withdrawn", "active"]
        assert {item.state for item in session.scalars(select(FollowUp))} <= {"closed", "withdrawn"}
    with pytest.raises(PersonError, match="has withdrawn already"):
        person_rights.withdraw(registry, number, NOW_S, 15)


def test_a_token_of_who_withdrew_or_was_erased_is_not_read(registry: Registry, number: str) -> None:
    def refused() -> bool:
        with registry.read() as session:
            token = session.get_one(Token, 1)
            try:
                person_rows.require_consent(session, token)
            except NotTrusted:
                return True
            return False

    assert not refused()
    person_rights.withdraw(registry, number, NOW_S, 15)
    assert refused()
    person_rights.erase(registry, number, NOW_S)
    assert refused()
    with registry.read() as session:
        row = session.scalars(select(TokenIssue).where(TokenIssue.token_id == 1)).one()
        assert row.person_id is None
        # Nobody gets it before it is wiped: not even whoever has the number now.
        assert not Holder(issues.PERSON, 1, "x").has(row)


def test_erasing_leaves_no_row_that_names_or_describes_them(registry: Registry, number: str) -> None:
    done = person_rights.erase(registry, number, NOW_S)
    with registry.read() as session:
        everything = [
            str(tuple(row)) for table in Base.metadata.sorted_tables for row in session.execute(select(table))
        ]
        words = (NAME, "canary", "F0 Canary", "máy của bà", "2026-12-01")
        assert not [row for row in everything for word in words if word in row]
        assert session.scalar(select(Person.name)) == OTHER
        left = counts(session)
        assert (left["persons"], left["consents"], left["pages"], left["sightings"]) == (1, 1, 2, 2)
        assert not [row for row in everything if ID.hex() in row]
    assert done.rows["persons"] == 1


def test_the_number_of_a_person_is_never_given_twice(registry: Registry, make_page: MakePage) -> None:
    with registry.write() as session:
        person, _ = Clinic(session, make_page).person()
        number = number_of(person)
    person_rights.erase(registry, number, NOW_S)
    with registry.write() as session:
        commune = communes.add(session, "Văn Phú", NOW_S)
        added = persons.add(session, persons.Facts("Lê Thị Mới", 1950, commune), NOW_S)
        assert number_of(added) != number


def test_purging_erases_who_withdrew_before_the_limit_of_the_law(registry: Registry, number: str) -> None:
    person_rights.withdraw(registry, number, NOW_S, 15)
    assert retention.purge(registry, NOW_S + 11 * DAY_S).persons == 0
    assert retention.purge(registry, NOW_S + 12 * DAY_S).persons == 1
    assert tables(registry)["persons"] == 1


@pytest.mark.parametrize("what", ["withdraw", "erase"])
def test_a_certificate_is_proved_and_an_edited_one_is_not(
    registry: Registry, number: str, cli: Program, tmp_path: Path, home: Home, what: str
) -> None:
    path = tmp_path / "certificate.json"
    ran = cli("person", what, number, "--yes", "--certificate", path)
    assert ran.code == 0, ran.err
    assert number in path.with_name("certificate.json.txt").read_text()
    assert "Canary" not in path.read_text() + path.with_name("certificate.json.txt").read_text()
    assert cli("audit", "verify", "--certificate", path).code == 0
    document = json.loads(path.read_text())
    for name in document:
        if name != "format":
            edited = {**document, name: {**document[name], "digest": "00"} if name == "audit" else "x"}
            path.write_text(json.dumps(edited))
            assert cli("audit", "verify", "--certificate", path).code == 1, name
    path.write_text("{}")
    assert "no certificate" in cli("audit", "verify", "--certificate", path).err
    with registry.read() as session:
        assert audit_check.verify(home, session).faults == []


@pytest.mark.parametrize("what", ["withdraw", "erase"])
def test_nothing_happens_without_a_yes(registry: Registry, number: str, cli: Program, what: str) -> None:
    before = tables(registry)
    ran = cli("person", what, number)
    assert (ran.code, "nothing was changed, add --yes" in ran.err) == (1, True)
    assert cli("person", what, "P-9999-9", "--yes").code == 1
    assert cli("person", what, number, "--yes", "--certificate", "/nowhere/x").code == 1
    with registry.read() as session:  # but that somebody looked at them is told
        entry = session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc())).first()
        assert entry is not None and entry.action == "look" and entry.number == persons.by_reference(session, number).id
    assert tables(registry) == {**before, "audit": before["audit"] + 1}


def test_an_export_has_all_about_them_and_nobody_elses_name(
    registry: Registry, number: str, cli: Program, tmp_path: Path
) -> None:
    ran = cli("person", "export", number, "--out", tmp_path, "--json")
    assert ran.code == 0, ran.err
    raw = (tmp_path / f"{number}.json").read_text()
    document = json.loads(raw)
    assert (document["person"]["name"], document["person"]["phone"]) == (NAME, PHONE)
    assert len(document["encounters"]) == 3 and document["encounters"][0]["strongest_rssi_dbm"] == -60
    assert [case["name"] for case in document["cases"]] == ["F0 Canary"]
    assert [row["degree"] for row in document["exposures"]] == ["F1"]
    assert document["audit"][-1]["action"] == "export"
    assert not [word for word in (OTHER, "F0-2", ID.hex()) if word in raw]
    assert (tmp_path / f"{number}.pdf").read_bytes().startswith(b"%PDF")
    assert cli("person", "export", number, "--out", tmp_path).code == 1
    assert cli("person", "export", number, "--out", tmp_path / "no" / "where").code == 1


def test_an_export_is_whole_or_not_there(registry: Registry, number: str, tmp_path: Path) -> None:
    (tmp_path / f"{number}.pdf").mkdir()
    with pytest.raises(PersonError, match="is a folder: nothing was written"):
        person_export.export(registry, number, tmp_path, NOW_S, replace=True)
    assert [path.name for path in tmp_path.glob("P-*") if path.is_file()] == []
    assert [path.name for path in tmp_path.glob(".P-*")] == []
