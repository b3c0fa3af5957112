"""`bztoken follow-up`: the work list of those who call contacts, the steps that they take, and what to tell them."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy.orm import Session

from bztoken.cli import follow_up_view as view
from bztoken.cli.output import DEFAULT_ZONE, Zone, answer, answer_json, answer_table, say, zone_named
from bztoken.cli.purge import purge_home_when_due
from bztoken.cli.registry import AsJson
from bztoken.home import Home
from bztoken.out_files import require_writable, write_whole
from bztoken.printing.notice_sheet import notice_sheet
from bztoken.registry import audit, follow_ups, labels
from bztoken.registry.audit import Action, What
from bztoken.registry.cases import by_known_name
from bztoken.registry.database import open_registry
from bztoken.registry.follow_ups import State, Step
from bztoken.tracing import follow_up_list, notice_texts
from bztoken.tracing.follow_up_list import Chosen, Contact
from bztoken.tracing.follow_up_steps import NO_ANSWER, NOT_REACHED, take
from bztoken.tracing.notice_texts import Language

app = typer.Typer(no_args_is_help=True, help="Contacts of cases: whom to call, what to tell them.")

Number = Annotated[int, typer.Argument(metavar="ITEM", help="Number of the contact, as the list shows it.")]
ANSWERED_BY_OTHERS = "somebody else answered"


class Shown(StrEnum):
    """Which contacts to list."""

    OPEN = State.OPEN.value
    REACHED = State.REACHED.value
    ADVISED = State.ADVISED.value
    TESTED = State.TESTED.value
    CLOSED = State.CLOSED.value
    WITHDRAWN = State.WITHDRAWN.value
    ALL = "all"


class Result(StrEnum):
    """Of a test."""

    POSITIVE = "positive"
    NEGATIVE = "negative"
    WAITING = "waiting"


@app.command("list")
def list_contacts(
    ctx: typer.Context,
    state: Annotated[
        Shown | None, typer.Option("--state", help="Only these, or all (default: those that need something done).")
    ] = None,
    case: Annotated[str | None, typer.Option("--case", help="Only contacts of this case.")] = None,
    mine: Annotated[bool, typer.Option("--mine", help="Only those with whom you took the last step.")] = False,
    zone: Zone = DEFAULT_ZONE,
    as_json: AsJson = False,
) -> None:
    """List whom to call.

    Most urgent first: those nobody has reached, F1 before F2, most close minutes, oldest. A person once, whatever
    number of cases.
    """
    local, now_s = zone_named(zone), int(time.time())
    purge_home_when_due(ctx.obj)
    with _changing(ctx.obj) as session:
        case_id = None if case is None else by_known_name(session, case).id
        wanted = None if state in (None, Shown.ALL) else State(str(state))
        found = follow_up_list.contacts(session, Chosen(wanted, case_id, mine, state == Shown.ALL))
        _note_looks(session, found, now_s)
    if as_json:
        answer_json({"contacts": [view.contact_document(one, now_s, local) for one in found]})
        return
    rows = [view.row(one, now_s, local) for one in found]
    answer_table(view.headings(zone), rows, _NOBODY if state is None and case is None and not mine else _NO_SUCH)
    for sentence in [*view.remarks(found), *([view.summary(found)] if found else [])]:
        answer(sentence)


_NOBODY = "Nobody is to be called: `bztoken match` puts contacts on this list, `--state all` shows those that are done."
_NO_SUCH = "There are no such contacts."


@app.command()
def show(ctx: typer.Context, item: Number, zone: Zone = DEFAULT_ZONE, as_json: AsJson = False) -> None:
    """Show one contact and all that was done."""
    local, now_s = zone_named(zone), int(time.time())
    with _changing(ctx.obj) as session:
        found = follow_up_list.contact_of(session, item)
        audit.record(session, Action.LOOK, What.CONTACT, now_s, item)
        _note_look(session, found, now_s)
    if as_json:
        answer_json(view.contact_document(found, now_s, local, with_steps=True))
    else:
        view.answer_story(found, now_s, local)


@app.command()
def call(
    ctx: typer.Context,
    item: Number,
    no_answer: Annotated[bool, typer.Option("--no-answer", help="Nobody answered; else: somebody else did.")] = False,
    as_json: AsJson = False,
) -> None:
    """Record a call that did not reach the person."""
    _take(ctx.obj, item, Step.CALLED, NO_ANSWER if no_answer else ANSWERED_BY_OTHERS, as_json)


@app.command()
def reached(ctx: typer.Context, item: Number, as_json: AsJson = False) -> None:
    """Record that somebody spoke with the person.

    Their token stops asking them to call at its next sync.
    """
    _take(ctx.obj, item, Step.REACHED, None, as_json)


@app.command()
def advised(ctx: typer.Context, item: Number, as_json: AsJson = False) -> None:
    """Record that the person was told what to do.

    Also that it no longer holds, where that was to be told.
    """
    _take(ctx.obj, item, Step.ADVISED, None, as_json)


@app.command()
def tested(
    ctx: typer.Context,
    item: Number,
    result: Annotated[Result, typer.Option("--result", help="What the test said.")],
    as_json: AsJson = False,
) -> None:
    """Record a test of the person."""
    _take(ctx.obj, item, Step.TESTED, result.value, as_json)
    if result == Result.POSITIVE:
        say("A positive test makes a case: a tracer records it with `bztoken case add`.")


@app.command()
def close(
    ctx: typer.Context,
    item: Number,
    not_reached: Annotated[
        bool, typer.Option("--not-reached", help="Give up, although nobody has reached the person.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Record that nothing more is to be done."""
    _take(ctx.obj, item, Step.CLOSED, NOT_REACHED if not_reached else None, as_json)


@app.command()
def reopen(ctx: typer.Context, item: Number, as_json: AsJson = False) -> None:
    """Take back that a contact was closed.

    It is again where it was before.
    """
    _take(ctx.obj, item, Step.REOPENED, None, as_json)


@app.command()
def text(
    ctx: typer.Context,
    item: Number,
    language: Annotated[Language, typer.Option("--lang", help="Language of the text.")] = Language.VIETNAMESE,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write it there instead: a page in large print (.pdf), or text.")
    ] = None,
    contact: Annotated[
        str, typer.Option("--contact", help="Whom to call; without it there is a line to write on.")
    ] = "",
    zone: Zone = DEFAULT_ZONE,
    as_json: AsJson = False,
) -> None:
    """Say what to tell the person, or hand over.

    Never who the case is, where or at what hour; the day only if many others were near.
    """
    local, now_s, whom = zone_named(zone), int(time.time()), labels.spelled(contact)
    if out is not None:
        home: Home = ctx.obj
        home.require_outside(out)
        require_writable(out)
    with _changing(ctx.obj) as session:
        found = follow_up_list.contact_of(session, item)
        words = notice_texts.for_contact(session, found, language, local)
        page = notice_sheet(words, whom) if out is not None and out.suffix == ".pdf" else words.plain(whom).encode()
        detail = f"version {words.version} in {language}, {words.kind}"
        follow_ups.note(session, found.first.row, Step.TEXT, now_s, detail)
        audit.record(session, Action.LOOK if out is None else Action.EXPORT, What.CONTACT, now_s, item, detail)
        _note_look(session, found, now_s)
    if out is not None:
        write_whole(out, page)
    if not words.is_reviewed:
        say(f"The wording is ours (version {words.version}); no native speaker has reviewed the Vietnamese yet.")
    if as_json:
        answer_json(view.text_document(item, words, whom, out))
    else:
        answer(words.plain(whom).rstrip() if out is None else f"Wrote {out}.")


def _take(home: Home, item: int, step: Step, detail: str | None, as_json: bool) -> None:
    with _changing(home) as session:
        taken = take(session, item, step, int(time.time()), detail)
        states = {row.id: row.state for row in taken}
    if as_json:
        document = {"step": step.value, "detail": detail}
        answer_json({**document, "items": [{"item": number, "state": state} for number, state in states.items()]})
        return
    numbers = ", ".join(map(str, states))
    same = " (the same person)" if len(states) > 1 else ""
    what = step.value if detail is None else f"{step.value}, {detail}"
    answer(f"Recorded for {numbers}{same}: {what}. {view.AFTER[step]}".rstrip())


def _note_looks(session: Session, contacts: list[Contact], now_s: int) -> None:
    audit.record(session, Action.LOOK, What.CONTACT, now_s, detail=f"list of {len(contacts)}")
    for one in contacts:
        _note_look(session, one, now_s)


def _note_look(session: Session, contact: Contact, now_s: int) -> None:
    """Somebody saw name and phone of a person."""
    if contact.person is not None:
        audit.record(session, Action.LOOK, What.PERSON, now_s, contact.person.id, "follow-up")


@contextmanager
def _changing(home: Home) -> Iterator[Session]:
    """A look is recorded too: everything here writes."""
    home.require_clinic()
    with open_registry(home) as registry, registry.write() as session:
        yield session
