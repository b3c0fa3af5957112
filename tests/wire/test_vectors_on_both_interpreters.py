"""The published and the golden vectors hold on CPython and on the real MicroPython, by the same file."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(params=["cpython", "micropython"])
def interpreter(request: pytest.FixtureRequest, micropython: str) -> str:
    return sys.executable if request.param == "cpython" else micropython


def run_checks(interpreter: str, repository: Path, vectors: Path) -> subprocess.CompletedProcess[str]:
    script = repository / "tests/wire/check_vectors.py"
    command = [interpreter, str(script), str(repository / "firmware"), str(vectors)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_every_vector_holds(interpreter: str, repository: Path) -> None:
    done = run_checks(interpreter, repository, repository / "tests/vectors")
    assert done.returncode == 0, done.stdout + done.stderr
    checks, failed = done.stdout.split()[0], done.stdout.split()[2]
    assert int(checks) >= 1100
    assert failed == "0"


@pytest.mark.parametrize("name", ["bluezone.json", "gaen.json", "page_v1.json", "page_v2.json", "smp_v1.json"])
def test_a_changed_vector_is_noticed(interpreter: str, repository: Path, tmp_path: Path, name: str) -> None:
    for vector in (repository / "tests/vectors").glob("*.json"):
        text = vector.read_text(encoding="utf-8")
        if vector.name == name:
            text = (
                text.replace("b9a665d754fe65e665d76a45", "b9a665d754fe65e665d76a46")
                .replace("0a0000", "0a0001")
                .replace('aem": "72033874', 'aem": "72033875')
            )
        (tmp_path / vector.name).write_text(text, encoding="utf-8")
    done = run_checks(interpreter, repository, tmp_path)
    assert done.returncode == 1
    assert "FAILED" in done.stdout
