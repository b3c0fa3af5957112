"""A virtual run depends on its seed and on nothing else: not on the order of hashing, not on the hour of the day."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

WORLD = Path(__file__).parent / "worlds" / "pair.world"
DAYS = "0.04"


def run_fleet(folder: Path, seed: int, hash_seed: int) -> dict[str, bytes]:
    """Flash images, states, histories, case lists, truth and manifest of a run, by their paths."""
    words = ["fleet", "run", "--out", str(folder), "--world", str(WORLD), "--tokens", "2", "--days", DAYS]
    subprocess.run(
        [sys.executable, "-m", "bztoken", *words, "--seed", str(seed)],
        env={**os.environ, "PYTHONHASHSEED": str(hash_seed)},
        check=True,
        capture_output=True,
        timeout=120,
    )
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and "app" not in path.parts]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return run_fleet(tmp_path_factory.mktemp("first") / "fleet", 5, 1)


def test_the_same_seed_makes_the_same_bytes(first: dict[str, bytes], tmp_path: Path) -> None:
    again = run_fleet(tmp_path / "fleet", 5, 2)
    assert sorted(again) == sorted(first)
    assert [name for name in first if again[name] != first[name]] == []
    assert first["phone-em.tsv"].count(b"\n") > 5
    assert {"token-an/flash.bin", "token-binh/flash.bin", "phone-em.json"} <= set(first)


def test_another_seed_makes_other_bytes(first: dict[str, bytes], tmp_path: Path) -> None:
    other = run_fleet(tmp_path / "fleet", 6, 1)
    for name in ("token-an/flash.bin", "token-binh/flash.bin", "phone-em.tsv", "phone-em.json"):
        assert other[name] != first[name]
    assert other["truth.json"] == first["truth.json"]  # the world is the same
