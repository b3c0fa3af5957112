"""How `bztoken follow-up` shows contacts: a row of the list, one contact's story, the documents of --json."""

from collections.abc import Sequence
from datetime import UTC, tzinfo
from pathlib import Path

from bztoken.cli.output import answer, local_day_and_time
from bztoken.registry.follow_ups import Step
from bztoken.registry.models import FollowUpEvent
from bztoken.registry.whose import Kind
from bztoken.tracing.follow_up_list import Contact, Item
from bztoken.tracing.notice_texts import NoticeText

HEADINGS = ("item", "who", "call", "token or phone", "near", "min", "days", "state")

AFTER = {
    Step.CALLED: "Try again later.",
    Step.REACHED: "If they have a token, its light stops asking at its next sync. Next: advise.",
    Step.ADVISED: "",
    Step.TESTED: "",
    Step.CLOSED: "",
    Step.REOPENED: "",
}


def headings(zone: str) -> tuple[str, ...]:
    """Of the list."""
    return (*HEADINGS, f"last step ({zone})")


def row(contact: Contact, now_s: int, zone: tzinfo) -> tuple[object, ...]:
    """Of the list."""
    first = contact.first
    last, last_day = contact.last_step, contact.last_day(zone)
    return (
        first.row.id,
        who(contact),
        call(contact),
        contact.whose.label,
        near(contact),
        first.close_minutes,
        "" if last_day is None else last_day.ago(now_s),
        first.row.state + (f": {first.next}" if first.next else ""),
        "" if last is None else step_in_words(last, zone),
    )


def who(contact: Contact) -> str:
    """Name and number of the person, or what is known instead."""
    if contact.person is None:
        return f"{contact.whose.kind} {contact.whose.label}"
    return f"{contact.person.name} ({contact.whose.number})"


def call(contact: Contact) -> str:
    """The phone number and whose it is."""
    person = contact.person
    if person is None or not person.phone:
        return "?"
    if person.phone_of == "carer":
        return f"{person.phone} (carer {person.carer})" if person.carer else f"{person.phone} (a carer)"
    return f"{person.phone} (their own)"


def near(contact: Contact) -> str:
    """Degree of the most urgent item, and how many cases there are."""
    cases = len({item.row.case_id for item in contact.items if item.is_to_do or len(contact.items) == 1})
    return f"F{contact.first.row.degree}" + (f", {cases} cases" if cases > 1 else "")


def remarks(contacts: Sequence[Contact]) -> list[str]:
    """What is missing about whom."""
    return [f"{one.first.row.id}: {one.missing}." for one in contacts if one.missing is not None]


def summary(contacts: Sequence[Contact]) -> str:
    """How many there are, and what is next."""
    counts: dict[str, int] = {}
    for one in contacts:
        if one.first.next:
            counts[one.first.next] = counts.get(one.first.next, 0) + 1
    parts = ", ".join(f"{count} to {what}" for what, count in counts.items())
    people = "1 contact" if len(contacts) == 1 else f"{len(contacts)} contacts"
    return f"{people}: {parts}." if parts else f"{people}, nothing to do."


def step_in_words(event: FollowUpEvent, zone: tzinfo) -> str:
    """When, what, who."""
    what = event.step if event.detail is None else f"{event.step}, {event.detail}"
    return f"{local_day_and_time(event.at_s, zone)} {what} ({event.by})"


def answer_story(contact: Contact, now_s: int, zone: tzinfo) -> None:
    """One contact with all that was done."""
    answer(f"{who(contact)}, {contact.whose.label}. Call: {call(contact)}.")
    if contact.missing is not None:
        answer(f"Missing: {contact.missing}.")
    for item in contact.items:
        _answer_item(item, now_s, zone)


def _answer_item(item: Item, now_s: int, zone: tzinfo) -> None:
    last = item.last_day(zone)
    zoned = " (UTC)" if last is not None and last.zone is UTC else ""
    when = "" if last is None else f", last on {last.day}{zoned}, {_ago(last.ago(now_s))}"
    minutes = f", {item.close_minutes} close minutes" if item.close_minutes else ""
    answer(f"Item {item.row.id}: F{item.row.degree} of {item.case}{minutes}{when}. {item.row.state.capitalize()}.")
    for event in item.steps:
        answer(f"  {step_in_words(event, zone)}")
    if item.next:
        answer(f"  Next: {item.next}.")


def _ago(days: int) -> str:
    return {0: "today", 1: "yesterday"}.get(days, f"{days} days ago")


def contact_document(contact: Contact, now_s: int, zone: tzinfo, with_steps: bool = False) -> dict[str, object]:
    """Of one contact; days are those of the zone, of UTC where the hour has been deleted for its age."""
    person, first, last, last_day = contact.person, contact.first, contact.last_step, contact.last_day(zone)
    return {
        "item": first.row.id,
        "who": contact.whose.name,
        "kind": str(Kind(contact.whose.kind)),
        "person": contact.whose.number,
        "phone": None if person is None else person.phone,
        "phone_of": None if person is None else person.phone_of,
        "carer": None if person is None else person.carer,
        "label": contact.whose.label,
        "degree": first.row.degree,
        "close_minutes": first.close_minutes,
        "last_day": None if last_day is None else last_day.day.isoformat(),
        "days_since": None if last_day is None else last_day.ago(now_s),
        "state": first.row.state,
        "next": first.next or None,
        "missing": contact.missing,
        "last_step": None if last is None else _step_document(last),
        "items": [_item_document(item, zone, with_steps) for item in contact.items],
    }


def _item_document(item: Item, zone: tzinfo, with_steps: bool) -> dict[str, object]:
    last_day = item.last_day(zone)
    steps = {"steps": [_step_document(event) for event in item.steps]} if with_steps else {}
    return {
        "item": item.row.id,
        "case": item.case,
        "degree": item.row.degree,
        "state": item.row.state,
        "close_minutes": item.close_minutes,
        "last_day": None if last_day is None else last_day.day.isoformat(),
        "opened_at_s": item.row.opened_at_s,
        "reached_at_s": item.row.reached_at_s,
        "ended_at_s": item.row.ended_at_s,
        "next": item.next or None,
        **steps,
    }


def _step_document(event: FollowUpEvent) -> dict[str, object]:
    return {"at_s": event.at_s, "step": event.step, "by": event.by, "detail": event.detail}


def text_document(item: int, words: NoticeText, whom: str, out: Path | None) -> dict[str, object]:
    """Of a notice text."""
    return {
        "item": item,
        "kind": words.kind.value,
        "language": words.language.value,
        "version": words.version,
        "reviewed": words.is_reviewed,
        "day": None if words.day is None else words.day.isoformat(),
        "text": words.plain(whom),
        "file": None if out is None else str(out),
    }
