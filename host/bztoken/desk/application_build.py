"""Compiles an application for one instruction set and packs it; the compiler is handed in, since it is an extra."""

import ast
import tempfile
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

from bztoken.desk import manifests
from bztoken.errors import FormatError
from bztoken.formats.application_archive import pack
from bzwire import archive
from bzwire.errors import WireError

# Told (source, compiled file to write, instruction set).
Compile = Callable[[Path, Path, str], None]

MPY_VERSION = 6
MPY_SUB_VERSION = 3


class Arch(StrEnum):
    """Instruction sets, by the names that mpy-cross has for them."""

    XTENSAWIN = "xtensawin"  # ESP32, ESP32-S3
    RV32IMC = "rv32imc"  # ESP32-C3, ESP32-C6
    X64 = "x64"  # the virtual board


# As in bits 10 and up of `sys.implementation._mpy`.
NUMBERS = {Arch.X64: 2, Arch.XTENSAWIN: 10, Arch.RV32IMC: 11}


def build_number(arch: Arch) -> int:
    """What `sys.implementation._mpy` says on a chip of this kind, as far as `archive.BUILD_MASK` compares it."""
    return MPY_VERSION | (MPY_SUB_VERSION | NUMBERS[arch] << 2) << 8


def arch_of(build: int) -> str:
    """The name of the instruction set in a build number; "unknown" for one that no board of ours has."""
    return next((arch.value for arch in Arch if NUMBERS[arch] == (build & archive.BUILD_MASK) >> 10), "unknown")


def version_of(source: Path) -> str:
    """VERSION of the application in this folder. Raises FormatError."""
    path = source / "bzfw" / "__init__.py"
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        raise FormatError(
            path, None, "this file is missing or no Python: name the folder that holds bzfw and bzwire"
        ) from None
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and _names(node) == ["VERSION"]:
            return str(node.value.value)
    raise FormatError(path, None, 'no line of it says which VERSION the application is: add VERSION = "1.2.3"')


def _names(node: ast.Assign) -> list[str]:
    return [target.id for target in node.targets if isinstance(target, ast.Name)]


def build(source: Path, arch: Arch, compile_file: Compile) -> bytes:
    """The stream of the application in a source folder, without what its production manifest leaves out. Raises
    FormatError, and what the compiler raises.
    """
    files: dict[str, bytes] = {}
    version = version_of(source)
    left_out = manifests.left_out(manifests.PRODUCTION, source)
    paths = [path for package in archive.FOLDERS for path in sorted((source / package).glob("*.py"))]
    with tempfile.TemporaryDirectory() as folder:
        for path in paths:
            if path in left_out:
                continue
            name = path.relative_to(source).with_suffix(archive.SUFFIX).as_posix()
            target = Path(folder) / name
            compile_file(path, target, arch.value)
            files[name] = target.read_bytes()
            _require_build(path, files[name], arch)
    try:
        return pack(version, build_number(arch), files)
    except WireError as error:
        raise FormatError(source, None, f"this is no application that a token takes ({error})") from None


def _require_build(source: Path, compiled: bytes, arch: Arch) -> None:
    """Header of a compiled file: "M", version, sub-version and architecture (0, 0 without machine code)."""
    number = build_number(arch)
    if compiled[:2] != bytes([ord("M"), number & 0xFF]) or compiled[2] not in (0, number >> 8):
        raise FormatError(source, None, "this was compiled to another format than tokens read: use the pinned compiler")
