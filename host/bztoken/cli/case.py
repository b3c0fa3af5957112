"""`bztoken case`: record infected people (F0), list and show them, take one back; never their keys."""

import time
from typing import Annotated

import typer

from bztoken.cli import case_add, case_code, case_export
from bztoken.cli.output import DEFAULT_ZONE, Zone, answer, answer_json, answer_table, local_day_and_time, zone_named
from bztoken.cli.registry import AsJson
from bztoken.formats import key_digest
from bztoken.home import Home
from bztoken.registry import audit, cases, permissions
from bztoken.registry.database import Registry, open_registry
from bztoken.tracing import case_record
from bztoken.tracing.case_record import Shown

app = typer.Typer(no_args_is_help=True, help="Record infected people (F0), authorise, show and withdraw them.")
app.command("add")(case_add.add)
app.command("inspect")(case_add.inspect)
app.command("authorise")(case_code.authorise)
app.command("confirm")(case_code.confirm)
app.command("export")(case_export.export)

Name = Annotated[str, typer.Argument(help="Name of the case.")]


@app.command("list")
def list_cases(ctx: typer.Context, zone: Zone = DEFAULT_ZONE, as_json: AsJson = False) -> None:
    """List the cases, never their keys."""
    local = zone_named(zone)
    with _registry(ctx.obj) as registry, registry.write() as session:
        found = cases.counted(session)
        audit.record(session, audit.Action.LOOK, audit.What.CASE, int(time.time()), None, "list")
    if as_json:
        answer_json(
            {
                "cases": [
                    {
                        "case": one.case.name,
                        "source": one.case.source,
                        "recorded_at_s": one.case.recorded_at_s,
                        "keys": one.keys,
                        "ids": one.ids,
                        "state": one.case.state,
                        "first_day": one.case.first_day,
                        "last_day": one.case.last_day,
                    }
                    for one in found
                ]
            }
        )
        return
    rows = [
        (
            one.case.name,
            one.case.source,
            local_day_and_time(one.case.recorded_at_s, local),
            _window_text(one.case.first_day, one.case.last_day),
            one.keys,
            one.ids or "",
            one.case.state,
        )
        for one in found
    ]
    headings = ("case", "source", f"recorded ({zone})", "window (UTC days)", "day keys", "IDs", "state")
    answer_table(headings, rows, "No cases are recorded.")


@app.command()
def show(ctx: typer.Context, name: Name, zone: Zone = DEFAULT_ZONE, as_json: AsJson = False) -> None:
    """Show a case, never its keys.

    Window, source, number of keys, codes, who did what and when. That somebody looked is recorded.
    """
    local = zone_named(zone)
    with _registry(ctx.obj) as registry, registry.write() as session:
        found = case_record.show(session, name, int(time.time()))
    if as_json:
        answer_json(_shown_document(found))
        return
    rows = [(name, value) for name, value in _shown_document(found).items() if not name.endswith("_s")]
    rows = [(name.replace("_", " "), value) for name, value in rows if name not in ("codes", "digest", "said")]
    rows.append(("recorded", local_day_and_time(found.case.recorded_at_s, local)))
    if found.case.ended_at_s is not None:
        rows.append(("withdrawn", local_day_and_time(found.case.ended_at_s, local)))
    if found.case.key_digest is not None:
        rows.append(("digest", key_digest.said(found.case.key_digest)))
    rows += [
        ("code", f"{state}, drawn {local_day_and_time(row.drawn_at_s, local)} by {row.drawn_by}")
        for row, state in found.codes
    ]
    answer_table(("", found.case.name), [row for row in rows if row[1] not in (None, "")], "")


@app.command()
def withdraw(
    ctx: typer.Context,
    name: Name,
    reason: Annotated[str, typer.Option("--reason-code", help=f"Why: {', '.join(case_record.REASONS)}.")],
    as_json: AsJson = False,
) -> None:
    """Take a case back.

    Its keys, and everything that was found through them, are deleted. Whoever was told already stays on the
    follow-up list, to be told that it no longer holds.
    """
    with _registry(ctx.obj) as registry, registry.write() as session:
        permissions.require(session, permissions.RECORD_CASE)
        case = cases.by_known_name(session, name)
        case_record.withdraw(session, case, reason, int(time.time()))
    if as_json:
        answer_json({"case": case.name, "state": case.state})
    else:
        answer(f"Withdrew case {case.name}: its keys and what followed from them are deleted.")


def _registry(home: Home) -> Registry:
    home.require_clinic()
    return open_registry(home)


def _window_text(first_day: str | None, last_day: str | None) -> str:
    return "" if first_day is None else f"{first_day} to {last_day}"


def _shown_document(found: Shown) -> dict[str, object]:
    case = found.case
    return {
        "case": case.name,
        "state": case.state,
        "source": case.source,
        "person": found.person,
        "report_type": case.report_type,
        "onset_day": case.onset_day,
        "test_day": case.test_day,
        "first_day": case.first_day,
        "last_day": case.last_day,
        "keys": found.keys,
        "ids": found.ids,
        "recorded_at_s": case.recorded_at_s,
        "recorded_by": case.recorded_by,
        "ended_at_s": case.ended_at_s,
        "ended_by": case.ended_by,
        "digest": None if case.key_digest is None else case.key_digest.hex(),
        "said": None if case.key_digest is None else key_digest.said(case.key_digest),
        "codes": [
            {
                "state": state,
                "drawn_by": row.drawn_by,
                "drawn_at_s": row.drawn_at_s,
                "expires_at_s": row.expires_at_s,
                "used_at_s": row.used_at_s,
                "used_by": row.used_by,
                "wrong_tries": row.wrong_tries,
            }
            for row, state in found.codes
        ],
    }
