"""Options of the device suite: which board, and what to do beside the tests.

Loaded by `tests/conftest.py`, because pytest takes options from the outermost conftest only; without any of them the
suite runs on virtual boards.
"""

import re
from argparse import Namespace
from dataclasses import dataclass

import pytest

VIRTUAL = "virtual"
SERIAL = "serial:"
RELEASE = re.compile(r"v\d+\.\d+(\.\d+)?([-+][A-Za-z0-9.+-]+)?")


@dataclass(frozen=True)
class Choice:
    """What was asked for. port: None for the virtual board; micropython: release on the board, empty when not told."""

    port: str | None
    neighbour: str | None
    board_name: str | None
    has_hands: bool
    is_long: bool
    record: bool
    micropython: str
    by: str | None


def pytest_addoption(parser: pytest.Parser) -> None:
    """All in one group of `pytest --help`."""
    group = parser.getgroup("device", "tests/device: on a board instead of the virtual one")
    group.addoption("--board", default=VIRTUAL, metavar="BOARD", help="virtual, or serial:PORT of a blank token")
    group.addoption("--neighbour", metavar="BOARD", help="serial:PORT of a second blank token, an arm's length away")
    group.addoption("--board-name", metavar="NAME", help="which board it is by its case (else what it says itself)")
    group.addoption("--hands", action="store_true", help="somebody is at the desk: ask what can be seen and heard")
    group.addoption("--long", action="store_true", help="also what takes minutes: a whole window beside the neighbour")
    group.addoption("--record", action="store_true", help="add a row to the board's record sheet")
    group.addoption("--micropython", default="", metavar="RELEASE", help="what is flashed, as v1.29.0; for --record")
    group.addoption("--by", metavar="NAME", help="who is at the desk, for --record (else the user of this computer)")


def pytest_configure(config: pytest.Config) -> None:
    """Options that contradict each other are told before anything runs."""
    chosen(config.option)


def chosen(options: Namespace) -> Choice:
    """What the options of a run say. Raises pytest.UsageError."""
    choice = Choice(
        port=None if options.board == VIRTUAL else _port("--board", options.board),
        neighbour=_neighbour(options.neighbour, options.board),
        board_name=options.board_name,
        has_hands=options.hands,
        is_long=options.long,
        record=options.record,
        micropython=options.micropython,
        by=options.by,
    )
    if choice.record:
        _require_recordable(choice)
    return choice


def _port(option: str, board: str) -> str:
    port = str(board).removeprefix(SERIAL)
    if not port or port == board:
        kinds = "serial:PORT" if option == "--neighbour" else f"{VIRTUAL} or serial:PORT"
        raise pytest.UsageError(f"{option} is {kinds}, for example {option}=serial:/dev/ttyUSB0")
    return port


def _neighbour(neighbour: str | None, board: str) -> str | None:
    if neighbour is None:
        return None
    if board == VIRTUAL:
        raise pytest.UsageError("the virtual board brings its own neighbour: leave --neighbour out")
    if neighbour == board:
        raise pytest.UsageError("a token is not its own neighbour: name another port with --neighbour")
    return _port("--neighbour", neighbour)


def _require_recordable(choice: Choice) -> None:
    if choice.port is None:
        raise pytest.UsageError("a record sheet holds what ran on real boards: --record needs --board=serial:PORT")
    if not RELEASE.fullmatch(choice.micropython):
        raise pytest.UsageError("--record needs the MicroPython release that is flashed, as --micropython v1.29.0")
