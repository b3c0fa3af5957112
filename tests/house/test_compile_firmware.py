"""The firmware compiles for both instruction sets, and a file that does not is noticed."""

from pathlib import Path

import pytest
from tests.house.compile_firmware import ARCHITECTURES, complaints, main


def test_every_firmware_file_compiles(repository: Path) -> None:
    assert main([str(repository / "firmware"), str(repository / "boards/virtual/bzvirtual/device")]) == 0


@pytest.mark.parametrize(
    "source", ["def broken(:\n", "match 1:\n    case 1:\n        pass\n", "def f(a, /):\n    pass\n"]
)
def test_what_micropython_cannot_compile_is_reported_for_each_architecture(tmp_path: Path, source: str) -> None:
    file = tmp_path / "new.py"
    file.write_text(source, encoding="utf-8")
    assert len(list(complaints([file]))) == len(ARCHITECTURES)


def test_a_folder_without_firmware_is_a_failure(tmp_path: Path) -> None:
    assert main([str(tmp_path)]) == 1
