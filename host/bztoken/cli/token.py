"""`bztoken token`: what the registry knows of its tokens, which of them are due, and one token's story."""

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from enum import StrEnum
from typing import Annotated

import typer
from sqlalchemy.orm import Session

from bztoken import token_life
from bztoken.cli import token_change
from bztoken.cli import token_life as token_hands
from bztoken.cli.output import DEFAULT_ZONE, Zone, answer, answer_json, answer_table, zone_named
from bztoken.cli.registry import AsJson, reading_at_clinic
from bztoken.cli.selftest import selftest
from bztoken.cli.settings import settings
from bztoken.cli.status import answer_status
from bztoken.cli.status import document as status_document
from bztoken.cli.token_advice import advice
from bztoken.cli.token_story import answer_story, story_document
from bztoken.cli.token_view import document, headings, row, seen
from bztoken.errors import LinkError
from bztoken.home import Home
from bztoken.people import person_desk
from bztoken.registry import issues, last_known, tokens
from bztoken.registry.database import Registry, open_registry
from bztoken.registry.models import TokenIssue
from bztoken.token_care import read_status
from bztoken.token_life import Step
from bztoken.token_status import TokenStatus
from bztoken.tokens_due import DEFAULT_DAYS, Due
from bztoken.tokens_due import due as find_due

SYNCS_SHOWN = 10

app = typer.Typer(no_args_is_help=True, help="Care of tokens: list, issue, wipe, revoke and more.")
app.command("config")(settings)
app.command("selftest")(selftest)
app.command("locate")(token_change.locate)
app.command("wipe")(token_change.wipe)
app.command("reissue")(token_change.reissue)
app.command("revoke")(token_change.revoke)
app.command("restore")(token_change.restore)
app.command("issue")(token_hands.issue)
app.command("return")(token_hands.give_back)
app.command("lost")(token_hands.lost)
app.command("found")(token_hands.found)


class State(StrEnum):
    """What a token is to this registry."""

    PENDING = tokens.STATE_PENDING
    ACTIVE = tokens.STATE_ACTIVE
    REVOKED = tokens.STATE_REVOKED
    WIPED = tokens.STATE_WIPED


@app.command("list")
def list_tokens(
    ctx: typer.Context,
    state: Annotated[State | None, typer.Option("--state", help="Only tokens in this state.")] = None,
    step: Annotated[Step | None, typer.Option("--step", help="Only tokens at this step of their life.")] = None,
    held_by: Annotated[
        str | None,
        typer.Option("--held-by", help="Only tokens in the hands of this person (number, or name) or place."),
    ] = None,
    zone: Zone = DEFAULT_ZONE,
    as_json: AsJson = False,
) -> None:
    """List the tokens and how each was when it was last synced."""
    home: Home = ctx.obj
    local = zone_named(zone)
    with open_registry(home) as registry, _looking(registry, held_by is not None) as session:
        found = last_known.of_tokens(session, None if state is None else state.value)
        pages = last_known.pages_stored(session)
        steps = token_life.steps(session, [known.token for known in found])
        held = None if held_by is None else issues.held_by(session, held_by)
        person_desk.note_looks(session, _holders(held or {}), int(time.time()), "as holders of tokens")
    found = [
        known
        for known in found
        if (step is None or steps[known.token.id] == step) and (held is None or known.token.id in held)
    ]
    if as_json:
        listed = [document(known, steps[known.token.id], pages.get(known.token.id, 0)) for known in found]
        answer_json({"tokens": listed})
        return
    rows = [row(known, steps[known.token.id], pages.get(known.token.id, 0), local) for known in found]
    answer_table(headings(zone), rows, _nothing(state, step, held_by))


def _nothing(state: State | None, step: Step | None, held_by: str | None) -> str:
    if state is None and step is None and held_by is None:
        return "No tokens are registered."
    what = " and ".join(word.value for word in (state, step) if word is not None)
    return "No token is " + (what or "in these hands") + (" and in these hands." if what and held_by else ".")


@app.command()
def due(
    ctx: typer.Context,
    days: Annotated[
        int, typer.Option("--days", min=1, max=365, help="A token should be seen that often.")
    ] = DEFAULT_DAYS,
    zone: Zone = DEFAULT_ZONE,
    as_json: AsJson = False,
) -> None:
    """List the tokens that need something done.

    Most urgent first: why, and what to do.
    """
    local = zone_named(zone)
    with reading_at_clinic(ctx.obj) as session:
        found = find_due(last_known.of_tokens(session), int(time.time()), days)
    if as_json:
        answer_json({"due": [_due_document(one) for one in found]})
        return
    rows = [(one.known.token.label, seen(one.known, local), " ".join(advice(one))) for one in found]
    answer_table(("label", f"last seen ({zone})", "what to do"), rows, "No token is due.")


@app.command()
def show(
    ctx: typer.Context,
    label: Annotated[str, typer.Argument(help="Label of the token.")],
    port: Annotated[str | None, typer.Option("--port", help="Ask it, too: serial port of this token.")] = None,
    zone: Zone = DEFAULT_ZONE,
    as_json: AsJson = False,
) -> None:
    """Show one token: who has it, what happened to it.

    Also its last syncs; with --port how it is now.
    """
    home: Home = ctx.obj
    local = zone_named(zone)
    with open_registry(home) as registry, registry.write() as session:  # the look at its holders is recorded
        token = tokens.by_known_label(session, label)
        story = last_known.story_of(session, token, SYNCS_SHOWN)
        step = token_life.step_of(session, token)
        held = {held.row.id: held.row for held in story.issues}
        person_desk.note_looks(session, _holders(held), int(time.time()), f"as holders of token {token.id}")
    status = None if port is None else _status_of(home, port, story.known.token.label)
    if as_json:
        now = {} if status is None else {"status": status_document(status)}
        answer_json({**story_document(story, step), **now})
        return
    answer_story(story, step, local)
    if status is not None:
        answer("Now:")
        answer_status(status, home.is_courier)


def _looking(registry: Registry, is_recorded: bool) -> AbstractContextManager[Session]:
    """A look at people is recorded, and that is a change; others wait for nobody."""
    return registry.write() if is_recorded else registry.read()


def _holders(rows: Mapping[int, TokenIssue]) -> list[int]:
    """The persons of these rows, each once."""
    return list(dict.fromkeys(row.person_id for row in rows.values() if row.person_id is not None))


def _status_of(home: Home, port: str, label: str) -> TokenStatus:
    found = read_status(home, port)
    if found.label != label:
        raise LinkError(f"The token at {port} is another one than the one with this label: look at the other ports.")
    return found


def _due_document(found: Due) -> dict[str, object]:
    reasons = [
        {"reason": reason.value, "advice": sentence}
        for reason, sentence in zip(found.reasons, advice(found), strict=True)
    ]
    return {
        "label": found.known.token.label,
        "last_seen_s": found.known.seen_s,
        "unseen_days": found.unseen_days,
        "reasons": reasons,
    }
