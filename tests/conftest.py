"""Fixtures every folder of tests shares: where the repository lies and which MicroPython runs. Keep it small."""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

# Options of pytest are known only when the outermost conftest names them: those of the device suite.
pytest_plugins = ("tests.device.options",)

# The same examples on every run, so that a red build is red again on the desk of whoever mends it.
settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=100)
settings.load_profile("repeatable")


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the repository."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def micropython() -> str:
    """The MicroPython interpreter: BZ_MICROPYTHON, or the one beside this Python."""
    return os.environ.get("BZ_MICROPYTHON") or str(Path(sys.executable).parent / "micropython")
