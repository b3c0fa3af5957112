"""The only reader of board files on the host: what each board is, and what is wrong with its file.

A folder of boards holds one folder a board with a `board.json`; `BZTOKEN_BOARDS` names another one than this program's.
Which chips there are, and what each can, is data too (`chips.py`).
"""

import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bztoken.boards import papers, rules
from bztoken.boards.chips import CHECKOUT, Chip, known, read_json
from bztoken.desk.application_build import Arch
from bztoken.errors import BoardError

VARIABLE = "BZTOKEN_BOARDS"
FILE = "board.json"
# What firmware/bzfw/hal_esp32.py reads; a test holds this table against it. An empty tuple: the value itself.
DEVICE_KEYS: dict[str, tuple[str, ...]] = {
    "name": (),
    "radio": ("tx_power_dbm",),
    "light": ("red", "green", "blue", "mono", "active_low"),
    "button": ("pin", "active_low"),
    "usb_sense": ("pin", "active_low"),
    "battery": ("adc_pin", "divider", "low_mv", "empty_mv"),
    "buzzer": ("pin", "passive"),
    "rtc": ("chip", "scl", "sda"),
    "clock": ("drift_ppm",),
    "power": ("profile", "sleep", "deepsleep_wake", "cpu_hz", "hold_pin"),
}


@dataclass(frozen=True)
class Partition:
    """A stretch of flash, offset and size in bytes; size None: to the end of the flash."""

    name: str
    offset: int
    size: int | None


@dataclass(frozen=True)
class Image:
    """The MicroPython image for a board. sha256: lower case hex, None when nobody has recorded it yet."""

    name: str
    release: str
    file: str
    url: str
    sha256: str | None
    sha256_source: str | None


@dataclass(frozen=True)
class Board:
    """A board whose file was checked. flash_bytes is None when nobody states it; description: the file as it is."""

    name: str
    folder: Path
    chip: Chip
    flash_bytes: int | None
    partitions: tuple[Partition, ...]
    image: Image | None
    description: dict[str, Any]

    @property
    def path(self) -> Path:
        """The board's file."""
        return self.folder / FILE

    @property
    def arch(self) -> Arch:
        """The instruction set of its compiled files: the chip's, unless the file names another one."""
        return Arch(self.description.get("arch", self.chip.arch))

    def vfs(self, flash_bytes: int) -> Partition:
        """Where the file system lies in a flash of so many bytes. Raises BoardError when there is no room or no map."""
        found = next((part for part in self.partitions if part.name == "vfs"), None)
        if found is None:
            raise BoardError(f"{self.path}: flash_map has no vfs, so nobody knows where the file system goes: add it.")
        size = flash_bytes - found.offset if found.size is None else found.size
        if size <= 0 or found.offset + size > flash_bytes:
            raise BoardError(
                f"The file system of board {self.name} begins at {found.offset:#x}, and this flash has "
                f"{flash_bytes} bytes: the board in your hand is another one, or its flash is too small."
            )
        return Partition(found.name, found.offset, size)


def folder() -> Path:
    """Where the boards are. Raises BoardError when it is no folder."""
    chosen = os.environ.get(VARIABLE)
    found = Path(chosen).expanduser() if chosen else CHECKOUT
    if not found.is_dir():
        named = f"{VARIABLE} names {found}, which is no folder" if chosen else f"{found} is missing"
        raise BoardError(f"{named}: name the folder that holds the boards' folders in {VARIABLE}.")
    return found


def names() -> list[str]:
    """Every board that there is a file of, in the order of the alphabet."""
    return sorted(path.parent.name for path in folder().glob(f"*/{FILE}"))


def load(name: str) -> Board:
    """The board of this name. Raises BoardError when there is none, or with the first thing that is wrong."""
    description, chip = _read(name)
    found = rules.problems(description, name, chip)
    if found or chip is None:
        raise BoardError(f"{folder() / name / FILE}: {found[0]}.")
    return _board(description, folder() / name, chip)


def problems(name: str) -> list[str]:
    """What is wrong with a board: shape, sources and impossible values of its file, then its papers.

    Raises BoardError when there is no such board.
    """
    try:
        description, chip = _read(name)
    except BoardError as error:
        _require_known(name)
        return [str(error)]
    found = rules.problems(description, name, chip)
    return [*found, *papers.problems(folder() / name, chip is not None and chip.esptool_name is not None)]


def usb_ids() -> frozenset[tuple[int, int]]:
    """Vendor and product numbers by which boards are known. A file that is wrong is left out, with a remark: the other
    boards must work on. Raises BoardError when there is no folder of boards."""
    found: set[tuple[int, int]] = set()
    for name in names():
        try:
            ports = load(name).description.get("usb", [])
        except BoardError as error:
            logging.getLogger(__name__).warning("This board is left out: %s", error)
        else:
            found.update((int(port["vid"], 16), int(port["pid"], 16)) for port in ports)
    return frozenset(found)


def device_file(board: Board) -> bytes:
    """`/board.json` of the board itself: small, and nothing in it that its firmware does not read."""
    kept: dict[str, Any] = {}
    for key, parts in DEVICE_KEYS.items():
        if key in board.description:
            value = board.description[key]
            kept[key] = {part: value[part] for part in parts if part in value} if parts else value
    return json.dumps(kept, separators=(",", ":"), ensure_ascii=False).encode()


# -- reading ---------------------------------------------------------------------------------------------------------
def _require_known(name: str) -> None:
    if name not in names():
        raise BoardError(f"There is no board {name!r} in {folder()}: give one of {', '.join(names()) or 'none'}.")


def _read(name: str) -> tuple[Any, Chip | None]:
    """The file, and its chip when there is one of that name."""
    _require_known(name)
    description = read_json(folder() / name / FILE)
    chip = description.get("chip") if isinstance(description, dict) else None
    return description, known(folder()).get(chip) if isinstance(chip, str) else None


def _board(description: dict[str, Any], place: Path, chip: Chip) -> Board:
    flash_map = {key: part for key, part in description.get("flash_map", {}).items() if key != "source"}
    image = description.get("image")
    fields = ("name", "release", "file", "url", "sha256", "sha256_source")
    return Board(
        name=description["name"],
        folder=place,
        chip=chip,
        flash_bytes=description["flash_bytes"],
        partitions=tuple(
            Partition(key, int(part["offset"], 16), int(part["size"], 16) if "size" in part else None)
            for key, part in flash_map.items()
        ),
        image=Image(**{field: image[field] for field in fields}) if image and image.get("file") else None,
        description=description,
    )
