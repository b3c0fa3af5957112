"""One token for the whole suite, from blank over handed out to wiped; tests run in the order of these three states.

A test takes the state it needs as its argument: `blank`, `worn` (it has keys and the time) or `wiped`.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.device.desk import DeskToken, laid_out
from tests.device.hands import Hands
from tests.device.options import Choice, chosen
from tests.device.plugged_in import virtual_ports
from tests.device.run_record import RunRecord

from bztoken.errors import BztokenError

TEST_LIMIT_S = 120
STATES = ("blank", "worn", "wiped")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Bring the tests of this folder into the order of a token's life, and let none of them hang.

    On the virtual board, what needs a person or six minutes is left out unless it was asked for: nobody is to be told
    why, as at a desk.
    """
    here = Path(__file__).parent
    left_out = [item for item in items if here in item.path.parents and _is_for_a_desk(chosen(config.option), item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    places = [at for at, item in enumerate(items) if here in item.path.parents]
    own = sorted((items[at] for at in places), key=_state)
    for at, item in zip(places, own, strict=True):
        items[at] = item
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(TEST_LIMIT_S, func_only=True))


def _is_for_a_desk(choice: Choice, item: pytest.Item) -> bool:
    wanted = getattr(item, "fixturenames", ())
    asked = {"hands": choice.has_hands, "long_run": choice.is_long}
    return choice.port is None and any(name in wanted and not asked[name] for name in asked)


def _state(item: pytest.Item) -> int:
    """Tests that touch no token come first."""
    wanted = getattr(item, "fixturenames", ())
    return max((STATES.index(state) + 1 for state in STATES if state in wanted), default=0)


def pytest_configure(config: pytest.Config) -> None:
    """A run that is to be recorded has somebody who counts."""
    choice = chosen(config.option)
    if choice.record and not config.pluginmanager.has_plugin("run_record"):
        config.pluginmanager.register(RunRecord(choice), "run_record")


# -- the desk --------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="package")
def choice(pytestconfig: pytest.Config) -> Choice:
    """What was asked for on the command line."""
    return chosen(pytestconfig.option)


@pytest.fixture(scope="package")
def long_run(choice: Choice) -> None:
    """What takes minutes, and is asked for."""
    if not choice.is_long:
        pytest.skip("a window takes six minutes: --long")


@pytest.fixture(scope="package")
def desk(choice: Choice, pytestconfig: pytest.Config) -> Iterator[list[DeskToken]]:
    """The token, and its neighbour if there is one. Ends the run when they are not blank, or it cannot be recorded."""
    with ExitStack() as stack:
        try:
            if choice.port is None:
                ports = stack.enter_context(virtual_ports(2))
            else:
                ports = [port for port in (choice.port, choice.neighbour) if port is not None]
            tokens = stack.enter_context(laid_out(ports, choice.board_name))
            recorder = pytestconfig.pluginmanager.get_plugin("run_record")
            if recorder is not None:
                recorder.met(tokens[0])
        except BztokenError as error:
            pytest.exit(str(error), returncode=pytest.ExitCode.TESTS_FAILED)
        yield tokens


@pytest.fixture(scope="package")
def blank(desk: list[DeskToken]) -> DeskToken:
    """The token as it came: nobody's."""
    return desk[0]


@pytest.fixture(scope="package")
def worn(desk: list[DeskToken]) -> DeskToken:
    """The token with keys and the time."""
    desk[0].hand_out()
    return desk[0]


@pytest.fixture(scope="package")
def neighbour(desk: list[DeskToken]) -> DeskToken:
    """The second token, with keys and the time."""
    if len(desk) < 2:
        pytest.skip("there is no second token: name its port with --neighbour")
    desk[1].hand_out()
    return desk[1]


@pytest.fixture(scope="package")
def wiped(worn: DeskToken) -> DeskToken:
    """The token after it was made to forget."""
    worn.wipe()
    return worn


@pytest.fixture(scope="package")
def hands(choice: Choice, pytestconfig: pytest.Config) -> Hands:
    """Somebody at the desk who looks, listens and presses."""
    if not choice.has_hands:
        pytest.skip("nobody is asked to look or press: --hands")
    recorder = pytestconfig.pluginmanager.get_plugin("run_record")
    capture = pytestconfig.pluginmanager.get_plugin("capturemanager")
    return Hands(capture, recorder.answers if recorder is not None else [])
