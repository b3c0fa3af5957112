"""`bztoken audit`: who looked at or changed what, and whether that is as it was written."""

import time
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Annotated

import typer

from bztoken.calendar_days import day_typed
from bztoken.cli.output import DEFAULT_ZONE, Zone, answer, answer_json, answer_table, local_day_and_time, zone_named
from bztoken.cli.registry import AsJson
from bztoken.home import Home
from bztoken.people import certificates
from bztoken.registry import audit_check, audit_search
from bztoken.registry.audit import Action, What
from bztoken.registry.audit_search import Wanted
from bztoken.registry.database import open_registry
from bztoken.registry.models import AuditEntry
from bztoken.registry.persons import number_of

app = typer.Typer(no_args_is_help=True, help="Who looked at or changed which person, case, key or export.")


@app.command()
def verify(
    ctx: typer.Context,
    certificate: Annotated[
        Path | None, typer.Option("--certificate", help="Say, too, whether this certificate is of this registry.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Look for entries that were changed or are missing.

    Walks the chain from the first to the last.

    A line a fault, with the entry's number, and exit 1.
    """
    home: Home = ctx.obj
    with open_registry(home) as registry, registry.read() as session:
        found = audit_check.verify(home, session)
        checked = None if certificate is None else certificates.check(session, certificate)
    is_right = not found.faults and (checked is None or checked.problem is None)
    if as_json:
        document: dict[str, object] = {
            "whole": not found.faults,
            "entries": found.entries,
            "head": found.head.digest.hex(),
            "anchor": None if found.anchor is None else found.anchor.number,
            "faults": found.faults,
        }
        if checked is not None:
            problem = checked.problem
            document["certificate"] = {"entry": checked.entry, "valid": problem is None, "problem": problem}
        answer_json(document)
    else:
        _say(found, checked)
    if not is_right:
        raise typer.Exit(1)


Person = Annotated[str | None, typer.Option("--person", help="About this person: number, or whole name.")]
Case = Annotated[str | None, typer.Option("--case", help="About this case: name, or number of its row.")]
By = Annotated[str | None, typer.Option("--by", help="By this operator.")]
Thing = Annotated[What | None, typer.Option("--what", help="About this kind of thing.")]
Done = Annotated[Action | None, typer.Option("--action", help="Of this kind.")]
First = Annotated[str | None, typer.Option("--from", metavar="DAY", help="From this day, like 2026-11-24.")]
Last = Annotated[str | None, typer.Option("--to", metavar="DAY", help="To this day, which is included.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=1_000_000, help="The latest so many.")]


@app.command()
def show(
    ctx: typer.Context,
    person: Person = None,
    case: Case = None,
    by: By = None,
    what: Thing = None,
    action: Done = None,
    first: First = None,
    last: Last = None,
    limit: Limit = audit_search.DEFAULT_LIMIT,
    zone: Zone = DEFAULT_ZONE,
    as_json: AsJson = False,
) -> None:
    """Show entries, the latest last. The look is an entry, too.

    A person is shown by number; `bztoken person show` says who that is.
    """
    home: Home = ctx.obj
    home.require_clinic()
    local = zone_named(zone)
    from_s, to_s = _start_s(first, local, 0), _start_s(last, local, 1)
    wanted = Wanted(person, case, by, what, action, from_s, to_s, limit)
    with open_registry(home) as registry, registry.write() as session:
        found = audit_search.look(session, wanted, int(time.time()))
    if as_json:
        answer_json({"entries": [_document(entry) for entry in found]})
        return
    headings = ("entry", f"when ({zone})", "by", "role", "did", "to", "detail")
    answer_table(headings, [_row(entry, local) for entry in found], "No entry fits.")


def _row(entry: AuditEntry, local: tzinfo) -> tuple[object, ...]:
    when = local_day_and_time(entry.at_s, local)
    return entry.id, when, entry.by, entry.role, entry.action, _thing(entry), entry.detail or ""


def _say(found: audit_check.Verified, checked: certificates.Checked | None) -> None:
    for fault in found.faults:
        answer(f"{fault[0].upper()}{fault[1:]}.")
    if not found.faults:
        answer(f"The audit is whole: {found.entries:,} entries, the last one {found.head.digest.hex()}.")
    if checked is not None and checked.problem is None:
        answer(f"The certificate is of this registry, as it was made: entry {checked.entry}.")
    elif checked is not None:
        answer(f"The certificate is not to be trusted: {checked.problem}.")


def _start_s(day: str | None, zone: tzinfo, days_later: int) -> int | None:
    if day is None:
        return None
    typed = day_typed(day)
    if typed is None:
        raise typer.BadParameter("a day is written like 2026-11-24")
    try:
        begins = datetime(typed.year, typed.month, typed.day, tzinfo=zone) + timedelta(days=days_later)
        return int(begins.timestamp())
    except OverflowError:
        raise typer.BadParameter("this day is too far off") from None


def _thing(entry: AuditEntry) -> str:
    if entry.number is None:
        return entry.what
    is_person = entry.what in (What.PERSON, What.CONSENT)
    return f"{entry.what} {number_of(entry.number) if is_person else entry.number}"


def _document(entry: AuditEntry) -> dict[str, object]:
    return {
        "entry": entry.id,
        "at_s": entry.at_s,
        "by": entry.by,
        "role": entry.role,
        "action": entry.action,
        "what": entry.what,
        "number": entry.number,
        "detail": entry.detail,
        "digest": entry.digest.hex(),
    }
