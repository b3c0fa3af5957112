"""Runs esptool, and tells from what it says how that went.

esptool is another program, under a licence of its own: it is never imported. Between two of its runs the chip stays in
its boot loader (`--after no-reset`), so that nothing on the board changes meanwhile; the last run restarts it.
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from bztoken.errors import FlashError

MIB = 1024 * 1024
_UNITS = {"KB": 1024, "MB": MIB}
_CHIP = re.compile(r"^Connected to (ESP\S+) on ", re.MULTILINE)
# Chips with a radio for IEEE 802.15.4 have a longer address, too; `machine.unique_id()` is the base.
_MACS = (
    re.compile(r"^BASE MAC:\s+([0-9a-f:]{17})$", re.MULTILINE),
    re.compile(r"^MAC:\s+([0-9a-f:]{17})$", re.MULTILINE),
)
_FLASH = re.compile(r"^Detected flash size: (\d+)(KB|MB)$", re.MULTILINE)
_PART = re.compile(r"^Writing '(.+)' at 0x")
_PERCENT = re.compile(r" (\d+(?:\.\d+)?)% ")
_VERIFIED = "Hash of data verified."
_DIFFERS = "does not match data in flash"
_ERROR = re.compile(r"A fatal error occurred: (.+)")
_BUSY = "the port is busy"

GET_IT_BACK = "close the other program that uses the port, or plug the board in again, then run the same command again"
WAKE_IT = "hold the board's BOOT button while you plug it in, let go, then run the command again"

# Told a line of esptool's own output.
Echo = Callable[[str], None]
# Told which part is being written, and how much of it is (0 to 1).
Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Found:
    """A board in its boot loader. chip: as esptool calls it ("ESP32-C3"); hardware: 6 bytes, the chip's own number;
    flash_bytes: None when the flash does not say."""

    chip: str
    hardware: bytes
    flash_bytes: int | None


@dataclass(frozen=True)
class Part:
    """Something to write. name: for people; offset: in the flash, in bytes."""

    name: str
    offset: int
    content: bytes


def require_installed() -> None:
    """Raises FlashError."""
    if find_spec("esptool") is None:
        raise FlashError("esptool is missing: install bztoken with its extra, `pip install bztoken[desk]`.")


class Esptool:
    """A board at a port. baud: for reading and writing; echo: told everything that esptool says.

    has_begun: something of the flash may be written over already.
    """

    def __init__(self, port: str, baud: int, echo: Echo | None = None) -> None:
        self.has_begun = False
        self._port = port
        self._baud = baud
        self._echo = echo

    def identify(self) -> Found:
        """Bring the chip into its boot loader and ask it. Raises FlashError."""
        code, said = self._run(["--after", "no-reset", "flash-id"])
        chip = _CHIP.search(said)
        mac = next((found for pattern in _MACS if (found := pattern.search(said))), None)
        if code != 0 or chip is None or mac is None:
            raise FlashError(self._no_answer(said))
        size = _FLASH.search(said)
        flash_bytes = None if size is None else int(size.group(1)) * _UNITS[size.group(2)]
        return Found(chip.group(1), bytes.fromhex(mac.group(1).replace(":", "")), flash_bytes)

    def read(self, offset: int, size: int) -> bytes:
        """Bytes of the flash. Raises FlashError."""
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / "read.bin"
            arguments = ["--after", "no-reset", "read-flash", "--no-progress", hex(offset), hex(size), str(target)]
            code, said = self._run(["--baud", str(self._baud), *arguments])
            content = target.read_bytes() if code == 0 and target.exists() else b""
        if len(content) != size:
            raise FlashError(
                f"The flash of the board at {self._port} could not be read, nothing was written to it "
                f"({_last_word(said)}): {_advice(said, 'check plug and cable, try a lower --baud')}."
            )
        return content

    def write(self, chip: str, parts: Sequence[Part], progress: Progress) -> None:
        """Write all parts, hold each against its digest in the flash, restart the board. chip: as esptool calls it.

        Raises FlashError.
        """

        def told(name: str, fraction: float) -> None:
            self.has_begun = True
            progress(name, fraction)

        with _files(parts) as places:
            follow = _Follower({place.name: part.name for place, part in zip(places, parts, strict=True)}, told)
            arguments = [
                word for place, part in zip(places, parts, strict=True) for word in (hex(part.offset), str(place))
            ]
            options = ["--chip", chip.lower().replace("-", ""), "--baud", str(self._baud), "--after", "hard-reset"]
            code, said = self._run([*options, "write-flash", *arguments], follow)
        if _DIFFERS in said:
            raise FlashError(
                f"The board at {self._port} does not hold what was written to it: run the same command again with a "
                "lower --baud; if that fails too, its flash is worn out."
            )
        if code != 0 or said.count(_VERIFIED) != len(parts):
            raise FlashError(self.left_as(_last_word(said)))

    def restart(self) -> None:
        """Let the board out of its boot loader, untouched; one that does not come out was told about already."""
        self._run(["--connect-attempts", "2", "--after", "hard-reset", "read-mac"])

    def left_as(self, why: str) -> str:
        """What to say of a board whose flashing ended before its end."""
        if not self.has_begun:
            return (
                f"Nothing was written to the board at {self._port} ({why}): "
                f"{_advice(why, 'check plug, cable and image, then run the same command again')}."
            )
        return (
            f"Writing to the board at {self._port} was interrupted ({why}): it is half written and does not start; "
            "plug it in and run the same command again."
        )

    def _no_answer(self, said: str) -> str:
        return f"No ESP32 answers at {self._port}, nothing was written ({_last_word(said)}): {_advice(said, WAKE_IT)}."

    def _run(self, arguments: Sequence[str], follow: Echo = lambda _line: None) -> tuple[int, str]:
        """(exit code, all it said). Ends esptool whatever ends this."""
        command = [sys.executable, "-m", "esptool", "--port", self._port, *arguments]
        lines = []
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=_environment()
        ) as process:
            assert process.stdout is not None
            try:
                for raw in process.stdout:
                    line = raw.decode("utf-8", "replace").rstrip()
                    lines.append(line)
                    follow(line)
                    if self._echo is not None:
                        self._echo(line)
            except BaseException:
                process.kill()
                raise
        return process.returncode, "\n".join(lines)


class _Follower:
    """Tells progress from the lines of a run. names: of the parts, by file."""

    def __init__(self, names: dict[str, str], progress: Progress) -> None:
        self._names = names
        self._progress = progress
        self._name = ""

    def __call__(self, line: str) -> None:
        part = _PART.match(line)
        if part is not None:
            self._name = self._names.get(Path(part.group(1)).name, "")
            self._progress(self._name, 0.0)
        percent = _PERCENT.search(line)
        if percent is not None and self._name:
            self._progress(self._name, min(1.0, float(percent.group(1)) / 100))


@contextmanager
def _files(parts: Sequence[Part]) -> Iterator[list[Path]]:
    with tempfile.TemporaryDirectory() as folder:
        places = [Path(folder) / f"part{number}.bin" for number in range(len(parts))]
        for place, part in zip(places, parts, strict=True):
            place.write_bytes(part.content)
        yield places


def _environment() -> dict[str, str]:
    """Plain text, line by line."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("ESPTOOL_", "FORCE_COLOR"))}
    return {**own, "NO_COLOR": "1", "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}


def _advice(said: str, otherwise: str) -> str:
    """Another program may take the port between two runs of esptool, or somebody pull the cable out: it has one
    sentence for both."""
    return GET_IT_BACK if _BUSY in said else otherwise


def _last_word(said: str) -> str:
    """Why esptool gave up, in its own words."""
    errors = _ERROR.findall(said)
    lines = errors or [line for line in said.splitlines() if line.strip()] or ["no reason given"]
    return str(lines[-1]).split(". ")[0].strip().rstrip(".")
