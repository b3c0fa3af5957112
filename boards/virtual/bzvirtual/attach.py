"""Tokens in real time: blank ones, or those of a fleet that ran in virtual time."""

import json
import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import application, bare_board
from .bare_board import MIB
from .channel import Channel
from .errors import FleetError
from .ether import Ether, Station
from .fleet import Member, open_manifest
from .process import TokenProcess
from .realtime import RealTimeFleet, is_attached
from .token_folder import TokenFolder, mac_of
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


@dataclass(frozen=True)
class Bare:
    """Boards to be attached with nothing in their flash. chip: as esptool calls it."""

    count: int
    chip: str = "esp32c3"
    flash_bytes: int = 4 * MIB


def attach(
    folder: Path, blank: int = 0, baud: int | None = None, bare: Bare | None = None, flash: bytes | None = None
) -> RealTimeFleet:
    """A fleet ready to `run`: `blank` new tokens or `bare` boards in `folder`, else the tokens of the fleet there.

    baud: of their ports; None for USB without a baud rate. flash: what blank tokens were flashed with, a file system of
    `FLASH_BYTES`. Raises FleetError.
    """
    members = _new_members("bare", bare.count) if bare else _new_members("blank", blank)
    are_new = bool(members)
    if bare is not None:
        bare_board.require_installed()
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
        token_folder = TokenFolder.create(path, mac=mac_of(os.urandom(8).hex())) if are_new else TokenFolder.open(path)
        if flash is not None and blank:
            token_folder.flash.write_bytes(flash)
        place = _on_the_desk(index, DESK_M if are_new else OUT_OF_REACH_M)
        station = Station(member.folder, board["radio"]["tx_power_dbm"], _stays_at(place), random.Random())
        process = TokenProcess(token_folder, app, None, lockstep=False)
        if bare is None:
            fleet.add(member.label, process, station, board["button"]["pin"])
        else:
            fleet.add_bare(member.label, process, station, board["button"]["pin"], bare.chip, bare.flash_bytes)
    return fleet


def _new_members(label: str, count: int) -> list[Member]:
    return [Member("", f"{label}-{n + 1}", "token", f"token-{n + 1}") for n in range(count)]
