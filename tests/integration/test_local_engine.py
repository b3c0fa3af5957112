"""Tasks in several processes: the same answer as in one, errors that arrive as they were raised, nobody left behind."""

import multiprocessing
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.spark_world import (
    DAMAGED_DAY,
    DEADLY_DAY,
    FIRST_DAY,
    MEETING_DAY,
    MISTAKEN_DAY,
    FolderFactory,
    FolderSource,
    context,
    every_task,
    written,
)

from bztoken.errors import EngineError, LakeError
from bztoken.matching.day import HeldSlice
from bztoken.matching.engines.local import LocalEngine
from bztoken.matching.found import DayFound, to_bytes
from bztoken.matching.task import Context, Task


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Context:
    return context(written(tmp_path_factory.mktemp("days")))


@pytest.fixture(autouse=True)
def nobody_left() -> Iterator[None]:
    yield
    assert multiprocessing.active_children() == []


def found_by(workers: int, there: Context, tasks: list[Task]) -> dict[Task, DayFound]:
    with LocalEngine(workers).crew(there) as crew:
        return dict(crew.run(tasks))


def as_bytes(found: dict[Task, DayFound]) -> dict[Task, bytes]:
    return {task: to_bytes(one) for task, one in found.items()}


def test_processes_find_what_one_finds(there: Context) -> None:
    alone = found_by(1, there, every_task())
    assert all(found.scores for found in alone.values()) and any(len(one.at_sites.log_id) for one in alone.values())
    assert as_bytes(found_by(2, there, every_task())) == as_bytes(alone)


def test_more_processes_than_tasks_are_no_harm(there: Context) -> None:
    tasks = every_task(1)[:1]
    assert as_bytes(found_by(3, there, tasks)) == as_bytes(found_by(1, there, tasks))


def test_two_tasks_run_at_the_same_time(there: Context) -> None:
    """Each of them ends only when both have begun."""
    assert len(found_by(2, there, [Task(MEETING_DAY, shard, 2) for shard in range(2)])) == 2


def test_a_crew_works_on_more_tasks_after_the_first(there: Context) -> None:
    with LocalEngine(2).crew(there) as crew:
        first = dict(crew.run(every_task()))
        assert as_bytes(dict(crew.run(every_task()))) == as_bytes(first)


@pytest.mark.parametrize("workers", [1, 2])
def test_what_a_source_refuses_is_told_as_it_told_it(there: Context, workers: int) -> None:
    with pytest.raises(LakeError, match=r"^\d{4}-\d\d-\d\d cannot be read: a file is damaged$"):
        found_by(workers, there, [Task(FIRST_DAY), Task(DAMAGED_DAY)])


def test_a_mistake_in_another_process_is_raised_here(there: Context) -> None:
    with pytest.raises(RuntimeError):
        found_by(2, there, [Task(MISTAKEN_DAY)])


def test_a_process_that_dies_is_no_half_answer(there: Context) -> None:
    with pytest.raises(EngineError, match="ended in the middle of its work"):
        found_by(2, there, [Task(FIRST_DAY), Task(DEADLY_DAY)])


def test_a_process_that_died_while_it_had_nothing_to_do_is_told(there: Context) -> None:
    """A broken pipe would pass for a reader who went away, and end the program without a word."""
    with pytest.raises(EngineError, match="ended in the middle of its work"), LocalEngine(2).crew(there) as crew:
        for process in multiprocessing.active_children():
            process.kill()
            process.join()
        list(crew.run(every_task()))


def test_ctrl_c_is_not_for_the_processes_from_their_first_moment(there: Context) -> None:
    """Else each would tell of it, with a traceback, while it is still on its way to `_work`."""
    with LocalEngine(2).crew(there):
        children = multiprocessing.active_children()
        said = [Path(f"/proc/{child.pid}/status").read_text() for child in children]
    blocked = [int(one.split("SigBlk:")[1].split()[0], 16) for one in said]
    assert len(blocked) == 2 and all(mask >> (signal.SIGINT - 1) & 1 for mask in blocked)
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_a_process_that_never_began_is_told(there: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    found_by(2, there, every_task()[:1])  # what Python itself starts beside them is there then
    monkeypatch.setattr("multiprocessing.spawn._python_exe", b"/bin/false")
    with pytest.raises(EngineError, match="ended in the middle of its work"):
        found_by(2, context(there.open_source.folder, more_keys=5000), every_task())  # type: ignore[attr-defined]


class Untellable(Exception):
    """No other process can be given it."""

    def __init__(self) -> None:
        super().__init__(lambda: None)


class Mistaken(FolderSource):
    """Every day is a mistake."""

    def slice(self, task: Task) -> HeldSlice:
        raise (RuntimeError("a mistake of ours"), Untellable(), MemoryError())[task.shard]


class MistakenFactory(FolderFactory):
    """Opens it where a task runs."""

    def __call__(self) -> Mistaken:
        return Mistaken(self.folder)


def test_where_a_mistake_in_another_process_was_is_told(there: Context, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError) as told:
        found_by(2, there._replace(open_source=MistakenFactory(tmp_path)), [Task(FIRST_DAY)])
    assert "in slice" in told.value.__notes__[0]


def test_a_mistake_that_cannot_be_sent_is_no_want_of_memory(there: Context, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="unexpected Untellable"):
        found_by(2, there._replace(open_source=MistakenFactory(tmp_path)), [Task(FIRST_DAY, 1, 2)])


def test_want_of_memory_is_told_as_such(there: Context, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="for want of memory"):
        found_by(2, there._replace(open_source=MistakenFactory(tmp_path)), [Task(FIRST_DAY, 2, 3)])


def test_a_source_that_does_not_open_is_told_before_the_work(tmp_path: Path) -> None:
    for workers in (1, 2):
        with pytest.raises(LakeError, match="is not there"), LocalEngine(workers).crew(context(tmp_path / "nowhere")):
            raise AssertionError("it must not come to that")


def test_little_work_stays_in_this_process(there: Context) -> None:
    with LocalEngine().crew(there._replace(rows=1000)) as crew:
        assert multiprocessing.active_children() == []
        assert dict(crew.run(every_task(1)))


@pytest.mark.parametrize(("rows", "loads"), [(100_000, False), (1 << 25, True)])
def test_only_a_large_batch_loads_compiled_loops_and_before_it_begins(repository: Path, rows: int, loads: bool) -> None:
    script = (
        "import sys; from pathlib import Path; from tests.integration.spark_world import context; "
        "from bztoken.matching.task import get_ready; "
        f"get_ready(context(Path('.'))._replace(rows={rows})); print('numba' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", script], cwd=repository, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == str(loads)
