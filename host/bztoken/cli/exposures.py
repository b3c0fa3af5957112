"""`bztoken exposures`: who was near a case, in words for the person who makes the phone calls."""

import time
from datetime import tzinfo
from typing import Annotated

import typer

from bztoken.cli.output import DEFAULT_ZONE, Zone, answer, answer_json, answer_table, local_span, zone_named
from bztoken.cli.registry import AsJson
from bztoken.home import Home
from bztoken.matching.contacts import VERDICT_F2
from bztoken.matching.rules import VERDICT_F1
from bztoken.registry.database import open_registry
from bztoken.registry.exposures import NamedExposure, look_at_exposures
from bztoken.registry.models import Exposure

app = typer.Typer(no_args_is_help=True, help="Show who was near a case.")

_CALLED = {VERDICT_F1: "Close contacts (F1) of {case}", VERDICT_F2: "Contacts of contacts (F2) of {case}"}


@app.command("list")
def list_all(
    ctx: typer.Context,
    case: Annotated[str | None, typer.Option("--case", help="Only this case.")] = None,
    degree: Annotated[
        int | None, typer.Option("--degree", min=1, max=2, help="1: near the case itself; 2: near a contact of it.")
    ] = None,
    zone: Zone = DEFAULT_ZONE,
    as_json: AsJson = False,
) -> None:
    """List who was near; every look is recorded.

    As the latest `bztoken match` found it: F1 first, then F2, then those that were only noted, and places.
    A day ends at midnight UTC, 7:00 in Vietnam: minutes over that moment are counted in two days.
    """
    local = zone_named(zone)
    home: Home = ctx.obj
    home.require_clinic()
    with open_registry(home) as registry, registry.write() as session:
        found = look_at_exposures(session, int(time.time()), case, degree)
    if as_json:
        answer_json({"exposures": [_document(named) for named in found]})
        return
    headings = (
        "case",
        "who",
        "day (UTC)",
        f"from - to ({zone})",
        "minutes",
        "close minutes",
        "windows",
        "RSSI max, mean",
        "band",
        "verdict",
        "via",
    )
    rows = [_row(named, local) for named in found]
    answer_table(headings, rows, "No exposures: run `bztoken match` after adding cases and logs.")
    for sentence in (*_who_to_call(found, VERDICT_F1), *_who_to_call(found, VERDICT_F2), *_rules(found)):
        answer(sentence)


def _who_to_call(found: list[NamedExposure], verdict: str) -> list[str]:
    """One sentence a case: its contacts with this verdict, each once."""
    by_case: dict[str, dict[str, int]] = {}
    for named in found:
        if named.exposure.verdict == verdict:
            minutes = by_case.setdefault(named.case, {})
            minutes[named.who] = minutes.get(named.who, 0) + named.exposure.close_minutes
    return [
        f"{_CALLED[verdict].format(case=case)}: "
        + ", ".join(f"{who} ({spent} minutes)" for who, spent in people.items())
        + "."
        for case, people in by_case.items()
    ]


def _rules(found: list[NamedExposure]) -> list[str]:
    rules = sorted({_rule(named.exposure) for named in found})
    return [f"By the rule {' and '.join(rules)}; RSSI in dBm, corrected by the board."] if rules else []


def _rule(exposure: Exposure) -> str:
    return f"{exposure.rule} {exposure.rule_version}"


def _row(named: NamedExposure, zone: tzinfo) -> tuple[object, ...]:
    exposure = named.exposure
    return (
        named.case,
        named.who,
        exposure.day,
        local_span(exposure.first_s, exposure.last_s, zone),
        exposure.minutes,
        exposure.close_minutes,
        exposure.windows,
        f"{exposure.rssi_max_dbm}, {exposure.rssi_mean_dbm:.0f}",
        _band(exposure),
        exposure.verdict,
        "" if named.via is None else named.via.name,
    )


def _band(exposure: Exposure) -> str:
    """With what it may as well be; exposures of older versions do not tell that."""
    if exposure.nearest is None or exposure.nearest == exposure.farthest:
        return exposure.band
    return f"{exposure.band}, {exposure.nearest} to {exposure.farthest}"


def _document(named: NamedExposure) -> dict[str, object]:
    exposure = named.exposure
    return {
        "case": named.case,
        "who": named.who,
        "person": named.whose.number,
        "label": named.whose.label,
        "day": exposure.day,
        "first_s": exposure.first_s,
        "last_s": exposure.last_s,
        "minutes": exposure.minutes,
        "close_minutes": exposure.close_minutes,
        "windows": exposure.windows,
        "rssi_max_dbm": exposure.rssi_max_dbm,
        "rssi_mean_dbm": round(exposure.rssi_mean_dbm, 1),
        "attenuation_db": _rounded(exposure.attenuation_db),
        "attenuation_off_db": _rounded(exposure.attenuation_off_db),
        "band": exposure.band,
        "nearest": exposure.nearest,
        "farthest": exposure.farthest,
        "verdict": exposure.verdict,
        "degree": named.degree,
        "via": None if named.via is None else named.via.name,
        "rule": _rule(exposure),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
