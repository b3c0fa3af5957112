"""What lies in the file system of a freshly flashed board: compiled application, the two files that the port runs by
name, the board's description. Two builds, told apart by one file (`firmware/production.toml`, `development.toml`).

The compiler is handed in, since it is an extra.
"""

import tempfile
from enum import StrEnum
from pathlib import Path

from bztoken.desk import manifests
from bztoken.desk.application_build import Arch, Compile
from bztoken.errors import FormatError
from bzwire import archive

BOARD_FILE = "board.json"


class Build(StrEnum):
    """production: for wearers, no way to a prompt; development: the prompt stays, for a desk."""

    PRODUCTION = manifests.PRODUCTION
    DEVELOPMENT = "development"


def files(
    build: Build, arch: Arch, compile_file: Compile, board_file: bytes, firmware: Path = manifests.FIRMWARE
) -> dict[str, bytes]:
    """Path from the root of the board's file system: content. board_file: what the firmware reads of the board.

    Raises FormatError for a manifest or source that is missing or wrong, and what the compiler raises.
    """
    manifest = manifests.read(build, firmware)
    found = {path.relative_to(firmware).as_posix(): _read(path) for path in manifest.source}
    with tempfile.TemporaryDirectory() as folder:
        for source in manifest.compiled:
            name = source.relative_to(firmware).with_suffix(archive.SUFFIX).as_posix()
            target = Path(folder) / name
            compile_file(source, target, arch.value)
            found[name] = target.read_bytes()
    found.update(dict.fromkeys(manifest.empty, b""))
    found[BOARD_FILE] = board_file
    return found


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        raise FormatError(path, None, "this file is missing: run from a source checkout") from None
