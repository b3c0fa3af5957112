"""`bztoken score`: runs the published risk cases of the Corona-Warn-App, to show that our arithmetic is theirs."""

from pathlib import Path
from typing import Annotated

import typer

from bztoken import scoring
from bztoken.cli.output import answer, answer_json, answer_table
from bztoken.cli.registry import AsJson
from bztoken.scoring.about import DayJudged
from bztoken.scoring.case_file import CaseFile, RiskCase, RiskOutcome, read_cases, run_case
from bztoken.scoring.cwa import Cwa
from bztoken.scoring.cwa_configuration import LEVELS

EXIT_FAILED = 1
BASE = "cwa-1.15"  # what a file's configuration does not say comes from it


def score(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Cases in the format of the Corona-Warn-App (JSON).")],
    preset: Annotated[
        str | None,
        typer.Option("--preset", help="Judge by this preset instead of the file's own configuration."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Judge published risk cases and compare.

    Prints each day's result and holds it against what the file expects; exit code 1 when a case fails. By a preset with
    other numbers than the file's it only prints: what the file expects is not meant for those.
    """
    cases = read_cases(file)
    chosen = scoring.load(BASE if preset is None else preset)
    if isinstance(chosen, Cwa) and (preset is None or chosen.configuration == cases.configuration):
        _compare(chosen.with_configuration(cases.configuration), cases, as_json)
    else:
        _judge(chosen, cases, as_json)


def _compare(preset: Cwa, cases: CaseFile, as_json: bool) -> None:
    outcomes = [run_case(preset, case) for case in cases.cases]
    failed = sum(not outcome.passed for outcome in outcomes)
    pairs = list(zip(cases.cases, outcomes, strict=True))
    if as_json:
        documents = [_document(case, outcome) for case, outcome in pairs]
        answer_json({"passed": len(outcomes) - failed, "failed": failed, "cases": documents})
    else:
        rows = [row for number, (case, outcome) in enumerate(pairs, 1) for row in _rows(number, case, outcome)]
        answer_table(("case", "what it is about", "age (days)", "normalised min", "risk", "as expected"), rows, "")
        for number, (case, outcome) in enumerate(pairs, 1):
            for sentence in _differences(number, case, outcome):
                answer(sentence)
        answer(f"{len(outcomes) - failed} of {len(outcomes)} cases are as expected.")
    if failed:
        raise typer.Exit(EXIT_FAILED)


def _rows(number: int, case: RiskCase, outcome: RiskOutcome) -> list[tuple[object, ...]]:
    verdict = "yes" if outcome.passed else "NO"
    days: list[tuple[object, ...]] = [
        (day.age_days, f"{day.normalized_minutes:.1f}", LEVELS.get(day.level or 0, "-")) for day in outcome.days
    ]
    first, *others = days or [("-", "-", "-")]
    return [(number, case.description, *first, verdict), *(("", "", *day, "") for day in others)]


def _differences(number: int, case: RiskCase, outcome: RiskOutcome) -> list[str]:
    return [
        f"Case {number}: {name.replace('_', ' ')} is {_shown(outcome.got[name])}, expected is {_shown(value)}."
        for name, value in case.expected.items()
        if outcome.got[name] != value
    ]


def _shown(value: int | None) -> str:
    return "none" if value is None else str(value)


def _document(case: RiskCase, outcome: RiskOutcome) -> dict[str, object]:
    days = [
        {"age_days": day.age_days, "normalized_minutes": day.normalized_minutes, "risk_level": day.level}
        for day in outcome.days
    ]
    return {
        "description": case.description,
        "passed": outcome.passed,
        "days": days,
        "expected": dict(case.expected),
        "got": dict(outcome.got),
    }


def _judge(preset: scoring.Described, cases: CaseFile, as_json: bool) -> None:
    judged = [(case, preset.judge(case.windows)) for case in cases.cases]
    if as_json:
        documents = [
            {"description": case.description, "passed": None, "days": [_judged(day) for day in days]}
            for case, days in judged
        ]
        answer_json({"preset": preset.name, "passed": None, "failed": None, "cases": documents})
        return
    rows = [
        (number if at == 0 else "", case.description if at == 0 else "", *_day_cells(day))
        for number, (case, days) in enumerate(judged, 1)
        for at, day in enumerate([*days] or [None])
    ]
    answer_table(("case", "what it is about", "age (days)", "minutes", "level"), rows, "")
    answer(
        f"Judged by {preset.name}, and compared with nothing: what the file expects is meant for its own configuration."
    )


def _judged(day: DayJudged) -> dict[str, object]:
    return {"age_days": day.age_days, "minutes": round(day.minutes, 2), "level": day.level}


def _day_cells(day: DayJudged | None) -> tuple[object, object, object]:
    return ("-", "-", "-") if day is None else (day.age_days, f"{day.minutes:.1f}", day.level or "-")
