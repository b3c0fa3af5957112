"""What the integration tests share: a fleet that lived once in virtual time, copied for each test, and the CLI."""

import shutil
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from tests.case_desk import staff
from tests.integration.batch_desk import Running
from tests.integration.clinic import Attached, Clinic, attached
from tests.program import Program, Ran, program

from bztoken.home import Home
from bztoken.link import token_link
from bztoken.registry import tokens
from bztoken.registry.database import create_registry, open_registry
from bzvirtual import world
from bzvirtual.desk import Identity, identities_from_seed
from bzvirtual.fleet import FleetRun
from bzwire.bluezone import DAY_S

WORLDS = Path(__file__).parent / "worlds"
TEST_LIMIT_S = 180  # a test takes seconds; also while other programs want the processor
HOUR_S = 3600
SEED = 3


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Nothing here may hang: a cable that nobody answers on is what these tests are about."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(TEST_LIMIT_S))


def fleet_start_s() -> int:
    """20 hours before the last midnight (UTC) that is at least 2 hours ago: the same two days' shape at any hour."""
    midnight_s = (int(time.time()) - 2 * HOUR_S) // DAY_S * DAY_S
    return midnight_s - 20 * HOUR_S


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Clinic:
    """The four of the house, registered, after 22 hours from 04:00 over midnight to 02:00 UTC. Not to be touched."""
    folder = tmp_path_factory.mktemp("prepared")
    clinic = Clinic(Home(folder / "home"), folder / "fleet")
    create_registry(clinic.home)
    staff(clinic.home)
    place = world.load(str(WORLDS / "house.world"))
    labels = [person.shown for person in place.people]
    master_key = clinic.home.master_key()
    numbers = [identity.uid for identity in identities_from_seed(labels, SEED)[1]]
    with open_registry(clinic.home) as registry, registry.write() as session:
        for label, uid in zip(labels, numbers, strict=True):
            tokens.create(session, label, uid, tokens.ROLE_PERSON, "virtual", fleet_start_s())
    identities = [Identity.derive(label, uid, master_key) for label, uid in zip(labels, numbers, strict=True)]
    living = FleetRun(clinic.fleet, place, identities, SEED, fleet_start_s())
    living.prepare()
    living.run(22 / 24)
    return clinic


@pytest.fixture
def clinic(prepared: Clinic, tmp_path: Path) -> Clinic:
    """A copy of its own for a test."""
    shutil.copytree(prepared.home.path, tmp_path / "home")
    shutil.copytree(prepared.fleet, tmp_path / "fleet")
    return Clinic(Home(tmp_path / "home"), tmp_path / "fleet")


@pytest.fixture
def clinic_of_an(clinic: Clinic) -> Clinic:
    """Only Bà An's token is there: less to start."""
    clinic.keep_only("Bà An")
    return clinic


@pytest.fixture
def cli(clinic: Clinic, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Program:
    """Run the console script's own entry, on the clinic's data folder unless `home` names another."""
    run = program(monkeypatch, capfd)

    def ran(*arguments: object, home: Path | None = None) -> Ran:
        return run(home or clinic.home.path, *arguments)

    return ran


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lost answers are asked for again soon, so that a test of many faults does not take minutes."""
    monkeypatch.setattr(token_link, "TIMEOUT_S", 0.6)
    monkeypatch.setattr(token_link, "WAKE_S", 8.0)
    monkeypatch.setattr(token_link, "TOLD_AFTER_S", 60.0)  # a token that starts on a busy computer is not asleep


@pytest.fixture(scope="session")
def made_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty registry, to be copied."""
    home = Home(tmp_path_factory.mktemp("made") / "home")
    create_registry(home)
    return home.path


@pytest.fixture
def home(made_home: Path, tmp_path: Path) -> Iterator[Home]:
    """A registry of its own for a test, without tokens; programs that a failed test left running end with it."""
    shutil.copytree(made_home, tmp_path / "home")
    yield Home(tmp_path / "home")
    for run in Running.started:
        run.process.kill()
        run.process.communicate()
    Running.started.clear()


@pytest.fixture
def desk_cli(home: Home, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Program:
    """The console script's own entry on that registry."""
    return partial(program(monkeypatch, capfd), home.path)


@pytest.fixture
def six(tmp_path: Path) -> Iterator[Attached]:
    """Blank tokens that are plugged in."""
    with attached(tmp_path / "blank", 6) as there:
        yield there


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Attached]:
    """Fewer of them."""
    with attached(tmp_path / "blank", 2) as there:
        yield there
