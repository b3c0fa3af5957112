"""What comes after somebody withdrew: nothing of theirs is taken in, and nothing that came stands in erasing's way."""

import json
import secrets
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import select
from tests import people
from tests.case_desk import TRACER, staff
from tests.host.contacts_of_cases import Village
from tests.host.rights_village import DAY_S, NOW_S, Clinic, counts, number_of
from tests.program import Program

from bztoken import token_life
from bztoken.errors import PersonError, RegistryError
from bztoken.home import Home
from bztoken.people import person_rights
from bztoken.people.person_export import document_of
from bztoken.registry import cases, consents, events, issues, person_rows, persons, purging, syncs, tokens
from bztoken.registry.database import Registry
from bztoken.registry.issues import Holder
from bztoken.registry.models import AuditEntry, Authorisation, Case, CaseKey, Log, Person, Sync, Token
from bztoken.tracing import case_record
from bztoken.tracing.case_record import Report

MakePage = Callable[..., bytes]
HISTORY = "B9A665D754FE65E665D76A45\t286BCE589AB994EFA5F73CAD\t-61\t1596887000123\n"


@pytest.fixture
def number(registry: Registry, make_page: MakePage) -> str:
    """Of a person with a token since NOW_S."""
    with registry.write() as session:
        return number_of(Clinic(session, make_page).person()[0])


@pytest.fixture
def withdrawn(registry: Registry, number: str) -> str:
    """The same, who withdrew an hour later."""
    person_rights.withdraw(registry, number, NOW_S + 3600, 15)
    return number


def agree(registry: Registry, number: str, now_s: int) -> None:
    with registry.write() as session:
        consents.add(session, persons.by_reference(session, number), people.given(now_s), now_s)


def audit_of_looks(registry: Registry) -> list[int | None]:
    with registry.read() as session:
        query = select(AuditEntry.number).where(AuditEntry.action == "look", AuditEntry.what == "person")
        return list(session.scalars(query.order_by(AuditEntry.id)))


def test_a_case_recorded_since_goes_with_its_keys_when_they_are_erased(registry: Registry, withdrawn: str) -> None:
    with registry.write() as session:
        case = Village(session).case("F0-9", persons.by_reference(session, withdrawn))
        span = {"time_start_s": 0, "slots_per_day": 96, "time_end_s": 1}
        session.add(CaseKey(case_id=case.id, scheme="bluezone", day_key=bytes(32), **span))
    person_rights.erase(registry, withdrawn, NOW_S + 7200)
    with registry.read() as session:
        assert session.scalars(select(Case.state)).all() == [cases.STATE_WITHDRAWN]
        assert "case_keys" not in counts(session)


def test_a_new_consent_lets_nothing_in_that_was_heard_before(registry: Registry, withdrawn: str) -> None:
    later_s = NOW_S + DAY_S
    agree(registry, withdrawn, later_s)
    with registry.write() as session:
        token, person = session.get_one(Token, 1), persons.by_reference(session, withdrawn)
        assert person_rows.is_withheld(session, token) and len(person_rows.withheld_logs(session)) == 1
        token_life.give_back(session, token, later_s)
        with pytest.raises(RegistryError, match="before its holder withdrew: nothing was changed; plug it in"):
            token_life.issue(session, token, Holder.of_person(person), later_s)
        other = tokens.create(session, "YB-0009-1", secrets.token_bytes(8), issues.PERSON, "virtual", later_s)
        token_life.issue(session, other, Holder.of_person(person), later_s)
        assert not person_rows.is_withheld(session, other)
        token_life.give_back(session, other, later_s)
        token_life.issue(session, other, Holder.of_person(person), later_s)


def test_the_same_holds_for_who_withdrew_without_ever_having_agreed(registry: Registry) -> None:
    """As holders whom an older registry had."""
    with registry.write() as session:
        village = Village(session)
        person = village.person("Lê Thị Ân")
        log = village.token("YB-0003-9", person)
        number, token_id = number_of(person), log.token_id
    person_rights.withdraw(registry, number, NOW_S + 3600, 15)
    agree(registry, number, NOW_S + DAY_S)
    with registry.read() as session:
        assert person_rows.is_withheld(session, session.get_one(Token, token_id))
        assert person_rows.withheld_logs(session) == [log.id]


def test_a_paper_from_before_is_no_new_consent_of_who_never_gave_one(registry: Registry) -> None:
    with registry.write() as session:
        number = number_of(people.person(session, "Lê Thị Ân", NOW_S, has_consent=False))
    person_rights.withdraw(registry, number, NOW_S, 15)
    with pytest.raises(PersonError, match="after this day"):
        agree(registry, number, NOW_S - DAY_S)
    agree(registry, number, NOW_S)


def test_the_phone_of_who_withdrew_or_never_agreed_is_not_taken_in(
    registry: Registry, withdrawn: str, cli: Program, tmp_path: Path
) -> None:
    with registry.write() as session:
        silent = number_of(people.person(session, "Trần Ba", NOW_S, has_consent=False))
        logs = len(session.scalars(select(Log)).all())
    path = tmp_path / "phone.tsv"
    path.write_text(HISTORY)
    for number, said in ((withdrawn, "has withdrawn their consent"), (silent, "has not agreed to a text yet")):
        ran = cli("history", "add", path, "--label", "Phone", "--person", number)
        assert (ran.code, ran.out) == (1, "") and said in ran.err and "nothing was changed" in ran.err
    with registry.read() as session:
        assert len(session.scalars(select(Log)).all()) == logs


def test_who_withdrew_is_recorded_as_no_case_and_who_never_agreed_may_be(
    registry: Registry, home: Home, withdrawn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    staff(home)
    monkeypatch.setenv(events.OPERATOR_VARIABLE, TRACER)
    with registry.write() as session:
        silent = number_of(people.person(session, "Trần Ba", NOW_S, has_consent=False))
    test_day = date(2026, 11, 23)
    with pytest.raises(PersonError, match="has withdrawn their consent: nothing was changed"):
        case_record.prepare(registry, Report("F0-1", test=test_day, person=withdrawn), NOW_S)
    assert case_record.prepare(registry, Report("F0-1", test=test_day, person=silent), NOW_S)


def test_no_name_that_somebody_gave_stands_in_the_way_of_erasing(registry: Registry, number: str) -> None:
    with registry.write() as session:
        person, village = persons.by_reference(session, number), Village(session)
        token = session.get_one(Token, 1)
        tokens.rename(session, token, "Nhà bà Canary")
        village.token(f"erased {token.id}")
        case = village.case("F0-1", person)
        village.case(f"erased {case.id}")
    person_rights.erase(registry, number, NOW_S)
    with registry.read() as session:
        assert session.scalars(select(Person)).all() == []


def test_codes_of_another_case_with_the_same_keys_stay(registry: Registry) -> None:
    with registry.write() as session:
        ours, other = Village(session).case("F0-1"), Village(session).case("F0-2")
        ours.key_digest = bytes(32)
        for case_id in (ours.id, other.id, None):
            session.add(
                Authorisation(
                    key_digest=bytes(15), salt=bytes(16), code_hash=bytes(32), drawn_by="D", drawn_at_s=1,
                    expires_at_s=2, case_id=case_id,
                )
            )  # fmt: skip
        session.flush()
        assert purging.codes_of_case(session, ours)["authorisations"] == 2
        assert session.scalars(select(Authorisation.case_id)).all() == [other.id]


def test_who_is_shown_as_waiting_to_be_erased_is_in_the_audit(registry: Registry, withdrawn: str, cli: Program) -> None:
    assert withdrawn in cli("person", "due-erasure").out
    with registry.read() as session:
        person_id = persons.by_reference(session, withdrawn).id
    assert audit_of_looks(registry) == [person_id]


def test_an_export_tells_when_a_token_was_read_and_what_was_done_with_it(registry: Registry, number: str) -> None:
    with registry.write() as session:
        token, person = session.get_one(Token, 1), persons.by_reference(session, number)
        log = session.scalars(select(Log).where(Log.token_id == token.id)).one()
        session.get_one(Sync, syncs.start(session, log, NOW_S, 0, 1, 1)).battery_mv = 3900
        token_life.give_back(session, token, NOW_S + 60)
        document = json.loads(json.dumps(document_of(session, person, NOW_S + 60)))
    assert [row["battery_mv"] for row in document["syncs"]] == [3900]
    assert [(row["label"], row["event"]) for row in document["token_events"]] == [("YB-0001-3", "returned")]
