"""A fleet lives half an hour in virtual time with the real firmware, and its score is told from what it left behind."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.program import Ran, program

WORLD = """
world bench
timezone 0
loss 0.1
place room 0 0 indoor
place yard 300 0 outdoor
spot room chair 0 0
spot room stool 1.5 0
spot room mat 0 1.2
spot yard tree 0 0
person an "Bà An" token
  00:00 room/chair
person binh "Ông Bình" token offset_s=0.5 drift_ppm=200
  00:00 room/stool
person gate "Cổng" site
  00:00 yard/tree
person em "Em" phone
  00:00 room/mat
crowd passer 3 beacon room 2
"""
DAYS = "0.02"  # 28.8 minutes


class Lived:
    """The folder, what `run` and `score` printed."""

    def __init__(self, folder: Path, ran: Ran, scored: Ran) -> None:
        self.folder = folder
        self.ran = ran
        self.scored = scored

    def read(self, name: str) -> Any:
        return json.loads((self.folder / name).read_text())


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Lived:
    base = tmp_path_factory.mktemp("lived")
    (base / "bench.world").write_text(WORLD)

    def bztoken(*words: object) -> Ran:
        line = [sys.executable, "-m", "bztoken", "--home", str(base / "home"), "fleet", *map(str, words)]
        done = subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)
        return Ran(done.returncode, done.stdout, done.stderr)

    ran = bztoken("run", "--world", base / "bench.world", "--out", base / "fleet", "--days", DAYS, "--json")
    return Lived(base / "fleet", ran, bztoken("score", base / "fleet", "--json"))


def test_the_run_lives_with_as_many_tokens_as_the_world_has(lived: Lived) -> None:
    assert (lived.ran.code, lived.ran.err) == (0, "")
    assert lived.ran.document()["tokens"] == 3
    members = lived.read("fleet.json")["members"]
    assert [(member["carries"], member["role"]) for member in members if member["folder"]] == [
        ("token", "person"),
        ("token", "person"),
        ("token", "site"),
    ]
    assert len(members) == 7


def test_everybody_in_the_room_recorded_everybody(lived: Lived) -> None:
    assert (lived.scored.code, lived.scored.err) == (0, "")
    logs = lived.scored.document()["logs"]
    one = {"minutes": "15-30", "metres": "1-2", "encounters": 1, "by_a": 1, "by_b": 1, "by_both": 1}
    assert logs["recall"]["token and token"] == [one]
    for group, met in (("token hears beacon", 6), ("token hears phone", 2), ("phone hears token", 2)):
        assert sum(bucket["encounters"] for bucket in logs["recall"][group]) == met
        assert sum(bucket["by_a"] for bucket in logs["recall"][group]) == met
    assert logs["precision"]["right"] > 30
    assert logs["precision"]["share"] == 1
    assert logs["damaged_pages"] == 0


def test_nothing_on_the_air_links_two_ids(lived: Lived) -> None:
    air = lived.read("air.json")
    assert air["linked"] == []
    assert air["rotations"] >= 3


def test_the_truth_knows_the_wrong_clock(lived: Lived) -> None:
    clocks = lived.read("truth.json")["clocks"]
    assert set(clocks) == {"an", "binh", "gate"}
    (_, first_s), (_, last_s) = clocks["binh"][0], clocks["binh"][-1]
    (_, right_s) = clocks["an"][0]
    assert first_s - right_s == pytest.approx(0.5, abs=0.1)
    assert last_s - first_s == pytest.approx(28.8 * 60 * 200e-6, abs=0.01)


def test_every_carrier_was_on_the_air_and_keys_are_for_the_owner_alone(lived: Lived) -> None:
    carriers = {line.split("\t")[0] for line in (lived.folder / "ids.tsv").read_text().splitlines()}
    assert carriers == {"an", "binh", "gate", "em", "passer-1", "passer-2", "passer-3"}
    assert (lived.folder / "identities.json").stat().st_mode & 0o077 == 0
    assert [token["label"] for token in lived.read("identities.json")["tokens"]] == ["Bà An", "Ông Bình", "Cổng"]


def test_a_profile_that_nobody_knows_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    cli = program(monkeypatch, capfd)
    ran = cli(tmp_path, "fleet", "run", "--out", tmp_path / "fleet", "--profile", "sleepy")
    assert ran.code == 2
    assert "windowed" in ran.err
    assert not (tmp_path / "fleet").exists()
