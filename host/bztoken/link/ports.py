"""Which serial ports may have a token: those with the USB numbers of a board file, or those that somebody names.

Nothing is opened here, and a device with other numbers must never be: to it a request is rubbish, or a command.
"""

import glob
import os
import re
import stat
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from serial.tools.list_ports import comports
from serial.tools.list_ports_common import ListPortInfo

from bztoken import boards
from bztoken.errors import BoardError, LinkError

VARIABLE = "BZTOKEN_PORTS"
PSEUDO_TERMINALS = "/dev/pts/"
LISTING_TRIES = 5


@dataclass(frozen=True)
class FoundPort:
    """path: what to open; key: of this plugging, another one when the same port was pulled out and put in again."""

    path: str
    key: str
    description: str


@dataclass(frozen=True)
class LeftAlone:
    """A device or a file that is not opened, and why."""

    path: str
    description: str
    why: str


@dataclass(frozen=True)
class Look:
    """What there is: what would be opened, and the rest."""

    tried: list[FoundPort]
    left_alone: list[LeftAlone]


def usb_ids() -> frozenset[tuple[int, int]]:
    """Vendor and product numbers of all boards. Raises LinkError when the board files are not there."""
    try:
        found = _usb_ids_in(boards.folder())
    except BoardError as error:
        raise LinkError(f"{error} Or name the ports in {VARIABLE}, or one with --port.") from None
    if not found:
        raise LinkError(f"No board file has USB numbers: name the ports in {VARIABLE}, or one with --port.")
    return found


@cache
def _usb_ids_in(_folder: Path) -> frozenset[tuple[int, int]]:
    """Asked every second by whoever watches for tokens."""
    return boards.usb_ids()


def candidates(patterns: Sequence[str] = ()) -> list[FoundPort]:
    """The ports worth asking, in order; patterns: see `look`."""
    return look(patterns).tried


def look(patterns: Sequence[str] = (), listed: Iterable[ListPortInfo] | None = None) -> Look:
    """Sort the ports of this computer.

    patterns: globs of what to try, and nothing else is; without one those in `BZTOKEN_PORTS`; without that, ports are
    told by their USB numbers. listed: what the system lists, when somebody has looked already.
    """
    known = sorted(_listed() if listed is None else listed)
    if patterns:
        return _by_name(patterns, known, "not among those that were named")
    named = [part for part in os.environ.get(VARIABLE, "").split(os.pathsep) if part]
    return _by_name(named, known, f"not named in {VARIABLE}") if named else _by_numbers(known)


def _listed() -> list[ListPortInfo]:
    """pyserial reads what a device says of itself piece by piece, and stumbles when it is pulled out meanwhile."""
    for _ in range(LISTING_TRIES):
        try:
            return list(comports())
        except TypeError:  # a piece that is gone reads as None
            continue
    raise LinkError("The serial ports come and go too fast to be listed: look for a loose plug, then try again.")


# -- by USB numbers ------------------------------------------------------------------------------------------------
def _by_numbers(known: list[ListPortInfo]) -> Look:
    ids = usb_ids()
    tried, left_alone = [], []
    for port in known:
        if (port.vid, port.pid) in ids:
            tried.append(FoundPort(port.device, _plugging(port.device, port), _described(port)))
        else:
            left_alone.append(LeftAlone(port.device, _described(port), _why_not(port)))
    return Look(tried, left_alone)


def _why_not(port: ListPortInfo) -> str:
    if port.vid is None or port.pid is None:
        return "not on USB"
    return f"no board has the USB numbers {port.vid:04x}:{port.pid:04x}"


def _described(port: ListPortInfo | None) -> str:
    if port is None or port.description in (None, "n/a", port.name):
        return ""
    return str(port.description)


# -- by name -------------------------------------------------------------------------------------------------------
def _by_name(patterns: Sequence[str], known: list[ListPortInfo], why_not: str) -> Look:
    """why_not: what to say of a port that none of the patterns fits."""
    infos = {os.path.realpath(port.device): port for port in known}
    matches = {pattern: glob.glob(os.path.expanduser(pattern)) for pattern in patterns}
    tried: dict[str, FoundPort] = {}
    left_alone = [LeftAlone(pattern, "", "nothing there") for pattern, found in matches.items() if not found]
    for path in sorted({path for found in matches.values() for path in found}, key=_natural):
        device = os.path.realpath(path)
        why = "another name of a port that is tried" if device in tried else _not_a_port(path)
        if why:
            left_alone.append(LeftAlone(path, "", why))
        else:
            info = infos.get(device)
            tried[device] = FoundPort(path, _plugging(path, info), _described(info))
    others = [port for device, port in infos.items() if device not in tried]
    left_alone += [LeftAlone(port.device, _described(port), why_not) for port in others]
    return Look(list(tried.values()), left_alone)


def _natural(path: str) -> list[tuple[int, str]]:
    """ttyUSB2 before ttyUSB10."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"([0-9]+)", path)]


def _not_a_port(path: str) -> str:
    try:
        found = os.stat(path)
    except OSError:
        return "leads to nothing: nothing is plugged in there"
    if not stat.S_ISCHR(found.st_mode):
        return "not a serial port"
    return "the terminal from which this program runs" if found.st_rdev in _own_terminals() else ""


def _own_terminals() -> set[int]:
    """Device numbers: a wide pattern takes in the one on which somebody reads along."""
    own = set()
    for descriptor in (0, 1, 2):
        with suppress(OSError):  # it may be closed
            if os.isatty(descriptor):
                own.add(os.fstat(descriptor).st_rdev)
    return own


# -- which plugging ------------------------------------------------------------------------------------------------
def _plugging(path: str, info: ListPortInfo | None) -> str:
    """A device file is made anew each time a cable is put in: its number in the file system tells one from the next."""
    marks = [path]
    if info is not None:
        marks += [str(info.location), str(info.serial_number)]
    try:
        link = os.lstat(path)
        device = os.stat(path)
    except OSError:  # pulled out since it was listed, or a system that has no device files
        return "|".join(marks)
    marks += [f"{link.st_ino}.{link.st_mtime_ns}" if stat.S_ISLNK(link.st_mode) else "", f"{device.st_ino}"]
    if os.path.realpath(path).startswith(PSEUDO_TERMINALS):  # numbers are used again there
        marks.append(str(device.st_ctime_ns))
    return "|".join(marks)
