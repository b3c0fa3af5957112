"""What the Spark engine refuses before it starts anything."""

import socket
import sys
from collections.abc import Iterator

import pytest

from bztoken.errors import BztokenError, EngineError, FormatError, LakeError
from bztoken.matching.bearers import Bearers
from bztoken.matching.engines.spark import SparkEngine
from bztoken.matching.engines.spark_master import check_master, is_here, makes_a_secret, runs_this_python
from bztoken.matching.engines.spark_worker import as_raised, found_in
from bztoken.matching.peers import Peers
from bztoken.matching.task import Context, Source
from bztoken.matching.tolerance import Tolerance
from bztoken.scoring import load


@pytest.fixture
def port() -> Iterator[int]:
    """Where somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def no_source() -> Source:
    raise AssertionError("nothing is opened")


def refused(master: str) -> str:
    """The sentence of an engine that does not start."""
    context = Context(no_source, Peers.of([], bearers=Bearers()), Tolerance(), load("bluezone"))  # type: ignore[arg-type]
    with pytest.raises(EngineError) as told, SparkEngine(master).crew(context):
        pytest.fail("it cannot work")
    assert "\n" not in str(told.value)
    return str(told.value)


@pytest.mark.parametrize("package", ["pyspark", "pandas", "pyarrow"])
def test_a_missing_package_is_named_with_the_way_to_get_it(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    assert refused("local[2]") == f"the Spark engine needs {package}: pip install 'bztoken[spark]'"


@pytest.mark.parametrize(
    "master",
    ["", "local[0]", "local[two]", "localhost:7077", "spark://", "spark://host", "sc://host:15002", "mesos://a"],
)
def test_what_is_no_master_is_refused(master: str) -> None:
    assert refused(master).startswith(f"{master!r} is not a Spark master: give local[N], ")


@pytest.mark.parametrize(
    "master", ["spark://127.0.0.1:1", "spark://127.0.0.1:1,127.0.0.1:2", "spark://127.0.0.1:99999"]
)
def test_a_master_where_nobody_answers_is_told_at_once(master: str) -> None:
    assert refused(master) == f"nobody answers at {master}: is the Spark master running, and reachable from here?"


@pytest.mark.parametrize(
    "master", ["local", "local[*]", "local[2]", "local[2,3]", "yarn", "k8s://https://cluster:6443"]
)
def test_spark_is_asked_about_every_other_master(master: str) -> None:
    check_master(master)


def test_one_of_several_masters_is_enough(port: int) -> None:
    check_master(f"spark://127.0.0.1:1,127.0.0.1:{port}")


@pytest.mark.parametrize(
    ("master", "here", "this_python", "secret"),
    [
        ("local[2]", True, True, True),
        ("local-cluster[1,1,1024]", True, False, False),
        ("spark://127.0.0.1:7077", False, False, False),
        ("yarn", False, False, True),
    ],
)
def test_what_is_known_of_a_master(master: str, here: bool, this_python: bool, secret: bool) -> None:
    assert (is_here(master), runs_this_python(master), makes_a_secret(master)) == (here, this_python, secret)


@pytest.mark.parametrize("kind", [LakeError, FormatError, EngineError])
def test_an_error_of_ours_comes_back_as_its_class_and_sentence(kind: type[BztokenError]) -> None:
    with pytest.raises(kind, match="^the sentence$") as told:
        found_in(None, kind.__name__, "the sentence")
    assert type(told.value) is kind


@pytest.mark.parametrize("name", ["KeyError", "system", ""])
def test_any_other_class_comes_back_as_an_engine_error(name: str) -> None:
    assert type(as_raised(name, "the sentence")) is EngineError


def test_a_row_without_an_answer_is_an_error() -> None:
    with pytest.raises(EngineError, match="no answer"):
        found_in(None, None, None)
