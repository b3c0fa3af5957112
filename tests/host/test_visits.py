"""Stays near a place's token, who may ask for them, and what the answer is."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from tests.host.slow_matching import SiteRow, slow_stays
from tests.host.traced_world import DAY_S, START_S, TracedWorld, day_key
from tests.program import Program

from bztoken.matching.stays import SiteRows, Stay, StayFinder
from bztoken.registry.database import Registry
from bztoken.registry.models import AuditEntry, Person, Sighting, Site, TokenIssue
from bzwire.bluezone import slot_id

MARKET, MARKET_NEXT, F0 = day_key("market"), day_key("market", 1), day_key("f0")
SEVEN_S = START_S + DAY_S  # midnight UTC, 7 in the morning in Vietnam


@pytest.fixture
def world(registry: Registry) -> TracedWorld:
    made = TracedWorld(registry)
    made.token("Market", role="site")
    for label in ("F0", "Lan", "Minh"):
        made.token(label)
    made.releases("Market", MARKET, MARKET_NEXT)
    return made


def comes(world: TracedWorld, label: str, at_s: int, windows: int, **more: Any) -> None:
    """To the market, for so many windows."""
    step_s = 60 if label.startswith("Phone") else 300
    for n in range(windows):
        now_s = at_s + step_s * n
        key = MARKET if now_s < SEVEN_S else MARKET_NEXT
        world.hears(label, slot_id(key.key, now_s % DAY_S // 900), now_s, **more)


def test_a_stay_over_midnight_utc_is_one_visit(world: TracedWorld) -> None:
    comes(world, "Lan", SEVEN_S - 1800, 12)
    assert world.batch().visits == 1
    assert world.visits() == [("Market", "Lan", DAY_S - 1800, DAY_S + 1740, 60, 12)]


def test_more_than_a_quarter_of_an_hour_of_silence_ends_a_visit(world: TracedWorld) -> None:
    comes(world, "Lan", SEVEN_S, 2)
    comes(world, "Lan", SEVEN_S + 540 + 900, 1)  # 15 minutes after it was last heard
    comes(world, "Lan", SEVEN_S + 540 + 900 + 240 + 901, 1)
    world.batch()
    assert [visit[2:] for visit in world.visits()] == [
        (DAY_S, DAY_S + 1680, 15, 3),
        (DAY_S + 2581, DAY_S + 2821, 5, 1),
    ]


def test_a_phone_and_a_case_visit_too_but_no_other_place(world: TracedWorld) -> None:
    world.token("Bus station", role="site")
    world.phone("Phone of Hoa")
    comes(world, "F0", SEVEN_S, 1)
    comes(world, "Bus station", SEVEN_S, 5)
    comes(world, "Market", SEVEN_S, 5)
    comes(world, "Phone of Hoa", SEVEN_S, 10)
    assert world.batch().visits == 2
    assert {(visit[1], visit[4]) for visit in world.visits()} == {("F0", 5), ("Phone of Hoa", 10)}


def test_a_replayed_id_of_a_place_is_no_visit(world: TracedWorld) -> None:
    comes(world, "Lan", SEVEN_S, 3, stale=True)
    assert world.batch().visits == 0


def test_more_pages_lengthen_a_visit_in_place_and_fewer_take_it_away(world: TracedWorld) -> None:
    comes(world, "Lan", SEVEN_S, 2)
    world.batch()
    comes(world, "Lan", SEVEN_S + 600, 2)
    world.batch()
    assert world.visits() == [("Market", "Lan", DAY_S, DAY_S + 1140, 20, 4)]
    with world.registry.write() as session:
        for row in session.scalars(select(Sighting)).all():
            session.delete(row)
    assert world.batch().visits == 0
    assert world.visits() == []


# -- who asks ----------------------------------------------------------------------------------------------------------
ASKED = (
    "visits",
    "list",
    "--site",
    "Market",
    "--case",
    "F0-1",
    "--from",
    "2020-08-09 07:00",
    "--to",
    "2020-08-09 09:00",
)


def test_who_was_there_with_the_case_and_who_after_it(world: TracedWorld, cli: Program) -> None:
    world.case("F0-1", F0, token="F0", source="token")
    comes(world, "F0", SEVEN_S, 6)
    comes(world, "Lan", SEVEN_S + 1500, 3)
    comes(world, "Minh", SEVEN_S + 3600, 3)
    world.batch()
    shown = cli(*ASKED)
    assert "The case was there: 2020-08-09 07:00 - 07:29 (Asia/Ho_Chi_Minh)." in shown.out
    document = cli(*ASKED, "--json").document()
    assert [(one["who"], one["minutes"], one["overlaps"]) for one in document["visits"]] == [
        ("Lan", 15, True),
        ("Minh", 15, False),
    ]
    assert document["presences"] == [{"first_s": SEVEN_S, "last_s": SEVEN_S + 1740}]


def test_a_visit_outside_the_span_is_not_shown(world: TracedWorld, cli: Program) -> None:
    world.case("F0-1", F0, token="F0", source="token")
    comes(world, "F0", SEVEN_S, 1)
    comes(world, "Lan", SEVEN_S + 2 * 3600 + 300, 3)
    world.batch()
    shown = cli(*ASKED)
    assert (shown.code, "Nobody else was there in that time." in shown.out) == (0, True)


def test_without_a_case_that_was_there_nobody_is_shown(world: TracedWorld, cli: Program) -> None:
    world.case("F0-1", F0, token="F0", source="token")
    comes(world, "Lan", SEVEN_S, 6)
    comes(world, "F0", SEVEN_S - 8 * 3600, 6)  # 23:00 of the day before, in Vietnam
    world.batch()
    refused = cli(*ASKED)
    assert (refused.code, refused.out) == (1, "")
    assert "this case was not at this place on that day, so nothing was shown" in refused.err
    with world.registry.read() as session:
        assert session.scalars(select(AuditEntry).where(AuditEntry.action == "look")).all() == []


def test_a_case_whose_own_log_is_not_here_was_there_when_the_places_token_heard_it(
    world: TracedWorld, cli: Program
) -> None:
    phone_of_f0 = day_key("phone", 1)
    world.case("F0-1", phone_of_f0)
    world.hears("Market", slot_id(phone_of_f0.key, 0), SEVEN_S, 3)
    comes(world, "Lan", SEVEN_S + 300, 3)
    world.batch()
    assert [one["who"] for one in cli(*ASKED, "--json").document()["visits"]] == ["Lan"]


def test_names_of_people_and_places_are_shown_and_each_look_recorded(world: TracedWorld, cli: Program) -> None:
    with world.registry.write() as session:
        person = Person(name="Trần Thị Lan", folded="tran thi lan", state="active", added_at_s=1, by="test")
        site = Site(name="Chợ Đồng Xuân", folded="cho dong xuan", kind="market", added_at_s=1, by="test")
        session.add_all((person, site))
        session.flush()
        holders = (("person", person.id, None, 3), ("site", None, site.id, 1))
        for kind, person_id, site_id, token_id in holders:
            session.add(
                TokenIssue(
                    token_id=token_id,
                    holder_kind=kind,
                    person_id=person_id,
                    site_id=site_id,
                    issued_at_s=2,
                    issued_by="test",
                )
            )
        numbers = person.id, site.id
    case_id = world.case("F0-1", F0, token="F0", source="token")
    comes(world, "F0", SEVEN_S, 6)
    comes(world, "Lan", SEVEN_S, 6)
    world.batch()
    asked = [*ASKED[:3], "cho dong xuan", *ASKED[4:]]
    assert [(one["who"], one["person"][:7]) for one in cli(*asked, "--json").document()["visits"]] == [
        ("Trần Thị Lan", "P-0001-")
    ]
    with world.registry.read() as session:
        looks = session.scalars(select(AuditEntry).where(AuditEntry.action == "look")).all()
        assert {(one.what, one.number) for one in looks} == {
            ("case", case_id),
            ("visit", numbers[1]),
            ("person", numbers[0]),
        }


@pytest.mark.parametrize(
    ("change", "code", "sentence"),
    [
        ({"--case": "nobody"}, 1, "no case of this registry has this name"),
        ({"--site": "nowhere"}, 1, "no place of this registry has this name"),
        ({"--from": "yesterday"}, 2, "give a day and a time"),
        ({"--to": "2020-08-09 06:00"}, 2, "--to must be later than --from, by a day at most"),
        ({"--to": "2020-08-10 07:01"}, 2, "--to must be later than --from, by a day at most"),
        ({"--zone": "Mars/Olympus"}, 2, "no time zone has the name"),
    ],
)
def test_a_wrong_question_is_one_sentence(
    world: TracedWorld, cli: Program, change: dict[str, str], code: int, sentence: str
) -> None:
    world.case("F0-1", F0, token="F0", source="token")
    options = dict(zip(ASKED[2::2], ASKED[3::2], strict=True)) | change
    refused = cli("visits", "list", *(part for pair in options.items() for part in pair))
    assert (refused.code, refused.out) == (code, "")
    assert sentence in " ".join(refused.err.replace("│", " ").split())


def test_a_draft_shows_nobodys_visits(world: TracedWorld, cli: Program) -> None:
    world.case("F0-1", F0, token="F0", source="token", state="draft")
    refused = cli(*ASKED)
    assert (refused.code, refused.out) == (1, "")
    assert "this case is draft, so nothing was shown" in refused.err


# -- stays against an oracle -------------------------------------------------------------------------------------------
rows_of_sites = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.integers(0, 2),
        st.integers(0, 4000).map(lambda n: n * 60),  # three days
        st.integers(0, 300),
        st.integers(1, 5),
        st.integers(1, 20),
        st.integers(-95, -40),
    ).map(lambda drawn: SiteRow(*drawn, is_phone=drawn[1] == 2)),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(drawn=rows_of_sites)
def test_stays_found_day_by_day_are_those_of_all_at_once(drawn: list[SiteRow]) -> None:
    finder, found = StayFinder(), list[Stay]()
    for day in range(4):
        table = [
            (
                row.site,
                row.log,
                row.first_s,
                row.last_s,
                row.first_s // 300 * 300,
                0 if row.is_phone else row.scans * 60,
                row.packets,
                row.rssi_dbm + 4,
                row.rssi_dbm,
            )
            for row in drawn
            if row.first_s // DAY_S == day
        ]
        columns = np.array(table, dtype=np.int64).reshape(-1, len(SiteRows._fields)).T
        found += finder.add(SiteRows(*columns), (day + 1) * DAY_S)
    found += finder.finish()
    assert sorted(tuple(stay) for stay in found) == slow_stays(drawn)
