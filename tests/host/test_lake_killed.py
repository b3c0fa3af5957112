"""`lake add` is killed wherever: the lake refuses or answers as before or after, and the same command goes on."""

import shutil
from pathlib import Path

import pytest
from tests.host.killed_program import killed_at_line
from tests.host.lake_world import DAY_S, NOW_S, TODAY, ClinicOfLake, clinic, clinics, everything, rows_of

from bztoken.errors import LakeError
from bztoken.lake import adding, expiry, records, rewriting

__all__ = ["clinic", "clinics"]  # fixtures
EVERY = 17  # lines from one kill to the next
MODULES = (adding, records, rewriting)


def answers(clinic: ClinicOfLake) -> dict[int, list[tuple[int, ...]]]:
    return {day: rows_of(columns) for day, columns in everything(clinic.source()).items()}


@pytest.mark.parametrize("again", [False, True], ids=["first", "second"])
def test_an_add_that_was_killed_is_finished_by_the_next(clinic: ClinicOfLake, tmp_path: Path, again: bool) -> None:
    before = None
    if again:
        clinic.add()
        before = answers(clinic)
        clinic.hear(1, TODAY * DAY_S + 1000)
        clinic.hear(2, TODAY * DAY_S - 1000)
    whole = ClinicOfLake(clinic.home, tmp_path / "whole")
    whole.add()
    kept = tmp_path / "kept"
    if again:
        shutil.copytree(clinic.lake, kept)
    line, seen = 1, set()
    while killed_at_line(line, clinic.add, MODULES):
        seen.add(state_of(clinic, before, answers(whole)))
        clinic.add()
        assert clinic.files() == whole.files()
        shutil.rmtree(clinic.lake)
        if again:
            shutil.copytree(kept, clinic.lake)
        line += EVERY
    assert line > 5 * EVERY
    assert "refuses" in seen


def test_leaving_out_what_is_past_its_time_is_finished_by_the_next_add(
    clinic: ClinicOfLake, clinics: list[ClinicOfLake], tmp_path: Path
) -> None:
    """Of a clinic that is not there to do it."""
    later_s = NOW_S + 15 * DAY_S
    clinic.add()
    other = clinics[1]
    other.hear(other.token("Dung"), later_s)
    kept = tmp_path / "kept"
    shutil.copytree(clinic.lake, kept)
    other.add(now_s=later_s)
    whole = clinic.files()
    line, refused = 1, 0
    while True:
        shutil.rmtree(clinic.lake)
        shutil.copytree(kept, clinic.lake)
        if not killed_at_line(line, lambda: other.add(now_s=later_s), (expiry, records, rewriting)):
            break
        try:
            clinic.source()
        except LakeError as error:
            refused += 1
            assert "to its end" in str(error) or "to the end" in str(error)
        other.add(now_s=later_s)
        assert clinic.files() == whole
        line += EVERY
    assert line > 5 * EVERY and refused


def state_of(
    clinic: ClinicOfLake, before: dict[int, list[tuple[int, ...]]] | None, after: dict[int, list[tuple[int, ...]]]
) -> str:
    try:
        found = answers(clinic)
    except LakeError as error:
        assert "is no lake" in str(error) or "was not written to its end" in str(error)
        return "refuses"
    assert found in ({}, after) if before is None else found in (before, after)
    return "answers"
