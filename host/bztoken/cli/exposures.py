"""`bztoken exposures`: who was near a case, in words for the person who makes the phone calls."""

from datetime import tzinfo
from typing import Annotated

import typer

from bztoken.cli.output import (
    DEFAULT_ZONE,
    Zone,
    answer,
    answer_json,
    answer_table,
    local_day_and_time,
    local_time,
    zone_named,
)
from bztoken.cli.registry import AsJson, reading_at_clinic
from bztoken.matching.rules import VERDICT_F1
from bztoken.registry.exposures import NamedExposure, list_exposures

app = typer.Typer(no_args_is_help=True, help="Show who was near a case.")


@app.command("list")
def list_all(
    ctx: typer.Context,
    case: Annotated[str | None, typer.Option("--case", help="Only this case.")] = None,
    zone: Zone = DEFAULT_ZONE,
    as_json: AsJson = False,
) -> None:
    """List the exposures of the latest `bztoken match`.

    F1 first, then those that were only noted.
    """
    local = zone_named(zone)
    with reading_at_clinic(ctx.obj) as session:
        found = list_exposures(session, case)
        documents = [_document(named) for named in found]
        rows = [_row(named, local) for named in found]
        calls = _who_to_call(found)
    if as_json:
        answer_json({"exposures": documents})
        return
    headings = ("case", "who", "day (UTC)", f"from - to ({zone})", "minutes", "close minutes", "band", "verdict")
    answer_table(headings, rows, "No exposures: run `bztoken match` after adding cases and logs.")
    for sentence in calls:
        answer(sentence)


def _who_to_call(found: list[NamedExposure]) -> list[str]:
    """One sentence a case: its close contacts, each once."""
    by_case: dict[str, dict[str, int]] = {}
    for named in found:
        if named.exposure.verdict == VERDICT_F1:
            minutes = by_case.setdefault(named.case, {})
            minutes[named.who] = minutes.get(named.who, 0) + named.exposure.close_minutes
    return [
        f"Close contacts (F1) of {case}: "
        + ", ".join(f"{who} ({spent} minutes)" for who, spent in people.items())
        + "."
        for case, people in by_case.items()
    ]


def _row(named: NamedExposure, zone: tzinfo) -> tuple[object, ...]:
    exposure = named.exposure
    first, last = local_day_and_time(exposure.first_s, zone), local_day_and_time(exposure.last_s, zone)
    span = f"{first} - {local_time(exposure.last_s, zone) if first[:10] == last[:10] else last}"
    return (
        named.case,
        named.who,
        exposure.day,
        span,
        exposure.minutes,
        exposure.close_minutes,
        exposure.band,
        exposure.verdict,
    )


def _document(named: NamedExposure) -> dict[str, object]:
    exposure = named.exposure
    attenuation_db = exposure.attenuation_db
    return {
        "case": named.case,
        "who": named.who,
        "day": exposure.day,
        "first_s": exposure.first_s,
        "last_s": exposure.last_s,
        "minutes": exposure.minutes,
        "close_minutes": exposure.close_minutes,
        "windows": exposure.windows,
        "rssi_max_dbm": exposure.rssi_max_dbm,
        "rssi_mean_dbm": round(exposure.rssi_mean_dbm, 1),
        "attenuation_db": None if attenuation_db is None else round(attenuation_db, 1),
        "band": exposure.band,
        "verdict": exposure.verdict,
        "rule": f"{exposure.rule} {exposure.rule_version}",
    }
