"""Without SQLCipher nothing is opened and nothing is written: the driver would write plaintext under the same name."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bztoken.home import Home
from bztoken.registry.database import create_registry

REFUSAL = "bztoken: this installation has no SQLCipher, and without it no registry is opened: install it\n"


@pytest.fixture
def plain_driver(tmp_path: Path) -> dict[str, str]:
    """The environment of an installation whose `sqlcipher3` was built against plain SQLite."""
    package = tmp_path / "site" / "sqlcipher3"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "dbapi2.py").write_text("from sqlite3.dbapi2 import *\nfrom sqlite3 import sqlite_version_info\n")
    return {**os.environ, "PYTHONPATH": str(package.parent)}


def ran(environment: dict[str, str], home: Home, *words: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "bztoken", "--home", str(home.path), *words]
    return subprocess.run(line, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "words",
    [["registry", "status"], ["registry", "upgrade"], ["db", "backup", "out"], ["db", "rotate-key"], ["token", "list"]],
)
def test_a_registry_is_not_opened(plain_driver: dict[str, str], home: Home, tmp_path: Path, words: list[str]) -> None:
    create_registry(home)
    before = home.registry_path.read_bytes()
    done = ran(plain_driver, home, *[str(tmp_path / "out") if word == "out" else word for word in words])
    assert (done.returncode, done.stdout, done.stderr) == (1, "", REFUSAL)
    assert home.registry_path.read_bytes() == before and not (tmp_path / "out").exists()


def test_a_new_one_is_not_made(plain_driver: dict[str, str], home: Home) -> None:
    done = ran(plain_driver, home, "registry", "init")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", REFUSAL)
    assert not home.path.exists()
