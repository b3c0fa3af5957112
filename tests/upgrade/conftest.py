"""Where the old files lie, and the present firmware as a virtual board carries it."""

from pathlib import Path

import pytest

from bzvirtual import application
from bzvirtual.application import Application


@pytest.fixture
def old_files() -> Path:
    """The folder of what older versions wrote."""
    return Path(__file__).parent


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> Application:
    """Compiled once."""
    return application.build(tmp_path_factory.mktemp("application"))
