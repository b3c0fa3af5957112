"""The lock file fits pyproject.toml, and a lock that does not is noticed."""

import tomllib
from pathlib import Path

from tests.house.lock_fits import LOCKED_EXTRAS, locked_versions, main, misfits, named_requirements

LOCK = """\
alembic==1.20.1 \\
    --hash=sha256:00
numpy==2.4.6
types-pyserial==3.5.0.2 ; python_version > '3' \\
    --hash=sha256:01
"""

PYPROJECT = """\
[project]
name = "bztoken"
dependencies = ["numpy>=2"]
[project.optional-dependencies]
province = ["pyarrow>=26"]
spark = ["bztoken[province]", "pyspark==4.3.0"]
"""


def test_the_lock_of_this_repository_fits(repository: Path) -> None:
    assert main([str(repository)]) == 0


def test_a_lock_entry_without_a_hash_does_not_count() -> None:
    assert locked_versions(LOCK) == {"alembic": "1.20.1", "types-pyserial": "3.5.0.2"}


def test_missing_and_too_old_packages_are_named() -> None:
    said = misfits(["alembic>=1.21", "duckdb", "types_pyserial"], locked_versions(LOCK))
    assert [line.split()[0] for line in said] == ["alembic", "duckdb"]


def test_names_are_compared_as_the_index_does_and_extras_do_not_matter() -> None:
    assert misfits(["Types.Pyserial", "alembic[tz]>=1.20,<2"], locked_versions(LOCK)) == []


def test_an_extra_that_takes_in_another_names_no_package_of_its_own() -> None:
    assert named_requirements(PYPROJECT) == ["numpy>=2", "pyarrow>=26", "pyspark==4.3.0"]


def test_every_extra_of_this_repository_is_locked(repository: Path) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(project["optional-dependencies"]) == set(LOCKED_EXTRAS)
