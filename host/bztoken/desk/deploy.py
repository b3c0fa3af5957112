"""A developer's loop: puts the firmware of this checkout on a board with a prompt, by copying what differs.

Copies lie beside the application until all are there; then a script on the board puts them in place, main.py last.
Where the cable or the power goes, the same command finishes. Identity, log and settings are other files and stay.
"""

import asyncio
import hashlib
import logging
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from bztoken import boards
from bztoken.desk import board_files, deploy_scripts
from bztoken.desk.application_build import Arch, Compile, arch_of, build_number
from bztoken.desk.board_files import BOARD_FILE, Build
from bztoken.desk.manifests import FIRMWARE
from bztoken.desk.mpremote_program import Mpremote
from bztoken.errors import DeployError, LinkError
from bztoken.link.refusals import NotAToken
from bztoken.link.token_link import Info, TokenLink
from bzwire import archive

STAGE = "deploy.new"
# One that runs answers at once; one at its prompt echoes, a blank one says nothing.
ASK_S = 4.0
# A board that has restarted; a slow one takes three seconds until its console is read.
ANSWER_WITHIN_S = 20.0
BOOT_S = 1.0  # a question during it is lost, and is asked again only after two seconds
# Written by an update, and run in place of what is copied here.
_SLOTS = ("slots", "slot_a", "slot_b")
# Files that would be run in place of ours: source goes before compiled.
_SHADOWS = ("boot.mpy", "main.mpy", "loader.py")
_FOLDERS = ("bzwire", "bzfw")
# The switch first: a board that stops half-way must come back to its prompt. What boots last.
_FIRST, _LAST = ("development",), ("loader.mpy", "boot.py", "main.py")


_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Deployed:
    """What became of a board. copied, total, removed: files; firmware: as its INFO says."""

    board: str
    copied: int
    total: int
    removed: int
    seconds: float
    firmware: str


@dataclass(frozen=True)
class _OnBoard:
    """files: path from the root: SHA-256, hex. board: as its file calls it, None without one."""

    mpy: int
    board: str | None
    files: Mapping[str, str]


def deploy(port: str, compile_file: Compile, board: str | None = None, firmware: Path | None = None) -> Deployed:
    """Bring the board at a port to this checkout's development build, and wait until it answers.

    board: its name, where the board cannot tell or tells another. Raises DeployError, BoardError, FormatError,
    LinkError and what the compiler raises; the board then runs what it ran before, or the same command finishes.
    """
    Mpremote.require_installed()
    began_s = time.monotonic()
    _require_prompt(port)
    prompt = Mpremote(port)
    with _told_if_stopped(f"The board at {port} waits at its prompt: the same command finishes."):
        found = _look(prompt)
        try:
            name, wanted = _wanted(found, compile_file, board, firmware or FIRMWARE)
            changed = {path: content for path, content in wanted.items() if found.files.get(path) != _digest(content)}
            gone = sorted(set(found.files) - set(wanted))
            _put(prompt, changed, gone)
        except Exception:
            prompt.restart()
            raise
    with _told_if_stopped(f"All is on the board at {port}: `bztoken info --port {port}` tells whether it runs."):
        version = _wait_for(port)
    return Deployed(name, len(changed), len(wanted), len(gone), time.monotonic() - began_s, version)


@contextmanager
def _told_if_stopped(sentence: str) -> Iterator[None]:
    """Ctrl-C leaves the board as it is at that moment, and somebody has to know how that is."""
    try:
        yield
    except KeyboardInterrupt:
        _log.warning(sentence)
        raise


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _require_prompt(port: str) -> None:
    """A token of the production build answers; mpremote would wait for its prompt in vain."""
    info = asyncio.run(_info(port, ASK_S))
    if info is not None and not info.development:
        raise DeployError(
            f"The token at {port} runs a production build, which has no prompt: give it a development build with "
            "`bztoken flash --build development` first, and never a wearer's token."
        )


async def _info(port: str, within_s: float) -> Info | None:
    """None: nothing there answers as a token. Raises LinkError when the port cannot be opened."""
    try:
        async with asyncio.timeout(within_s), TokenLink(port) as link:
            return await link.info()
    except (NotAToken, TimeoutError):
        return None


def _look(prompt: Mpremote) -> _OnBoard:
    names = (*_FIRST, *_LAST, *_SHADOWS, BOARD_FILE)
    said = prompt.run_script(deploy_scripts.ask(names, _FOLDERS))
    lines = [line.split(" ", 2) for line in said.splitlines() if line.startswith("bz ")]
    if ["bz", "end"] not in lines:
        raise DeployError("The board did not say what is on it: check the cable and run the command again.")
    files = {path: digest for digest, path in (line[2].split(" ", 1) for line in lines if line[1] == "file")}
    told = {line[1]: line[2] for line in lines if line[1] in ("mpy", "board")}
    return _OnBoard(int(told["mpy"]), told.get("board"), files)


def _wanted(found: _OnBoard, compile_file: Compile, named: str | None, firmware: Path) -> tuple[str, dict[str, bytes]]:
    """Name of the board, and what its file system should hold."""
    name = named or found.board
    if name is None:
        raise DeployError("The board has no board file that would tell what it is: name it with --board.")
    board = boards.load(name)
    _require_fit(found, name, board.arch)
    return name, board_files.files(
        Build.DEVELOPMENT, board.arch, compile_file, boards.device_file(board), firmware=firmware
    )


def _require_fit(found: _OnBoard, name: str, arch: Arch) -> None:
    if found.mpy & archive.BUILD_MASK == build_number(arch):
        return
    there = arch_of(found.mpy)
    if there != arch.value:
        raise DeployError(f"Board {name} runs {arch} code and this one {there}: name the right board with --board.")
    raise DeployError(
        f"The MicroPython on this board loads another format of compiled files: flash the image that `bztoken boards "
        f"show {name}` names."
    )


def _put(prompt: Mpremote, changed: dict[str, bytes], gone: list[str]) -> None:
    finish = deploy_scripts.finish(STAGE, _FOLDERS, _in_order(changed), [*gone, STAGE, *_SLOTS])
    with tempfile.TemporaryDirectory() as scratch:
        stage = Path(scratch) / STAGE
        for path, content in changed.items():
            target = stage / PurePosixPath(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        prompt.copy_and_restart(stage if changed else None, finish)


def _in_order(paths: Mapping[str, bytes]) -> list[str]:
    middle = sorted(path for path in paths if path not in _FIRST + _LAST)
    return [*(path for path in _FIRST if path in paths), *middle, *(path for path in _LAST if path in paths)]


def _wait_for(port: str) -> str:
    """The version that a restarted board tells."""
    end_s = time.monotonic() + ANSWER_WITHIN_S
    time.sleep(BOOT_S)
    while time.monotonic() < end_s:
        try:
            info = asyncio.run(_info(port, end_s - time.monotonic()))
        except LinkError:  # its port is not back yet
            info = None
        if info is not None:
            return info.firmware
        time.sleep(0.2)
    raise DeployError(
        f"The files are on the board at {port}, and it does not answer: `mpremote connect {port}` shows what it says."
    )
