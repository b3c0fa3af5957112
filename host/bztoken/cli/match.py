"""`bztoken match`: who was near a case, over the whole registry or between two loose files."""

import time
from pathlib import Path
from typing import Annotated

import typer

from bztoken.cli.output import answer, answer_json, answer_table, say
from bztoken.cli.purge import purge_when_due
from bztoken.cli.registry import AsJson
from bztoken.home import Home
from bztoken.matching.batch import BatchResult, run_batch
from bztoken.matching.files import FileExposure, match_files
from bztoken.matching.tolerance import CAP_S, DEFAULT_TOLERANCE_S
from bztoken.registry.database import open_registry


def match(
    ctx: typer.Context,
    case_list: Annotated[Path | None, typer.Option("--cases", help="Case list; needs --history, no registry.")] = None,
    history: Annotated[Path | None, typer.Option("--history", help="Contact history of a phone.")] = None,
    tolerance_min: Annotated[
        int,
        typer.Option(
            "--tolerance-min", min=0, max=1440, help="Minutes that clocks of which nothing is known may differ."
        ),
    ] = DEFAULT_TOLERANCE_S // 60,
    as_json: AsJson = False,
) -> None:
    """Find who was near a case.

    In the registry, or in one history (--cases and --history).
    """
    if (case_list is None) != (history is None):
        raise typer.BadParameter("--cases and --history go together; give both, or neither to match the registry")
    if case_list is not None and history is not None:
        _match_files(case_list, history, tolerance_min * 60, as_json)
    else:
        _match_registry(ctx.obj, tolerance_min * 60, as_json)


def _match_files(case_list: Path, history: Path, tolerance_s: int, as_json: bool) -> None:
    found = match_files(case_list, history, tolerance_s)
    if as_json:
        documents = [_document(exposure) for exposure in found.exposures]
        answer_json({"lines": found.lines, "sightings": found.sightings, "exposures": documents})
        return
    rows = [
        (
            exposure.case,
            exposure.day,
            exposure.score.minutes,
            exposure.score.close_minutes,
            exposure.score.band,
            exposure.score.verdict,
        )
        for exposure in found.exposures
    ]
    headings = ("entry", "day (UTC)", "minutes", "close minutes", "band", "verdict")
    answer_table(headings, rows, _nobody(found.lines))


def _nobody(lines: int) -> str:
    if lines == 0:
        return "The history holds no contacts at all, so it says nothing: check that it is the right file."
    return f"None of {lines} contacts was with a case of the list."


def _match_registry(home: Home, tolerance_s: int, as_json: bool) -> None:
    home.require_clinic()
    with open_registry(home) as registry:
        purge_when_due(registry)
        result = run_batch(registry, lambda: int(time.time()), tolerance_s, progress=_progress)
    if as_json:
        answer_json(result._asdict())
        return
    answer(
        f"{result.sightings} sightings on {result.days} days make {result.exposures} exposures "
        f"({result.removed} earlier ones no longer hold). Close contacts (F1): {result.first_contacts}, contacts of "
        f"contacts (F2): {result.second_contacts}. `bztoken exposures list` shows them, `bztoken follow-up list` whom "
        "to call."
    )
    if result.visits:
        answer(
            f"Visits to places with a token: {result.visits}. `bztoken visits list` shows those that matter to a case."
        )
    for sentence in _about_clocks(result, tolerance_s):
        answer(sentence)


def _about_clocks(result: BatchResult, tolerance_s: int) -> list[str]:
    """What the times of these sightings are worth, where it is less than usual."""
    found = []
    if result.unknown_clocks:
        found.append(
            f"{result.unknown_clocks} of the sightings are by tokens of whose clock nothing is known: they count up to "
            f"{tolerance_s // 60} minutes off. Sync these tokens to know more."
        )
    if result.bad_clocks:
        found.append(
            f"{result.bad_clocks} of the sightings are by tokens whose clock may have been more than "
            f"{tolerance_s // 60} minutes off: they count up to {max(CAP_S, tolerance_s) // 3600} hours off, so ask "
            "these people whether the time can be right."
        )
    return found


def _progress(day: str, done: int, total: int) -> None:
    say(f"matched {day} ({done} of {total} days)")


def _document(exposure: FileExposure) -> dict[str, object]:
    score = exposure.score
    return {
        "case": exposure.case,
        "day": exposure.day,
        "minutes": score.minutes,
        "close_minutes": score.close_minutes,
        "windows": score.windows,
        "first_s": score.first_s,
        "last_s": score.last_s,
        "rssi_max_dbm": score.rssi_max_dbm,
        "rssi_mean_dbm": round(score.rssi_mean_dbm, 1),
        "attenuation_db": round(score.attenuation_db, 1),
        "attenuation_off_db": round(score.attenuation_off_db, 1),
        "band": score.band,
        "nearest": score.nearest,
        "farthest": score.farthest,
        "verdict": score.verdict,
    }
