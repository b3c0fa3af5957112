"""`bztoken visits`: who was at a place where a case was, for the person who makes the phone calls."""

import time
from datetime import datetime, timedelta, tzinfo
from typing import Annotated

import typer

from bztoken.cli.output import (
    DEFAULT_ZONE,
    Zone,
    answer,
    answer_json,
    answer_table,
    local_span,
    zone_named,
)
from bztoken.cli.registry import AsJson
from bztoken.home import Home
from bztoken.registry.database import open_registry
from bztoken.registry.visits import LONGEST_SPAN_S, Answer, NamedVisit, Question, look_at_visits

app = typer.Typer(no_args_is_help=True, help="Show who was at a place where a case was.")


@app.command("list")
def list_visits(
    ctx: typer.Context,
    site: Annotated[str, typer.Option("--site", help="The place, as `bztoken site list` shows it.")],
    case: Annotated[str, typer.Option("--case", help="The case that was there on that day.")],
    since: Annotated[str, typer.Option("--from", help='Local time, for example "2026-11-24 07:00".')],
    until: Annotated[str, typer.Option("--to", help="Local time, at most a day later.")],
    zone: Zone = DEFAULT_ZONE,
    as_json: AsJson = False,
) -> None:
    """List who was at a place in a span of time.

    Only for a case that was there on that day; every look is recorded.
    """
    local = zone_named(zone)
    question = _question(site, case, _time(since, "--from", local), _time(until, "--to", local), local)
    home: Home = ctx.obj
    home.require_clinic()
    with open_registry(home) as registry, registry.write() as session:
        found = look_at_visits(session, question, int(time.time()))
    if as_json:
        answer_json(_document(found, question))
        return
    spans = ", ".join(local_span(there.first_s, there.last_s, local) for there in found.presences)
    answer(f"The case was there: {spans} ({zone}).")
    headings = ("who", "number", f"from - to ({zone})", "minutes", "with the case")
    answer_table(headings, [_row(named, local) for named in found.visits], "Nobody else was there in that time.")


def _time(text: str, option: str, local: tzinfo) -> datetime:
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise typer.BadParameter(f'{option}: give a day and a time, for example "2026-11-24 07:00"') from error
    return found.astimezone(local) if found.tzinfo is not None else found.replace(tzinfo=local)


def _question(site: str, case: str, since: datetime, until: datetime, local: tzinfo) -> Question:
    from_s, to_s = int(since.timestamp()), int(until.timestamp())
    if not 0 < to_s - from_s <= LONGEST_SPAN_S:
        raise typer.BadParameter("--to must be later than --from, by a day at most")
    midnight = datetime(since.year, since.month, since.day, tzinfo=local)
    last = until - timedelta(seconds=1)
    next_midnight = datetime(last.year, last.month, last.day, tzinfo=local) + timedelta(days=1)
    return Question(site, case, from_s, to_s, int(midnight.timestamp()), int(next_midnight.timestamp()))


def _row(named: NamedVisit, zone: tzinfo) -> tuple[object, ...]:
    visit, who = named.visit, named.whose
    span = local_span(visit.first_s, visit.last_s, zone)
    return who.name, who.number or "", span, visit.minutes, "yes" if named.overlaps else "no"


def _document(found: Answer, question: Question) -> dict[str, object]:
    return {
        "case": found.case.name,
        "site": question.site,
        "from_s": question.from_s,
        "to_s": question.to_s,
        "presences": [there._asdict() for there in found.presences],
        "visits": [_visit_document(named) for named in found.visits],
    }


def _visit_document(named: NamedVisit) -> dict[str, object]:
    visit, who = named.visit, named.whose
    return {
        "who": who.name,
        "person": who.number,
        "label": who.label,
        "first_s": visit.first_s,
        "last_s": visit.last_s,
        "minutes": visit.minutes,
        "windows": visit.windows,
        "rssi_max_dbm": visit.rssi_max_dbm,
        "rssi_mean_dbm": round(visit.rssi_mean_dbm, 1),
        "overlaps": named.overlaps,
    }
