"""The desk: a token behind a port, perhaps a second one beside it, and a registry of its own that is gone afterwards.

Only blank tokens are touched, and they are blank again at the end, also when a test failed; where that cannot be done,
it says how to finish by hand, and keeps the keys for it.
"""

import asyncio
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import serial
from smpclient.exceptions import SMPClientException
from smpclient.requests.os_management import EchoWrite, MCUMgrParametersRead, ResetWrite
from smpclient.transport import SMPTransportDisconnected
from tests.integration.stranger import ask, cable

from bztoken import boards
from bztoken.connection import connect
from bztoken.errors import BztokenError, LinkError
from bztoken.home import Home
from bztoken.link.token_link import Info, TokenLink
from bztoken.link.transport import BAUD
from bztoken.provision import Provisioned, provision
from bztoken.registry.database import create_registry, open_registry
from bztoken.sync import SyncResult, sync
from bztoken.token_care import read_status
from bztoken.token_status import TokenStatus
from bztoken.token_wipe import plan_wipe, wipe
from bzwire import messages

HOME_PREFIX = "bztoken-device-"
BACK_S = 30.0  # to restart, and for a chip's own USB to come back
LOOK_S = 0.2
WRITE_S = 0.5  # a board that is restarting fetches nothing


class NotBlank(BztokenError):
    """A token that is somebody's: nothing was done to it."""


class DeskToken:
    """A token at a port. board: what its board file says; info: what it said when it was met; has_keys: it was given
    keys of this desk, and not wiped since, whoever answers at the port now."""

    def __init__(self, home: Home, port: str, label: str, info: Info, board: boards.Board) -> None:
        self.home = home
        self.port = port
        self.label = label
        self.board = board
        self.first_info = info
        self.has_keys = False

    def has(self, part: str) -> bool:
        """Whether the board has a light, a button, a battery, .., by its file."""
        return part in self.board.description

    # -- asked by anybody ------------------------------------------------------------------------------------------
    def info(self) -> Info:
        """What it says now."""
        return read_info(self.port)

    def echo(self, text: str) -> str:
        """By the standard group."""
        return str(self._standard(EchoWrite(d=text)).r)

    def parameters(self) -> tuple[int, int]:
        """(bytes of the longest request, how many at once)."""
        answer = self._standard(MCUMgrParametersRead())
        return answer.buf_size, answer.buf_count

    def _standard(self, request: Any) -> Any:
        async def run() -> Any:
            async with cable(self.port) as client:
                return await ask(client, request)

        return asyncio.run(run())

    def type(self, data: bytes, seconds: float) -> None:
        """Send these bytes again and again, as noise or a terminal would, and throw away what comes back.

        A chip's own USB may go away meanwhile, and come back.
        """
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            with suppress(OSError), _opened(self.port) as port:  # a SerialException is one
                while time.monotonic() < until_s:
                    port.write(data)
                    port.read(4096)
                    time.sleep(0.01)
            time.sleep(0.01)

    def begin_restart(self) -> None:
        """By the standard group. A chip's own USB may be gone before the answer is fetched: that it did restart shows
        in its boots.
        """
        with suppress(TimeoutError, OSError, SMPClientException, SMPTransportDisconnected):
            self._standard(ResetWrite())

    def restart(self) -> None:
        """The same of a token that has keys, and back when it answers again. Raises LinkError when it did not."""
        boots = self.status().boots
        self.begin_restart()
        self.wait_until_back()
        if self.status().boots == boots:
            raise LinkError(f"The token at {self.port} was told to restart, and did not.")

    def wait_until_back(self) -> None:
        """Raises LinkError when it does not answer within `BACK_S`."""
        until_s = time.monotonic() + BACK_S
        time.sleep(LOOK_S)
        while True:
            try:
                self.info()
                return
            except LinkError:  # a chip's own USB goes with it for a moment
                if time.monotonic() > until_s:
                    raise
            time.sleep(LOOK_S)

    # -- with its keys -----------------------------------------------------------------------------------------------
    def hand_out(self) -> Provisioned:
        """Give it keys of this desk's registry, and the time. A developer's board too: with these nobody wears it."""
        done = provision(self.home, self.port, self.label, may_be_development=True)
        self.has_keys = True
        return done

    def status(self) -> TokenStatus:
        """What it says of itself."""
        return read_status(self.home, self.port)

    def command(self, number: int, **fields: int) -> dict[str, Any]:
        """One command in a session of its own."""

        async def run() -> dict[str, Any]:
            with open_registry(self.home) as registry:
                async with connect(self.home, registry, self.port) as known:
                    return await known.link.command(number, **fields)

        return asyncio.run(run())

    def close_windows(self, times: int) -> None:
        """Write so many pages: setting the clock ends the present window."""

        async def run() -> None:
            with open_registry(self.home) as registry:
                async with connect(self.home, registry, self.port) as known:
                    for _ in range(times):
                        await known.link.command(messages.CMD_SET_CLOCK, t=time.time_ns() // 1_000_000)

        asyncio.run(run())

    def sync(self) -> SyncResult:
        """Read its log into the registry."""
        return sync(self.home, self.port, lambda _done, _total: None)

    def wipe(self) -> bool:
        """Make it blank, and wait until it has written over what was deleted: False when that takes long."""
        is_over = wipe(self.home, self.port, plan_wipe(self.home, self.port))
        self.has_keys = False
        return is_over


def _opened(path: str) -> serial.Serial:
    """A port as a program opens it that does not know tokens, but for the lines that would reset a chip."""
    port = serial.Serial(baudrate=BAUD, timeout=0, write_timeout=WRITE_S, exclusive=True)
    port.port, port.dtr, port.rts = path, False, False
    port.open()
    return port


def read_info(port: str) -> Info:
    """What the token at a port tells anybody. Raises LinkError."""

    async def run() -> Info:
        async with TokenLink(port) as link:
            return await link.info()

    return asyncio.run(run())


# -- before and after ------------------------------------------------------------------------------------------------
@contextmanager
def laid_out(ports: list[str], board_name: str | None = None) -> Iterator[list[DeskToken]]:
    """The blank tokens at these ports. Raises NotBlank or BztokenError before anything was done to one of them.

    board_name: what the first one is, when its case is believed more than its own word.
    """
    met = [_meet(port) for port in ports]
    names = [board_name if board_name and not at else info.board for at, info in enumerate(met)]
    known = [boards.load(name) for name in names]
    folder = Path(tempfile.mkdtemp(prefix=HOME_PREFIX))
    home = Home(folder / "home")
    create_registry(home)
    parts = zip(ports, met, known, strict=True)
    tokens = [DeskToken(home, port, f"desk-{at}", info, board) for at, (port, info, board) in enumerate(parts, 1)]
    try:
        yield tokens
    finally:
        left = [sentence for sentence in map(_left_with_keys, tokens) if sentence]
        if left:  # their keys are in the folder and nowhere else
            raise BztokenError(" ".join(left))
        shutil.rmtree(folder)


def _meet(port: str) -> Info:
    info = read_info(port)
    if info.provisioned:
        raise NotBlank(f"The token at {port} is not blank, and this suite wipes: {_whose(port)}")
    if info.erasing:
        raise NotBlank(f"The token at {port} still writes over what a wipe has deleted: repeat this in some minutes.")
    return info


def _whose(port: str) -> str:
    """What to do about a token that has keys."""
    for folder in sorted(Path(tempfile.gettempdir()).glob(f"{HOME_PREFIX}*/home")):
        if _knows(Home(folder), port):
            return f"an earlier run left it so, and `{_finishing(folder, port)}` makes it blank."
    return "it was not touched; sync and wipe it where it belongs, or take another one."


def _knows(home: Home, port: str) -> bool:
    async def greet() -> None:
        with open_registry(home) as registry:
            async with connect(home, registry, port, must_be_trusted=False):
                return

    try:
        asyncio.run(greet())
    except BztokenError:
        return False
    return True


def _finishing(home: Path, port: str) -> str:
    return f"bztoken --home {home} token wipe --port {port} --force --yes"


def _left_with_keys(token: DeskToken) -> str:
    """Make it blank; when that cannot be done, how to finish."""
    try:
        if token.has_keys or token.info().provisioned:
            token.wipe()
    except BztokenError as error:
        finishing = _finishing(token.home.path, token.port)
        return f"The token at {token.port} could not be wiped ({error}) Plug it in and finish with `{finishing}`."
    return ""
