"""Spark as a program starts it: quiet, and gone afterwards however it ended; and executors that are not as needed."""

import os
import signal
import subprocess
import sys
import time
import venv
from pathlib import Path

import pyspark
import pytest
from tests.integration.spark_desk import PATIENCE_S, SparkDesk, made_desk, worked_at
from tests.integration.spark_program import INTERRUPTED, digests
from tests.integration.spark_world import context, every_task, written

from bztoken.errors import EngineError, LakeError
from bztoken.matching.engines.local import LocalEngine
from bztoken.matching.engines.spark import SparkEngine

pytestmark = pytest.mark.timeout(300)

A_CLUSTER = "local-cluster[1,2,1024]"  # a real standalone master with one worker, executors in a JVM of their own


@pytest.fixture
def desk(tmp_path: Path) -> SparkDesk:
    """With days of sightings."""
    made = made_desk(tmp_path)
    written(made.days)
    return made


class Running:
    """The program, in an empty folder."""

    def __init__(self, desk: SparkDesk, *arguments: str) -> None:
        self.folder = desk.days.parent / "working"
        self.folder.mkdir()
        command = [sys.executable, "-m", "tests.integration.spark_program", str(desk.days), *arguments]
        self.process = subprocess.Popen(
            command,
            cwd=self.folder,
            env=os.environ | desk.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C reaches all of a terminal's group, JVM and Pythons too
        )

    def ended(self) -> tuple[int, str, str]:
        """Exit code, what it said, and what was said beside."""
        said, beside = self.process.communicate()
        return self.process.returncode, said, beside


def test_a_run_says_nothing_of_spark_and_leaves_nothing(desk: SparkDesk) -> None:
    running = Running(desk, "local[2]")
    code, said, beside = running.ended()
    with LocalEngine(1).crew(context(desk.days)) as crew:
        wanted = digests(crew.run(every_task()))
    assert (code, said.splitlines(), beside) == (0, [*wanted, "started"], "")
    assert desk.left() == []
    assert list(running.folder.iterdir()) == []


def test_ctrl_c_leaves_nothing(desk: SparkDesk) -> None:
    running = Running(desk, "local[2]", "wait")
    until = time.monotonic() + PATIENCE_S
    while not (desk.days / "begun-2-0").exists() and time.monotonic() < until:
        time.sleep(0.1)
    assert len(desk.processes()) > 2
    os.killpg(running.process.pid, signal.SIGINT)
    assert running.ended() == (INTERRUPTED, "", "")
    assert desk.left() == []


def test_a_master_that_takes_too_long_is_left_alone(desk: SparkDesk) -> None:
    code, said, beside = Running(desk, "local[2]", "hurry").ended()
    assert (code, beside) == (1, "")
    assert said.startswith("EngineError: local[2] did not run anything within 0.1 s: ")
    assert said.count("\n") == 1
    assert desk.left() == []


def test_this_process_is_afterwards_as_it_was(desk: SparkDesk, capfd: pytest.CaptureFixture[str]) -> None:
    """Also when the JVM died, and when executors cannot reach the lake, which is told before any work."""

    def standing() -> tuple[object, ...]:
        return dict(os.environ), list(sys.path), signal.getsignal(signal.SIGINT), os.getcwd()

    with worked_at(desk):
        before = standing()
        engine = SparkEngine("local[1]")
        with engine.crew(context(desk.days)) as crew:
            assert standing() == before
            assert len(list(crew.run(every_task()[:1]))) == 1
            (java,) = [folder for folder in desk.processes() if (folder / "comm").read_text() == "java\n"]
            os.kill(int(java.name), signal.SIGKILL)
            with pytest.raises(EngineError, match=r"^Spark could not [^\n]*: an executor or Spark itself was lost"):
                list(crew.run(every_task()))
        assert engine.startup_s > 0
        assert (standing(), desk.left()) == (before, [])
        with (
            pytest.raises(LakeError, match="not mounted is not there: give the folder of a lake$"),
            engine.crew(context(desk.days / "not mounted")),
        ):
            pytest.fail("there is nothing to work on")
        assert (standing(), desk.left()) == (before, [])
    assert capfd.readouterr() == ("", "")


@pytest.fixture
def own_spark_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Spark is installed, but what the worker of a cluster writes there does not stay in the installation."""
    home = tmp_path / "spark"
    home.mkdir()
    for entry in Path(pyspark.__file__).parent.iterdir():
        (home / entry.name).symlink_to(entry)
    monkeypatch.setenv("SPARK_HOME", str(home))


@pytest.mark.usefixtures("own_spark_home")
def test_a_cluster_finds_what_this_process_finds(desk: SparkDesk) -> None:
    with worked_at(desk), SparkEngine(A_CLUSTER).crew(context(desk.days)) as crew:
        found = digests(crew.run(every_task()))
    assert desk.left() == []
    with LocalEngine(1).crew(context(desk.days)) as crew:
        assert found == digests(crew.run(every_task()))


@pytest.mark.usefixtures("own_spark_home")
def test_an_executor_without_our_packages_is_told(desk: SparkDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = desk.days.parent / "bare"
    venv.create(bare, with_pip=False)
    monkeypatch.setenv("PYSPARK_PYTHON", str(bare / "bin" / "python"))
    with (
        worked_at(desk),
        pytest.raises(EngineError, match="the Python of an executor has no bztoken, pyarrow, pandas: install"),
        SparkEngine(A_CLUSTER).crew(context(desk.days)),
    ):
        pytest.fail("it cannot work")
