"""Copies the installed ESP32 MicroPython stubs into a folder of their own, where mypy takes them as its typeshed.

Run: `python tests/house/firmware_stubs.py TARGET`; `make types-firmware` does. The stubs lie among other packages in
the venv, and mypy refuses a site-packages folder as a search path.
"""

import shutil
import sys
from importlib.metadata import files
from pathlib import Path

STUB_PACKAGES = ("micropython-esp32-stubs", "micropython-stdlib-stubs")


def copy_stubs(target: Path) -> int:
    """Fill `target` afresh; how many stub files it holds now."""
    shutil.rmtree(target, ignore_errors=True)
    copied = 0
    for package in STUB_PACKAGES:
        for stub in files(package) or ():
            if stub.suffix == ".pyi" or stub.name == "VERSIONS":
                place = target / str(stub)
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(stub.locate(), place)
                copied += 1
    return copied


if __name__ == "__main__":
    sys.exit(0 if copy_stubs(Path(sys.argv[1])) else "the MicroPython stubs are not installed: run `make setup`")
