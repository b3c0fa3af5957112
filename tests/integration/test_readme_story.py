"""README "From a bare board to a token on a wrist": its very lines, on a bare virtual board."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.integration.bare import BOARDS, bare_boards
from tests.synthetic_image import write

pytestmark = pytest.mark.timeout(300)
SECTION = re.compile(r"^## From a bare board to a token on a wrist$.*?^```$\n(?P<lines>.*?)^```$", re.M | re.S)
FIRST_LIFE = ["board flashed", "board shipped", "provisioned", "issued", "revoked", "returned", "wipe begun", "wiped"]
HOLDERS = ("Bà Lan", "Ông Hùng")


@pytest.fixture
def lines(repository: Path) -> str:
    found = SECTION.search((repository / "README.md").read_text(encoding="utf-8"))
    assert found
    return found["lines"]


def steps_of(story: str) -> list[str]:
    """What happened, in order; all of it done by the same person."""
    return re.findall(r"^│ [0-9-]{10} [0-9:]{5} │ (.*?) +│ Hoa │ .*│$", story, re.M)


def with_ours(lines: str, **ours: str) -> str:
    """The same lines for another board: each name is given a value once, and that one is replaced."""
    for name, value in ours.items():
        lines, count = re.subn(rf"^{name}=.*$", f"{name}={value}", lines, flags=re.M)
        assert count == 1, name
    return lines


def test_the_lines_of_the_readme_lead_from_a_bare_board_to_a_token(tmp_path: Path, lines: str) -> None:
    environment = {
        **os.environ,
        "BZTOKEN_BOARDS": str(BOARDS),
        "BZTOKEN_HOME": str(tmp_path / "home"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    console = Path(sys.executable).parent / "bztoken"
    with bare_boards(tmp_path / "boards") as boards:
        image = write(tmp_path / "image.bin")
        script = with_ours(lines, BOARD="bench", PORT=boards.port, IMAGE=str(image)).replace(
            ".venv/bin/bztoken", str(console)
        )
        done = subprocess.run(
            ["bash", "-e", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "labels.pdf").read_bytes().startswith(b"%PDF")
        assert (tmp_path / "leaflet.pdf").read_bytes().startswith(b"%PDF")
        second, first = done.stdout.split("YB-0001-3 (person), active")[1].split("YB-0001-3 (wiped 1) (person), wiped")
        assert steps_of(second) == ["board flashed", "board shipped", "provisioned", "reissued", "issued"]
        assert steps_of(first)[:-1] == FIRST_LIFE
        assert [holder in life for life, holder in zip((first, second), HOLDERS, strict=True)] == [True, True]
        assert [name for name in HOLDERS if name in done.stderr] == []
