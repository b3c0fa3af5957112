"""The steps that people take with a contact: call, reach, advise, test, close, reopen; each is kept with who and when.

A step is for a person: it goes for everything that is open about them, whatever case it came from. Nothing here looks
at names.
"""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from bztoken.errors import FollowUpError
from bztoken.registry import audit, follow_ups, whose
from bztoken.registry.audit import Action, What
from bztoken.registry.follow_ups import State, Step
from bztoken.registry.models import FollowUp, FollowUpEvent

NO_ANSWER = "no answer"
NOT_REACHED = "not reached"
NO_LONGER_HOLDS = "that it no longer holds"

_STARTED = frozenset({State.REACHED, State.ADVISED, State.TESTED})
_AFTER = {
    Step.CALLED: _STARTED | {State.OPEN},
    Step.REACHED: frozenset({State.OPEN}),
    Step.ADVISED: frozenset({State.REACHED}),
    Step.TESTED: _STARTED,
    Step.CLOSED: _STARTED,
    Step.REOPENED: frozenset({State.CLOSED}),
}
_STATE_OF = {
    Step.REACHED: State.REACHED,
    Step.ADVISED: State.ADVISED,
    Step.TESTED: State.TESTED,
    Step.CLOSED: State.CLOSED,
}


def take(session: Session, number: int, step: Step, now_s: int, detail: str | None = None) -> list[FollowUp]:
    """Record a step with the contact of this number, in the caller's transaction; the rows for which it goes: all of
    this person in which it comes next, of a reopening this one only.

    detail: words of this program; NOT_REACHED closes contacts that nobody has reached. Raises FollowUpError when there
    is no such contact, or it is not the time for this step; nothing was changed then.
    """
    named = follow_ups.by_number(session, number)
    items = [named] if step == Step.REOPENED else together(session, named)
    steps = follow_ups.steps_of(session, items)
    taken = [item for item in items if _comes_next(item, steps[item.id], step, detail)]
    if not taken:
        raise FollowUpError(_refusal(named, step))
    for item in taken:
        _move(session, item, steps[item.id], step, now_s, detail)
    return taken


def together(session: Session, item: FollowUp) -> list[FollowUp]:
    """Everything about the person whom this row is about; about their device while nobody knows who it is."""
    holders = whose.by_log(session)
    person_id = holders[item.log_id].person_id
    if person_id is None:
        return follow_ups.of_logs(session, [item.log_id])
    return follow_ups.of_logs(session, [log_id for log_id, who in holders.items() if who.person_id == person_id])


def awaits_all_clear(item: FollowUp, steps: Sequence[FollowUpEvent]) -> bool:
    """They were told that they had been near a case, it was withdrawn since, and nobody has told them that."""
    if item.state != State.WITHDRAWN or item.reached_at_s is None:
        return False
    later = [event.step for event in steps]
    last = max(place for place, step in enumerate(later) if step == Step.WITHDRAWN)
    return not {Step.ADVISED, Step.CLOSED} & {Step(step) for step in later[last:]}


def is_to_do(item: FollowUp, steps: Sequence[FollowUpEvent]) -> bool:
    """Somebody still has to do something about this row."""
    return item.state not in follow_ups.ENDED or awaits_all_clear(item, steps)


def _comes_next(item: FollowUp, steps: Sequence[FollowUpEvent], step: Step, detail: str | None) -> bool:
    if awaits_all_clear(item, steps):
        return step in (Step.CALLED, Step.ADVISED, Step.CLOSED)
    if step == Step.CLOSED and detail == NOT_REACHED and item.state == State.OPEN:
        return True
    return item.state in _AFTER[step]


def _move(
    session: Session, item: FollowUp, steps: Sequence[FollowUpEvent], step: Step, now_s: int, detail: str | None
) -> None:
    if awaits_all_clear(item, steps):  # it stays withdrawn
        detail = NO_LONGER_HOLDS if step == Step.ADVISED else detail
    elif step == Step.REOPENED:
        item.state, item.ended_at_s = _state_before_closing(item, steps).value, None
    elif step in _STATE_OF:
        item.state = _STATE_OF[step].value
        item.reached_at_s = now_s if step == Step.REACHED else item.reached_at_s
        item.ended_at_s = now_s if step == Step.CLOSED else None
    follow_ups.note(session, item, step, now_s, detail)
    audit.record(session, Action.CHANGE, What.CONTACT, now_s, item.id, step.value)


def _state_before_closing(item: FollowUp, steps: Sequence[FollowUpEvent]) -> State:
    if item.reached_at_s is None:
        return State.OPEN
    return next(State(event.step) for event in reversed(steps) if event.step in _STARTED)


def _refusal(item: FollowUp, step: Step) -> str:
    """Why this is not the time for a step."""
    command = f"`bztoken follow-up {{}} {item.id}`"
    if item.state == State.WITHDRAWN:
        return "this contact was withdrawn, because it no longer follows: nothing was changed, there is nothing to do"
    if step == Step.REOPENED:
        return f"this contact is {item.state} and not closed: nothing was changed, go on with it"
    if item.state == State.CLOSED:
        return f"this contact is closed: nothing was changed; {command.format('reopen')} comes first"
    if item.state == State.OPEN and step == Step.CLOSED:
        return (
            "nobody has reached this contact: nothing was changed; to give up, close it with --not-reached, else "
            f"{command.format('reached')} comes first"
        )
    if item.state == State.OPEN:
        return f"nobody has reached this contact yet: nothing was changed; {command.format('reached')} comes first"
    return f"this contact is {item.state} already: nothing was changed"
