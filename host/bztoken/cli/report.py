"""`bztoken report`: what units are asked to report."""

import time
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from bztoken.calendar_days import day_typed
from bztoken.cli.output import answer, answer_json, answer_table
from bztoken.cli.registry import AsJson
from bztoken.home import Home
from bztoken.out_files import require_writable, write_whole
from bztoken.registry.database import open_registry
from bztoken.report import rollout as reports
from bztoken.report.rollout import Rollout
from bztoken.report.rollout_document import document
from bztoken.report.rollout_files import SUFFIXES, form_of, whole_file
from bztoken.report.rollout_tables import Tables, tables, written
from bztoken.report.rollout_words import Language, words_in

app = typer.Typer(no_args_is_help=True, help="Reports of the roll-out.")


@app.callback()
def _only_to_be_a_group() -> None:
    """Without this, `bztoken report` would be the one command itself."""


@app.command()
def rollout(
    ctx: typer.Context,
    out: Annotated[
        Path | None, typer.Option("--out", help=f"File to write ({', '.join(SUFFIXES)}); without it, shown here.")
    ] = None,
    language: Annotated[Language, typer.Option("--lang", help="Language of the report.")] = Language.VIETNAMESE,
    day: Annotated[str | None, typer.Option("--day", help="As of the end of which day; without it today.")] = None,
    first: Annotated[
        str | None, typer.Option("--from", help="First day of the period of cases; without it from the beginning.")
    ] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last day of the period; without it as --day.")] = None,
    as_json: AsJson = False,
) -> None:
    """Report how tokens and tracing are going.

    Tokens by commune, agency and kind of site, coverage of the old, cases and contacts traced.

    Days are those of Vietnam. The report names no person and no token.
    """
    home: Home = ctx.obj
    home.require_clinic()
    now_s = int(time.time())
    scope = reports.scope_of(_day(day, "--day"), _day(first, "--from"), _day(last, "--to"), now_s)
    form = None if out is None else form_of(out)
    if out is not None:
        home.require_outside(out)
        require_writable(out)
    with open_registry(home) as registry, registry.write() as session:
        report = reports.collect(session, scope, now_s)
        made = tables(report, words_in(language))
        reports.record(session, scope, now_s, form)
        if out is not None and form is not None:
            write_whole(out, whole_file(form, report, made))
    if as_json:
        answer_json({"file": None if out is None else str(out), "language": language.value, **document(report)})
    elif out is None:
        _show(report, made)
    else:
        answer(f"Wrote {out}: {_in_short(report)}.")


def _day(text: str | None, option: str) -> date | None:
    found = None if text is None else day_typed(text)
    if text is not None and found is None:
        raise typer.BadParameter("this is no day like 2026-11-24", param_hint=option)
    return found


def _in_short(report: Rollout) -> str:
    total, traced = report.total, report.tracing
    return (
        f"tokens issued {total.issued}, active {total.active}, lost {total.lost}; cases {traced.cases}, "
        f"F1 {traced.f1.found}, F2 {traced.f2.found}"
    )


def _show(report: Rollout, made: Tables) -> None:
    words = made.words
    for line in (made.title, *made.lines):
        answer(line)
    for table in made.units:
        answer(f"\n{table.title}")
        rows = [
            [written(cell, column.form, words) for cell, column in zip(row, table.columns, strict=True)]
            for row in [*table.rows, table.total]
        ]
        answer_table([column.heading for column in table.columns], rows, "")
    for facts in (made.summary, made.cases):
        answer("")
        for fact in facts:
            answer(f"{fact.label}: {written(fact.value, fact.form, words)}")
