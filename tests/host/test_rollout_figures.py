"""The figures of the roll-out: every token in one line of each table, people of 60 by year, no false hours."""

from collections.abc import Iterator
from datetime import date

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session
from tests.host.reported_clinic import DAY_S, NOW_S, Clinic

from bztoken import token_life
from bztoken.errors import ReportError
from bztoken.registry import events, losses, tokens
from bztoken.registry.database import Registry
from bztoken.registry.sites import Kind
from bztoken.report.rollout import Rollout, collect, scope_of


@pytest.fixture
def session(registry: Registry) -> Iterator[Session]:
    with registry.write() as opened:
        yield opened


@pytest.fixture
def clinic(session: Session) -> Clinic:
    made = Clinic(session)
    made.commune("Xã Yên Bình", 40)
    made.commune("Xã Thác Bà")
    return made


def report(clinic: Clinic, day: date | None = None, first: date | None = None, last: date | None = None) -> Rollout:
    return collect(clinic.session, scope_of(day, first, last, NOW_S), NOW_S)


def test_each_token_is_active_silent_or_lost(clinic: Clinic) -> None:
    lan = clinic.person("Lan", 1950)
    today, week_ago, never, lost = (clinic.token(f"T-{n}", lan) for n in range(4))
    clinic.synced(today, 0)
    clinic.synced(week_ago, 7.5)
    clinic.synced(lost, 0)
    token_life.lose(clinic.session, lost, NOW_S)
    total = report(clinic).total
    assert (total.issued, total.active, total.silent, total.lost) == (4, 1, 2, 1)
    assert never.last_seen_s is None


def test_the_week_begins_at_midnight_in_vietnam(clinic: Clinic) -> None:
    lan = clinic.person("Lan", 1950)
    in_week, before = clinic.token("in", lan), clinic.token("before", lan)
    clinic.synced(in_week, 6 + 9.9 / 24)  # 2026-11-18 00:06
    clinic.synced(before, 6 + 10.1 / 24)  # 2026-11-17 23:54
    assert report(clinic).total.active == 1


def test_a_token_that_was_only_seen_is_active_and_not_synced(clinic: Clinic) -> None:
    lan = clinic.person("Lan", 1950)
    seen, cut, whole = (clinic.token(name, lan) for name in ("seen", "cut", "whole"))
    tokens.note_seen(clinic.session, seen, NOW_S - DAY_S)
    clinic.synced(cut, 1, done=False)
    clinic.synced(whole, 1)
    total = report(clinic).total
    assert (total.active, total.synced) == (3, 1)


def test_the_battery_is_as_it_was_told_last(clinic: Clinic) -> None:
    lan = clinic.person("Lan", 1950)
    charged, weak, mains, lost = (clinic.token(name, lan) for name in ("charged", "weak", "mains", "lost"))
    clinic.synced(charged, 3, battery=4)
    clinic.synced(charged, 1, battery=1)
    clinic.synced(weak, 1, battery=2)
    clinic.synced(mains, 1, battery=0)
    clinic.synced(lost, 1, battery=4)
    token_life.lose(clinic.session, lost, NOW_S)
    total = report(clinic).total
    assert (total.weak, total.battery_unknown) == (1, 1)


def test_every_token_in_hands_is_in_one_line_of_each_table(clinic: Clinic) -> None:
    clinic.token("T-1", clinic.person("Lan", 1950, "Xã Yên Bình", "Hội Người cao tuổi"))
    clinic.token("T-2", clinic.person("Minh", 1950, "Xã Thác Bà", "hoi nguoi  cao tuoi"))
    clinic.token("T-3", clinic.person("Tư", None, None))
    clinic.token("in store")
    clinic.site_token("S-1", "Chợ Thác", Kind.MARKET, "Xã Thác Bà", "Hội Người cao tuổi")
    made = report(clinic)
    assert {unit.name: unit.issued for unit in made.communes} == {"Xã Yên Bình": 1, "Xã Thác Bà": 2, None: 1}
    assert {unit.name: unit.issued for unit in made.agencies} == {"Hội Người cao tuổi": 3, None: 1}
    assert [(unit.name, unit.sites, unit.issued) for unit in made.site_kinds] == [("market", 1, 1)]
    assert (made.total.issued, made.total.persons, made.total.places, made.stock.ready) == (4, 3, 1, 1)


def test_coverage_is_of_people_of_60_by_year_with_a_token_that_is_not_lost(clinic: Clinic) -> None:
    old, sixty, young = (clinic.person(f"P{year}", year) for year in (1940, 1966, 1967))
    lost, unknown, bare = clinic.person("lost", 1940), clinic.person("unknown", None), clinic.person("bare", 1940)
    for number, person in enumerate((old, old, sixty, young, unknown)):
        clinic.token(f"T-{number}", person)
    token_life.lose(clinic.session, clinic.token("T-lost", lost), NOW_S)
    unit = report(clinic).communes[1]
    assert (unit.name, unit.holders_60, unit.no_birth_year, unit.coverage) == ("Xã Yên Bình", 2, 1, 2 / 40)
    assert bare.id


def test_the_whole_coverage_counts_only_communes_whose_figure_is_known(clinic: Clinic) -> None:
    clinic.token("T-1", clinic.person("Lan", 1940))
    clinic.token("T-2", clinic.person("Minh", 1940, "Xã Thác Bà"))
    made = report(clinic)
    assert (made.total.holders_60, made.total.known_communes, made.total.coverage) == (2, 1, 1 / 40)
    assert made.communes[0].coverage is None


def test_without_any_figure_the_coverage_is_not_known(registry: Registry) -> None:
    with registry.write() as session:
        made = report(Clinic(session))
    assert (made.total.coverage, made.total.issued, list(made.communes)) == (None, 0, [])


def test_lost_is_what_the_registry_calls_lost_through_a_life(clinic: Clinic) -> None:
    session, token = clinic.session, clinic.token("T-1", clinic.person("Lan", 1950))
    steps = (
        lambda: token_life.lose(session, token, NOW_S),
        lambda: token_life.find(session, token, NOW_S),
        lambda: token_life.revoke(session, token, NOW_S, "stolen"),
        lambda: tokens.restore(session, token, NOW_S),
        lambda: token_life.revoke(session, token, NOW_S, "broken"),
        lambda: tokens.restore(session, token, NOW_S),
        lambda: token_life.lose(session, token, NOW_S),
        lambda: token_life.give_back(session, token, NOW_S),
    )
    seen = []
    for step in steps:
        step()
        made = report(clinic)
        assert made.total.lost + made.stock.lost == losses.is_lost(session, token)
        seen.append((made.total.issued, made.total.lost, made.stock.set_aside))
    assert seen[0] == (1, 1, 0)
    assert seen[-1] == (0, 0, 1)


def test_a_report_of_yesterday_knows_nothing_of_today(clinic: Clinic) -> None:
    lan = clinic.person("Lan", 1950)
    kept, given = clinic.token("kept", lan), clinic.token("given", lan, days_ago=0)
    clinic.synced(kept, 0)
    token_life.lose(clinic.session, kept, NOW_S)
    clinic.contact(clinic.case("F0-1", 1), kept, 1, None)
    made = report(clinic, date(2026, 11, 23))
    assert (made.total.issued, made.total.active, made.total.lost) == (1, 0, 0)
    assert (made.tracing.cases, made.tracing.f1.found) == (0, 0)
    assert given.id


def test_what_went_out_and_came_back_is_of_the_period(clinic: Clinic) -> None:
    lan = clinic.person("Lan", 1950)
    clinic.token("old", lan, days_ago=20)
    back = clinic.token("back", lan, days_ago=3)
    token_life.give_back(clinic.session, back, NOW_S - DAY_S)
    whole, week = report(clinic), report(clinic, first=date(2026, 11, 18))
    assert (whole.flows.handed_out, whole.flows.returned) == (2, 1)
    assert (week.flows.handed_out, week.flows.returned) == (1, 1)


def test_hours_are_those_to_the_last_contact_reached(clinic: Clinic) -> None:
    a, b, c = (clinic.token(name, clinic.person(name, 1950)) for name in "abc")
    first, second = clinic.case("F0-1", 50), clinic.case("F0-2", 40)
    clinic.contact(first, a, 1, 4)
    clinic.contact(first, b, 1, 6.5)
    clinic.contact(first, c, 2, 10)
    clinic.contact(second, a, 1, 2)
    clinic.case("F0-3", 3)
    made = report(clinic).tracing
    assert (made.cases, made.f1.found, made.f1.reached, made.f2.found) == (3, 3, 3, 1)
    assert (made.speed.all_reached, made.speed.none, made.speed.median_hours, made.speed.longest_hours) == (2, 1, 6, 10)
    assert (made.speed_f1.median_hours, made.speed_f1.longest_hours) == (4.25, 6.5)


def test_an_open_contact_is_never_a_number_of_hours(clinic: Clinic) -> None:
    a, b, c = (clinic.token(name, clinic.person(name, 1950)) for name in "abc")
    case, done = clinic.case("F0-1", 50), clinic.case("F0-2", 50)
    clinic.contact(case, a, 1, 4)
    clinic.contact(case, b, 1, None)
    clinic.contact(done, c, 1, 3)
    speed = report(clinic).tracing.speed
    assert (speed.still_open, speed.all_reached, speed.median_hours, speed.longest_hours) == (1, 1, 3, None)


def test_a_contact_given_up_counts_as_not_reached(clinic: Clinic) -> None:
    token = clinic.token("a", clinic.person("a", 1950))
    clinic.contact(clinic.case("F0-1", 50), token, 1, None, "closed")
    made = report(clinic).tracing
    assert (made.f1.found, made.f1.reached, made.f1.open, made.f1.given_up) == (1, 0, 0, 1)
    assert (made.speed.given_up, made.speed.median_hours) == (1, None)


def test_a_person_with_two_tokens_is_one_contact_of_a_case(clinic: Clinic) -> None:
    lan = clinic.person("Lan", 1950)
    case = clinic.case("F0-1", 50)
    clinic.contact(case, clinic.token("a", lan), 1, 4)
    clinic.contact(case, clinic.token("b", lan), 2, 5)
    clinic.contact(case, clinic.token("of nobody"), 1, 1)
    made = report(clinic).tracing
    assert (made.f1.found, made.f2.found, made.speed.median_hours) == (2, 0, 5)


def test_withdrawn_cases_and_contacts_and_drafts_do_not_count(clinic: Clinic) -> None:
    a, b = (clinic.token(name, clinic.person(name, 1950)) for name in "ab")
    clinic.contact(clinic.case("F0-1", 50), a, 1, 1, "withdrawn")
    gone = clinic.case("F0-2", 50, "withdrawn")
    gone.ended_at_s = NOW_S
    clinic.contact(gone, b, 1, None, "withdrawn")
    clinic.case("F0-3", 2, "draft")
    made = report(clinic).tracing
    assert (made.cases, made.withdrawn, made.drafts) == (1, 1, 1)
    assert (made.f1.found, made.f1.withdrawn, made.speed.none) == (0, 1, 1)


@pytest.mark.parametrize(
    ("day", "first", "last", "says"),
    [
        (date(2026, 11, 25), None, None, "yet to come"),
        (date(2026, 11, 16), None, None, "deleted by now"),
        (None, None, date(2026, 11, 25), "ends after"),
        (None, date(2026, 11, 24), date(2026, 11, 23), "before it begins"),
    ],
)
def test_days_that_make_no_report_are_refused(
    day: date | None, first: date | None, last: date | None, says: str
) -> None:
    with pytest.raises(ReportError, match=says):
        scope_of(day, first, last, NOW_S)


def test_more_tokens_are_not_more_queries(clinic: Clinic) -> None:
    def queries() -> int:
        seen: list[str] = []
        engine = clinic.session.get_bind()

        def note(_: object, __: object, statement: str, *___: object) -> None:
            seen.append(statement)

        event.listen(engine, "before_cursor_execute", note)
        report(clinic)
        event.remove(engine, "before_cursor_execute", note)
        return len(seen)

    def some(prefix: str, count: int) -> None:
        case = clinic.case(prefix, 5)
        for number in range(count):
            token = clinic.token(f"{prefix}{number}", clinic.person(f"{prefix}{number}", 1950))
            clinic.synced(token, 1)
            clinic.contact(case, token, 1, 1)
            if number % 3 == 0:
                token_life.lose(clinic.session, token, NOW_S)
                events.record(clinic.session, token, events.SEEN_REVOKED, NOW_S)

    some("a", 2)
    few = queries()
    some("b", 30)
    assert queries() == few < 30
