"""What a flashed board carries: compiled files, two of source, the board; one file more makes it a developer's."""

import ast
import shutil
from pathlib import Path

import pytest

from bztoken.desk.application_build import NUMBERS, Arch
from bztoken.desk.board_files import Build, files
from bztoken.errors import BztokenError
from bzvirtual.application import compile_file

LEFT_OUT = {"bzwire/registry_keys.mpy", "bzfw/hal.mpy"}  # no board loads them
BOARD = b'{"name":"desk"}'


@pytest.fixture
def firmware(tmp_path: Path, repository: Path) -> Path:
    """A copy that may be spoilt."""
    folder = tmp_path / "firmware"
    shutil.copytree(repository / "firmware", folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def built(build: Build, arch: Arch = Arch.RV32IMC, firmware: Path | None = None) -> dict[str, bytes]:
    return files(build, arch, compile_file, BOARD, *([] if firmware is None else [firmware]))


def test_no_source_is_on_a_board_but_what_the_port_runs_by_name(repository: Path) -> None:
    found = built(Build.PRODUCTION)
    assert [name for name in found if name.endswith(".py")] == ["boot.py", "main.py"]
    sources = [*(repository / "firmware/bzfw").glob("*.py"), *(repository / "firmware/bzwire").glob("*.py")]
    compiled = {f"{path.parent.name}/{path.stem}.mpy" for path in sources} - LEFT_OUT
    assert compiled < set(found)
    assert set(found) - compiled == {"boot.py", "main.py", "loader.mpy", "board.json"}
    assert found["board.json"] == BOARD


def test_one_empty_file_is_all_that_makes_a_developers_board() -> None:
    production, development = built(Build.PRODUCTION), built(Build.DEVELOPMENT)
    assert development == {**production, "development": b""}
    assert "development" not in production


@pytest.mark.parametrize("module", ["loader.py", "bzfw/files.py"])
def test_the_switch_of_a_developers_board_has_one_name(repository: Path, module: str) -> None:
    """The loader imports nothing of the application, which may be damaged, so both have the name."""
    (switch,) = built(Build.DEVELOPMENT).keys() - built(Build.PRODUCTION).keys()
    tree = ast.parse((repository / "firmware" / module).read_text("utf-8"))
    named = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "DEVELOPMENT_PATH"
    ]
    assert named == [f"/{switch}"]


@pytest.mark.parametrize("arch", list(Arch))
def test_machine_code_is_that_of_the_chip(arch: Arch) -> None:
    """Header of a compiled file: sub-version and instruction set in its third byte, where there is machine code."""
    crc = built(Build.PRODUCTION, arch)["bzwire/crc16.mpy"]
    assert crc[2] >> 2 == NUMBERS[arch]


@pytest.mark.parametrize(
    ("manifest", "sentence"),
    [
        ("source = [", "this is no TOML"),
        ('frozen = ["x"]', "nobody knows what frozen means"),
        ('compiled = ["bzfw/*.c"]', "no file fits bzfw/*.c"),
        ('source = ["start.py"]', "this file is missing"),
        ('include = "other.toml"', "this file is missing"),
    ],
)
def test_a_wrong_manifest_is_told_in_a_sentence(firmware: Path, manifest: str, sentence: str) -> None:
    (firmware / "production.toml").write_text(manifest)
    with pytest.raises(BztokenError, match=sentence.replace("*", ".")):
        built(Build.PRODUCTION, firmware=firmware)
