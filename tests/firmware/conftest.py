"""One compiled application for the whole session, and benches that are powered down whatever happens."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.firmware.bench import Bench
from tests.firmware.script_board import ScriptBoard

from bzvirtual import application
from bzvirtual.application import Application


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> Application:
    """The firmware as a virtual board carries it."""
    return application.build(tmp_path_factory.mktemp("application"))


@pytest.fixture
def bench(tmp_path: Path, app: Application) -> Iterator[Bench]:
    """An empty bench."""
    made = Bench(tmp_path, app)
    yield made
    made.close()


@pytest.fixture
def board(tmp_path: Path, app: Application) -> Iterator[Callable[..., ScriptBoard]]:
    """Boards that run a script instead of the firmware."""
    made: list[ScriptBoard] = []

    def make(script: str, **options: Any) -> ScriptBoard:
        made.append(ScriptBoard(tmp_path / f"board-{len(made)}", app, script, **options))
        return made[-1]

    yield make
    for script_board in made:
        script_board.close()
