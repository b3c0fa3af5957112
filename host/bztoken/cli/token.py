"""`bztoken token`: what the registry knows of its tokens, which of them are due, and one token's story."""

import time
from datetime import tzinfo
from enum import StrEnum
from typing import Annotated

import typer

from bztoken.cli import token_change
from bztoken.cli.output import DEFAULT_ZONE, Zone, answer, answer_json, answer_table, local_day_and_time, zone_named
from bztoken.cli.registry import AsJson, reading_at_clinic
from bztoken.cli.selftest import selftest
from bztoken.cli.settings import settings
from bztoken.cli.status import answer_status, battery_in_words, flash_use
from bztoken.cli.status import document as status_document
from bztoken.cli.token_advice import advice
from bztoken.errors import LinkError
from bztoken.home import Home
from bztoken.registry import last_known, tokens
from bztoken.registry.database import open_registry
from bztoken.registry.last_known import LastKnown, Story
from bztoken.registry.models import Sync
from bztoken.token_care import read_status
from bztoken.token_status import TokenStatus
from bztoken.tokens_due import DEFAULT_DAYS, Due
from bztoken.tokens_due import due as find_due

SYNCS_SHOWN = 10
NOTHING = "-"

app = typer.Typer(no_args_is_help=True, help="Care of tokens: list them, see which are due, find, wipe, revoke.")
app.command("config")(settings)
app.command("selftest")(selftest)
app.command("locate")(token_change.locate)
app.command("wipe")(token_change.wipe)
app.command("reissue")(token_change.reissue)
app.command("revoke")(token_change.revoke)
app.command("restore")(token_change.restore)


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
    zone: Zone = DEFAULT_ZONE,
    as_json: AsJson = False,
) -> None:
    """List the tokens and how each was when it was last synced."""
    home: Home = ctx.obj
    local = zone_named(zone)
    with open_registry(home) as registry, registry.read() as session:
        found = last_known.of_tokens(session, None if state is None else state.value)
        pages = last_known.pages_stored(session)
    if as_json:
        answer_json({"tokens": [_document(known, pages.get(known.token.id, 0)) for known in found]})
        return
    rows = [_row(known, pages.get(known.token.id, 0), local) for known in found]
    headings = (
        "label",
        "role",
        "state",
        "alarm",
        "board",
        "firmware",
        f"last seen ({zone})",
        "battery",
        "pages",
        "clock",
    )
    answer_table(headings, rows, "No tokens are registered." if state is None else f"No token is {state}.")


@app.command()
def due(
    ctx: typer.Context,
    days: Annotated[
        int, typer.Option("--days", min=1, max=365, help="A token should be seen that often.")
    ] = DEFAULT_DAYS,
    zone: Zone = DEFAULT_ZONE,
    as_json: AsJson = False,
) -> None:
    """List the tokens that somebody should do something about, most urgent first: why, and what to do."""
    local = zone_named(zone)
    with reading_at_clinic(ctx.obj) as session:
        found = find_due(last_known.of_tokens(session), int(time.time()), days)
    if as_json:
        answer_json({"due": [_due_document(one) for one in found]})
        return
    rows = [(one.known.token.label, _seen(one.known, local), " ".join(advice(one))) for one in found]
    answer_table(("label", f"last seen ({zone})", "what to do"), rows, "No token is due.")


@app.command()
def show(
    ctx: typer.Context,
    label: Annotated[str, typer.Argument(help="Label of the token.")],
    port: Annotated[str | None, typer.Option("--port", help="Ask it, too: serial port of this token.")] = None,
    zone: Zone = DEFAULT_ZONE,
    as_json: AsJson = False,
) -> None:
    """Show one token: what the registry knows, its last syncs, what happened to it; with --port how it is now."""
    home: Home = ctx.obj
    local = zone_named(zone)
    with open_registry(home) as registry, registry.read() as session:
        story = last_known.story_of(session, tokens.by_known_label(session, label), SYNCS_SHOWN)
    status = None if port is None else _status_of(home, port, story.known.token.label)
    if as_json:
        now = {} if status is None else {"status": status_document(status)}
        answer_json({**_story_document(story), **now})
        return
    _answer_story(story, local)
    if status is not None:
        answer("Now:")
        answer_status(status, home.is_courier)


def _status_of(home: Home, port: str, label: str) -> TokenStatus:
    found = read_status(home, port)
    if found.label != label:
        raise LinkError(f"The token at {port} is another one than the one with this label: look at the other ports.")
    return found


def _document(known: LastKnown, pages: int) -> dict[str, object]:
    token, sync, told = known.token, known.sync, known.told
    return {
        "label": token.label,
        "role": token.role,
        "state": token.state,
        "alarm": token.alarm,
        "board": token.board,
        "provisioned_at_s": token.provisioned_at_s,
        "last_seen_s": known.seen_s,
        "pages": pages,
        "clock_offset_ms": None if sync is None else sync.clock_offset_ms,
        "firmware": None if told is None else told.firmware,
        "battery": None if told is None else told.battery_state,
        "battery_mv": None if told is None else told.battery_mv,
        "flash_bytes": None if told is None else told.flash_bytes,
        "flash_free_bytes": None if told is None else told.flash_free_bytes,
        "lost_results": None if told is None else told.lost_results,
        "drift_ppm": None if told is None else told.drift_ppm,
    }


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


def _story_document(story: Story) -> dict[str, object]:
    return {
        **_document(story.known, story.pages),
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
        "events": [
            {"at_s": event.at_s, "event": event.event, "by": event.by, "detail": event.detail} for event in story.events
        ],
    }


def _row(known: LastKnown, pages: int, local: tzinfo) -> tuple[object, ...]:
    token, told = known.token, known.told
    return (
        token.label,
        token.role,
        token.state,
        token.alarm or NOTHING,
        token.board,
        NOTHING if told is None else told.firmware,
        _seen(known, local),
        _battery(told),
        pages,
        _clock(known.sync),
    )


def _seen(known: LastKnown, local: tzinfo) -> str:
    return "never" if known.seen_s is None else local_day_and_time(known.seen_s, local)


def _battery(told: Sync | None) -> str:
    if told is None or told.battery_state is None:
        return NOTHING
    return battery_in_words(told.battery_state, told.battery_mv or 0)


def _clock(sync: Sync | None) -> str:
    """As the last sync found it."""
    if sync is None:
        return NOTHING
    if sync.clock_offset_ms is None:
        return "was not set"
    return f"{abs(sync.clock_offset_ms) / 1000:.1f} s off"


def _answer_story(story: Story, local: tzinfo) -> None:
    known, token = story.known, story.known.token
    alarm = "" if token.alarm is None else f", alarm: {token.alarm}"
    answer(f"{token.label} ({token.role}), {token.state}{alarm}.")
    answer(f"Handed out {local_day_and_time(token.provisioned_at_s, local)}, last seen {_seen(known, local)}.")
    if known.told is not None:
        flash = flash_use(known.told.flash_bytes, known.told.flash_free_bytes)
        answer(f"Then: battery {_battery(known.told)}, flash {flash}, firmware {known.told.firmware}.")
    answer("1 page of its log is here." if story.pages == 1 else f"{story.pages} pages of its log are here.")
    syncs = [
        (
            local_day_and_time(sync.started_s, local),
            f"{sync.state} (courier)" if sync.courier_id is not None else sync.state,
            sync.pages_new,
            _clock(sync),
            _battery(sync),
            sync.firmware or NOTHING,
        )
        for sync in story.syncs
    ]
    answer_table(("synced", "state", "new pages", "clock", "battery", "firmware"), syncs, "It was never synced.")
    happened = [
        (local_day_and_time(event.at_s, local), event.event, event.by, event.detail or "") for event in story.events
    ]
    answer_table(("when", "what", "by", "detail"), happened, "No events.")
