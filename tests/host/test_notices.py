"""Whose token should ask its wearer to call, and what the texts for contacts say."""

import tomllib
from collections.abc import Iterator
from datetime import date
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy.orm import Session
from tests.host.contacts_of_cases import NOW_S, Village

from bztoken.cli.token_advice import advice
from bztoken.errors import FollowUpError
from bztoken.printing.notice_sheet import notice_sheet
from bztoken.registry import issues, last_known, tokens
from bztoken.registry.database import Registry
from bztoken.registry.follow_ups import Step
from bztoken.registry.models import Exposure, Log, Sighting
from bztoken.registry.notices import is_wanted, wanted_tokens
from bztoken.tokens_due import Reason, due
from bztoken.tracing import follow_up, notice_texts
from bztoken.tracing.follow_up_list import contact_of
from bztoken.tracing.follow_up_steps import NOT_REACHED, take
from bztoken.tracing.notice_texts import CROWD_IDS, Kind, Language, text_of

VIETNAM = ZoneInfo("Asia/Ho_Chi_Minh")


@pytest.fixture
def session(registry: Registry) -> Iterator[Session]:
    with registry.write() as opened:
        yield opened


@pytest.fixture
def village(session: Session) -> Village:
    return Village(session)


def wanted(village: Village) -> list[str]:
    """Labels; asked of all at once, and of each by itself."""
    rows = wanted_tokens(village.session)
    every = tokens.all_tokens(village.session)
    assert {token.id for token in every if is_wanted(village.session, token)} == rows
    return sorted(token.label for token in every if token.id in rows)


def is_near(village: Village, *logs: Log, verdict: str = "F1") -> None:
    """All of them were near one case."""
    case = village.case("F0-1")
    for log in logs:
        village.near(case, log, verdict)
    follow_up.update(village.session, NOW_S)


def give_back(village: Village, log: Log) -> None:
    """It is at the clinic again, and not wiped yet."""
    row = issues.open_of(village.session, village.token_of(log))
    assert row is not None
    issues.end(village.session, row, NOW_S)


# -- whose token -------------------------------------------------------------------------------------------------------
def test_contacts_of_both_degrees_are_to_be_told_and_nobody_else(village: Village) -> None:
    one, two = village.token("T-1", village.person("Bà Mai")), village.token("T-2")
    village.token("T-3", village.person("Ông Ba"))
    is_near(village, one)
    village.near(village.case("F0-2"), two, "F2", via=one)
    follow_up.update(village.session, NOW_S)
    assert wanted(village) == ["T-1", "T-2"]


@pytest.mark.parametrize("last", [Step.REACHED, Step.CLOSED])
def test_who_was_reached_or_given_up_is_not(village: Village, last: Step) -> None:
    is_near(village, village.token("T-1"))
    take(village.session, 1, last, NOW_S, NOT_REACHED if last == Step.CLOSED else None)
    assert wanted(village) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("state", tokens.STATE_REVOKED),
        ("state", tokens.STATE_WIPED),
        ("alarm", tokens.ALARM_CLONE),
        ("role", tokens.ROLE_SITE),
    ],
)
def test_a_token_that_nobody_may_wear_or_believe_is_told_nothing(village: Village, name: str, value: str) -> None:
    log = village.token("T-1")
    is_near(village, log)
    setattr(village.token_of(log), name, value)
    village.session.flush()
    assert wanted(village) == []


def test_a_token_that_came_back_is_told_nothing_but_the_one_they_have_since_is(village: Village) -> None:
    mai = village.person("Bà Mai")
    old = village.token("T-1", mai)
    is_near(village, old)
    give_back(village, old)
    assert wanted(village) == []
    village.token("T-2", mai)
    assert wanted(village) == ["T-2"]


def test_the_token_of_somebody_whose_phone_was_near_is_told(village: Village) -> None:
    mai = village.person("Bà Mai")
    village.token("T-1", mai)
    is_near(village, village.phone("her phone", mai))
    assert wanted(village) == ["T-1"]


def test_nobody_is_wanted_while_the_list_is_empty(village: Village) -> None:
    village.token("T-1", village.person("Bà Mai"))
    assert wanted(village) == []


def test_the_token_of_somebody_to_be_told_is_due(village: Village) -> None:
    log = village.token("T-1", village.person("Bà Mai"))
    is_near(village, log)
    (one,) = due(last_known.of_tokens(village.session), NOW_S)
    assert one.reasons == [Reason.TO_BE_TOLD]
    assert "`bztoken follow-up list`" in advice(one)[0] and "case" not in advice(one)[0]
    take(village.session, 1, Step.REACHED, NOW_S)
    assert due(last_known.of_tokens(village.session), NOW_S) == []


# -- the words ---------------------------------------------------------------------------------------------------------
def hear(village: Village, exposure: Exposure, ids: int, window: int = 0) -> None:
    """So many different IDs were around in one window while the case was near."""
    for number in range(ids):
        start_s = exposure.first_s + window * 300
        village.session.add(
            Sighting(
                log_id=exposure.log_id,
                kind="bluezone",
                rotating_id=bytes([window, number]) * 6,
                first_s=start_s,
                last_s=start_s + 60,
                window_start_s=start_s,
                packets=1,
                scans=1,
                scan_period_s=60,
                rssi_max_dbm=-60,
                rssi_mean_dbm=-60,
            )
        )
    village.session.flush()


def day_named(village: Village) -> date | None:
    contact = contact_of(village.session, 1)
    return notice_texts.for_contact(village.session, contact, Language.VIETNAMESE, VIETNAM).day


def test_the_day_is_named_only_in_a_crowd(village: Village) -> None:
    exposure = village.near(village.case("F0-1"), village.token("T-1"))
    follow_up.update(village.session, NOW_S)
    assert day_named(village) is None
    for window in range(5):  # many over the day, and few at a time
        hear(village, exposure, CROWD_IDS - 1, window)
    assert day_named(village) is None
    hear(village, exposure, CROWD_IDS, window=6)
    assert day_named(village) == date(2026, 11, 23)


def test_the_crowd_of_another_hour_does_not_count(village: Village) -> None:
    exposure = village.near(village.case("F0-1"), village.token("T-1"))
    follow_up.update(village.session, NOW_S)
    hear(village, exposure, 3 * CROWD_IDS, window=24)
    assert day_named(village) is None


def test_the_day_of_an_f2_is_never_named(village: Village) -> None:
    exposure = village.near(village.case("F0-1"), village.token("T-1"), "F2", via=village.token("T-2"))
    follow_up.update(village.session, NOW_S)
    hear(village, exposure, 3 * CROWD_IDS)
    assert day_named(village) is None
    assert text_of(Kind.F2, Language.ENGLISH, date(2026, 11, 23)).day is None


def test_who_was_told_what_no_longer_holds_is_told_that(village: Village) -> None:
    case = village.case("F0-1")
    village.near(case, village.token("T-1"))
    follow_up.update(village.session, NOW_S)
    take(village.session, 1, Step.REACHED, NOW_S)
    follow_up.withdraw_case(village.session, case.id, NOW_S)
    text = notice_texts.for_contact(village.session, contact_of(village.session, 1), Language.ENGLISH, VIETNAM)
    assert text.kind == Kind.OVER and "no longer holds" in text.plain()


def kind_told(village: Village, item: int = 1) -> Kind:
    contact = contact_of(village.session, item)
    return notice_texts.for_contact(village.session, contact, Language.ENGLISH, VIETNAM).kind


def test_who_need_be_told_nothing_gets_no_text(village: Village) -> None:
    one, two = village.case("F0-1"), village.case("F0-2")
    village.near(one, village.token("T-1"))
    village.near(two, village.token("T-2"))
    follow_up.update(village.session, NOW_S)
    follow_up.withdraw_case(village.session, one.id, NOW_S)  # nobody had told them
    take(village.session, 2, Step.CLOSED, NOW_S, NOT_REACHED)
    for item in (1, 2):
        with pytest.raises(FollowUpError, match="nothing to tell this person any more: no text was made"):
            kind_told(village, item)


def test_nobody_hears_that_it_is_over_while_another_case_holds(village: Village) -> None:
    one, two, log = village.case("F0-1"), village.case("F0-2"), village.token("T-1", village.person("Bà Mai"))
    village.near(one, log, minutes=60)
    latest = village.near(two, log, minutes=20, days_ago=2)
    follow_up.update(village.session, NOW_S)
    hear(village, latest, CROWD_IDS)
    take(village.session, 1, Step.REACHED, NOW_S)
    follow_up.withdraw_case(village.session, one.id, NOW_S)
    assert kind_told(village) == Kind.F1
    assert contact_of(village.session, 1).first.case == "F0-2" and day_named(village) == date(2026, 11, 22)
    follow_up.withdraw_case(village.session, two.id, NOW_S)
    assert kind_told(village) == Kind.OVER


@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize("kind", list(Kind))
def test_every_text_is_whole_and_fits_on_a_page(kind: Kind, language: Language) -> None:
    day = date(2026, 11, 23)
    text = text_of(kind, language, day)
    said = text.plain()
    assert "{" not in said and said.count("\n\n") == len(text.sentences) + 1
    assert ("23" in said) == (kind == Kind.F1)
    assert notice_sheet(text).startswith(b"%PDF-") and notice_sheet(text, "0216 3852 115").startswith(b"%PDF-")


def test_both_languages_say_the_same_things() -> None:
    words = tomllib.loads(notice_texts.FILE.read_text(encoding="utf-8"))
    vietnamese, english = words["vi"], words["en"]
    assert set(vietnamese) == set(english) - {"months"}
    for kind in Kind:
        assert set(vietnamese[kind]) == set(english[kind])
