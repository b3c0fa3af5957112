"""Finds the Java that Spark runs on: JAVA_HOME first, then PATH, then where Linux distributions put it."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from bztoken.errors import EngineError

OLDEST = 17  # Spark 4 runs on no older one
_INSTALLED = Path("/usr/lib/jvm")
_ANSWER_S = 30.0  # a cold Java on a slow disk needs a few
_VERSION = re.compile(r'version "(?:1\.)?(\d+)')
_HOW = "install one (Debian and Ubuntu: apt install default-jre-headless) or set JAVA_HOME to its folder"


def find_java(installed: Path = _INSTALLED) -> Path:
    """The program `java`, symbolic links followed, of the first that is new enough. `installed`: where each folder is
    one Java. Raises EngineError when there is none.
    """
    too_old: dict[Path, int] = {}
    for program in dict.fromkeys(_candidates(installed)):
        version = _version(program)
        if version is not None and version >= OLDEST:
            return program
        if version is not None:
            too_old[program] = version
    if too_old:
        program, version = next(iter(too_old.items()))
        raise EngineError(
            f"Java {version} ({program}) is too old for Spark, which needs Java {OLDEST} or newer: {_HOW}"
        )
    raise EngineError(f"Spark needs Java {OLDEST} or newer, and none was found: {_HOW}")


def java_home(program: Path) -> Path:
    """The folder that JAVA_HOME means, of what `find_java` answered."""
    return program.parent.parent


def _candidates(installed: Path) -> Iterator[Path]:
    home = os.environ.get("JAVA_HOME")
    if home:
        yield from _programs([Path(home) / "bin" / "java"])
    on_path = shutil.which("java")
    if on_path is not None:
        yield from _programs([Path(on_path)])
    yield from _programs(sorted(installed.glob("*/bin/java")))


def _programs(paths: list[Path]) -> Iterator[Path]:
    yield from (path.resolve() for path in paths if os.access(path, os.X_OK) and path.is_file())


def _version(program: Path) -> int | None:
    """Its feature release (8, 17, 25); None when it does not tell."""
    try:
        told = subprocess.run([program, "-version"], capture_output=True, timeout=_ANSWER_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    found = _VERSION.search((told.stderr + told.stdout).decode("utf-8", "replace"))
    return None if found is None else int(found[1])
