"""The matching on Spark, with one session for all of these: same answers as here, errors as they were, keys unseen."""

import base64
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark import SparkContext
from tests.integration.spark_desk import SparkDesk, made_desk, worked_at
from tests.integration.spark_world import (
    CANARY,
    DAMAGED_DAY,
    DEADLY_DAY,
    MEETING_DAY,
    MISTAKEN_DAY,
    TEK,
    context,
    every_task,
    written,
)

from bztoken.errors import EngineError, LakeError
from bztoken.matching.engines import Crew
from bztoken.matching.engines.spark import SparkEngine
from bztoken.matching.found import DayFound, merged, to_bytes
from bztoken.matching.peers import Kind
from bztoken.matching.task import Context, Task, run_task

pytestmark = pytest.mark.timeout(300)

MANY_KEYS = 3000
KEY_BYTES = 32


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> SparkDesk:
    """With days of sightings."""
    made = made_desk(tmp_path_factory.mktemp("spark"))
    written(made.days)
    return made


@pytest.fixture(scope="module")
def batch(desk: SparkDesk) -> Context:
    """Of many keys."""
    return context(desk.days, MANY_KEYS)


@pytest.fixture(scope="module")
def crew(desk: SparkDesk, batch: Context) -> Iterator[Crew]:
    """Two cores of this computer, for all tests of this file."""
    with worked_at(desk), SparkEngine("local[2]").crew(batch) as crew:
        yield crew


def here(batch: Context, task: Task) -> DayFound:
    """What this process finds."""
    return run_task(batch, batch.open_source(), task)


def test_spark_finds_what_this_process_finds(crew: Crew, batch: Context) -> None:
    wanted = {task: to_bytes(here(batch, task)) for task in every_task()}
    answered = [(task, to_bytes(found)) for task, found in crew.run(every_task())]
    assert len(answered) == len(wanted)
    assert dict(answered) == wanted


def test_the_shards_of_a_day_are_the_day(crew: Crew, batch: Context) -> None:
    day = every_task()[0].day
    parts = dict(crew.run([Task(day, shard, 3) for shard in range(3)]))
    whole = merged([parts[task] for task in sorted(parts)])
    alone = here(batch, Task(day))
    assert whole.scores == alone.scores
    assert (whole.sightings, len(whole.at_sites.log_id)) == (alone.sightings, len(alone.at_sites.log_id))


def test_the_answers_are_of_both_schemes_and_all_kinds_of_owners(batch: Context) -> None:
    found = here(batch, Task(every_task()[0].day))
    owners = {batch.peers.owners[owner] for owner, _ in found.scores}
    assert {owner.kind for owner in owners} == {Kind.CASE, Kind.CONTACT}
    assert {owner.case_id for owner in owners if owner.kind is Kind.CASE} == {1, 2}  # 2: a TEK's
    assert len(found.at_sites.log_id) > 0


def test_no_task_has_no_answer(crew: Crew) -> None:
    assert list(crew.run([])) == []


def test_a_damaged_day_is_told_in_its_own_words(crew: Crew, batch: Context) -> None:
    with pytest.raises(LakeError) as here_told:
        here(batch, Task(DAMAGED_DAY))
    with pytest.raises(LakeError) as spark_told:
        list(crew.run([*every_task(), Task(DAMAGED_DAY)]))
    assert str(spark_told.value) == str(here_told.value)


def test_a_mistake_of_ours_is_one_sentence_that_quotes_nothing(crew: Crew) -> None:
    with pytest.raises(EngineError) as told:
        list(crew.run([Task(MISTAKEN_DAY)]))
    assert str(told.value) == "the matching of 2024-10-15 failed on an executor: a mistake of ours, RuntimeError"
    assert CANARY.decode() not in "".join(traceback.format_exception(told.value))


def test_a_lost_executor_ends_the_run_and_not_the_session(crew: Crew, batch: Context) -> None:
    with pytest.raises(
        EngineError, match=r"^Spark could not finish 2024-10-16: an executor or Spark itself was lost, [^\n]*$"
    ):
        list(crew.run([Task(DEADLY_DAY)]))
    task = every_task()[0]
    assert [to_bytes(found) for _, found in crew.run([task])] == [to_bytes(here(batch, task))]


def test_two_tasks_run_at_the_same_time(crew: Crew) -> None:
    together = [Task(MEETING_DAY, shard, 2) for shard in range(2)]
    assert {task for task, _ in crew.run(together)} == set(together)


def test_whoever_stops_asking_stops_the_rest(crew: Crew) -> None:
    never_ends = Task(MEETING_DAY, 0, 1_000)
    answers = crew.run([every_task()[0], never_ends])
    next(answers)
    answers.close()  # type: ignore[attr-defined]
    assert SparkContext.getOrCreate().statusTracker().getActiveJobsIds() == []


def test_no_key_is_on_disk_or_in_the_list_of_processes_while_spark_runs(crew: Crew, desk: SparkDesk) -> None:
    list(crew.run(every_task()))
    files = [path for path in desk.temporary.rglob("*") if path.is_file()]
    assert max(path.stat().st_size for path in files) > MANY_KEYS * KEY_BYTES  # the keys are there, encrypted
    processes = desk.processes()
    assert len(processes) > 2  # a JVM and its Pythons
    public = [*files, *(folder / name for folder in processes for name in ("cmdline", "environ"))]
    assert [path for path in public if shows_a_key(path)] == []


def shows_a_key(path: Path) -> bool:
    try:
        content = path.read_bytes()
    except OSError:  # it is gone
        return False
    shapes = [shape for key in (CANARY, TEK[:-1]) for shape in (key, key.hex().encode(), base64.b64encode(key)[:-2])]
    return any(shape in content for shape in shapes)
