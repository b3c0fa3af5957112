"""What the matching opens, raises and takes back, and the steps that people take with a contact."""

from collections.abc import Iterator

import pytest
from sqlalchemy import delete, select
from sqlalchemy.orm import Session
from tests.host.contacts_of_cases import DAY_S, NOW_S, Village

from bztoken.errors import FollowUpError
from bztoken.registry import events
from bztoken.registry.database import Registry
from bztoken.registry.follow_ups import Step
from bztoken.registry.models import AuditEntry, Case, Exposure, FollowUp, FollowUpEvent, Log
from bztoken.tracing import follow_up
from bztoken.tracing.follow_up import Changes
from bztoken.tracing.follow_up_steps import NO_ANSWER, NOT_REACHED, take

NOTHING = Changes(0, 0, 0)


@pytest.fixture
def session(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    monkeypatch.setenv(events.OPERATOR_VARIABLE, "Hoa")
    with registry.write() as opened:
        yield opened


@pytest.fixture
def village(session: Session) -> Village:
    return Village(session)


def rows(session: Session) -> list[tuple[str, str, int, str]]:
    """(case, label, degree, state)."""
    query = select(Case.name, Log.label, FollowUp.degree, FollowUp.state).select_from(FollowUp).join(Case).join(Log)
    return [(name, label, degree, state) for name, label, degree, state in session.execute(query.order_by(FollowUp.id))]


def steps(session: Session, number: int) -> list[tuple[str, str | None]]:
    """What happened to a contact."""
    query = select(FollowUpEvent).where(FollowUpEvent.follow_up_id == number).order_by(FollowUpEvent.id)
    return [(event.step, event.detail) for event in session.scalars(query)]


def forget(session: Session, log: Log) -> None:
    """A later batch found nothing there."""
    session.execute(delete(Exposure).where(Exposure.log_id == log.id))


def update(session: Session, now_s: int = NOW_S) -> Changes:
    return follow_up.update(session, now_s)


class Told:
    """Bà Mai was near F0-1, and the list knows it."""

    def __init__(self, village: Village) -> None:
        self.session = village.session
        self.case = village.case("F0-1")
        self.log = village.token("T-1", village.person("Bà Mai"))
        village.near(self.case, self.log)
        update(village.session)

    def take(self, *taken: Step) -> None:
        for step in taken:
            take(self.session, 1, step, NOW_S)

    @property
    def row(self) -> FollowUp:
        return self.session.get_one(FollowUp, 1)


@pytest.fixture
def mai(village: Village) -> Told:
    return Told(village)


# -- what follows from the matching ------------------------------------------------------------------------------------
def test_f1_and_f2_are_opened_once_and_what_was_only_noted_never(session: Session, village: Village) -> None:
    case, mai, minh, tam = village.case("F0-1"), village.token("T-1"), village.phone("Anh Minh"), village.token("T-2")
    village.near(case, mai)
    village.near(case, mai, days_ago=2)
    village.near(case, minh, "F2", via=mai)
    village.near(case, tam, "noted")
    assert update(session) == Changes(opened=2)
    wanted = [("F0-1", "T-1", 1, "open"), ("F0-1", "Anh Minh", 2, "open")]
    assert rows(session) == wanted
    assert update(session, NOW_S + 60) == NOTHING
    assert rows(session) == wanted
    assert steps(session, 1) == [("opened", "F1")]
    assert session.get_one(FollowUp, 1).last_day == "2026-11-23"


def test_who_is_f1_by_one_row_and_f2_by_another_is_f1(session: Session, village: Village) -> None:
    case, mai, nga = village.case("F0-1"), village.token("T-1"), village.token("T-2")
    village.near(case, mai, "F2", via=nga, days_ago=1)
    village.near(case, mai, "F1", days_ago=3)
    update(session)
    assert rows(session) == [("F0-1", "T-1", 1, "open")]


def test_nobody_is_a_contact_of_their_own_case_by_another_device(session: Session, village: Village) -> None:
    lan = village.person("Bà Lan")
    case = village.case("F0-1", lan)
    village.near(case, village.phone("Bà Lan's phone", lan))
    village.near(case, village.token("T-2", lan), days_ago=2)
    assert update(session) == NOTHING


def test_drafts_and_withdrawn_cases_open_nothing(session: Session, village: Village) -> None:
    log = village.token("T-1")
    for state in ("draft", "withdrawn"):
        case = village.case(f"F0 {state}")
        case.state = state
        village.near(case, log)
    assert update(session) == NOTHING


def test_an_f2_who_is_an_f1_now_is_to_be_told_anew(session: Session, village: Village) -> None:
    case, log = village.case("F0-1"), village.token("T-1")
    village.near(case, log, "F2", via=village.token("T-2"))
    update(session)
    for step in (Step.REACHED, Step.ADVISED, Step.CLOSED):
        take(session, 1, step, NOW_S)
    village.near(case, log)
    assert update(session) == Changes(raised=1)
    row = session.get_one(FollowUp, 1)
    assert (row.degree, row.state, row.reached_at_s, row.ended_at_s) == (1, "open", None, None)
    assert steps(session, 1)[-1] == ("raised", "F2 to F1")


def test_an_f1_who_is_an_f2_now_is_one_only_if_nobody_told_them(mai: Told, session: Session, village: Village) -> None:
    forget(session, mai.log)
    village.near(mai.case, mai.log, "F2", via=village.token("T-2"))
    assert update(session) == NOTHING
    assert (mai.row.degree, steps(session, 1)[-1]) == (2, ("lowered", "F1 to F2"))
    forget(session, mai.log)
    village.near(mai.case, mai.log)
    update(session)
    mai.take(Step.REACHED)
    forget(session, mai.log)
    village.near(mai.case, mai.log, "F2", via=village.token("T-3"))
    update(session)
    assert (mai.row.degree, mai.row.state) == (1, "reached")


def test_what_no_longer_follows_is_withdrawn_before_anybody_was_told(mai: Told, session: Session) -> None:
    take(session, 1, Step.CALLED, NOW_S, NO_ANSWER)
    forget(session, mai.log)
    assert update(session) == Changes(withdrawn=1)
    assert (mai.row.state, mai.row.ended_at_s) == ("withdrawn", NOW_S)
    assert update(session) == NOTHING


def test_what_no_longer_follows_stays_with_one_remark_after_somebody_was_told(
    mai: Told, session: Session, village: Village
) -> None:
    mai.take(Step.REACHED, Step.ADVISED)
    forget(session, mai.log)
    for _ in range(3):
        assert update(session) == NOTHING
    assert mai.row.state == "advised"
    assert [step for step, _ in steps(session, 1)] == ["opened", "reached", "advised", "no longer follows"]
    village.near(mai.case, mai.log)
    for _ in range(2):
        assert update(session) == NOTHING
    assert [step for step, _ in steps(session, 1)][4:] == ["follows again"]


def test_what_follows_again_is_to_be_told(mai: Told, session: Session, village: Village) -> None:
    forget(session, mai.log)
    update(session)
    village.near(mai.case, mai.log)
    assert update(session) == Changes(opened=1)
    assert (mai.row.state, mai.row.ended_at_s) == ("open", None)
    assert steps(session, 1)[-1] == ("follows again", None)


def test_a_contact_does_not_end_because_what_was_heard_is_deleted_for_its_age(mai: Told, session: Session) -> None:
    forget(session, mai.log)
    assert update(session, NOW_S + 14 * DAY_S) == NOTHING
    assert mai.row.state == "open"
    assert update(session, NOW_S + 12 * DAY_S) == Changes(withdrawn=1)


def test_a_closed_contact_stays_closed(mai: Told, session: Session) -> None:
    mai.take(Step.REACHED, Step.CLOSED)
    update(session)
    forget(session, mai.log)
    update(session)
    assert mai.row.state == "closed"


# -- a withdrawn case --------------------------------------------------------------------------------------------------
def test_with_a_case_its_contacts_are_withdrawn_and_no_others(mai: Told, session: Session, village: Village) -> None:
    other = village.case("F0-2")
    village.near(other, mai.log)
    update(session)
    assert follow_up.withdraw_case(session, mai.case.id, NOW_S) == 1
    assert [row[3] for row in rows(session)] == ["withdrawn", "open"]
    assert steps(session, 1)[-1] == ("withdrawn", "the case was withdrawn")
    assert follow_up.withdraw_case(session, mai.case.id, NOW_S) == 0


def test_who_was_told_of_a_withdrawn_case_is_told_that_too_and_once(mai: Told, session: Session) -> None:
    mai.take(Step.REACHED, Step.ADVISED)
    follow_up.withdraw_case(session, mai.case.id, NOW_S)
    mai.case.state = "withdrawn"
    with pytest.raises(FollowUpError, match="withdrawn"):
        mai.take(Step.TESTED)
    mai.take(Step.CALLED, Step.ADVISED)
    assert steps(session, 1)[-1] == ("advised", "that it no longer holds")
    assert mai.row.state == "withdrawn"
    with pytest.raises(FollowUpError, match="there is nothing to do"):
        mai.take(Step.ADVISED)


# -- steps -------------------------------------------------------------------------------------------------------------
def test_the_steps_of_a_contact_are_kept_with_who_and_when(mai: Told, session: Session) -> None:
    take(session, 1, Step.CALLED, NOW_S, NO_ANSWER)
    take(session, 1, Step.REACHED, NOW_S + 60)
    take(session, 1, Step.ADVISED, NOW_S + 120)
    take(session, 1, Step.TESTED, NOW_S + 180, "waiting")
    take(session, 1, Step.TESTED, NOW_S + 240, "negative")
    take(session, 1, Step.CLOSED, NOW_S + 300)
    assert (mai.row.reached_at_s, mai.row.ended_at_s, mai.row.state) == (NOW_S + 60, NOW_S + 300, "closed")
    kept = session.execute(select(FollowUpEvent.at_s, FollowUpEvent.step, FollowUpEvent.by, FollowUpEvent.detail))
    assert [tuple(event) for event in kept] == [
        (NOW_S, "opened", "Hoa", "F1"),
        (NOW_S, "called", "Hoa", "no answer"),
        (NOW_S + 60, "reached", "Hoa", None),
        (NOW_S + 120, "advised", "Hoa", None),
        (NOW_S + 180, "tested", "Hoa", "waiting"),
        (NOW_S + 240, "tested", "Hoa", "negative"),
        (NOW_S + 300, "closed", "Hoa", None),
    ]


@pytest.mark.parametrize(
    ("before", "step", "why"),
    [
        ([], Step.ADVISED, "nobody has reached this contact yet: nothing was changed; `bztoken follow-up reached 1`"),
        ([], Step.TESTED, "nobody has reached this contact yet"),
        ([], Step.CLOSED, "to give up, close it with --not-reached"),
        ([], Step.REOPENED, "this contact is open and not closed"),
        ([Step.REACHED], Step.REACHED, "this contact is reached already"),
        ([Step.REACHED, Step.ADVISED], Step.ADVISED, "this contact is advised already"),
        ([Step.REACHED, Step.CLOSED], Step.CALLED, "`bztoken follow-up reopen 1` comes first"),
        ([Step.REACHED, Step.CLOSED], Step.CLOSED, "this contact is closed"),
    ],
)
def test_a_step_before_its_time_changes_nothing(
    mai: Told, session: Session, before: list[Step], step: Step, why: str
) -> None:
    mai.take(*before)
    state, kept = mai.row.state, steps(session, 1)
    with pytest.raises(FollowUpError) as refused:
        mai.take(step)
    assert why in str(refused.value) and "nothing was changed" in str(refused.value)
    assert (mai.row.state, steps(session, 1)) == (state, kept)


def test_no_contact_has_a_number_that_is_none(session: Session) -> None:
    with pytest.raises(FollowUpError, match="no contact has this number"):
        take(session, 7, Step.REACHED, NOW_S)


def test_one_who_cannot_be_reached_is_given_up_by_saying_so(mai: Told, session: Session) -> None:
    take(session, 1, Step.CLOSED, NOW_S, NOT_REACHED)
    assert (mai.row.state, mai.row.reached_at_s) == ("closed", None)
    mai.take(Step.REOPENED)
    assert (mai.row.state, mai.row.ended_at_s) == ("open", None)


@pytest.mark.parametrize("last", [Step.REACHED, Step.ADVISED, Step.TESTED])
def test_reopening_goes_back_to_where_it_was(mai: Told, last: Step) -> None:
    mai.take(Step.REACHED, *([] if last == Step.REACHED else [last]), Step.CLOSED, Step.REOPENED)
    assert mai.row.state == last.value


def test_a_step_goes_for_all_that_is_open_about_a_person_and_nobody_else(session: Session, village: Village) -> None:
    mai, case, second = village.person("Bà Mai"), village.case("F0-1"), village.case("F0-2")
    token, phone, other = village.token("T-1", mai), village.phone("her phone", mai), village.token("T-2")
    village.near(case, token)
    village.near(second, phone)
    village.near(case, other)
    update(session)
    assert len(take(session, 1, Step.REACHED, NOW_S)) == 2
    assert sorted(rows(session)) == [
        ("F0-1", "T-1", 1, "reached"),
        ("F0-1", "T-2", 1, "open"),
        ("F0-2", "her phone", 1, "reached"),
    ]
    village.near(second, token)
    update(session)  # another one after she was reached
    assert [row.state for row in take(session, 1, Step.ADVISED, NOW_S)] == ["advised"] * 2
    assert ("F0-2", "T-1", 1, "open") in rows(session)


def test_every_change_is_in_the_audit_by_number(mai: Told, session: Session) -> None:
    mai.take(Step.REACHED)
    follow_up.withdraw_case(session, mai.case.id, NOW_S)
    kept = session.execute(select(AuditEntry.action, AuditEntry.what, AuditEntry.number, AuditEntry.detail))
    assert [tuple(entry) for entry in kept] == [
        ("match", "contact", None, "opened 1, raised 0, withdrawn 0"),
        ("change", "contact", 1, "reached"),
        ("withdraw", "contact", None, "1 contacts of case 1"),
    ]
