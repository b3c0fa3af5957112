"""Which Java Spark is started with."""

from pathlib import Path

import pytest

from bztoken.errors import EngineError
from bztoken.matching.engines.java import find_java, java_home

OPENJDK = 'openjdk version "{} 2025-04-15"'
ORACLE = 'java version "1.8.0_301"'


class Computer:
    """Where somebody may have put a Java; nothing else of this one is looked at."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self._folder, self._patch = folder, patch
        self.installed = folder / "jvm"
        (folder / "bin").mkdir()
        patch.setenv("PATH", str(folder / "bin"))
        patch.delenv("JAVA_HOME", raising=False)

    def has(self, place: str, first_line: str, code: int = 0) -> Path:
        """A program that says so on standard error, as Java does."""
        program = self._folder / place
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(f"#!/bin/sh\necho '{first_line}' >&2\nexit {code}\n")
        program.chmod(0o755)
        return program

    def java_home(self, place: str) -> None:
        self._patch.setenv("JAVA_HOME", str(self._folder / place))

    def found(self) -> Path:
        return find_java(self.installed)


@pytest.fixture
def computer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Computer:
    """Without any Java."""
    return Computer(tmp_path, monkeypatch)


def test_java_home_comes_before_path_and_path_before_installed_ones(computer: Computer) -> None:
    installed = computer.has("jvm/java-25/bin/java", OPENJDK.format("25"))
    assert computer.found() == installed
    on_path = computer.has("bin/java", OPENJDK.format("17.0.15"))
    assert computer.found() == on_path
    at_home = computer.has("home/bin/java", OPENJDK.format("21-ea"))
    computer.java_home("home")
    assert computer.found() == at_home
    assert java_home(at_home) == at_home.parents[1]


def test_a_link_on_the_path_leads_to_the_java_that_has_a_home(computer: Computer, tmp_path: Path) -> None:
    program = computer.has("jvm/java-17/bin/java", OPENJDK.format("17.0.15"))
    (tmp_path / "bin" / "java").symlink_to(program)
    assert java_home(computer.found()) == tmp_path / "jvm" / "java-17"


def test_an_old_java_is_passed_over_for_a_newer_one(computer: Computer) -> None:
    computer.has("home/bin/java", OPENJDK.format("11.0.2"))
    computer.java_home("home")
    newer = computer.has("bin/java", OPENJDK.format("17"))
    assert computer.found() == newer


@pytest.mark.parametrize(("first_line", "version"), [(ORACLE, 8), (OPENJDK.format("16.0.2"), 16)])
def test_too_old_a_java_is_named_with_its_version(computer: Computer, first_line: str, version: int) -> None:
    program = computer.has("bin/java", first_line)
    with pytest.raises(EngineError) as told:
        computer.found()
    assert f"Java {version} ({program}) is too old for Spark, which needs Java 17 or newer" in str(told.value)
    assert "default-jre-headless" in str(told.value) and "JAVA_HOME" in str(told.value)


@pytest.mark.parametrize(("first_line", "code"), [("command not understood", 0), (OPENJDK.format("17"), 1)])
def test_a_program_that_is_no_java_or_fails_is_none(computer: Computer, first_line: str, code: int) -> None:
    computer.has("bin/java", first_line, code)
    with pytest.raises(EngineError, match="none was found: install one .* or set JAVA_HOME"):
        computer.found()


def test_no_java_at_all_is_one_sentence(computer: Computer) -> None:
    computer.java_home("nowhere")
    with pytest.raises(EngineError) as told:
        computer.found()
    assert "\n" not in str(told.value)
