"""Tokens in real time: blank ones, or those of a fleet that ran in virtual time."""

import json
import random
from collections.abc import Callable
from pathlib import Path

from . import application
from .channel import Channel
from .errors import FleetError
from .ether import Ether, Station
from .fleet import Member, open_manifest
from .process import TokenFolder, TokenProcess
from .realtime import RealTimeFleet, is_attached
from .world import Position

DESK_M = 0.2
# The truth of a fleet ends with its run: what its tokens would hear of each other on the desk is in no truth file.
OUT_OF_REACH_M = 2000.0


def _on_the_desk(index: int, apart_m: float) -> Position:
    """Attached tokens lie in a row on the clinic's desk."""
    return Position(apart_m * index, 0.0, "desk", True)


def _stays_at(place: Position) -> Callable[[float], Position]:
    def where(_unix_s: float) -> Position:
        return place

    return where


def attach(folder: Path, blank: int = 0, baud: int | None = None) -> RealTimeFleet:
    """A fleet ready to `run`: `blank` new tokens in `folder`, or, with 0, the tokens of the fleet found there.

    baud: of their ports; None for USB without a baud rate. Raises FleetError.
    """
    members = [Member("", f"blank-{n + 1}", "token", f"token-{n + 1}") for n in range(blank)]
    if not members:
        members = open_manifest(folder).tokens()
    if is_attached(folder):
        raise FleetError(f"The fleet in {folder} is attached already: `bztoken fleet stop --from {folder}` ends that.")
    folder.mkdir(parents=True, exist_ok=True)
    app = application.build(folder / "app")
    board = json.loads((app.rom / "board.json").read_text())
    fleet = RealTimeFleet(folder, Ether(Channel(0, 0.0)), baud)
    for index, member in enumerate(members):
        path = folder / member.folder
        token_folder = TokenFolder.create(path) if blank else TokenFolder.open(path)
        place = _on_the_desk(index, DESK_M if blank else OUT_OF_REACH_M)
        station = Station(member.folder, board["radio"]["tx_power_dbm"], _stays_at(place), random.Random())
        process = TokenProcess(token_folder, app, None, lockstep=False)
        fleet.add(member.label, process, station, board["button"]["pin"])
    return fleet
