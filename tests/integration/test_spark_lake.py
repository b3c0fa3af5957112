"""`bztoken match --lake --engine spark`: what the other engine says of the same lake, and nothing beside it."""

from pathlib import Path

import pytest
from tests.case_desk import TRACER
from tests.host.conftest import new_registry
from tests.host.lake_world import YESTERDAY, ClinicOfLake, clinics
from tests.host.test_match_lake import of_lake, village
from tests.integration.spark_desk import SparkDesk, made_desk, worked_at
from tests.program import Program, Ran, program

from bztoken.matching.day import day_text
from bztoken.matching.engines.spark import SparkEngine
from bztoken.matching.run import Done
from bztoken.registry.database import open_registry

__all__ = ["clinics", "new_registry"]

pytestmark = pytest.mark.timeout(300)
ON_SPARK = ("--engine", "spark", "--master", "local[2]")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Program:
    monkeypatch.setenv("BZTOKEN_OPERATOR", TRACER)
    return program(monkeypatch, capfd)


@pytest.fixture
def clinic(clinics: list[ClinicOfLake]) -> ClinicOfLake:
    """A case, an F1, a visitor and a market, in a lake."""
    village(clinics[0])
    clinics[0].add("An")
    return clinics[0]


@pytest.fixture
def desk(tmp_path: Path) -> SparkDesk:
    return made_desk(tmp_path)


def matched(run: Program, desk: SparkDesk, clinic: ClinicOfLake, *engine: str) -> Ran:
    with worked_at(desk):
        ran = run(clinic.home.path, "match", "--lake", clinic.lake, "--json", *engine)
    assert desk.left() == []
    return ran


def test_spark_says_what_this_computer_says_and_nothing_beside(
    clinic: ClinicOfLake, run: Program, desk: SparkDesk
) -> None:
    here, on_spark = matched(run, desk, clinic), matched(run, desk, clinic, *ON_SPARK)
    assert here.code == on_spark.code == 0, on_spark.err
    told = on_spark.document()
    assert len(told["exposures"]) == 3 and len(told["visits"]) == 1
    assert {name: told[name] for name in ("exposures", "visits")} == {
        name: here.document()[name] for name in ("exposures", "visits")
    }
    *days, last = on_spark.err.splitlines()
    assert len(days) == 3 and all(line.startswith("matched 2026-") for line in days)
    assert last.startswith("starting took ")


def test_a_damaged_day_is_told_as_by_this_computer(clinic: ClinicOfLake, run: Program, desk: SparkDesk) -> None:
    (day_file,) = clinic.lake.rglob("*.parquet")
    day_file.write_bytes(day_file.read_bytes()[:-40])
    here, on_spark = matched(run, desk, clinic), matched(run, desk, clinic, *ON_SPARK)
    assert (on_spark.code, on_spark.out) == (here.code, here.out) == (1, "")
    assert on_spark.err.splitlines()[-1] == here.err.splitlines()[-1]
    assert here.err.splitlines()[-1].startswith("bztoken: 2026-")


def stop_when_it_is_kept(done: Done) -> None:
    """Days end in any order, and only those with sightings are kept."""
    if done.day == day_text(YESTERDAY):
        raise KeyboardInterrupt


def test_a_batch_that_was_stopped_on_spark_goes_on_anywhere(
    clinic: ClinicOfLake, desk: SparkDesk, capfd: pytest.CaptureFixture[str]
) -> None:
    with open_registry(clinic.home) as registry, registry.read() as session:
        with worked_at(desk), pytest.raises(KeyboardInterrupt):
            of_lake(clinic, session, progress=stop_when_it_is_kept, engine=SparkEngine("local[2]"))
        assert desk.left() == []
        kept = []
        of_lake(clinic, session, progress=lambda done: kept.append(done.kept))
    assert any(kept) and not all(kept)
    assert capfd.readouterr() == ("", "")
