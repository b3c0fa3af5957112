"""`bztoken match`: who was near a case, over the registry, over a lake of many clinics, or between two loose files."""

import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bztoken.cli import match_lake
from bztoken.cli.match_lake import Asked
from bztoken.cli.output import answer, answer_json, answer_table, say
from bztoken.cli.purge import purge_when_due
from bztoken.cli.registry import AsJson
from bztoken.home import Home
from bztoken.matching.batch import run_batch
from bztoken.matching.engines.local import LocalEngine
from bztoken.matching.files import FileExposure, match_files
from bztoken.matching.run import Done
from bztoken.matching.tolerance import DEFAULT_TOLERANCE_S
from bztoken.registry.database import open_registry

_LONGEST_TOLERANCE_MIN = 1440  # a day: with more, an ID that is replayed the day after would be a meeting


class EngineName(StrEnum):
    """Where the matching runs."""

    LOCAL = match_lake.LOCAL
    SPARK = match_lake.SPARK


def match(
    ctx: typer.Context,
    cases: Annotated[
        list[Path] | None,
        typer.Option("--cases", help="Case list, or with --lake also a GAEN export; may be given several times."),
    ] = None,
    history: Annotated[
        Path | None, typer.Option("--history", help="Contact history of a phone, matched with one --cases.")
    ] = None,
    lake: Annotated[
        Path | None, typer.Option("--lake", help="Folder of `bztoken lake`, in place of the registry's sightings.")
    ] = None,
    tolerance_min: Annotated[
        int,
        typer.Option(
            "--tolerance-min",
            min=0,
            max=_LONGEST_TOLERANCE_MIN,
            help="Minutes that clocks of which nothing is known may differ.",
        ),
    ] = DEFAULT_TOLERANCE_S // 60,
    engine: Annotated[
        EngineName, typer.Option("--engine", help="This computer, or with --lake a Spark cluster.")
    ] = EngineName.LOCAL,
    master: Annotated[
        str | None, typer.Option("--master", help="Spark's address, for example spark://host:7077.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, max=256, help="Processes here; by default as many as help.")
    ] = None,
    public_key: Annotated[
        Path | None, typer.Option("--public-key", help="PEM of whoever must have signed the exports.")
    ] = None,
    unverified: Annotated[
        bool, typer.Option("--unverified", help="Take exports without a check of who signed.")
    ] = False,
    out: Annotated[Path | None, typer.Option("--out", help="With --lake: CSV of all exposures to write.")] = None,
    as_json: AsJson = False,
) -> None:
    """Find who was near a case.

    In the registry; in a lake of many clinics (--lake), for the keys of the registry or of files (--cases); or in
    one history (--cases and --history). A batch that was stopped goes on with the day it had come to.
    """
    files = cases or []
    _require_fitting(files, history, lake, engine, master, workers, out, public_key is not None or unverified)
    tolerance_s = tolerance_min * 60
    home: Home = ctx.obj
    if lake is not None:
        asked = Asked(
            lake, files, public_key, unverified, tolerance_s, engine, master or "local[*]", workers, out, as_json
        )
        match_lake.match_lake(home, asked, _progress)
    elif history is not None:
        _match_files(files[0], history, tolerance_s, as_json)
    else:
        _match_registry(home, tolerance_s, workers, as_json)


def _require_fitting(
    cases: list[Path],
    history: Path | None,
    lake: Path | None,
    engine: EngineName,
    master: str | None,
    workers: int | None,
    out: Path | None,
    about_exports: bool,
) -> None:
    """Raises a usage error for options of which one would be passed over in silence."""
    if lake is None and (len(cases) == 1) != (history is not None):
        raise typer.BadParameter(
            "--cases and --history go together, one of each; give neither to match the registry, or --lake DIR"
        )
    if lake is not None and history is not None:
        raise typer.BadParameter("--history is a source of its own: leave it or --lake out")
    if lake is None and (engine is EngineName.SPARK or out is not None or about_exports or len(cases) > 1):
        raise typer.BadParameter(
            "--engine spark, --out, --public-key, --unverified and several --cases go with --lake DIR"
        )
    if master is not None and engine is not EngineName.SPARK:
        raise typer.BadParameter("--master is Spark's: give --engine spark, too, or leave it out")
    if workers is not None and (engine is EngineName.SPARK or history is not None):
        raise typer.BadParameter("--workers are processes of this computer: leave it out here")
    if about_exports and not cases:
        raise typer.BadParameter("only an export in --cases has a signature: give one, or leave that option out")


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


def _match_registry(home: Home, tolerance_s: int, workers: int | None, as_json: bool) -> None:
    home.require_clinic()
    with open_registry(home) as registry:
        purge_when_due(registry)
        engine = LocalEngine(workers)
        result = run_batch(registry, lambda: int(time.time()), tolerance_s, progress=_progress, engine=engine)
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
    for sentence in match_lake.about_clocks(result.unknown_clocks, result.bad_clocks, tolerance_s):
        answer(sentence)


def _progress(done: Done) -> None:
    left = "" if done.left_s is None or done.done == done.total else f", about {_time(done.left_s)} left"
    before = " before, and nothing of it changed" if done.kept else ""
    say(f"matched {done.day}{before} ({done.done} of {done.total} days{left})")


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


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
