"""What is to be done about contacts: opened by the matching, taken on step by step by health workers, ended.

Who is on the list and in which order is told by `follow_up_list`. A contact who was told already never vanishes from
it by itself: somebody has to tell them that it no longer holds.
"""

from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy.orm import Session

from bztoken.people.retention_rules import rules
from bztoken.registry import audit, follow_ups
from bztoken.registry.audit import Action, What
from bztoken.registry.follow_ups import Following, State, Step
from bztoken.registry.models import FollowUp, FollowUpEvent
from bzwire.bluezone import DAY_S


class Changes(NamedTuple):
    """What one update did: contacts that are new or again to be told, that are F1 and were F2, that are none."""

    opened: int = 0
    raised: int = 0
    withdrawn: int = 0


# -- by the program ----------------------------------------------------------------------------------------------------
def update(session: Session, now_s: int) -> Changes:
    """Bring the list in line with the exposures, in the caller's transaction; a second time it changes nothing.

    New contacts are opened. An F2 who is an F1 now is to be told anew. Who no longer follows is withdrawn if nobody has
    told them; else they stay, with a remark. Closed ones stay closed unless they were F2 and are F1 now. That what was
    heard has been deleted for its age ends nothing.
    """
    following = follow_ups.following(session)
    items = follow_ups.everything(session)
    steps = follow_ups.steps_of(session, items)
    done = [_keep(session, item, steps[item.id], following.pop(_pair(item), None), now_s) for item in items]
    for pair, what in sorted(following.items()):
        follow_ups.add(session, pair, what, now_s)
        done.append(Changes(opened=1))
    found = Changes(*(sum(counts) for counts in zip(*done, strict=True))) if done else Changes()
    if any(found):
        detail = f"opened {found.opened}, raised {found.raised}, withdrawn {found.withdrawn}"
        audit.record(session, Action.MATCH, What.CONTACT, now_s, detail=detail)
    return found


def withdraw_case(session: Session, case_id: int, now_s: int) -> int:
    """The case was none: all its contacts end, in the caller's transaction; how many. Those who were told stay on the
    work list until somebody has told them so. Closed ones stay closed.
    """
    items = [item for item in follow_ups.of_case(session, case_id) if item.state not in follow_ups.ENDED]
    for item in items:
        _withdraw(session, item, now_s, "the case was withdrawn")
    if items:
        audit.record(session, Action.WITHDRAW, What.CONTACT, now_s, detail=f"{len(items)} contacts of case {case_id}")
    return len(items)


def _keep(session: Session, item: FollowUp, steps: list[FollowUpEvent], now: Following | None, now_s: int) -> Changes:
    """now: what follows of this contact now, None if nothing does."""
    is_past = _is_past(item, now_s)
    if now is None:
        return Changes() if is_past else _let_go(session, item, steps, now_s)
    if now.degree > item.degree and is_past:
        return Changes()
    item.last_day = now.last_day
    if now.degree < item.degree:
        _set_degree(session, item, now.degree, Step.RAISED, now_s)
        return Changes(raised=1)
    if item.state == State.WITHDRAWN:
        item.degree = now.degree
        _open_again(session, item, Step.FOLLOWS_AGAIN, now_s)
        return Changes(opened=1)
    if now.degree > item.degree and item.state == State.OPEN:
        _set_degree(session, item, now.degree, Step.LOWERED, now_s)
    elif _last_remark(steps) == Step.NO_LONGER_FOLLOWS:
        follow_ups.note(session, item, Step.FOLLOWS_AGAIN, now_s)
    return Changes()


def _is_past(item: FollowUp, now_s: int) -> bool:
    """What was heard on the last day of contact is deleted for its age, in part or all, or may be soon."""
    if item.last_day is None:
        return False
    day_s = int(datetime.fromisoformat(item.last_day).replace(tzinfo=UTC).timestamp())
    return day_s < now_s - rules().person_days * DAY_S


def _let_go(session: Session, item: FollowUp, steps: list[FollowUpEvent], now_s: int) -> Changes:
    """Of one that follows no longer."""
    if item.state in follow_ups.ENDED:
        return Changes()
    if item.state == State.OPEN:
        _withdraw(session, item, now_s, "no longer follows from what was heard")
        return Changes(withdrawn=1)
    if _last_remark(steps) != Step.NO_LONGER_FOLLOWS:
        follow_ups.note(session, item, Step.NO_LONGER_FOLLOWS, now_s)
    return Changes()


def _withdraw(session: Session, item: FollowUp, now_s: int, why: str) -> None:
    item.state, item.ended_at_s = State.WITHDRAWN.value, now_s
    follow_ups.note(session, item, Step.WITHDRAWN, now_s, why)


def _set_degree(session: Session, item: FollowUp, degree: int, step: Step, now_s: int) -> None:
    """Whatever they were told before was about another degree."""
    before, item.degree = item.degree, degree
    _open_again(session, item, step, now_s, f"F{before} to F{degree}")


def _open_again(session: Session, item: FollowUp, step: Step, now_s: int, detail: str | None = None) -> None:
    """They are to be told as if nobody had told them anything."""
    item.state, item.reached_at_s, item.ended_at_s = State.OPEN.value, None, None
    follow_ups.note(session, item, step, now_s, detail)


def _last_remark(steps: list[FollowUpEvent]) -> str | None:
    remarks = (Step.NO_LONGER_FOLLOWS, Step.FOLLOWS_AGAIN)
    return next((event.step for event in reversed(steps) if event.step in remarks), None)


def _pair(item: FollowUp) -> follow_ups.Pair:
    return item.case_id, item.log_id
