"""`bztoken score`: the published cases pass, a wrong expectation fails, a malformed file is told with the place."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.program import Program

from bztoken import scoring
from bztoken.errors import FormatError
from bztoken.scoring.case_file import CaseFile, RiskOutcome, read_cases, run_case
from bztoken.scoring.cwa import Cwa

CASES = Path(__file__).parent.parent / "data" / "risk" / "cwa_cases.json"
CWA = scoring.load("cwa-1.15")


def outcomes(cases: CaseFile, preset: scoring.Described = CWA) -> list[RiskOutcome]:
    assert isinstance(preset, Cwa)
    return [run_case(preset, case) for case in cases.cases]


def test_all_published_cases_come_out_as_expected_by_the_files_own_numbers() -> None:
    assert isinstance(CWA, Cwa)
    cases = read_cases(CASES)
    found = outcomes(cases, CWA.with_configuration(cases.configuration))
    assert [outcome.passed for outcome in found] == [True] * 12
    assert all(len(case.expected) == 7 for case in cases.cases)


def test_the_preset_has_the_numbers_of_the_file_and_passes_too() -> None:
    assert isinstance(CWA, Cwa)
    cases = read_cases(CASES)
    assert cases.configuration == CWA.configuration
    assert all(outcome.passed for outcome in outcomes(cases))


def test_other_numbers_would_not_pass() -> None:
    """The cases tell presets apart: the one before 1.15 fails some of them."""
    failed = [outcome for outcome in outcomes(read_cases(CASES), scoring.load("cwa-1.9")) if not outcome.passed]
    assert failed


Edit = Callable[[Any], object]


def edited(tmp_path: Path, edit: Edit) -> Path:
    document = json.loads(CASES.read_text())
    edit(document)
    path = tmp_path / "cases.json"
    path.write_text(json.dumps(document))
    return path


def case(document: Any, number: int) -> Any:
    return document["testCases"][number - 1]


def test_a_day_is_rounded_to_a_tenth_before_it_is_compared(tmp_path: Path) -> None:
    """536.5 s x 1 x 1.0 = 8.94 minutes are low, 537 s = 8.95 are 9.0 and high."""
    for seconds, high_days in ((536, 0), (537, 1)):
        path = edited(
            tmp_path,
            lambda it, seconds=seconds: case(it, 5)["exposureWindows"][0]["scanInstances"][0].update(
                secondsSinceLastScan=seconds
            ),
        )
        assert outcomes(read_cases(path))[4].got["days_with_high_risk"] == high_days


def test_time_before_the_first_scan_is_not_taken_away(tmp_path: Path) -> None:
    """A scan with less than no seconds counts nothing."""
    scan = {"minAttenuation": 30, "typicalAttenuation": 25, "secondsSinceLastScan": -5000}
    path = edited(tmp_path, lambda it: case(it, 1)["exposureWindows"][0]["scanInstances"].append(scan))
    assert outcomes(read_cases(path))[0].passed


def test_windows_of_more_than_ten_days_ago_are_left_out(tmp_path: Path) -> None:
    for age_days, days in ((10, 1), (11, 0)):
        path = edited(tmp_path, lambda it, age=age_days: case(it, 1)["exposureWindows"][0].update(ageInDays=age))
        assert len(outcomes(read_cases(path))[0].days) == days


def test_the_age_that_a_file_says_goes_before_the_presets(tmp_path: Path) -> None:
    assert isinstance(CWA, Cwa)
    path = edited(tmp_path, lambda it: it["defaultRiskCalculationConfiguration"].update(maxEncounterAgeInDays=0))
    cases = read_cases(path)
    assert not any(outcome.days for outcome in outcomes(cases, CWA.with_configuration(cases.configuration)))


def configuration(document: Any) -> Any:
    return document["defaultRiskCalculationConfiguration"]


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (lambda it: it.pop("testCases"), "testCases is missing"),
        (lambda it: it.update(testCases={}), "testCases is no list"),
        (lambda it: it.update(testCases=[]), "testCases is empty"),
        (lambda it: it.update(testCases=[7]), "case 1: this is no group of keys"),
        (lambda it: it.pop("defaultRiskCalculationConfiguration"), "defaultRiskCalculationConfiguration is missing"),
        (lambda it: configuration(it)["trlEncoding"].pop("infectiousnessOffsetHigh"), "trlEncoding: infectiousnessOff"),
        (
            lambda it: configuration(it)["minutesAtAttenuationWeights"][1].update(weight="1"),
            "defaultRiskCalculationConfiguration, weight 2: weight is no number",
        ),
        (lambda it: case(it, 3).pop("description"), "case 3: description is missing"),
        (lambda it: case(it, 3).update(description=3), "case 3: description is no text"),
        (lambda it: case(it, 7)["exposureWindows"][1].pop("reportType"), "case 7, window 2: reportType is missing"),
        (
            lambda it: case(it, 7)["exposureWindows"][1].update(reportType=9),
            "window 2: reportType is 9, and is at most 5",
        ),
        (
            lambda it: case(it, 7)["exposureWindows"][0].update(ageInDays=-1),
            "case 7, window 1: ageInDays is -1, and is at least 0",
        ),
        (lambda it: case(it, 7)["exposureWindows"][0].update(ageInDays=1.5), "ageInDays is no whole number"),
        (lambda it: case(it, 7)["exposureWindows"][0].update(infectiousness=True), "infectiousness is no number"),
        (
            lambda it: case(it, 2)["exposureWindows"][0]["scanInstances"][0].update(minAttenuation=None),
            "case 2, window 1, scan 1: minAttenuation is no number",
        ),
        (
            lambda it: case(it, 2)["exposureWindows"][0]["scanInstances"][0].update(secondsSinceLastScan=10**7),
            "scan 1: secondsSinceLastScan is 10000000, and is at most",
        ),
        (
            lambda it: case(it, 2)["exposureWindows"][0]["scanInstances"][0].update(minAttenuation=10**400),
            "scan 1: minAttenuation is no number that anybody measures",
        ),
        (
            lambda it: case(it, 2)["exposureWindows"][0]["scanInstances"][0].update(typicalAttenuation=float("nan")),
            "scan 1: typicalAttenuation is no number that anybody measures",
        ),
        (lambda it: case(it, 4).update(expLuck=1), "case 4: expLuck is an expectation that nobody here can check"),
        (lambda it: case(it, 4).update(expTotalRiskLevel="high"), "case 4: expTotalRiskLevel is no number"),
    ],
)
def test_a_malformed_file_is_told_with_the_place(edit: Edit, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=sentence):
        read_cases(edited(tmp_path, edit))


def test_a_case_that_expects_nothing_is_refused(tmp_path: Path) -> None:
    def empty(document: Any) -> None:
        for name in [name for name in case(document, 6) if name.startswith("exp") and name != "exposureWindows"]:
            del case(document, 6)[name]

    with pytest.raises(FormatError, match="case 6: nothing is expected of it"):
        read_cases(edited(tmp_path, empty))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "line 1: no JSON"),
        (b'{\n"testCases": [\n}', "line 3: no JSON"),
        (b"\xff\xfe\x00", "not UTF-8 text"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[]", "not a case file: there is no object at the top"),
        (b'{"defaultRiskCalculationConfiguration": {"minutesAtAttenuationFilters": NaN}}', "no list"),
    ],
)
def test_what_is_no_file_of_cases_is_refused(content: bytes, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "cases.json"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=sentence):
        read_cases(path)


def test_the_command_prints_the_days_and_counts_what_is_as_expected(cli: Program) -> None:
    ran = cli("score", CASES)
    assert (ran.code, ran.err) == (0, "")
    assert "12 of 12 cases are as expected." in ran.out
    assert "normalised min" in ran.out
    assert " m " not in ran.out  # never metres


def test_the_commands_json_has_days_expectations_and_results(cli: Program) -> None:
    for preset in ([], ["--preset", "cwa-1.15"]):
        ran = cli("score", CASES, "--json", *preset)
        document = ran.document()
        assert (ran.code, document["passed"], document["failed"], len(document["cases"])) == (0, 12, 0, 12)
        first = document["cases"][0]
        assert first["days"] == [{"age_days": 1, "normalized_minutes": 9.6, "risk_level": 2}]
        assert first["expected"] == first["got"]
        assert first["expected"]["total_risk_level"] == 2


def test_a_case_that_fails_is_told_and_ends_with_1(cli: Program, tmp_path: Path) -> None:
    path = edited(tmp_path, lambda it: case(it, 4).update(expTotalRiskLevel=2, expAgeOfMostRecentDateWithLowRisk=3))
    ran = cli("score", path)
    assert ran.code == 1
    assert "11 of 12 cases are as expected." in ran.out
    assert "Case 4: total risk level is 1, expected is 2." in ran.out
    assert "Case 4: age of most recent day with low risk is none, expected is 3." in ran.out
    document = cli("score", path, "--json").document()
    assert (document["passed"], document["failed"]) == (11, 1)
    assert [entry["passed"] for entry in document["cases"]].index(False) == 3


@pytest.mark.parametrize("preset", ["bluezone", "swisscovid", "lfph-wide", "cwa-1.9"])
def test_another_preset_is_compared_with_nothing_and_says_so(preset: str, cli: Program) -> None:
    ran = cli("score", CASES, "--preset", preset)
    assert ran.code == 0
    assert f"Judged by {preset}, and compared with nothing" in ran.out
    document = cli("score", CASES, "--preset", preset, "--json").document()
    assert (document["preset"], document["passed"], document["failed"]) == (preset, None, None)
    assert any(entry["days"] for entry in document["cases"])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere.json"], "nowhere.json: no such file"),
        ([CASES, "--preset", "strict"], "There is no preset 'strict'"),
    ],
)
def test_a_file_or_preset_that_is_not_there_is_told_in_one_sentence(
    arguments: list[object], sentence: str, cli: Program
) -> None:
    ran = cli("score", *arguments)
    assert ran.code == 1
    assert sentence in ran.err
    assert len(ran.err.splitlines()) == 1
