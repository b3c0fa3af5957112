"""A compiled application and an empty registry, made once and copied."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.firmware.bench import START_S
from tests.integration.exactly_once.computer import Computer, make_home
from tests.integration.exactly_once.witness import Witness

from bztoken.home import Home
from bztoken.registry import tokens
from bztoken.registry.database import create_registry, open_registry
from bzvirtual import application
from bzvirtual.application import Application
from bzvirtual.desk import Identity

LABEL = "Token 1"
UID = bytes(range(8))
# Makes a token that begins to live at this Unix time, and the computer that knows it.
Pair = Callable[[int], tuple[Witness, Computer]]


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> Application:
    """The firmware as a virtual board carries it."""
    return application.build(tmp_path_factory.mktemp("application"))


@pytest.fixture(scope="session")
def empty_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A registry that knows one token. Not to be touched."""
    home = make_home(tmp_path_factory.mktemp("empty") / "home", create_registry)
    with open_registry(home) as registry, registry.write() as session:
        tokens.create(session, LABEL, UID, tokens.ROLE_PERSON, "virtual", START_S - 86400)
    return home


@pytest.fixture
def make_pair(app: Application, empty_home: Home, tmp_path: Path) -> Iterator[Pair]:
    """As many pairs as a test wants; each ends the one before."""
    made: list[tuple[Witness, Computer]] = []

    def end_last() -> None:
        for witness, computer in made[-1:]:
            witness.close()
            computer.close()
            shutil.rmtree(computer.home.path.parent)

    def make(start_s: int) -> tuple[Witness, Computer]:
        folder = tmp_path / f"pair-{len(made)}"
        end_last()
        shutil.copytree(empty_home.path, folder / "home")
        identity = Identity.derive(LABEL, UID, empty_home.master_key())
        witness = Witness(folder / "tokens", app, identity, start_s)
        computer = Computer(Home(folder / "home"), LABEL, witness.now_us, witness.live)
        made.append((witness, computer))
        return witness, computer

    yield make
    end_last()
