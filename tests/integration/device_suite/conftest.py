"""The device suite as a program, on a folder of boards with the virtual one alone."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.integration.device_suite.suite_run import SHEET, Suite
from tests.program import Ran

LIMIT_S = 240  # also while other programs want the processor


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A run is a program of its own, and takes longer than one test."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.timeout(LIMIT_S), append=False)


@pytest.fixture
def boards(tmp_path: Path, repository: Path) -> Path:
    """A folder of boards with the virtual one alone, whose record sheet is empty."""
    folder = tmp_path / "boards"
    (folder / "virtual").mkdir(parents=True)
    shutil.copyfile(repository / "boards/virtual/board.json", folder / "virtual/board.json")
    (folder / "virtual/record.md").write_text(SHEET, encoding="utf-8")
    return folder


@pytest.fixture
def suite(tmp_path: Path, repository: Path, boards: Path) -> Suite:
    """`suite("-k", "parts", "--board=serial:..", said="y\\n")`: exit code and output of the suite as a program."""

    def run(*options: str, said: str = "") -> Ran:
        line = [sys.executable, "-m", "pytest", "tests/device", "-p", "no:cacheprovider", "-q", *options]
        scratch = tmp_path / "scratch"
        scratch.mkdir(exist_ok=True)
        environment = {**os.environ, "BZTOKEN_BOARDS": str(boards), "TMPDIR": str(scratch), "COLUMNS": "300"}
        done = subprocess.run(
            line,
            cwd=repository,
            env=environment,
            input=said,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    return run
