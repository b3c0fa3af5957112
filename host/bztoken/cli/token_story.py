"""What `bztoken token show` tells: how a token is, who has it, its syncs, what happened to it and to its board.

The board's earlier tokens are told by the numbers of their rows: their labels may be names of people.
"""

from collections.abc import Sequence
from datetime import tzinfo

from bztoken.cli.output import answer, answer_table, local_day_and_time
from bztoken.cli.status import flash_use
from bztoken.cli.token_view import NOTHING, battery, clock, document, seen
from bztoken.registry import devices
from bztoken.registry.issues import Held
from bztoken.registry.last_known import Story
from bztoken.registry.models import DeviceEvent, TokenEvent
from bztoken.token_life import Step

ERASED = "(erased)"


def story_document(story: Story, step: Step) -> dict[str, object]:
    """As JSON has it."""
    return {
        **document(story.known, step, story.pages),
        "syncs": [
            {
                "started_s": sync.started_s,
                "state": sync.state,
                "pages_new": sync.pages_new,
                "pages_known": sync.pages_known,
                "damaged_sequence": sync.damaged_sequence,
                "clock_offset_ms": sync.clock_offset_ms,
                "by_courier": sync.courier_id is not None,
                "firmware": sync.firmware,
                "battery_mv": sync.battery_mv,
            }
            for sync in story.syncs
        ],
        "events": [event_document(event) for event in story.events],
        "issues": [_issue_document(held) for held in story.issues],
        "device": None if story.device is None else _device_document(story),
    }


def event_document(event: TokenEvent | DeviceEvent) -> dict[str, object]:
    """Of a token or of a board."""
    return {"at_s": event.at_s, "event": event.event, "by": event.by, "detail": event.detail}


def _issue_document(held: Held) -> dict[str, object]:
    issue = held.row
    return {
        "kind": issue.holder_kind,
        "holder": held.name,
        "person": held.number,
        "issued_at_s": issue.issued_at_s,
        "issued_by": issue.issued_by,
        "returned_at_s": issue.returned_at_s,
        "returned_by": issue.returned_by,
    }


def _device_document(story: Story) -> dict[str, object]:
    assert story.device is not None
    return {
        "chip": devices.short(story.device),
        "events": [event_document(event) for event in story.device_events],
        "before": [{"token": other.id, "state": other.state} for other in story.before],
    }


def answer_story(story: Story, step: Step, local: tzinfo) -> None:
    """In words and tables."""
    known, token = story.known, story.known.token
    is_known_by_state = step.value == token.state or step == Step.UNFINISHED
    at = "" if is_known_by_state else f", {step.value}"
    alarm = "" if token.alarm is None else f", alarm: {token.alarm}"
    answer(f"{token.label} ({token.role}), {token.state}{at}{alarm}.")
    if token.development:
        answer("It is a developer's board: its cable leads to a prompt, and so to its keys. Nobody should wear it.")
    answer(f"Provisioned {local_day_and_time(token.provisioned_at_s, local)}, last seen {seen(known, local)}.")
    if known.told is not None:
        flash = flash_use(known.told.flash_bytes, known.told.flash_free_bytes)
        answer(f"Then: battery {battery(known.told)}, flash {flash}, firmware {known.told.firmware}.")
    elif known.firmware is not None:
        answer(f"It was provisioned with firmware {known.firmware}.")
    if story.device is not None:
        answer(_board(story))
    answer("1 page of its log is here." if story.pages == 1 else f"{story.pages} pages of its log are here.")
    _answer_holders(story.issues, local)
    _answer_syncs(story, local)
    _answer_events(story, local)


def _board(story: Story) -> str:
    assert story.device is not None
    before = ", ".join(f"token {other.id} ({other.state})" for other in story.before)
    return f"Its chip's number ends in {devices.short(story.device)}; " + (
        f"before, this board was {before}." if before else "this board was no other token here."
    )


def _answer_holders(issues: Sequence[Held], local: tzinfo) -> None:
    rows = [
        (
            held.name or ERASED,
            held.number or held.row.holder_kind,
            local_day_and_time(held.row.issued_at_s, local),
            held.row.issued_by,
            NOTHING if held.row.returned_at_s is None else local_day_and_time(held.row.returned_at_s, local),
            held.row.returned_by or NOTHING,
        )
        for held in issues
    ]
    answer_table(("in the hands of", "", "since", "by", "until", "by"), rows, "It was never issued.")


def _answer_syncs(story: Story, local: tzinfo) -> None:
    rows = [
        (
            local_day_and_time(sync.started_s, local),
            f"{sync.state} (courier)" if sync.courier_id is not None else sync.state,
            sync.pages_new,
            clock(sync),
            battery(sync),
            sync.firmware or NOTHING,
        )
        for sync in story.syncs
    ]
    answer_table(("synced", "state", "new pages", "clock", "battery", "firmware"), rows, "It was never synced.")


def _answer_events(story: Story, local: tzinfo) -> None:
    """Of the board and of this token in one table, by time."""
    told: list[tuple[int, str, TokenEvent | DeviceEvent]] = [
        (event.at_s, f"board {event.event}", event) for event in story.device_events
    ]
    told += [(event.at_s, event.event, event) for event in story.events]
    rows = [
        (local_day_and_time(at_s, local), what, event.by, event.detail or "")
        for at_s, what, event in sorted(told, key=lambda one: one[0])
    ]
    answer_table(("when", "what", "by", "detail"), rows, "No events.")
